"""What every probe promises, asked of all that the registry finds: a new file is tested before its own tests exist."""

import inspect
import json
import math
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import agent.checks
from agent.checks import FAMILY, offers, recalls, refers
from agent.checks.reading import EVIDENCE_CHARACTERS, SUMMARY_CHARACTERS
from agent.checks.recalling import Kept
from agent.closed import ClosedModel
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit
from agent.registry import scan

PROBES: Mapping[str, Any] = scan(agent.checks, FAMILY)
# What an operator may write behind the probe's name; a probe without an example here fails the first test.
EXAMPLES: Mapping[str, list[Any]] = MappingProxyType(
    {
        "clock": [{}],
        "cli": [{"command": "show version", "find": "Version (\\S+)"}],
        "command": [{"command": "echo 'it is' 42; exit 1"}],
        "container": [{"name": "web", "engine": "podman"}],
        "cpu": [{}],
        "disk": [{"path": "/"}, {"match": "all", "ignore": "tmpfs"}, {"match": ["^/$"]}],
        "dns": [
            {"name": "www.example.org"},
            {"name": "example.org", "type": "MX", "expect": "10 mail.example.org", "servers": ["192.0.2.53"]},
        ],
        "domain": [{"name": "example.org"}, {"name": "example.co.uk", "rdap": "https://rdap.example.net/"}],
        "file": [
            {"path": "/etc/passwd"},
            {"path": "/etc/hostname", "sha256": "true"},
            {"path": "/absent", "exists": "false"},
        ],
        "http": [{"url": "https://www.example.org/health", "expect": {"status": ["200"], "json": {"db": "up"}}}],
        "inodes": [{"path": "/"}, {"match": "all", "ignore": ["tmpfs"]}],
        "interfaces": [{"match": "^(eth|Gi|xe)"}, {"alias": "uplink", "admin": "all"}],
        "load": [{}],
        "log": [{"path": "/etc/passwd", "match": "^(root|nobody):"}],
        "memory": [{}],
        "nagios": [{"command": "echo 'OK | load=0.5;;;0'"}],
        "packages": [{}],
        "ping": [{}, {"host": "192.0.2.1", "count": "3", "interval": "1s", "family": "v4"}],
        "port": [{"port": "22"}, {"port": "53", "protocol": "udp", "address": "127.0.0.1"}],
        "process": [{"name": "sh"}, {"pattern": "^nginx: (master|worker)", "user": "root"}],
        "promql": [
            {"url": "https://prometheus.example.org", "query": "up", "by": "job", "token": {"secret": "prometheus"}}
        ],
        "quorum": [{"of": "checks/storefront"}],
        "sql": [
            {"url": "postgresql://reader@db.example.org/shop", "password": {"secret": "db"}, "query": "SELECT 1"},
            {"url": "sqlite:///srv/app.db", "query": "WITH a AS (SELECT 1) SELECT * FROM a", "by": "name"},
            {"url": {"secret": "db-url"}, "query": "select 1", "tls": "true"},
        ],
        "swap": [{}],
        "snmp": [
            {"oid": "1.3.6.1.2.1.1.3.0"},
            {"table": {"name": "1.3.6.1.2.1.2.2.1.2"}, "where": {"name": "^lo$"}},
            {"sensor": "temperature"},
        ],
        "systemd": [{"unit": "nginx.service"}, {"unit": "getty@tty1"}],
        "tcp": [{"port": "25", "expect": "^220 "}],
        "tls": [{"host": "www.example.org"}, {"port": "587", "starttls": "smtp", "name": "mail.example.org"}],
        "uptime": [{}],
    }
)
SHELLS = (("dash",), ("busybox", "sh"))
TAKES_SHELL = {"command", "nagios"}  # their option *is* a shell command, and the operator's own
WORDS = ("cpu  1 2 3 4\n", "cpu  9 9 9 9\n", "SwapTotal: 1 kB\n", "SwapFree: 9 kB\n", "MemTotal: 8 kB\n", "MemAvailable: 2 kB\n", "found 1 0.5 4096\n", "found 1 1.. 2\n", "ActiveState=", "|", "=", "'",
         "LoadState=loaded\n", "0.1 . 9 1/2 3\n4\n", "/dev/sda ext4 4 1 -3 1% /\n", "\x1b[31m", "\u202e", "\x1e stderr \x1e\n",
         "\n", "::", ";", "9" * 400, "1e999", "\x00", "-", "5%", "a=1KB;")  # fmt: skip


def cases(shape: Any) -> list[Any]:
    """Every example of every probe that has this shape."""
    return [
        pytest.param(name, probe, probe.OPTIONS.model_validate(options), id=f"{name}-{number}")
        for name, probe in PROBES.items()
        if offers(probe, shape)
        for number, options in enumerate(EXAMPLES.get(name, []))
    ]


def by_shell(shell: tuple[str, ...], script: str, folder: Path) -> Section:
    """A script's output as a transport would bring it."""
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} on this machine")
    argv = [*shell, "-c", f"exec 2>&1 </dev/null\n{script}"]
    done = subprocess.run(argv, capture_output=True, cwd=folder, check=False, timeout=30)
    return Section(text=done.stdout.decode(errors="replace"), exit_code=done.returncode % 256)


def check_look(look: Look, probe: Any) -> None:
    """A look that the rest of the agent can take."""
    inner = [look, *look.instances.values()]
    assert not look.instances or (probe.INSTANCES and not look.metrics)
    for one in inner:
        assert one.summary
        assert len(one.summary) <= SUMMARY_CHARACTERS
        assert one.summary.isprintable(), "a line of a terminal or a ticket"
        assert len(one.evidence) <= EVIDENCE_CHARACTERS
        assert one.evidence.replace("\n", "").replace("\t", "").isprintable()
        for name, value in one.metrics.items():
            unit = one.units.get(name) if probe.METRICS is None else probe.METRICS.get(name)
            assert unit is not None, f"{name} has no unit"
            assert isinstance(value, str) == (unit is Unit.TEXT)
            assert isinstance(value, str) or math.isfinite(value)


@pytest.mark.parametrize("name", list(PROBES))
class TestEveryProbe:
    def test_has_an_example_here(self, name: str) -> None:
        assert EXAMPLES.get(name)

    def test_is_named_like_its_file_and_by_the_first_words_of_its_docstring(self, name: str) -> None:
        module = PROBES[name].__module__
        assert module == f"agent.checks.{name}"
        assert (__import__(module, fromlist=["_"]).__doc__ or "").startswith(f"check: {name} — ")

    def test_carries_what_the_rest_needs(self, name: str) -> None:
        probe = PROBES[name]
        assert isinstance(probe.RUN_FROM, RunFrom)
        assert isinstance(probe.INSTANCES, bool)
        assert probe.METRICS is None or all(isinstance(unit, Unit) for unit in probe.METRICS.values())
        shapes = [shape for shape in ("script", "command", "look", "reach") if offers(probe, shape)]
        assert bool(shapes) == (refers(probe) is None)
        assert refers(probe) in (None, *probe.OPTIONS.model_fields)
        assert (offers(probe, "script") or offers(probe, "command")) == hasattr(probe, "read")

    def test_says_of_what_type_its_memory_is_if_it_leaves_one(self, name: str) -> None:
        probe = PROBES[name]
        finds = ".memory" in inspect.getsource(inspect.getmodule(probe) or probe).replace("look.memory", "")
        assert hasattr(probe, "MEMORY") == (recalls(probe) or (offers(probe, "reach") and finds))
        if hasattr(probe, "MEMORY"):
            assert isinstance(probe.MEMORY, Kept)
            assert probe.MEMORY.loads("[{}, 0]") is None, "its type is one that can be kept"

    def test_has_closed_options_that_explain_themselves(self, name: str) -> None:
        model = PROBES[name].OPTIONS
        assert issubclass(model, ClosedModel)
        with pytest.raises(ValidationError, match="extra_forbidden"):
            model.model_validate({**EXAMPLES[name][0], "nonsense": "1"})
        for field, told in model.model_json_schema().get("properties", {}).items():
            assert told.get("description"), f"{field} has no description"
        json.dumps(model.model_json_schema())

    def test_takes_its_short_form(self, name: str) -> None:
        probe = PROBES[name]
        if probe.SHORT:
            assert probe.SHORT in probe.OPTIONS.model_fields
        elif probe.SHORT == "":
            probe.OPTIONS()

    def test_takes_its_examples_as_text(self, name: str) -> None:
        for options in EXAMPLES[name]:
            valid = PROBES[name].OPTIONS.model_validate(options)
            assert PROBES[name].OPTIONS.model_validate_json(valid.model_dump_json(by_alias=True)) == valid


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: str(shell[0]))
@pytest.mark.parametrize(("name", "probe", "options"), cases("script"))
class TestEveryScript:
    def test_is_posix(
        self, name: str, probe: Any, options: ClosedModel, shell: tuple[str, ...], tmp_path: Path
    ) -> None:
        file = tmp_path / "script"
        file.write_text(probe.script(options))
        assert by_shell((*shell, "-n", str(file)), "", tmp_path).text == ""

    def test_runs_and_is_read(
        self, name: str, probe: Any, options: ClosedModel, shell: tuple[str, ...], tmp_path: Path
    ) -> None:
        look = probe.read(by_shell(shell, probe.script(options), tmp_path), options)
        check_look(look, probe)
        assert "syntax" not in look.summary
        assert list(tmp_path.iterdir()) == [], "it only reads"


def hostile(canary: Path) -> list[str]:
    """Values that would create the canary if a shell got hold of them."""
    touch = f"touch {canary}"
    bait = [
        f"$({touch})",
        f"`{touch}`",
        f"'; {touch}; '",
        f'"; {touch}; "',
        f"x\n{touch}\n",
        f"x; {touch}",
        f"x' $({touch}) '",
    ]
    return [
        *bait,
        *(f"/{value}" for value in bait),
        *(f"\\{value}" for value in bait),
        "-n",
        "--help",
        "x\\",
        "END",
        "$IFS",
    ]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: str(shell[0]))
@pytest.mark.parametrize("name", [name for name, probe in PROBES.items() if offers(probe, "script")])
def test_no_value_of_a_policy_is_run_by_the_shell(name: str, shell: tuple[str, ...], tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    probe = PROBES[name]
    fields = [field for example in EXAMPLES[name] for field in example if name not in TAKES_SHELL]
    for options in ({field: value} for field in fields for value in hostile(canary)):
        try:
            valid = probe.OPTIONS.model_validate(options)
        except ValidationError:
            continue
        check_look(probe.read(by_shell(shell, probe.script(valid), tmp_path), valid), probe)
        assert not canary.exists(), options


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: str(shell[0]))
@pytest.mark.parametrize("name", sorted(TAKES_SHELL))
@pytest.mark.parametrize(
    "command", ["echo 'open", 'echo "', "(", "exit 2; }", "EOF\n)", "$((", "exec 3>&-; exit 2", "\\"]
)
def test_a_broken_command_cannot_break_out_of_its_script(
    name: str, command: str, shell: tuple[str, ...], tmp_path: Path
) -> None:
    probe = PROBES[name]
    options = probe.OPTIONS(command=command)
    section = by_shell(shell, f"( {probe.script(options)} )\necho after $?", tmp_path)
    assert section.text.splitlines()[-1].startswith("after "), section.text
    assert section.text.splitlines()[-1] != "after 0"


@pytest.mark.parametrize(("name", "probe", "options"), cases("script"))
@settings(max_examples=60)
@given(
    text=st.lists(st.one_of(st.text(max_size=30), st.sampled_from(WORDS)), max_size=12).map("".join),
    exit_code=st.integers(0, 255),
    timed_out=st.booleans(),
)
@example(text="", exit_code=0, timed_out=False)
@example(text="\ud800 9" + "9" * 5000, exit_code=0, timed_out=False)
def test_whatever_a_host_prints_is_read(
    name: str, probe: Any, options: ClosedModel, text: str, exit_code: int, timed_out: bool
) -> None:
    check_look(probe.read(Section(text=text, exit_code=exit_code, timed_out=timed_out), options), probe)


@pytest.mark.parametrize(("name", "probe", "options"), cases("look"))
def test_a_look_at_this_machine_measures_what_is_promised(name: str, probe: Any, options: ClosedModel) -> None:
    look = probe.look(options)
    check_look(look, probe)
    for one in look.instances.values() or [look]:
        assert set(one.metrics) == set(probe.METRICS) - {"full_in"}, "the agent itself makes the forecast"
        assert all(value >= 0 for value in one.metrics.values())
        assert one.metrics.get("used", 0.0) <= 1.0


@pytest.mark.parametrize(
    ("name", "probe", "options"), [case for case in cases("script") if offers(case.values[1], "look")]
)
def test_both_ways_to_look_agree(name: str, probe: Any, options: ClosedModel, tmp_path: Path) -> None:
    printed, looked = probe.read(by_shell(("sh",), probe.script(options), tmp_path), options), probe.look(options)
    assert printed.instances.keys() == looked.instances.keys()
    assert printed.metrics.keys() == looked.metrics.keys()
    for instance, one in printed.instances.items():
        assert one.metrics["used"] == pytest.approx(looked.instances[instance].metrics["used"], abs=0.02)

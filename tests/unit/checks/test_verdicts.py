"""What the probes of hosts make of what a host printed: one table per probe."""

import pytest
from pydantic import ValidationError

from agent.checks.command import Command, CommandOptions
from agent.checks.disk import Disk, DiskOptions
from agent.checks.load import Load, LoadOptions
from agent.checks.memory import Memory, MemoryOptions
from agent.checks.nagios import Nagios, NagiosOptions
from agent.checks.process import Process, ProcessOptions
from agent.checks.systemd import Systemd, SystemdOptions
from agent.model.look import Section, Verdict

DF = """\
Filesystem              Type     1024-blocks      Used Available Capacity Mounted on
udev                    devtmpfs     4000000         0   4000000       0% /dev
tmpfs                   tmpfs         800000      2000    798000       1% /run
/dev/vda1               ext4         1000000    700000    250000      74% /
/dev/vda1               ext4         1000000    700000    250000      74% /var/lib/chroot/mnt
//server/my share       cifs         1000000    100000    900000      10% /mnt/my share
/dev/loop0              squashfs       60000     60000         0     100% /snap/core/1
/dev/vdb                xfs          1000000   1000000         0     100% /srv
proc                    proc               0         0         0       - /proc
"""


def printed(text: str, exit_code: int = 0) -> Section:
    return Section(text=text, exit_code=exit_code)


@pytest.mark.parametrize(
    ("options", "instances"),
    [
        ({"match": "all"}, ["/", "/mnt/my share", "/run", "/srv"]),
        ({"match": "all", "ignore": ["tmpfs", "cifs"]}, ["/", "/srv"]),
        ({"match": ["^/$", "^/snap"]}, ["/"]),
    ],
)
def test_file_systems_that_are_meant_are_instances_each_once(options: dict[str, object], instances: list[str]) -> None:
    look = Disk.read(printed(DF), DiskOptions.model_validate(options))
    assert list(look.instances) == instances


def test_patterns_that_match_nothing_are_told_what_there_is() -> None:
    look = Disk.read(printed(DF), DiskOptions.model_validate({"match": ["ext4", "xfs"]}))
    assert look.verdict is Verdict.UNKNOWN
    assert (
        look.summary
        == "no mount point matches ext4 or xfs; there are /, /mnt/my share, /run, /srv, /var/lib/chroot/mnt"
    )


def test_a_pattern_is_no_type_to_ignore() -> None:
    with pytest.raises(ValidationError, match=r"'\^/run/' is no type of file systems, such as tmpfs"):
        DiskOptions.model_validate({"match": "all", "ignore": "^/run/"})


def test_a_file_system_is_as_full_as_df_says_and_critical_when_nothing_is_free() -> None:
    look = Disk.read(printed(DF), DiskOptions(match=("all",)))
    root, full = look.instances["/"], look.instances["/srv"]
    assert root.metrics == {"used": pytest.approx(700 / 950), "free": 250000 * 1024}
    assert (root.verdict, full.verdict) == (Verdict.OK, Verdict.CRITICAL)
    assert (look.verdict, look.summary) == (Verdict.CRITICAL, "/srv: 100% used, 0 B free")


def test_a_path_is_an_instance_under_its_own_name() -> None:
    line = "\n".join([DF.splitlines()[0], DF.splitlines()[3]])
    look = Disk.read(printed(line), DiskOptions(path="/srv/shop"))
    assert list(look.instances) == ["/srv/shop"]
    gone = Disk.read(printed("df: /srv/shop: No such file or directory\n", 1), DiskOptions(path="/srv/shop"))
    assert (gone.verdict, list(gone.instances)) == (Verdict.CRITICAL, ["/srv/shop"])
    secret = Disk.read(printed("df: /root/x: Permission denied\n", 1), DiskOptions(path="/root/x"))
    assert (secret.verdict, secret.instances) == (Verdict.UNKNOWN, {})


@pytest.mark.parametrize("text", ["", "sh: df: not found", "Filesystem Type"])
def test_without_file_systems_nobody_can_tell(text: str) -> None:
    assert Disk.read(printed(text, 127), DiskOptions(match=("all",))).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"path": "/", "match": "all"},
        {"path": "relative"},
        {"match": "("},
        {"path": "/", "ignore": "tmpfs"},
        {"path": "/a\nb"},
    ],
)
def test_disk_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DiskOptions.model_validate(options)


@pytest.mark.parametrize(
    ("text", "used", "free"),
    [
        ("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n", 0.75, 250 * 1024),
        ("MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 250 kB\n", 0.6, 400 * 1024),
    ],
)
def test_memory_is_what_a_program_could_still_get(text: str, used: float, free: float) -> None:
    assert Memory.read(printed(text), MemoryOptions()).metrics == {"used": pytest.approx(used), "free": free}


@pytest.mark.parametrize(
    "text", ["", "cat: /proc/meminfo: No such file", "MemTotal: 0 kB\nMemAvailable: 0 kB", "MemTotal: 9 kB"]
)
def test_memory_without_figures_is_unknown(text: str) -> None:
    assert Memory.read(printed(text), MemoryOptions()).verdict is Verdict.UNKNOWN


def test_load_is_per_core() -> None:
    look = Load.read(printed("4.00 2.00 1.00 3/512 12345\n4\n"), LoadOptions())
    assert look.metrics == {"load1": 1.0, "load5": 0.5, "load15": 0.25}
    for text in ("", "4.00 2.00 1.00 3/512 1\n0\n", "4.00 2.00 1.00 3/512 1\n", "1.1.1 2 3 4\n4\n"):
        assert Load.read(printed(text), LoadOptions()).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("text", "code", "verdict", "summary", "metrics"),
    [
        ("42 jobs\nmore", 0, "ok", "42 jobs", {"exit": 0, "value": 42}),
        ("temp: -3.5 C", 0, "ok", "temp: -3.5 C", {"exit": 0, "value": -3.5}),
        ("", 0, "ok", "nothing was printed", {"exit": 0}),
        ("v1 r2d2", 0, "ok", "v1 r2d2", {"exit": 0}),
        ("late", 1, "critical", "exit 1: late", {"exit": 1}),
        ("\n\x1e stderr \x1e\nsh: 1: x: not found\n", 127, "unknown", "the command was not found: sh: 1: x: not found", {"exit": 127}),
        ("\n\x1e stderr \x1e\nwarning 7\nlast words\n", 2, "critical", "exit 2: last words", {"exit": 2}),
    ],
)  # fmt: skip
def test_a_command_is_judged_by_its_exit_code(
    text: str, code: int, verdict: str, summary: str, metrics: dict[str, float]
) -> None:
    look = Command.read(printed(text, code), CommandOptions(command="x"))
    assert (look.verdict, look.summary, dict(look.metrics)) == (verdict, summary, metrics)


def test_a_command_that_hangs_is_critical_and_a_plugin_that_hangs_is_unknown() -> None:
    late = Section(text="started", exit_code=124, timed_out=True)
    assert Command.read(late, CommandOptions(command="x")).verdict is Verdict.CRITICAL
    assert Nagios.read(late, NagiosOptions(command="x")).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("text", "code", "verdict", "summary"),
    [
        ("CRITICAL, says the text | a=1", 0, "ok", "CRITICAL, says the text"),
        ("W", 1, "warning", "W"),
        ("C", 2, "critical", "C"),
        ("usage: check_x", 3, "unknown", "usage: check_x"),
        ("", 0, "ok", "(No output returned from plugin)"),
        ("\n\x1e stderr \x1e\nTraceback\nValueError: x", 1, "warning", "ValueError: x"),
        ("", 127, "unknown", "the plugin was not found:"),
        ("x", 126, "unknown", "the plugin cannot be executed: x"),
        ("x", 137, "unknown", "the plugin was killed by signal 9: x"),
        ("x", 4, "unknown", "the plugin ended with exit code 4: x"),
        ("x", 255, "unknown", "the plugin ended with exit code 255: x"),
    ],
)
def test_a_plugin_is_judged_by_its_exit_code_alone(text: str, code: int, verdict: str, summary: str) -> None:
    look = Nagios.read(printed(text, code), NagiosOptions(command="x"))
    assert (look.verdict, look.summary) == (verdict, summary)


def test_a_plugin_that_is_not_ok_says_by_which_of_its_ranges() -> None:
    options = NagiosOptions(command="x")
    look = Nagios.read(printed("DISK full | /=95%;80;90\nmore", 2), options)
    assert look.evidence == "DISK full\n/ is 95%: critical by its range 90\nmore"
    assert Nagios.read(printed("fine | /=95%;80;90", 0), options).evidence == "fine"


def shown(load: str, active: str, sub_state: str, result: str = "success") -> Section:
    return printed(f"LoadState={load}\nActiveState={active}\nSubState={sub_state}\nResult={result}\nNRestarts=0\n")


@pytest.mark.parametrize(
    ("section", "verdict", "words"),
    [
        (shown("loaded", "active", "running"), "ok", "x.service: active (running)"),
        (shown("loaded", "active", "exited"), "ok", "active (exited)"),
        (shown("loaded", "inactive", "dead"), "critical", "inactive (dead)"),
        (shown("loaded", "failed", "failed", "exit-code"), "critical", "failed, result exit-code"),
        (shown("loaded", "activating", "start-pre"), "warning", "activating (start-pre)"),
        (shown("loaded", "activating", "auto-restart", "signal"), "critical", "auto-restart), result signal"),
        (shown("loaded", "reloading", "reload"), "warning", "reloading (reload)"),
        (shown("loaded", "deactivating", "stop-sigterm"), "warning", "deactivating"),
        (shown("not-found", "inactive", "dead"), "critical", "there is no such unit; inactive (dead)"),
        (shown("masked", "inactive", "dead"), "critical", "the unit is masked; inactive"),
        (shown("not-found", "active", "running"), "warning", "active (running), but there is no such unit"),
        (printed("sh: systemctl: not found", 127), "unknown", "this host has no systemctl"),
        (printed("System has not been booted with systemd", 1), "unknown", "tells nothing of the unit: System has"),
        (printed("", 0), "unknown", "exit 0"),
        (Section(text="", exit_code=124, timed_out=True), "unknown", "did not answer in time"),
    ],
)
def test_a_unit_is_critical_unless_active(section: Section, verdict: str, words: str) -> None:
    look = Systemd.read(section, SystemdOptions(unit="x.service"))
    assert look.verdict == verdict
    assert words in look.summary


@pytest.mark.parametrize("unit", ["", "-x", "a b", "x;y", "$(x)", "x\n", "../x", "*.service"])
def test_what_is_no_name_of_a_unit_is_refused(unit: str) -> None:
    with pytest.raises(ValidationError):
        SystemdOptions(unit=unit)


def test_a_process_is_critical_when_there_is_none() -> None:
    options = ProcessOptions(name="nginx", user="www-data")
    look = Process.read(printed("found 3 0.2500 1048576\n"), options)
    assert (look.verdict, look.metrics) == (Verdict.OK, {"count": 3, "cpu": 0.25, "memory": 1048576})
    none = Process.read(printed("found 0 0 0\n"), options)
    assert (none.verdict, none.summary) == (Verdict.CRITICAL, "nginx of www-data: not running")
    assert Process.read(printed("no such user: www-data\n", 3), options).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "options",
    [{}, {"name": "a", "pattern": "b"}, {"name": ""}, {"pattern": ""}, {"name": "a", "user": "-x"}]
    + [{"pattern": pattern} for pattern in (r"\d", "(?i)x", "a+?", "(", "a\nb", r"[\]]")],
)
def test_process_options_that_two_machines_would_read_differently_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ProcessOptions.model_validate(options)

"""The Monitoring Plugins of Debian, and plugins that misbehave: here and over SSH, all of a host in one round trip."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from agent.model.look import Unit
from tests.fakes.web_peer import PAGE, answering, length
from tests.lab.sshd import Sshd
from tests.lab.stage import HERE, Stage

PLUGINS = Path("/usr/lib/nagios/plugins")


@pytest.fixture
def stage(tmp_path: Path, sshd: Sshd) -> Iterator[Stage]:
    with Stage(tmp_path, sshd) as stage:
        yield stage


def real(stage: Stage, sshd: Sshd) -> Mapping[str, tuple[str, str, Mapping[str, Unit]]]:
    """Command: verdict, words, and metrics that must be there."""
    good, bad = (stage.tcp(answering(page)) for page in (length(b"fine"), PAGE.replace(b"200 OK", b"503 Away")))
    number, size, time, share = Unit.NUMBER, Unit.BYTES, Unit.SECONDS, Unit.SHARE
    load = {"load1": number, "load5": number, "load15": number}
    return {
        "check_load -w 999,999,999 -c 999,999,999": ("ok", "LOAD OK", load),
        "check_load -w 0,0,0 -c 999,999,999": ("warning|ok", "LOAD", load),
        "check_disk -w 1 -c 1 -p / -p /dev": ("ok", "DISK OK", {"/": size, "/dev": size}),
        "check_disk -w 100% -c 100% -p /": ("critical", "DISK CRITICAL", {"/": size}),
        "check_procs -w 1: -c 1:": ("ok", "PROCS OK", {"procs": number}),
        "check_procs -c 1: -C no-such-name": ("critical", "PROCS CRITICAL: 0 processes", {"procs": number}),
        f"check_http -H 127.0.0.1 -p {good} -t 5": ("ok", "HTTP OK", {"time": time, "size": size}),
        f"check_http -H 127.0.0.1 -p {bad} -t 5": ("critical", "503 Away", {"time": time, "size": size}),
        "check_http -H 127.0.0.1 -p 1": ("critical", "refused", {}),
        f"check_ssh -p {sshd.port} {sshd.address}": ("ok", "SSH OK", {"time": time}),
        "check_ssh -p 1 127.0.0.1": ("critical", "refused", {}),
        "check_ping -H 127.0.0.1 -w 5000,99% -c 5000,99% -p 1": ("ok", "PING OK", {"rta": time, "pl": share}),
        "check_icmp -n 1 -w 5000,99% -c 5000,99% 127.0.0.1": ("ok", "rta", {"rta": time, "pl": share, "rtmin": time}),
        "check_dummy 0 fine": ("ok", "^OK: fine$", {}),
        "check_dummy 1 'so so'": ("warning", "^WARNING: so so$", {}),
        "check_dummy 2": ("critical", "^CRITICAL$", {}),
        "check_dummy 3": ("unknown", "^UNKNOWN$", {}),
        "check_users -w 1000 -c 2000": ("ok", "USERS OK", {"users": number}),
        "check_swap -n ok -w 2 -c 1": ("ok", "SWAP OK", {"swap": size}),
        "check_file_age -w 999999999999 -c 999999999999 /etc/hostname": (
            "ok",
            "FILE_AGE OK",
            {"age": time, "size": size},
        ),
        "negate /usr/lib/nagios/plugins/check_dummy 0": ("critical", "OK", {}),
        "check_dummy --help": ("unknown", "check_dummy", {}),
        "check_disk --nonsense": ("unknown", ".", {}),
        "check_no_such_plugin": ("unknown", "was not found", {}),
    }


def test_the_plugins_of_debian_say_the_same_here_and_over_ssh(stage: Stage, sshd: Sshd) -> None:
    if not (PLUGINS / "check_disk").exists():
        pytest.skip("no monitoring-plugins on this machine")
    expected = real(stage, sshd)
    for host in (HERE, stage.real("there", vanishes=True)):
        for command, (verdict, words, _) in expected.items():
            stage.expect(verdict, words, "nagios", host, timeout=20.0, command=command)
    found = stage.look()
    for case, (_, _, metrics) in zip(stage.cases, [*expected.values()] * 2, strict=True):
        look = found.judged(case)
        assert metrics.items() <= look.units.items(), (case, look)
        assert metrics.keys() <= look.metrics.keys()


ODD: Mapping[str, tuple[str, str]] = {
    **{
        f"echo 'OK - I say | a=1'; exit {code}": ("unknown", f"exit code {code}: OK - I say")
        for code in (4, 5, 100, 255)
    },
    "echo 'OK | a=1'; kill -SEGV $$": ("unknown", "killed by signal 11: OK$"),
    "echo 'C'; exit 2": ("critical", "^C$"),
    "exit 1": ("warning", "No output returned from plugin"),
    "echo W >&2; exit 1": ("warning", "^W$"),
    "echo 'OK | a=1'; head -c 10000000 /dev/zero | tr '\\0' x; exit 1": ("warning", "^OK$"),
    "echo OK; yes": ("unknown", "killed by signal 13: OK$|did not end in time"),
    "echo OK; sleep 60 >/dev/null 2>&1 & exit 1": ("warning", "^OK$|No output"),
    "sleep 60 & echo OK; exit 1": ("unknown", "did not end in time"),
    "trap '' TERM INT; echo OK; sleep 60; sleep 60": ("unknown", "did not end in time"),
    "echo 'OK | a=5parsecs b=1,5s c=7;x;y;z;0;1 d=%;; e=U f'": ("ok", "^OK$"),
}


def test_a_plugin_that_misbehaves_is_told_as_it_is(stage: Stage) -> None:
    for host in (HERE, stage.real("there")):
        for command, (verdict, words) in ODD.items():
            stage.expect(verdict, words, "nagios", host, command=command)
    found = stage.look()
    for case in stage.cases:
        found.judged(case)
    units = found.judged(stage.cases[-1])
    assert units.metrics.items() >= {"a": 5.0, "c": 7.0}.items()
    assert units.units == {"a": Unit.NUMBER, "c": Unit.NUMBER}

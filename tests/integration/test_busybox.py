"""A host that has nothing but busybox: every probe that asks hosts by a script is understood there, or says what lacks."""

import getpass
from pathlib import Path

import pytest

from agent.clock import Deadline, SystemClock
from agent.model.host import Connection, Host
from agent.model.look import Verdict
from agent.transports import framing
from agent.transports.ssh import SshPool
from tests.contract.test_checks import cases, check_look
from tests.lab.busybox import running_busybox
from tests.lab.lab import what_is_missing
from tests.lab.sshd import pin

CLOCK = SystemClock()
LACKING = {
    "container": "this host has no container engine",
    "packages": "no apt-get and no dnf on this host",
    "systemd": "this host has no systemctl",
}


@pytest.mark.lab
def test_every_probe_with_a_script_gets_along_with_busybox_alone(tmp_path: Path) -> None:
    if missing := what_is_missing():
        pytest.skip(f"no lab on this machine ({missing})")
    given = [(str(case.id), *case.values) for case in cases("script")]
    scripts = [(probe.script(options), 10.0) for _, _, probe, options in given]
    pins = tmp_path / "known_hosts"
    with running_busybox(tmp_path) as there:
        host = Host(
            name="small", address=there.address, port=there.port, user=getpass.getuser(), key_file=str(there.key_file),
            connection=Connection.SSH,
        )  # fmt: skip
        pin(pins, host, there)
        pool = SshPool(pins, CLOCK)
        try:
            shell, slow = pool.run_batch(
                host,
                [("readlink -f /proc/$$/exe; readlink -f $(which stat)", 5.0), ("sleep 60", 1.0)],
                Deadline.after(CLOCK, 30.0),
            )
            sections = pool.run_batch(host, scripts, Deadline.after(CLOCK, 60.0))
            assert pool.counts().connections == 1
        finally:
            pool.close()
    assert shell.text.split() == ["/usr/bin/busybox"] * 2
    assert (slow.exit_code, slow.timed_out) == (framing.TIMED_OUT, True)
    for (name, kind, probe, options), section in zip(given, sections, strict=True):
        look = probe.read(section, options)
        check_look(look, probe)
        assert not section.timed_out, name
        assert (look.verdict is Verdict.UNKNOWN) == (kind in LACKING), f"{name}: {look.summary}"
        assert LACKING.get(kind, "") in look.summary

"""A real router: FRR's zebra in a network namespace of its own, and vtysh as what its sshd gives everybody."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model.host import Connection, Host
from agent.transports.known_hosts import HostKey
from tests.lab.sshd import running_sshd
from tests.lab.wait import until

_ZEBRA = "/usr/lib/frr/zebra"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Router:
    """The router as the inventory would have it, its host key, the pid of its sshd, and how to get at it from here."""

    host: Host
    key: HostKey
    sshd: int
    vtysh: tuple[str, ...]

    def configure(self, *lines: str) -> None:
        """Change the running configuration."""
        commands = [word for line in ("configure terminal", *lines) for word in ("-c", line)]
        done = subprocess.run([*self.vtysh, *commands], capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0, done.stdout + done.stderr

    def running(self) -> str:
        """The running configuration."""
        argv = [*self.vtysh, "-c", "show running-config"]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout


def _what_is_missing() -> str:
    """Why there can be no router here; "" when there can."""
    if os.geteuid() != 0:
        return "root"
    return next(
        (program for program in (_ZEBRA, "vtysh", "unshare", "/usr/sbin/sshd") if not shutil.which(program)), ""
    )


@contextlib.contextmanager
def running_router(folder: Path) -> Iterator[Router]:
    """A router called lab-router for as long as the block lasts; the test is skipped where there can be none."""
    if missing := _what_is_missing():
        pytest.skip(f"no router on this machine ({missing})")
    state = Path(tempfile.mkdtemp(prefix="router-"))  # FRR insists on its own user, whom nobody lets into `folder`
    shutil.chown(state, "frr", "frr")
    (state / "zebra.conf").write_text("hostname lab-router\n")
    (folder / "vtysh.conf").write_text("hostname lab-router\nno service integrated-vtysh-config\n")
    argv = ["unshare", "-n", _ZEBRA, "-f", f"{state}/zebra.conf", "-u", "frr", "-g", "frr", "-i", f"{state}/pid",
            "-z", f"{state}/zserv.api", "--vty_socket", str(state), "-P", "0", "--log", "file:/dev/null"]  # fmt: skip
    zebra = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    words = ("vtysh", "--vty_socket", str(state), "--config_dir", str(folder))
    vtysh = f"ForceCommand VTYSH_PAGER=cat exec {' '.join(words)} -H /dev/null"
    try:
        until((state / "zebra.vty").exists, 10, "zebra runs")
        with running_sshd(folder, vtysh) as sshd:
            variables = {"ansible_network_os": "frr.frr.frr"}
            host = Host(
                name="lab-router", address=sshd.address, port=sshd.port, user=sshd.user, key_file=str(sshd.key_file),
                connection=Connection.NETWORK_CLI, variables=variables,
            )  # fmt: skip
            kind, body = sshd.public_key.split()
            yield Router(host=host, key=HostKey(type=kind, base64=body), sshd=sshd.pid, vtysh=words)
    finally:
        zebra.kill()
        zebra.wait(10)
        shutil.rmtree(state)

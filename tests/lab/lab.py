"""The lab: a network and its hosts, as one thing to build and to close."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.lab.host import LabHost
from tests.lab.network import LabNetwork, command

_PROGRAMS = ("ip", "unshare", "nsenter", "setpriv", "sshd", "ssh-keygen", "/lib/systemd/systemd")


class Lab:
    """Hosts on a network of this test process alone."""

    def __init__(self, folder: Path, count: int) -> None:
        self.key_file = folder / "id_lab"
        command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key_file))
        self.network = LabNetwork()
        self.hosts: list[LabHost] = []
        try:
            self.hosts.extend(LabHost(self.network, position, self.key_file) for position in range(count))
            for host in self.hosts:
                host.wait_until_ready()
        except BaseException:
            self.close()
            raise

    def inventory(self, folder: Path, *names: str) -> Path:
        """Write an Ansible inventory: the first name is the first host, and so on; gives the file."""
        lines = {
            name: {
                "ansible_host": host.address,
                "ansible_port": host.port,
                "ansible_user": host.user,
                "ansible_ssh_private_key_file": str(host.key_file),
                "ansible_python_interpreter": "/usr/bin/python3",
            }
            for name, host in zip(names, self.hosts, strict=False)
        }
        file = folder / "hosts.yaml"
        file.write_text(json.dumps({"all": {"hosts": lines}}, indent=2))  # JSON is YAML
        return file

    def close(self) -> None:
        """Switch everything off and take the network away."""
        for host in self.hosts:
            host.close()
        self.network.close()


def what_is_missing() -> str:
    """Why this machine cannot have a lab, in a few words; empty when it can."""
    if os.geteuid() != 0:
        return "not root"
    absent = [program for program in _PROGRAMS if shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin") is None]
    return f"absent: {', '.join(absent)}" if absent else ""


@contextlib.contextmanager
def running_lab(folder: Path, count: int = 2) -> Iterator[Lab]:
    """A lab for as long as the block lasts."""
    lab = Lab(folder, count)
    try:
        yield lab
    finally:
        lab.close()

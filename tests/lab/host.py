"""One test host: an overlay of this machine with its own systemd, process numbers, network link and sshd."""

import os
import signal
import socket
import subprocess
from pathlib import Path

from tests.lab.network import LabNetwork, command, forget_groups
from tests.lab.wait import until

BOOT = Path(__file__).with_name("boot.sh")


class LabHost:
    """A host that answers at `address:port` to `user` with `key_file`. `pid` is its systemd's, seen from here."""

    port = 22
    user = "root"

    def __init__(self, network: LabNetwork, position: int, key_file: Path) -> None:
        self.name = f"{network.bridge}h{position}"
        self.key_file = key_file
        self._log = key_file.with_name(f"{self.name}.log")
        self._network = network
        self._outer = self._start()
        until(lambda: bool(self._children()), 5, f"{self.name} forks")
        self.pid = int(self._children()[0])
        self.address, self._port = network.plug(position, self.pid)

    def _start(self) -> subprocess.Popen[bytes]:
        namespaces = ["--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child"]
        boot = ["sh", str(BOOT), self.name, str(self.key_file.with_suffix(".pub"))]
        with self._log.open("wb") as log:  # should this process be killed, the kernel takes the host along
            argv = ["setpriv", "--pdeathsig", "KILL", "unshare", *namespaces, *boot]
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _children(self) -> list[str]:
        """The process that unshare(1) forked, as the only word; nothing before that and after its end."""
        if self._outer.poll() is not None:
            return []
        return Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text(encoding="ascii").split()

    def wait_until_ready(self) -> None:
        """Return once its sshd answers and its systemd has nothing left to start."""
        until(self._greets, 20, f"{self.name} answers; it said: {self._log.read_text(errors='replace')}")
        self.exec("systemctl is-system-running --wait")

    def _greets(self) -> bool:
        assert self._outer.poll() is None, f"{self.name} ended: {self._log.read_text(errors='replace')}"
        try:
            with socket.create_connection((self.address, self.port), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def exec(self, script: str) -> str:
        """Run a script as root inside, past sshd; what it printed. It must succeed."""
        return command(
            "nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-n", "-C", "-r", "-w", "sh", "-c", script
        )

    @property
    def public_key(self) -> str:
        """The host key as known_hosts has it: type and base64."""
        return " ".join(self.exec("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])

    def rekey(self) -> None:
        """Change the host key, as if another machine answered; kept connections live on."""
        file = "/etc/ssh/ssh_host_ed25519_key"
        self.exec(f"rm {file}*; ssh-keygen -q -t ed25519 -N '' -f {file}; systemctl restart ssh")
        until(self._greets, 10, f"{self.name} answers again")

    def cut(self) -> None:
        """Pull its cable: packets vanish, nobody is told."""
        command("ip", "link", "set", self._port, "down")

    def join(self) -> None:
        """Put the cable back; returns once it answers."""
        command("ip", "link", "set", self._port, "up")
        until(self._greets, 20, f"{self.name} is back")

    def close(self) -> None:
        """Off, at once, with everything that ran there."""
        if children := self._children():
            os.kill(
                int(children[0]), signal.SIGKILL
            )  # its parent waits for it, and then the kernel has torn it all down
        else:
            self._outer.kill()
        self._outer.wait(10)
        forget_groups(self.name)

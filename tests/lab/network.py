"""One bridge with a subnet of its own per test process; what a killed process left behind is swept away."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

import psutil

PREFIX = "wkl"  # with a number of up to three digits and a letter it fits the kernel's 15 characters


def command(*argv: str) -> str:
    """Run a program that must succeed; gives what it printed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}"
    return done.stdout


class LabNetwork:
    """A bridge in this machine's network namespace, 10.213.N.1/24, with one port per host.

    The bridge's name claims N among all test processes, its alias says whose it is.
    """

    def __init__(self) -> None:
        sweep()
        self.number = next(number for number in _candidates() if _claim(number))
        self.bridge = f"{PREFIX}{self.number}"
        command("ip", "link", "set", self.bridge, "alias", owner())
        command("ip", "addr", "add", f"10.213.{self.number}.1/24", "dev", self.bridge)
        command("ip", "link", "set", self.bridge, "up")

    def plug(self, position: int, pid: int) -> tuple[str, str]:
        """Give the network namespace of a process a link; its address, and the name of its port on the bridge."""
        address, port = f"10.213.{self.number}.{position + 10}", f"{self.bridge}p{position}"
        command("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        command("ip", "link", "set", port, "master", self.bridge, "up")
        for line in (
            "link set lo up",
            f"addr add {address}/24 dev eth0",
            "link set eth0 up",
            f"route add default via 10.213.{self.number}.1",
        ):
            command("nsenter", "-t", str(pid), "-n", "ip", *line.split())
        return address, port

    def close(self) -> None:
        """Take the bridge away; the ports go with their namespaces."""
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True, check=False, timeout=30)


def owner() -> str:
    """Who we are, in a way that a later process with the same number is not."""
    return f"{os.getpid()}:{int(psutil.Process().create_time() * 100)}"


def sweep() -> None:
    """Remove the bridges and control groups of test processes that are no more."""
    for link in json.loads(command("ip", "-json", "link", "show", "type", "bridge") or "[]"):
        whose = link.get("ifalias", "")
        if str(link["ifname"]).startswith(PREFIX) and whose and not _lives(whose):
            subprocess.run(["ip", "link", "del", link["ifname"]], capture_output=True, check=False, timeout=30)
            forget_groups(f"{link['ifname']}h")


def forget_groups(name: str) -> None:
    """Remove the empty control groups of hosts whose names begin so."""
    for mount in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        for group in mount.glob(f"{name}*"):
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()


def _candidates() -> list[int]:
    first = os.getpid() % 254
    return [(first + step) % 254 + 1 for step in range(254)]


def _claim(number: int) -> bool:
    done = subprocess.run(
        ["ip", "link", "add", f"{PREFIX}{number}", "type", "bridge"], capture_output=True, check=False, timeout=30
    )
    assert done.returncode in {0, 2}, done.stderr
    return done.returncode == 0


def _lives(whose: str) -> bool:
    pid, _, since = whose.partition(":")
    try:
        return int(psutil.Process(int(pid)).create_time() * 100) == int(since)
    except psutil.NoSuchProcess:
        return False

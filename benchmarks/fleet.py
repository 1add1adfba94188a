"""A fleet: 1,000 hosts over SSH with ten checks each, once a minute, everything included; and how late looks begin.

All hosts are sshd on loopback addresses; what the daemon does is what it would do for a thousand machines. They share
one table of processes, so none of the checks looks through it.
HOSTS and MINUTES in the environment make it smaller.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from agent.clock import MICROSECONDS, NANOSECONDS, SystemClock
from agent.errors import StoreError
from agent.model.check import host_of
from agent.runtime.scheduler import phase
from agent.store import folder as folders
from agent.store import looks, policies
from agent.store.engine import Store
from benchmarks.measuring import PROGRAM, Figure, result
from benchmarks.ssh_poll import USER, account

HOSTS = int(os.environ.get("HOSTS", "1000"))
MINUTES = int(os.environ.get("MINUTES", "3"))
PORT = 2299
EVERY_SECONDS = 60
READY_SECONDS = 60 + HOSTS
CHECKS = (
    "memory:", "load:", "disk: /", "file: /etc/hostname", "swap:", "uptime:", "inodes: /",
    'command: "echo 1"', 'command: "echo 2"', "disk: /tmp",
)  # fmt: skip
KEYS = HOSTS * (len(CHECKS) + 1)  # and each host's reach


def addresses() -> list[str]:
    """One loopback address per host."""
    return [f"127.77.{number // 250}.{number % 250 + 1}" for number in range(HOSTS)]


def lay_out(folder: Path) -> None:
    """A home with the whole fleet: inventory, pinned keys, one policy."""
    for name in ("inventory", "policies", "playbooks", "secrets", "var"):
        (folder / name).mkdir()
    for key in ("host_key", "id_user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    public = " ".join((folder / "host_key.pub").read_text().split()[:2])
    lines = [f"host-{number} ansible_host={address}" for number, address in enumerate(addresses())]
    settings = f"ansible_port={PORT} ansible_user={USER} ansible_ssh_private_key_file={folder}/id_user"
    (folder / "inventory/hosts").write_text("[fleet]\n" + "\n".join(f"{line} {settings}" for line in lines) + "\n")
    (folder / "var").chmod(0o700)
    pins = folder / "var/known_hosts"
    pins.write_text("".join(f"[{address}]:{PORT} {public}\n" for address in addresses()))
    pins.chmod(0o600)
    (folder / "config.yaml").write_text("version: 1\nname: bench\nowner: team\nteams: {team: {members: []}}\n")
    write_policy(folder, f"{EVERY_SECONDS}s")


def write_policy(folder: Path, every: str) -> None:
    """The one policy, with this interval."""
    checks = "".join(f"  check-{number}:\n    {kind}\n" for number, kind in enumerate(CHECKS))
    head = f"version: 1\nservice: bench\nhosts: fleet\ndefaults: {{checks: {{every: {every}}}}}\nchecks:\n"
    (folder / "policies/bench.yaml").write_text(head + checks)


@contextmanager
def servers(folder: Path) -> Iterator[None]:
    """As many sshd as it takes: one listens on 16 addresses at most (MAX_LISTEN_SOCKS)."""
    options = [
        f"Port {PORT}", f"HostKey {folder}/host_key", f"AuthorizedKeysFile {folder}/id_user.pub", "PidFile none",
        "PermitRootLogin yes", "PasswordAuthentication no", "StrictModes no", "UsePAM no", "UseDNS no", "LogLevel ERROR",
        "MaxStartups 2000:30:4000",
    ]  # fmt: skip
    Path("/run/sshd").mkdir(exist_ok=True)
    everywhere, children = addresses(), []
    for number in range(0, len(everywhere), 16):
        config = folder / f"sshd_config.{number}"
        listen = [f"ListenAddress {address}" for address in everywhere[number : number + 16]]
        config.write_text("\n".join([*options, *listen]) + "\n")
        children.append(subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", str(config)]))
    try:
        yield
    finally:
        for child in children:
            for process in [*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)]:
                process.kill()
            child.wait()


class Daemon:
    """The daemon under test, seen from outside: its clock of processor time, and its store."""

    def __init__(self, folder: Path, process: psutil.Process) -> None:
        self._folder = folder
        self._process = process
        self._clock = SystemClock()

    def cpu_seconds(self) -> float:
        """Of the daemon and its ended children."""
        times = self._process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)

    def megabytes(self) -> float:
        """Resident memory."""
        return float(self._process.memory_info().rss / 1e6)

    def begun(self) -> dict[str, int]:
        """When each host's or check's latest look began, microseconds."""
        try:
            store = Store.open(self._folder / "var", self._clock, migrate=False)
        except StoreError:  # it is being made
            return {}
        try:
            with store.read() as reader:
                found = looks.latest(reader)
        finally:
            store.close()
        return {key: look.begun_us for key, look in found.items() if host_of(key) is not None}

    def lateness(self, since_us: int) -> list[float]:
        """By how many seconds each look that began since then was behind its host's slot."""
        boot_us = self._clock.now() - self._clock.boottime() * MICROSECONDS // NANOSECONDS
        return [
            ((begun_us - boot_us) / MICROSECONDS - phase(host_of(key), EVERY_SECONDS)) % EVERY_SECONDS
            for key, begun_us in self.begun().items()
            if begun_us > since_us
        ]

    def generation(self) -> int:
        """The number of the policies in force."""
        store = Store.open(self._folder / "var", self._clock, migrate=False)
        try:
            with store.read() as reader:
                last = policies.last_good(reader)
        finally:
            store.close()
        return last.generation if last else 0

    def reload(self) -> float:
        """Put the files in force; the processor time that it took."""
        before, generation = self.cpu_seconds(), self.generation()
        self._process.send_signal(1)
        until(lambda: self.generation() > generation)
        return self.cpu_seconds() - before


def until(is_so: Callable[[], bool]) -> None:
    """Return once it is so; RuntimeError when that never comes."""
    end = time.monotonic() + READY_SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise RuntimeError(f"not so within {READY_SECONDS} s: {is_so.__doc__ or is_so}")
        time.sleep(1)


def main() -> dict[str, Any]:
    """CPU, memory and lateness of the daemon while it watches the fleet, and its cost when nothing is due."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the account goes, whatever ends us
    with tempfile.TemporaryDirectory() as name, account():
        folder = Path(name)
        folder.chmod(0o755)  # the account must find its authorized keys
        lay_out(folder)
        argv = [PROGRAM, "--config", str(folder / "config.yaml"), "run"]
        with (
            servers(folder),
            (folder / "log").open("wb") as log,
            subprocess.Popen(argv, stderr=log, stdout=log) as child,
        ):
            try:
                return _measured(folder, Daemon(folder, psutil.Process(child.pid)))
            finally:
                child.terminate()
                child.wait(60)


def _measured(folder: Path, daemon: Daemon) -> dict[str, Any]:
    until((folder / "var" / folders.DATABASE_NAME).exists)
    until(lambda: len(daemon.begun()) >= KEYS)
    time.sleep(2 * EVERY_SECONDS)  # what the start left behind is done, and every connection stands
    shares, sizes, late = [], [], []
    for _ in range(MINUTES):
        before, since_us = daemon.cpu_seconds(), SystemClock().now()
        time.sleep(EVERY_SECONDS)
        shares.append((daemon.cpu_seconds() - before) / EVERY_SECONDS * 100)
        sizes.append(daemon.megabytes())
        late.append(statistics.quantiles(daemon.lateness(since_us), n=100)[98])
    write_policy(folder, "24h")
    reloading = daemon.reload()
    time.sleep(10)
    before = daemon.cpu_seconds()
    time.sleep(EVERY_SECONDS)
    idle = (daemon.cpu_seconds() - before) / EVERY_SECONDS * 1000
    return result(
        f"{HOSTS} hosts over SSH, {HOSTS * len(CHECKS)} checks every {EVERY_SECONDS} s",
        Figure(name="CPU, of one core", unit="%", values=tuple(shares), limit=5.0),
        Figure(name="memory (RSS)", unit="MB", values=tuple(sizes), limit=200.0),
        Figure(name="99 % of looks begin behind their slot by", unit="s", values=tuple(late), limit=1.0),
        Figure(name="reload after an edit of all checks, CPU", unit="s", values=(reloading,)),
        Figure(name="with nothing due, CPU per second", unit="ms", values=(idle,), limit=2.0),
    )


if __name__ == "__main__":
    print(json.dumps(main(), indent=1))

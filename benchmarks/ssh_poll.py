"""A warm SSH poll of seven facts per host as the agent makes it, beside check_by_ssh, ssh and Ansible.

All ask the same sshd for the same seven scripts of our own probes, through an account with an empty start-up. Ours is
the whole way of a tick: due checks, one round trip over the kept connection, reading, step, and everything in the store;
all of this process is charged. Of the others only what they start is, and the ControlMasters that work for them.
"""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from agent.app import Builder
from agent.model.check import RunFrom
from agent.model.look import Verdict
from agent.runtime.agent import Agent
from agent.runtime.rota import Rota
from agent.runtime.scheduler import batches
from benchmarks import measuring
from benchmarks.measuring import Figure, missing, times

REPEATS = 5
HOSTS = 10
ROUNDS = 30  # of ours in one repeat
PORT = 2298
ADDRESSES = tuple(f"127.78.0.{number}" for number in range(1, HOSTS + 1))
USER = "watchkeeper-bench"  # made for this, and removed
FACTS = (
    "load:", "memory:", "disk: /", "uptime:", "process: sshd", "process: sh", "process: {pattern: sshd, user: root}",
)  # fmt: skip
PLUGIN = "/usr/lib/nagios/plugins/check_by_ssh"
ANSIBLE = str(Path(sys.executable).parent / "ansible")


def lay_out(folder: Path) -> None:
    """A home with the hosts and one policy; keys, pins, and what ssh and Ansible read."""
    for name in ("inventory", "policies", "playbooks", "secrets", "var", "cp"):
        (folder / name).mkdir()
    for key in ("host_key", "id_user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    public = " ".join((folder / "host_key.pub").read_text().split()[:2])
    pins = folder / "var/known_hosts"
    (folder / "var").chmod(0o700)
    pins.write_text("".join(f"[{address}]:{PORT} {public}\n" for address in ADDRESSES))
    pins.chmod(0o600)
    settings = (
        f"ansible_port={PORT} ansible_user={USER} ansible_ssh_private_key_file={folder}/id_user "
        "ansible_python_interpreter=/usr/bin/python3"
    )
    lines = [f"host-{number} ansible_host={address} {settings}\n" for number, address in enumerate(ADDRESSES)]
    (folder / "inventory/hosts").write_text("[fleet]\n" + "".join(lines))
    (folder / "config.yaml").write_text("version: 1\nname: bench\nowner: team\nteams: {team: {members: []}}\n")
    checks = "".join(f"  fact-{number}:\n    {fact}\n" for number, fact in enumerate(FACTS))
    (folder / "policies/bench.yaml").write_text(f"version: 1\nservice: bench\nhosts: fleet\nchecks:\n{checks}")
    (folder / "ansible.cfg").write_text(
        f"[defaults]\nforks = {HOSTS}\nhome = {folder}/ansible\nlocal_tmp = {folder}/ansible\n"
        f"[ssh_connection]\npipelining = true\ncontrol_path_dir = {folder}/cp\n"
        f"ssh_args = -F /dev/null -o UserKnownHostsFile={pins} -o ControlMaster=auto -o ControlPersist=600\n"
    )


@contextlib.contextmanager
def account() -> Iterator[None]:
    """An account that lets nobody in by password and whose shell reads nothing when it starts."""
    made = ["useradd", "--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", "--password", "*", USER]
    subprocess.run(["userdel", "--force", USER], check=False, capture_output=True)
    subprocess.run(made, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["userdel", "--force", USER], check=False, capture_output=True)


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[None]:
    """One sshd that is all hosts."""
    folder.chmod(0o755)  # the account must find its authorized keys
    config = folder / "sshd_config"
    options = [
        *(f"ListenAddress {address}" for address in ADDRESSES),
        f"Port {PORT}", f"HostKey {folder}/host_key", f"AuthorizedKeysFile {folder}/id_user.pub", "PidFile none",
        "PasswordAuthentication no", "StrictModes no", "UsePAM no", "UseDNS no", "LogLevel ERROR", "PermitUserRC no",
        "PrintMotd no", "PrintLastLog no", "MaxStartups 200", "MaxSessions 100",
    ]  # fmt: skip
    config.write_text("\n".join([*options, ""]))
    Path("/run/sshd").mkdir(exist_ok=True)
    child = psutil.Popen(["/usr/sbin/sshd", "-D", "-f", str(config)])
    try:
        yield
    finally:
        for process in [*child.children(recursive=True), child]:
            process.kill()
        child.wait()


class Ours:
    """The agent's parts as the daemon has them, and one loop to run them in."""

    def __init__(self, agent: Agent, loop: asyncio.Runner) -> None:
        self._agent, self._loop = agent, loop
        self._rota = Rota(agent)
        self._due = batches(agent.book.policies.checks.values())

    def scripts(self) -> list[str]:
        """What our probes run on a host."""
        checks = [check for check in self._due[0][1] if check.kind != "reach" and check.run_from is RunFrom.HOST]
        probes: Mapping[str, Any] = Builder().catalogue().probes
        return [str(probes[check.kind].script(check.options)) for check in checks]

    def poll(self) -> None:
        """One tick of every host, to the last write."""
        self._loop.run(self._tick())

    def settle(self) -> None:
        """Connect, and look until nothing is new; RuntimeError when a fact is not well."""
        for _ in range(3):
            self.poll()
        for key in self._agent.book.policies.checks:
            if self._agent.book.state(key).raw is not Verdict.OK:
                raise RuntimeError(f"{key} is {self._agent.book.state(key).raw}")

    def cpu(self) -> float:
        """CPU seconds for one host, of this whole process."""
        begun = time.process_time()
        for _ in range(ROUNDS):
            self.poll()
        return (time.process_time() - begun) / ROUNDS / HOSTS

    async def _tick(self) -> None:
        await asyncio.gather(*(self._rota.look(host, due) for host, due in self._due))
        await self._agent.recorder.flush()


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[Ours]:
    """The agent with the hosts in force, connected to all of them."""
    with asyncio.Runner() as loop:
        agent = Builder(folder / "config.yaml").agent(migrate=True)
        try:
            found = Ours(agent, loop)
            found.settle()
            yield found
        finally:
            agent.close()


class Peers:
    """What an operator would use instead, each for all hosts at once; CPU seconds for one host."""

    def __init__(self, folder: Path, scripts: list[str]) -> None:
        self._folder, self._scripts = folder, scripts
        self._batch = "\n".join(f"(\n{script}\n)\necho @@ $?" for script in scripts)
        pinned = [f"UserKnownHostsFile={folder}/var/known_hosts", "BatchMode=yes", "IdentitiesOnly=yes"]
        kept = ["ControlMaster=auto", f"ControlPath={folder}/cp/own-%h", "ControlPersist=600"]
        self._plain = [word for option in pinned for word in ("-o", option)]
        self._mux = [*self._plain, *(word for option in kept for word in ("-o", option))]
        self._login = ["-F", "/dev/null", "-i", f"{folder}/id_user", "-p", str(PORT)]

    def plugin(self) -> float:
        """Seven times check_by_ssh, with OpenSSH's defaults."""
        return self._plugins(self._plain)

    def plugin_over_master(self) -> float:
        """The same over a connection that is kept open."""
        return self._plugins(self._mux)

    def ssh_over_master(self) -> float:
        """All seven in one command of ssh, over a connection that is kept open."""
        ask = ["ssh", *self._login, *self._mux, "-l", USER]
        return self._cost([*ask, address, self._batch] for address in ADDRESSES)

    def ansible(self) -> float:
        """All seven in one ad-hoc command, pipelined, over connections that are kept open."""
        asked = json.dumps({"argv": ["/bin/sh", "-c", self._batch]})
        argv = ["env", "LC_ALL=C.UTF-8", ANSIBLE, "all", "-i", f"{self._folder}/inventory/hosts"]
        return self._cost([[*argv, "-m", "ansible.builtin.command", "-a", asked]])

    def connect(self) -> None:
        """Open what is kept open."""
        for address in ADDRESSES:
            argv = ["ssh", *self._login, *self._mux, "-l", USER, address, "true"]
            null = subprocess.DEVNULL  # the master would keep a pipe open
            subprocess.run(argv, check=True, stdin=null, stdout=null, stderr=null)

    def hang_up(self) -> None:
        """Close it again."""
        for process in self._masters():
            process.kill()

    def _plugins(self, options: list[str]) -> float:
        argv = [PLUGIN, "-t", "30", "-E", "-l", USER, *self._login, *options]
        return self._cost([*argv, "-H", address, "-C", script] for address in ADDRESSES for script in self._scripts)

    def _cost(self, commands: Iterable[list[str]]) -> float:
        before = self._masters_cpu()
        spent = sum(measuring.cost(argv, cwd=self._folder).cpu_seconds for argv in commands)
        return (spent + self._masters_cpu() - before) / HOSTS

    def _masters_cpu(self) -> float:
        """CPU seconds of all ControlMasters; the kernel's own nanoseconds, for its ticks are too coarse."""
        masters = self._masters()
        if len(masters) < HOSTS:
            raise RuntimeError(f"only {len(masters)} ControlMasters are there, and they are to be charged")
        return sum(int(Path(f"/proc/{one.pid}/schedstat").read_text().split()[0]) for one in masters) / 1e9

    def _masters(self) -> list[psutil.Process]:
        named = [(one, " ".join(one.info["cmdline"] or ())) for one in psutil.process_iter(["cmdline"])]
        return [one for one, line in named if "[mux]" in line and f"{self._folder}/cp/" in line]


def main() -> dict[str, Any]:
    """CPU of the manager for one host, ours and theirs in turns."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the account goes, whatever ends us
    gone = missing(PLUGIN, "monitoring-plugins-standard")
    with tempfile.TemporaryDirectory() as name, account():
        folder = Path(name)
        lay_out(folder)
        with servers(folder), ours(folder) as agent:
            peers = Peers(folder, agent.scripts())
            asked: dict[str, Callable[[], float]] = {"ssh": peers.ssh_over_master, "ansible": peers.ansible}
            if gone is None:
                asked |= {"plugin": peers.plugin, "master": peers.plugin_over_master}
            try:
                peers.connect()
                peers.ansible()  # connects
                rounds = [{"ours": agent.cpu(), **{who: ask() for who, ask in asked.items()}} for _ in range(REPEATS)]
            finally:
                peers.hang_up()
    found = {who: tuple(one[who] for one in rounds) for who in rounds[0]}
    return measuring.result(
        f"a warm SSH poll of {len(FACTS)} facts, manager CPU per host",
        *_figures(found),
        left_out=[gone] if gone else [],
    )


def _figures(found: Mapping[str, tuple[float, ...]]) -> Iterator[Figure]:
    rows: tuple[tuple[str, str, float | None], ...] = (
        ("plugin", "seven check_by_ssh, OpenSSH's defaults", 250),
        ("master", "seven check_by_ssh, warm ControlMaster", 20),
        ("ssh", "one ssh for all seven, warm ControlMaster", None),
        ("ansible", "one `ansible -m command` for all seven, pipelined, warm ControlPersist", None),
    )
    yield Figure(name="ours, with step and store", unit="ms", values=tuple(value * 1000 for value in found["ours"]))
    for who, words, least in rows:
        if who in found:
            yield Figure(name=words, unit="ms", values=tuple(value * 1000 for value in found[who]))
            yield Figure(name="  that is", unit="times ours", values=times(found[who], found["ours"]), least=least)


if __name__ == "__main__":
    print(json.dumps(main(), indent=1))

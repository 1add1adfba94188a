"""A world for acceptance tests: a folder with all that an operator writes, real daemons on it, one canary secret in it."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.clock import SystemClock
from agent.inventory import reading
from agent.model.execution import Execution
from agent.model.incident import Incident, IncidentState
from agent.model.state import CheckState, from_document
from agent.store import executions, incidents, journal, looks, states
from agent.store.engine import Store
from agent.store.looks import LatestLook
from tests.canary import search_canary, search_processes
from tests.lab.wait import until

TOP = Path(__file__).resolve().parents[2]
SECONDS = 100.0  # a daemon that a test forgets ends by itself
PATIENCE = 40.0
USUAL_HOSTS = frozenset({"here", "all"})  # what the policies of most tests are about
HERE: Mapping[str, Any] = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}

# The usual remedy: leaves a line per run, uses the canary, even prints it, and makes what the usual check looks for.
MEND = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Leave a line
      ansible.builtin.shell: 'echo "{{ label }}" >> "{{ place }}/runs"; cat > "{{ place }}/token"; chmod 600 "{{ place }}/token"'
      args: {stdin: "{{ token }}"}
    - name: Print what must not be seen
      ansible.builtin.debug: {msg: "the token is {{ token }}"}
    - name: Bring it up
      ansible.builtin.shell: 'touch "{{ place }}/begun"; until test ! -e "{{ place }}/wait"; do sleep 0.02; done; touch "{{ place }}/up"'
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Begun:
    """What costs every first start the same: an empty state, an empty repository, Ansible's answer about the usual host."""

    state: Path
    repository: Path
    inventory: Mapping[str, Any]


class Daemon:
    """One daemon process; its stderr is the log file."""

    def __init__(self, world: "World", number: int, *options: str, environment: Mapping[str, str]) -> None:
        self.log = world.folder / f"daemon-{number}.log"
        self._said = world.folder / f"daemon-{number}.out"
        with self.log.open("wb") as log, self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.acceptance.entry", str(world.config), *options],
                cwd=TOP, stdin=subprocess.DEVNULL, stdout=said, stderr=log, env={**os.environ, **environment},
            )  # fmt: skip

    def is_ready(self) -> bool:
        """Whether it has started, and has not ended since."""
        assert self.process.poll() is None, f"the daemon ended: {self.told()}"
        return "ready" in self._said.read_text()

    def told(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")

    def ends(self, seconds: float = PATIENCE) -> int:
        """Wait for its end; its exit code."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End it as the kernel would."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """Tell it to stop; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.ends()


class Watch:
    """Looks for the canary in the arguments and the environment of everything that runs, again and again until its end."""

    def __init__(self, canary: str) -> None:
        self._canary = canary
        self._found: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while True:
            self._found.update(search_processes(self._canary, spared=[os.getpid()]))
            if self._over.wait(1.0):
                return

    def end(self) -> list[str]:
        """Where it was seen."""
        self._over.set()
        self._thread.join()
        return sorted(self._found)


class World:
    """Everything of one test, under one folder; `host` is where the things are that the local host is checked for."""

    def __init__(self, folder: Path, canary: str, begun: Begun) -> None:
        self.folder = folder
        self.canary = canary
        self.config = folder / "config.yaml"
        self.state = folder / "var"
        self.host = folder / "host"
        self.daemons: list[Daemon] = []
        self._begun = begun
        self._watch = Watch(canary)
        self._store: Store | None = None
        self.host.mkdir()
        shutil.copytree(begun.state, self.state)
        for name in ("canary", "hook"):
            self.secret(name, canary)
        self.configure()
        self.hosts({"here": HERE})
        known = {"content": reading._content(folder / "inventory"), "asked": [*USUAL_HOSTS], "answer": begun.inventory}
        (self.state / "inventory.json").write_text(json.dumps(known))
        self.write("playbooks/mend.yml", MEND)

    # what an operator writes

    def write(self, name: str, content: str | Mapping[str, Any]) -> Path:
        """Write a file in one step; a mapping as JSON, which is YAML."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / ".fresh"
        fresh.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        fresh.replace(path)
        return path

    def secret(self, name: str, value: str) -> None:
        """Lay a secret down as its owner would."""
        path = self.folder / "secrets" / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(value)

    def configure(self, **more: Any) -> None:
        """Write config.yaml: quick defaults, one sink, one repository; and what is given."""
        usual: dict[str, Any] = {
            "version": 1, "name": "watch-test", "owner": "on-watch", "teams": {"on-watch": {"members": []}},
            "repositories": {"main": {"url": "var/restic", "password": {"secret": "canary"}}},
            "sinks": {"log": {"jsonl": {"path": "var/incidents.jsonl"}}},
            "defaults": {"checks": {"every": "1s", "retry_every": "1s", "fail_after": 1, "timeout": "5s"}},
            "safety": {"global": "60 per 1h"},
        }  # fmt: skip
        self.write("config.yaml", {**usual, **more})

    def hosts(self, hosts: Mapping[str, Mapping[str, Any]], **groups: list[str]) -> None:
        """Write the inventory."""
        children = {name: {"hosts": dict.fromkeys(members)} for name, members in groups.items()}
        self.write("inventory/hosts.yml", {"all": {"hosts": hosts, "children": children}})

    def found(self, host: str = "here") -> None:
        """Lay an empty repository down for the backups of a host, with the canary as its password, quick to open."""
        shutil.copytree(self._begun.repository, self.state / "restic" / host, dirs_exist_ok=True)

    def policy(self, service: str, **sections: Any) -> None:
        """Write a policy file, on the local host unless `hosts` is given."""
        self.write(f"policies/{service}.yaml", {"version": 1, "service": service, "hosts": "here", **sections})

    def check(self, **more: Any) -> dict[str, Any]:
        """The usual check: is the file `up` there?"""
        return {"command": f"test -e {self.host}/up", **more}

    def remedy(self, playbook: str = "mend.yml", **more: Any) -> dict[str, Any]:
        """A remedy that may run by itself, often."""
        limits = {"per_host": "60 per 1h", "per_policy": "60 per 1h", "same_symptom": "60 per 1h", "cooldown": "0s"}
        variables = {"place": str(self.host), "label": "mend", "token": {"secret": "canary"}}
        usual = {"playbook": playbook, "vars": variables, "risk": "safe", "mode": "auto", "limits": limits}
        return {**usual, **more}

    # what runs

    def start(self, *failpoint: object, seconds: float = SECONDS, **environment: str) -> Daemon:
        """Start a daemon without waiting for it; with a failpoint and the hit at which it dies."""
        options = (str(seconds), *map(str, failpoint))
        self.daemons.append(Daemon(self, len(self.daemons) + 1, *options, environment=environment))
        return self.daemons[-1]

    def run(self, *failpoint: object, **options: Any) -> Daemon:
        """Start a daemon and wait until it runs."""
        daemon = self.start(*failpoint, **options)
        until(daemon.is_ready, PATIENCE, "the daemon is ready", pause_seconds=0.05)
        return daemon

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What a person types: the installed program, with its end."""
        program = [str(Path(sys.executable).with_name("watchkeeper")), "--config", str(self.config)]
        return subprocess.run(
            [*program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
        )

    def until(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Wait until something holds; the log of the daemon is part of the failure."""
        try:
            until(lambda: bool(condition()), seconds, what, pause_seconds=0.05)
        except AssertionError as error:
            told = self.daemons[-1].told() if self.daemons else ""
            raise AssertionError(f"{error}\n{self.story()}\n{told}") from None

    # what came of it

    @property
    def store(self) -> Store:
        """The store, as any other process sees it."""
        if self._store is None:
            self._store = Store.open(self.state, SystemClock(), migrate=False)
        return self._store

    def incidents(self) -> list[Incident]:
        """All incidents, the newest first."""
        with self.store.read() as reader:
            return incidents.listing(reader)

    def incident(self, cause: str) -> Incident | None:
        """The newest incident of a cause."""
        with self.store.read() as reader:
            return incidents.last_of(reader, cause)

    def is_open(self, cause: str) -> bool:
        """Whether a cause has an open incident."""
        with self.store.read() as reader:
            return incidents.open_of(reader, cause) is not None

    def is_resolved(self, cause: str) -> bool:
        """Whether a cause had an incident that is resolved."""
        found = self.incident(cause)
        return found is not None and found.state is IncidentState.RESOLVED

    def timeline(self, cause: str) -> list[str]:
        """What happened to the newest incident of a cause: `verb: text`."""
        found = self.incident(cause)
        if found is None:
            return []
        with self.store.read() as reader:
            return [f"{line.verb}: {line.text}" for line in incidents.timeline(reader, found.id)]

    def executions(self) -> list[Execution]:
        """All executions, the oldest first."""
        with self.store.read() as reader:
            return executions.listing(reader)[::-1]

    def check_state(self, key: str) -> CheckState:
        """The state of a check."""
        with self.store.read() as reader:
            found = states.load_all(reader).get(key)
        return from_document(found.document) if found else CheckState(key=key)

    def filed(self) -> list[dict[str, Any]]:
        """What the sink `log` was told."""
        path = self.state / "incidents.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def lines(self, name: str) -> list[str]:
        """The lines of a file on the local host."""
        path = self.host / name
        return path.read_text().splitlines() if path.exists() else []

    def last_look(self, key: str) -> LatestLook | None:
        """The last look at a check."""
        with self.store.read() as reader:
            return looks.latest(reader, [key]).get(key)

    def story(self) -> str:
        """All timelines and executions, for the message of a failing test."""
        try:
            told = [
                line
                for one in self.incidents()
                for line in (f"{one.number} {one.cause} {one.state}", *self.timeline(one.cause))
            ]
            ran = [f"{one.number} {one.item} {one.state} {one.verified} {one.summary}" for one in self.executions()]
        except Exception as error:  # noqa: BLE001  a failing test shall show its own failure
            return f"(no story: {error})"
        return "\n".join([*told, *ran])

    # the end

    def end(self) -> None:
        """End all that runs, search for the canary, verify the journal."""
        seen = self._watch.end()
        for daemon in self.daemons:
            daemon.kill()
        if self._store is not None:
            self._store.close()
        assert seen == []
        spared = {self.folder / "secrets", self.host}
        searched = [path for path in self.folder.iterdir() if path not in spared]
        assert search_canary(self.canary, [*searched, Path("/dev/shm"), Path.home() / ".ansible"]) == ()
        if (self.state / "watchkeeper.sqlite").exists():
            verified = journal.verify(self.state)
            assert verified.ok, verified.why

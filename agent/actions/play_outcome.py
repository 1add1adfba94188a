"""What a play did, from the lines that it left: nothing but names, verdicts and a message for what failed."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from agent.transports.child import Ended, Lost

EVENTS = "events.jsonl"
FACTS = frozenset({"setup", "gather_facts", "ansible.builtin.setup", "ansible.builtin.gather_facts"})
# ansible.errors.ExitCode of ansible-core 2.19; 4 is also its code for a playbook that cannot be parsed
EXIT = {
    0: "ok",
    1: "Ansible stopped with an error",
    2: "a task failed",
    4: "a host was unreachable, or the playbook cannot be read",
    5: "Ansible did not take the arguments",
    6: "a task failed, and a host was unreachable",
    99: "interrupted",
    127: "ansible-playbook is not there",
    250: "Ansible itself failed",
}

CUT = {
    "deadline": "killed at its deadline {}",
    "stopped": "stopped {}",
    "signalled": "ended by a signal {}",
    "lost": "nobody can say how it ended; last seen {}",
}
LOST = 255


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PlayOutcome:
    """How a play ended. `ok`: it ran tasks on every host asked for, and none failed, was unreachable or was rescued."""

    ok: bool
    exit_code: int
    failed: tuple[str, ...]
    unreachable: tuple[str, ...]
    rescued: tuple[str, ...]
    ignored: tuple[str, ...]
    started: bool  # at least one task was begun on a host
    tasks_run: int  # results of tasks that ran, facts and skipped ones not counted
    tasks_skipped: int
    changed: int
    summary: str
    last_task: str


@dataclasses.dataclass(slots=True)
class _Tally:
    """What the lines add up to."""

    hosts: tuple[str, ...] = ()
    rehearsal: bool = False
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    unreachable: dict[str, str] = dataclasses.field(default_factory=dict)
    rescued: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    ran: dict[str, int] = dataclasses.field(default_factory=dict)
    skipped: int = 0
    changed: int = 0
    started: bool = False
    last_task: str = ""
    errors: list[str] = dataclasses.field(default_factory=list)


def exit_text(code: int) -> str:
    """An exit code of the play in words."""
    return EXIT.get(code, f"unknown exit code {code}")


def outcome(run_dir: Path, ended: Ended | Lost) -> PlayOutcome:
    """How the play of this run folder ended; of a lost one, how far it had come when it was last seen."""
    try:
        text = (run_dir / EVENTS).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        text = ""
    return judge(_lines(text), ended)


def _lines(text: str) -> Iterable[Mapping[str, Any]]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # the last line of a play that was killed
            continue


def judge(lines: Iterable[Mapping[str, Any]], ended: Ended | Lost) -> PlayOutcome:
    """Pure: the lines and the end of the child, as an outcome."""
    tally = _Tally()
    for line in lines:
        _add(tally, line)
    done = sum(tally.ran.values())
    trouble = _trouble(tally, ended)
    return PlayOutcome(
        ok=not trouble,
        exit_code=LOST if isinstance(ended, Lost) else ended.exit_code,
        failed=tuple(tally.failed),
        unreachable=tuple(tally.unreachable),
        rescued=tally.rescued,
        ignored=tally.ignored,
        started=tally.started,
        tasks_run=done,
        tasks_skipped=tally.skipped,
        changed=tally.changed,
        summary=trouble or _success(tally, done),
        last_task=tally.last_task,
    )


def _add(tally: _Tally, line: Mapping[str, Any]) -> None:
    host, task = str(line.get("host", "")), str(line.get("task", ""))
    match line.get("event"):
        case "asked":
            tally.hosts, tally.rehearsal = tuple(line["hosts"]), bool(line["check"])
        case "error":
            tally.errors.append(str(line["message"]))
        case "task" | "start":
            tally.last_task = task
            tally.started |= line["event"] == "start"
        case "stats":
            tally.rescued, tally.ignored = tuple(line["rescued"]), tuple(line["ignored"])
            tally.failed = {host: tally.failed.get(host, "") for host in line["failures"]}  # without the rescued
        case "skipped":
            tally.skipped += 1
        case "unreachable":
            tally.unreachable[host] = f"{task}: {line['message']}"
        case "ok" | "failed":
            _add_result(tally, line, host, task)


def _add_result(tally: _Tally, line: Mapping[str, Any], host: str, task: str) -> None:
    if line["action"] not in FACTS:
        tally.ran[host] = tally.ran.get(host, 0) + 1
        tally.changed += bool(line["changed"])
    if line["event"] == "failed" and not line["ignored"]:
        tally.failed[host] = f"{task}: {line['message']}"


def _trouble(tally: _Tally, ended: Ended | Lost) -> str:
    """The first reason why it is not ok, as a line for people; empty when there is none."""
    if cut := CUT.get("lost" if isinstance(ended, Lost) else ended.how):
        return cut.format(f"during {tally.last_task!r}" if tally.last_task else "before the first task")
    return _failure(tally, ended.exit_code if isinstance(ended, Ended) else LOST)


def _failure(tally: _Tally, exit_code: int) -> str:
    for found, what in ((tally.failed, "failed"), (tally.unreachable, "unreachable")):
        if found:
            return f"{what} on {_first(found)}"
    if exit_code != 0:
        return ", ".join(tally.errors[:2]) or exit_text(exit_code)  # what is wrong, and where
    if tally.rescued:
        return f"a task failed and was rescued on {', '.join(tally.rescued)}"
    return _missed(tally)


def _first(found: Mapping[str, str]) -> str:
    host, message = next(iter(found.items()))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{host}{more}: {message}"


def _missed(tally: _Tally) -> str:
    strangers = sorted(set(tally.ran) - set(tally.hosts))
    if strangers:
        return f"it ran on {', '.join(strangers)}, which was not asked for"
    if not tally.ran and not (tally.rehearsal and tally.skipped):
        return "no task ran" if tally.started else "no host matched"
    if not tally.rehearsal and (left := [host for host in tally.hosts if host not in tally.ran]):
        return f"no task ran on {', '.join(left)}"
    return ""


def _success(tally: _Tally, done: int) -> str:
    tasks = f"{done} task{'' if done == 1 else 's'}"
    if tally.rehearsal:
        return f"rehearsed {tasks}, {tally.changed} would change something, {tally.skipped} could not be predicted"
    return f"{tasks} on {', '.join(tally.hosts)}, {tally.changed} changed something"

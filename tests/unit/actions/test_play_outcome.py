"""What the lines of a play add up to."""

from typing import Any

import pytest

from agent.actions.play_outcome import exit_text, judge
from agent.transports.child import Ended, How, Lost


def ended(code: int = 0, how: How = "exited") -> Ended:
    return Ended(exit_code=code, how=how, ended_at_us=1)


def asked(*hosts: str, check: bool = False) -> dict[str, Any]:
    return {"event": "asked", "hosts": list(hosts), "check": check}


def line(event: str, host: str = "web1", task: str = "restart", **more: Any) -> dict[str, Any]:
    fields = {"action": "service", "changed": False, "ignored": False, "message": "why"}
    return {"event": event, "host": host, "task": task} | fields | more


def stats(**hosts: list[str]) -> dict[str, Any]:
    return {"event": "stats", "failures": [], "rescued": [], "ignored": []} | hosts


START, OK, CHANGED = line("start"), line("ok"), line("ok", changed=True)
FACTS = line("ok", task="Gathering Facts", action="gather_facts")


@pytest.mark.parametrize(
    ("lines", "end", "ok", "summary"),
    [
        ([asked("web1"), START, CHANGED, stats()], ended(), True, "1 task on web1, 1 changed something"),
        ([asked("web1"), stats()], ended(), False, "no host matched"),
        ([asked("web1"), START, FACTS, stats()], ended(), False, "no task ran"),
        ([asked("web1"), START, line("skipped"), stats()], ended(), False, "no task ran"),
        ([asked("web1", "web2"), START, OK, stats()], ended(), False, "no task ran on web2"),
        ([asked("web1"), START, OK, line("ok", host="db1"), stats()], ended(), False, "it ran on db1, which was not asked for"),
        ([asked("web1"), START, line("failed"), stats(failures=["web1"])], ended(2), False, "failed on web1: restart: why"),
        ([asked("web1"), START, line("unreachable"), stats()], ended(4), False, "unreachable on web1: restart: why"),
        ([asked("web1"), START, line("failed"), OK, stats(rescued=["web1"])], ended(), False, "a task failed and was rescued on web1"),
        ([asked("web1"), START, line("failed", ignored=True), stats(ignored=["web1"])], ended(), True, "1 task on web1, 0 changed something"),
        ([asked("web1"), {"event": "error", "message": "no YAML"}, {"event": "error", "message": "at a.yml:4:1"}], ended(4), False, "no YAML, at a.yml:4:1"),
        ([asked("web1")], ended(1), False, "Ansible stopped with an error"),
        ([asked("web1"), START, OK, stats()], ended(77), False, "unknown exit code 77"),
        ([], ended(127), False, "ansible-playbook is not there"),
        ([asked("web1"), START], ended(137, "deadline"), False, "killed at its deadline during 'restart'"),
        ([asked("web1")], ended(137, "deadline"), False, "killed at its deadline before the first task"),
        ([asked("web1"), START, OK], ended(137, "stopped"), False, "stopped during 'restart'"),
        ([asked("web1"), START, OK, stats()], ended(137, "signalled"), False, "ended by a signal during 'restart'"),
        ([asked("web1", check=True), START, line("skipped"), stats()], ended(), True, "rehearsed 0 tasks, 0 would change something, 1 could not be predicted"),
    ],
)  # fmt: skip
def test_verdict(lines: list[dict[str, Any]], end: Ended, ok: bool, summary: str) -> None:
    judged = judge(lines, end)
    assert judged.ok is ok
    assert judged.summary.startswith(summary)


def test_the_counts() -> None:
    judged = judge(
        [asked("web1", "web2"), START, FACTS, CHANGED, line("skipped"), line("ok", host="web2"), stats()], ended()
    )
    assert (judged.tasks_run, judged.tasks_skipped, judged.changed, judged.started) == (2, 1, 1, True)


def test_a_rescued_host_is_not_called_failed() -> None:
    judged = judge([asked("web1"), START, line("failed"), OK, stats(rescued=["web1"])], ended())
    assert (judged.failed, judged.rescued) == ((), ("web1",))


def test_what_failed_before_the_first_task_may_be_told_from_what_failed_during() -> None:
    assert not judge([asked("web1")], ended(4)).started
    assert judge([asked("web1"), START], ended(137, "signalled")).started


def test_several_failed_hosts_are_counted() -> None:
    lines = [asked("a", "b"), line("failed", host="a"), line("failed", host="b"), stats(failures=["a", "b"])]
    assert judge(lines, ended(2)).summary == "failed on a (and 1 more): restart: why"


@pytest.mark.parametrize("code", [0, 1, 2, 4, 5, 6, 99, 127, 250])
def test_every_exit_code_of_ansible_has_words(code: int) -> None:
    assert not exit_text(code).startswith("unknown")


def test_of_a_lost_play_it_is_told_how_far_it_had_come() -> None:
    judged = judge([asked("web1"), START, OK], Lost())
    assert (judged.ok, judged.started, judged.tasks_run) == (False, True, 1)
    assert judged.summary == "nobody can say how it ended; last seen during 'restart'"

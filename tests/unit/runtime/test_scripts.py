"""What runs on hosts is known by its hash: the same for the same checks, another for every edit of a script."""

import dataclasses

import pytest

from agent.checks.command import Command, CommandOptions
from agent.checks.memory import Memory, MemoryOptions
from agent.model.cadence import Every
from agent.model.check import Check, Rules, RunFrom
from agent.runtime.scripts import Scripts

SCRIPTS = Scripts({"memory": Memory, "command": Command})


def check_of(kind: str, options: object) -> Check:
    return Check(
        key=f"shop/{kind}@web-1", item=f"shop/{kind}", service="shop", host="web-1", kind=kind, options=options,
        run_from=RunFrom.HOST, every=(Every(seconds=60.0),), timeout_seconds=5.0, retry_every_seconds=15.0, rules=Rules(key=f"shop/{kind}@web-1"),
    )  # fmt: skip


MEMORY = check_of("memory", MemoryOptions())
ECHO = check_of("command", CommandOptions(command="echo one"))


def elsewhere(check: Check, host: str) -> Check:
    return dataclasses.replace(check, key=f"shop/other@{host}", host=host)


def test_hosts_that_share_a_script_share_its_hash() -> None:
    assert SCRIPTS.digests([MEMORY, ECHO]) == SCRIPTS.digests([ECHO, MEMORY, elsewhere(ECHO, "web-2")])


@pytest.mark.parametrize(
    "edited",
    [
        dataclasses.replace(ECHO, options=CommandOptions(command="echo two")),
        dataclasses.replace(ECHO, run_from=RunFrom.AGENT),
    ],
    ids=["another command", "not on the host any more"],
)
def test_an_edit_shows_in_the_hash_of_its_kind_alone(edited: Check) -> None:
    before, after = SCRIPTS.digests([MEMORY, ECHO]), SCRIPTS.digests([MEMORY, edited])
    assert before["memory"] == after["memory"]
    assert before["command"] != after.get("command")


def test_a_script_is_rendered_again_once_its_options_are_others() -> None:
    assert "echo one" in SCRIPTS.of(ECHO)
    edited = dataclasses.replace(ECHO, options=CommandOptions(command="echo two"))
    assert "echo two" in SCRIPTS.of(edited)
    assert SCRIPTS.of(ECHO) is SCRIPTS.of(ECHO)

"""The daemon is killed (kill -9) around the finding of a line in a log: it's found by the next, and is one incident."""

import signal
from pathlib import Path

import pytest

from agent.store import memories
from tests.acceptance.world import World

LOG = "shop/checks/errors@here"


def position(world: World) -> str | None:
    """Where the log is to be read on, as the next daemon will find it."""
    with world.store.read() as reader:
        row = memories.read(reader).get(LOG)
    return row.document if row else None


def at_the_end_of(file: Path) -> str:
    """The position behind all that the file holds now."""
    seen = file.stat()
    return f"[[{seen.st_ino},{seen.st_size}]]"


@pytest.mark.parametrize(("failpoint", "is_filed"), [("before-commit", False), ("after-commit", True)])
def test_a_line_that_was_written_while_nobody_looked_is_never_missed_and_filed_once(
    world: World, failpoint: str, *, is_filed: bool
) -> None:
    file = world.host / "app.log"
    file.write_text("ERROR long ago\n")
    world.policy("shop", checks={"errors": {"log": {"path": str(file), "match": "ERROR"}, "crit": {"matches": "> 0"}}})
    first = world.run()
    world.until(lambda: position(world) == at_the_end_of(file), "the first look is kept")
    begun = position(world)
    first.kill()
    with file.open("a") as log:
        log.write("fine\nERROR one\n")
    dying = world.start(failpoint, 1)
    assert dying.ends() == -signal.SIGKILL, dying.told()
    assert world.is_open(LOG) is is_filed
    assert position(world) == begun, "never further than what is filed"
    last = world.run()
    world.until(lambda: world.is_resolved(LOG), "found, filed, and then no more of it")
    assert last.stop() == 0
    assert position(world) == at_the_end_of(file)
    assert [told["event"] for told in world.filed()] == ["opened", "resolved"]

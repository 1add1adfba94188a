"""What fails because of a parent, although the parent was well when it was last looked at."""

from agent.model.look import Verdict
from tests.acceptance.world import World


def test_before_a_failure_becomes_an_incident_its_parents_are_asked_again(world: World) -> None:
    """Two that fail ask their parent once, it asks its own, and only what fails by itself is told."""
    asked = world.host / "asked"

    def asks(name: str) -> str:
        return f"echo {name} >>{asked}; test -e {world.host}/{name}"

    def times(name: str) -> int:
        return asked.read_text().split().count(name)

    names = ("disk", "database", "front", "back")
    checks = {
        "disk": {"command": asks("disk"), "every": "1h"},
        "database": {"command": asks("database"), "every": "1h", "needs": ["checks/disk"]},
        "front": {"command": asks("front"), "needs": ["checks/database"]},
        "back": {"command": asks("back"), "needs": ["checks/database"]},
    }
    world.policy("shop", checks=checks)
    for name in names:
        (world.host / name).touch()
    daemon = world.run()
    keys = {name: f"shop/checks/{name}@here" for name in names}
    world.until(lambda: all(world.check_state(key).raw is Verdict.OK for key in keys.values()), "all are well")
    assert (times("disk"), times("database")) == (1, 1)

    (world.host / "front").unlink()
    world.until(lambda: world.is_open(keys["front"]), "what fails while its parents are well is told")
    assert (times("disk"), times("database")) == (1, 2), "a parent that is well tells enough of its own"
    (world.host / "front").touch()
    world.until(lambda: world.is_resolved(keys["front"]), "it is well again")

    for name in names:
        (world.host / name).unlink()
    world.until(lambda: world.is_open(keys["disk"]), "the cause is found long before its turn")
    world.until(
        lambda: all(world.check_state(keys[name]).parents for name in ("database", "front", "back")),
        "all that needs it is suppressed",
    )
    assert times("database") == 3, "asked once for both that need it"
    assert {one.cause for one in world.incidents()} == {keys["disk"], keys["front"]}
    assert len(world.incidents()) == 2

    for name in names:
        (world.host / name).touch()
    assert world.command("check", "run", keys["disk"]).returncode == 0
    assert world.is_resolved(keys["disk"]), "the cause is mended"
    world.until(lambda: not world.check_state(keys["front"]).parents, "and those who need it are judged again")
    assert len(world.incidents()) == 2
    assert daemon.stop() == 0

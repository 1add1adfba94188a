"""Files change under a running daemon and under a stopped one: what is sound comes into force, nothing else does."""

from agent.store import orders
from tests.acceptance.world import World

FILES = "agent/policies/files@none"
SEEN = {"command": "true"}


def checks(world: World) -> set[str]:
    """The checks in force, as far as they were looked at."""
    names = ("a", "b", "c", "d", "e", "f")
    return {name for name in names if world.check_state(f"shop/checks/{name}@here").raw is not None}


def shop(world: World, names: str, **more: str) -> None:
    world.policy("shop", checks=dict.fromkeys(names, SEEN), **more)


def why(world: World) -> str:
    incident = world.incident(FILES)
    return incident.why if incident is not None else ""


def order(world: World, **args: bool) -> str:
    """Ask the daemon to reload, as the command does."""
    with world.store.write() as tx:
        return orders.add(tx, "reload", args, "oncall")


def answer(world: World, number: str) -> dict[str, object]:
    with world.store.read() as reader:
        return orders.outcome(reader, number) or {}


def test_a_running_daemon_takes_what_is_sound_keeps_what_was_good_and_asks_before_it_drops(world: World) -> None:
    shop(world, "abcde")
    world.policy("other", checks={"x": SEEN})
    daemon = world.run()
    world.until(lambda: checks(world) == set("abcde"), "all is looked at")
    shop(world, "abcdef")
    world.until(lambda: "f" in checks(world), "the edited file is picked up")

    world.write("policies/shop.yaml", "version: 1\nservice: shop\nhosts: here\nchecks: {a: {comand: 'true'}}\n")
    world.until(lambda: world.is_open(FILES), "the mistake becomes an incident")
    assert "policies/shop.yaml:4:14: unknown" in why(world)
    assert "did you mean 'command'" in why(world)
    assert checks(world) == set("abcdef"), "the last good version is kept"
    world.write("config.yaml", "version: 1\nname: [\n")
    world.until(lambda: any("config.yaml:" in line for line in world.timeline(FILES)), "a second mistake is told there")
    world.configure()
    shop(world, "abcdef", description="mended")
    world.until(lambda: world.is_resolved(FILES), "mended, it is over")
    assert [one.number for one in world.incidents()] == ["INC0000001"], "one incident for all of it"

    shop(world, "abcd")
    world.until(lambda: world.is_open(FILES), "to drop that many is a question")
    assert why(world) == "2 of 7 checks would no longer be made (shop: 2): is that meant?"
    assert checks(world) == set("abcdef")
    refused = order(world)
    world.until(lambda: answer(world, refused), "an order without consent is answered")
    assert answer(world, refused)["applied"] is False
    agreed = order(world, yes=True)
    world.until(lambda: answer(world, agreed), "an order with consent is answered")
    assert answer(world, agreed)["applied"] is True
    assert checks(world) == set("abcd")
    world.until(lambda: world.is_resolved(FILES), "the question is answered")
    assert daemon.stop() == 0


def test_a_cold_start_compares_with_what_was_in_force_last(world: World) -> None:
    """Cut off in the middle: once so that it is no YAML any more, once so that it still is."""
    text = "version: 1\nservice: shop\nhosts: here\nchecks:\n"
    text += "".join(f"  {name}:\n    command: 'true'\n" for name in "abcdef")
    file = world.write("policies/shop.yaml", text)
    first = world.run()
    world.until(lambda: checks(world) == set("abcdef"), "all is looked at")
    first.kill()

    for beginning, said in (
        (text[: text.index("  d:") + 12], "policies/shop.yaml:12:5: a mapping is expected here"),
        (text[: text.index("  d:")], "3 of 6 checks would no longer be made (shop: 3): is that meant?"),
    ):
        world.write("policies/shop.yaml", beginning)
        daemon = world.run()
        assert world.is_open(FILES)
        assert any(said in line for line in world.timeline(FILES)), world.timeline(FILES)
        assert checks(world) == set("abcdef")
        daemon.kill()

    file.write_text(text + "# mended\n")
    last = world.run()
    world.until(lambda: world.is_resolved(FILES), "it is over")
    assert checks(world) == set("abcdef")
    assert last.stop() == 0

    world.write("config.yaml", "version: 1\nname: [\n")
    served = world.run()
    assert any("config.yaml:" in line for line in world.timeline(FILES)), world.timeline(FILES)
    assert checks(world) == set("abcdef")
    assert served.stop() == 0
    world.write("config.yaml", "version: 1\nname: [\nstate: elsewhere\n")
    refused = world.start()
    assert refused.ends() == 2, "nobody can say where the last good version is"
    assert "config.yaml:" in refused.told()

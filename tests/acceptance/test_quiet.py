"""What files no incident: silences, checks that ask for none, warnings, and what a probe cannot tell."""

from agent.model.look import Verdict
from tests.acceptance.world import World


def test_silenced_unasked_for_warning_and_unknown_are_shown_and_file_nothing(world: World) -> None:
    """Once the silence is lifted, what failed in it becomes an incident, and its remedy runs."""
    quiet = {"checks": {"up": world.check(remedy="mend")}, "remedies": {"mend": world.remedy()}}
    works = {"kind": "silence", "start": "2020-01-01", "end": "2120-01-01"}
    world.policy("quiet", **quiet, windows={"works": works})
    world.policy(
        "shop",
        checks={
            "child": {"command": "false", "needs": ["checks/none"]},  # looked at in the same round trip, and first
            "none": {"command": "false", "incident": "none"},
            "warning": {"command": "echo 4 queued", "warn": {"value": "above 3"}},
            "told": {"command": "echo 4 queued", "warn": {"value": "above 3"}, "incident": {"from": "warning"}},
            "unknown": {"command": "no-such-command-anywhere"},
        },
    )
    daemon = world.run()
    told, silenced = "shop/checks/told@here", "quiet/checks/up@here"
    world.until(lambda: world.is_open(told), "a warning that asks for an incident has one")
    keys = {name: f"shop/checks/{name}@here" for name in ("none", "warning", "unknown")} | {"silenced": silenced}
    world.until(lambda: all(world.check_state(key).raw for key in keys.values()), "all is looked at")
    states = {name: world.check_state(key) for name, key in keys.items()}
    assert states["silenced"].hard is Verdict.CRITICAL
    assert states["none"].hard is Verdict.CRITICAL
    assert states["warning"].hard is Verdict.WARNING
    assert states["unknown"].raw is Verdict.UNKNOWN
    assert states["unknown"].unknown_since_us is not None
    assert world.check_state("shop/checks/child@here").parents == ("shop/checks/none@here",)
    assert world.check_state(silenced).silenced == "quiet/windows/works"
    assert [one.cause for one in world.incidents()] == [told]
    assert world.executions() == []

    world.policy("quiet", **quiet)
    world.until(lambda: world.is_resolved(silenced), "after the silence it is told, and mended")
    assert "opened: it failed while it was silenced" in world.timeline(silenced)
    assert {one.cause for one in world.incidents()} == {told, silenced}
    assert daemon.stop() == 0

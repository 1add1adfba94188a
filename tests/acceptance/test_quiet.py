"""What files no incident: silences, checks that ask for none, warnings, and what a probe cannot tell."""

from datetime import UTC, datetime, timedelta

from agent.clock import MICROSECONDS, SystemClock
from agent.model.look import Verdict
from tests.acceptance.world import World


def test_silenced_unasked_for_warning_and_unknown_are_shown_and_file_nothing(world: World) -> None:
    """The silence ends after a while: what failed in it then becomes an incident, and its remedy runs."""
    until = datetime.fromtimestamp(SystemClock().now() / MICROSECONDS, UTC) + timedelta(seconds=8)
    silence = {"kind": "silence", "start": "2020-01-01", "end": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
    world.policy(
        "quiet",
        checks={"up": world.check(remedy="mend")},
        remedies={"mend": world.remedy()},
        windows={"works": silence},
    )
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
    world.until(lambda: world.check_state(silenced).hard is Verdict.CRITICAL, "the silenced check fails")
    states = {name: world.check_state(f"shop/checks/{name}@here") for name in ("none", "warning", "unknown")}
    assert states["none"].hard is Verdict.CRITICAL
    assert states["warning"].hard is Verdict.WARNING
    assert states["unknown"].raw is Verdict.UNKNOWN
    assert states["unknown"].unknown_since_us is not None
    assert world.check_state("shop/checks/child@here").parents == ("shop/checks/none@here",)
    assert world.check_state(silenced).silenced == "quiet/windows/works"
    assert [one.cause for one in world.incidents()] == [told]
    assert world.executions() == []

    world.until(lambda: world.is_resolved(silenced), "after the silence it is told, and mended")
    incident = world.incident(silenced)
    assert incident is not None
    assert incident.opened_at_us >= until.timestamp() // 1 * MICROSECONDS
    assert incident.why == "it failed while it was silenced"
    assert {one.cause for one in world.incidents()} == {told, silenced}
    assert daemon.stop() == 0

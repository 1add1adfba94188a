"""check: quorum — are enough of them well?

Counts the states of another check on all its hosts: `ok` of `total`. It looks at nothing itself, costs nothing, and is
made anew as soon as one of those states changes. A member is counted as well when its last result is ok and it is not
still recovering; one that is suppressed, unknown or not looked at yet is not, and the summary says so; one that is
paused is left out. Always ok by itself, so give it bounds: `crit: {ok: below 2}`. Unknown while a member waits for its
first look, for then nobody can tell.
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from agent.checks import check
from agent.closed import ClosedModel, Text
from agent.model.check import RunFrom
from agent.model.look import Unit


class QuorumOptions(ClosedModel):
    """What is counted."""

    of: Text = Field(description="The check to count, on all its hosts: checks/storefront, or shop/checks/storefront")


@check("quorum")
class Quorum:
    """k of n of another check."""

    OPTIONS: ClassVar = QuorumOptions
    SHORT: ClassVar = "of"
    METRICS: ClassVar[Mapping[str, Unit]] = {"ok": Unit.NUMBER, "total": Unit.NUMBER, "share": Unit.SHARE}
    RUN_FROM: ClassVar = RunFrom.AGENT
    INSTANCES: ClassVar = False
    REFERS: ClassVar = "of"

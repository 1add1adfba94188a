"""The 20 % guard: when a loss needs consent."""

import pytest

from agent.policy.guard import drops


def keys(service: str, count: int) -> set[str]:
    """So many checks of a service."""
    return {f"{service}/checks/c{number}@web" for number in range(count)}


@pytest.mark.parametrize(
    ("old", "new", "asks"),
    [
        (set(), keys("shop", 5), False),
        (keys("shop", 10), keys("shop", 10), False),
        (keys("shop", 10), keys("shop", 8), False),
        (keys("shop", 10), keys("shop", 7), True),
        (keys("shop", 100) | keys("small", 2), keys("shop", 100), True),
        (keys("shop", 10), keys("store", 10), True),
        (keys("shop", 10) | {f"agent/checks/reach@h{number}" for number in range(30)}, keys("shop", 10), False),
    ],
    ids=["first", "same", "a fifth", "more than a fifth", "all of a service", "renamed", "connections only"],
)
def test_a_large_loss_needs_consent(old: set[str], new: set[str], asks: bool) -> None:
    assert (drops(old, new) is not None) is asks


def test_the_question_says_what_would_be_lost() -> None:
    question = drops(keys("shop", 100) | keys("small", 2), keys("shop", 70))
    assert question == (
        "32 of 102 checks would no longer be made (shop: 30, small: 2); nothing of small would be left: is that meant?"
    )

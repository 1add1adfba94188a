"""Which backups may run beside each other: never more than allowed, whoever asks, in whatever order."""

import dataclasses
import random

import pytest

from agent.practices.berths import Full, Wish, choose

WISH = Wish(host="web1", repository="main", at_once=2, everywhere=3)
PERSON = dataclasses.replace(WISH, unhindered=True)


@pytest.mark.parametrize(
    ("wish", "held", "taken"),
    [
        (WISH, [], ("saving:web1", "repository:main@web1#1", "backups#1", "repository:main#1")),
        (
            WISH,
            ["saving:web2", "backups#1", "repository:main#1"],
            ("saving:web1", "repository:main@web1#1", "backups#2", "repository:main#2"),
        ),
        (
            WISH,
            ["backups#2", "repository:other#1"],
            ("saving:web1", "repository:main@web1#1", "backups#1", "repository:main#1"),
        ),
        (
            WISH,
            ["web1"],
            ("saving:web1", "repository:main@web1#1", "backups#1", "repository:main#1"),
        ),  # a playbook's lease is another gate's
        (WISH, ["saving:web1"], "another job works on web1"),
        (WISH, ["repository:main#1", "repository:main#2"], "repository main has no room for another job"),
        (WISH, ["repository:main#7", "repository:main#1"], "repository main has no room for another job"),
        (WISH, ["backups#1", "backups#2", "backups#3"], "3 jobs run, which is as many as may"),
        (WISH, ["backups#1", "backups#8", "backups#9"], "3 jobs run, which is as many as may"),  # it was lowered
        (dataclasses.replace(WISH, repository=""), [], ("saving:web1", "backups#1")),
        (
            PERSON,
            ["backups#1", "backups#2", "backups#3", "repository:main#1", "repository:main#2"],
            ("saving:web1", "repository:main@web1#1"),
        ),
        (PERSON, ["repository:main"], "repository:main is being looked after"),
        (WISH, ["repository:main@web1"], "repository:main@web1 is being looked after"),
        (WISH, ["repository:main@web2"], ("saving:web1", "repository:main@web1#1", "backups#1", "repository:main#1")),
        (PERSON, ["saving:web1"], "another job works on web1"),
    ],
)
def test_there_is_room_or_a_reason(wish: Wish, held: list[str], taken: tuple[str, ...] | str) -> None:
    chosen = choose(wish, held)
    assert (chosen.why if isinstance(chosen, Full) else chosen) == taken


def test_a_hundred_hosts_due_at_once_never_exceed_what_is_allowed() -> None:
    """Every job that ends makes room for exactly one more, until all have run; counted at every step."""
    draw = random.Random(7)
    waiting = [
        Wish(host=f"web{number % 90}", repository=f"vault{number % 3}", at_once=3, everywhere=7)
        for number in range(100)
    ]
    running: dict[Wish, tuple[str, ...]] = {}
    most, ended = 0, 0
    while waiting or running:
        for wish in draw.sample(waiting, len(waiting)):
            chosen = choose(wish, {name for names in running.values() for name in names})
            if not isinstance(chosen, Full):
                waiting.remove(wish)
                running[wish] = chosen
        most = max(most, len(running))
        assert len(running) <= 7
        assert len({wish.host for wish in running}) == len(running)
        assert all(sum(wish.repository == name for wish in running) <= 3 for name in ("vault0", "vault1", "vault2"))
        del running[draw.choice(list(running))]
        ended += 1
    assert (most, ended) == (7, 100)

"""What a pull has to do is decided from two lists: what to fetch, what to remove, and when so much is gone to stop."""

import pytest

from agent.backups.mirror import plan
from agent.backups.mirror.listing import Item


def item(path: str, mark: str = "", *, kind: str = "file", size: int = 10, inode: int = 0, links: int = 1) -> Item:
    """One entry; another `mark` is another state of it."""
    return Item(path, kind, 0o644, 0, 0, size, 0, 0, (1, inode), links, "", f"{path} {mark}".encode())


def listed(*items: Item) -> dict[str, Item]:
    return {one.path: one for one in items}


def planned(before: dict[str, Item], now: dict[str, Item], *, is_complete: bool = True) -> plan.Plan:
    return plan.plan(before, now, is_wanted=lambda path: not path.endswith(".tmp"), is_complete=is_complete)


def test_only_what_changed_is_fetched_and_what_is_gone_is_removed_innermost_first() -> None:
    before = listed(item("/s", kind="dir"), item("/s/a"), item("/s/b"), item("/s/d", kind="dir"), item("/s/d/x"))
    now = listed(item("/s", "2", kind="dir"), item("/s/a"), item("/s/b", "2", size=25), item("/s/c"))
    todo = planned(before, now)
    assert [one.path for one in todo.fetch] == ["/s", "/s/b", "/s/c"]
    assert todo.remove == ("/s/d/x", "/s/d")
    assert (todo.vanished, todo.known, todo.grown_bytes) == (2, 5, 15)
    assert planned(now, now).is_idle


def test_without_a_whole_list_nothing_is_removed_but_what_the_policy_leaves_out_now() -> None:
    before = listed(item("/s/a"), item("/s/b.tmp"), item("/s/c"))
    assert planned(before, listed(item("/s/c")), is_complete=False).remove == ("/s/b.tmp",)


def test_what_the_policy_leaves_out_now_has_not_vanished() -> None:
    before = listed(*(item(f"/s/{number}.tmp") for number in range(100)), item("/s/a"))
    todo = planned(before, listed(item("/s/a")))
    assert (len(todo.remove), todo.vanished, todo.refusal(0.0)) == (100, 0, "")


def test_sockets_are_not_fetched() -> None:
    assert planned({}, listed(item("/s/run", kind="socket"))).is_idle


@pytest.mark.parametrize(
    ("known", "left", "allowed", "is_refused"),
    [
        (100, 60, 0.5, False),
        (100, 50, 0.5, False),
        (100, 49, 0.5, True),
        (100, 0, 0.5, True),
        (100, 0, 1.0, False),
        (10, 1, 0.0, False),
        (10, 0, 0.5, True),
        (0, 0, 0.5, False),
    ],
    ids=["few", "just", "more", "all", "all, allowed", "a handful", "all of a handful", "the first time"],
)
def test_when_too_much_is_gone_the_mirror_stays(known: int, left: int, allowed: float, *, is_refused: bool) -> None:
    before = listed(*(item(f"/s/{number}") for number in range(known)))
    now = listed(*(item(f"/s/{number}") for number in range(left)))
    assert bool(planned(before, now).refusal(allowed)) is is_refused


def test_portions_are_small_but_keep_the_names_of_one_file_together() -> None:
    large = 200 * 1024 * 1024
    fetch = [
        item("/s/a", size=large, inode=7, links=2),
        item("/s/b", size=large),
        item("/s/c", size=large, inode=7, links=2),
    ]
    assert [[one.path for one in batch] for batch in plan.batches(fetch)] == [["/s/b"], ["/s/a", "/s/c"]]

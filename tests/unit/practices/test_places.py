"""Which repositories there are to look after, and that their upkeep never works beside a backup there."""

import dataclasses

import pytest

from agent.model.backup import Backup, Repository
from agent.model.cadence import Every
from agent.practices import berths, places
from agent.practices.berths import Full, Wish

MAIN = Repository(name="main", url="/main", password_secret="p", prune=(Every(seconds=60.0),))
SHARED = dataclasses.replace(MAIN, name="shared", per_host=False)
OFFSITE = Repository(name="offsite", url="/offsite", password_secret="p")


def backup(host: str, repository: Repository = MAIN, *copies: Repository) -> Backup:
    return Backup(
        key=f"shop/backups/files@{host}", item="shop/backups/files", service="shop", host=host, kind="files",
        options=None, repository=repository, copies=copies, every=(Every(seconds=60.0),),
    )  # fmt: skip


def test_each_host_has_a_repository_of_its_own_unless_it_is_shared() -> None:
    found = places.places([backup("a"), backup("b"), backup("a", SHARED), backup("b", SHARED, OFFSITE)])
    assert {cause: (len(place.saved), len(place.copied)) for cause, place in found.items()} == {
        "agent/repositories/main@a": (1, 0),
        "agent/repositories/main@b": (1, 0),
        "agent/repositories/shared@none": (2, 0),
        "agent/repositories/offsite@b": (0, 1),
    }
    assert list(found["agent/repositories/offsite@b"].sources) == ["agent/repositories/shared@none"]


def test_what_is_only_saved_to_and_what_is_kept_in_git_needs_no_upkeep() -> None:
    git = dataclasses.replace(MAIN, name="")
    found = places.places([backup("a", OFFSITE), backup("b", git), backup("c", MAIN, OFFSITE)])
    assert {cause for cause, place in found.items() if places.needs_upkeep(place)} == {
        "agent/repositories/main@c",
        "agent/repositories/offsite@c",
    }


@pytest.mark.parametrize("repository", [MAIN, SHARED], ids=["per-host", "shared"])
def test_upkeep_and_backups_of_a_repository_exclude_each_other(repository: Repository) -> None:
    mine = backup("a", repository, OFFSITE)
    found = places.places([mine])
    place = found[places.cause_of(repository, "a")]
    wish = Wish(host="a", repository=repository.name, at_once=4, everywhere=4)
    saving = berths.choose(wish, ())
    assert not isinstance(saving, Full)
    assert places.claims(place, None, saving) is None
    tending = places.claims(place, None, ())
    assert tending is not None
    assert isinstance(berths.choose(wish, tending), Full)
    assert places.claims(place, None, tending) is None
    restoring = berths.choose(dataclasses.replace(wish, unhindered=True), ())
    assert not isinstance(restoring, Full)
    assert places.claims(place, None, restoring) is None


@pytest.mark.parametrize("repository", [MAIN, SHARED], ids=["per-host", "shared"])
def test_a_copy_holds_its_target_alone_and_lets_backups_go_on_where_it_comes_from(repository: Repository) -> None:
    mine = backup("a", repository, OFFSITE)
    found = places.places([mine])
    target, source = found["agent/repositories/offsite@a"], found[places.cause_of(repository, "a")]
    copying = places.claims(target, mine, ())
    assert copying is not None
    assert places.claims(target, mine, copying) is None
    assert places.claims(source, None, copying) is None, "nothing is removed from under a copy"
    wish = Wish(host="a", repository=repository.name, at_once=4, everywhere=4)
    saving = berths.choose(wish, copying)
    assert not isinstance(saving, Full)
    assert not set(saving) & set(copying)
    assert places.claims(target, mine, saving) is not None
    tending = places.claims(source, None, ())
    assert tending is not None
    assert places.claims(target, mine, tending) is None
    assert isinstance(berths.choose(dataclasses.replace(wish, repository="offsite"), copying), Full)


def test_another_host_s_repository_is_free_all_the_same() -> None:
    found = places.places([backup("a"), backup("b")])
    tending = places.claims(found["agent/repositories/main@a"], None, ())
    assert tending is not None
    assert places.claims(found["agent/repositories/main@b"], None, tending) == ["repository:main@b"]

"""The checks that no policy writes: by them the agent watches over its own backups, recoveries and repositories."""

import dataclasses
from collections.abc import Iterable, Iterator

from agent.model.backup import Backup
from agent.model.cadence import Every
from agent.model.check import Check, Rules, RunFrom, Threshold, item_of
from agent.model.recovery import Recovery
from agent.policy.schema import RESERVED
from agent.practices import places

FRESHNESS = "backup-freshness"  # a backup's age where it has an rpo, its failures and its drills always
RECOVERY = "recovery-standing"  # the runs of a recovery: failed; its rehearsals: failed, too slow, overdue
UPKEEP = "repository-upkeep"  # a repository's soundness, what others did there, and what is overdue
KINDS = frozenset({FRESHNESS, RECOVERY, UPKEEP})
_EVERY = Every(seconds=60.0)  # they look into our own record, which costs next to nothing


def checks(backups: Iterable[Backup], recoveries: Iterable[Recovery], owner: str) -> Iterator[Check]:
    """One for each backup, each recovery, and each repository; the repositories belong to `owner`."""
    backups = tuple(backups)
    for backup in backups:
        yield _over(backup, FRESHNESS)
    for recovery in recoveries:
        yield _over(recovery, RECOVERY)
    for cause, place in places.places(backups).items():
        if places.needs_upkeep(place):
            title = f"Repository {place.repository.name}"
            yield _check(UPKEEP, cause, service=RESERVED, host=place.host, title=title, owner=owner)


def _over(declared: Backup | Recovery, kind: str) -> Check:
    """A check over what a policy declares; it is paused together with it."""
    of = declared
    check = _check(kind, of.key, service=of.service, host=of.host, title=of.title, owner=of.owner)
    return dataclasses.replace(check, paused_until_us=of.paused_until_us, paused_why=of.paused_why)


def _check(kind: str, key: str, *, service: str, host: str | None, title: str, owner: str) -> Check:
    return Check(
        key=key,
        item=item_of(key),
        service=service,
        host=host,
        kind=kind,
        options=None,
        run_from=RunFrom.AGENT,
        every=(_EVERY,),
        timeout_seconds=10.0,
        retry_every_seconds=_EVERY.seconds,
        rules=Rules(key=key, fail_after=Threshold(count=1)),
        title=title,
        owner=owner,
    )

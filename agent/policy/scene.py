"""Everything that expansion looks at: configuration, inventory, documents, and which item stands on which hosts."""

import dataclasses
from collections.abc import Iterator, Mapping

from agent.inventory import Snapshot
from agent.model.cadence import Cadence, Every
from agent.model.check import NO_HOST, Threshold
from agent.model.config import Config
from agent.policy import when, wording
from agent.policy.catalogue import Catalogue, Place
from agent.policy.faults import Fault
from agent.policy.reading import CheckEntry, Document
from agent.policy.schema import CheckDefaults, Defaults, Header, Item
from agent.policy.schema_items import CheckSpec

Hosts = tuple[str | None, ...]  # None: about no host
EVERY: Cadence = (Every(seconds=60.0),)
TIMEOUT_SECONDS = 10.0
RETRY_SECONDS = 15.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How often a check looks and how long bad is hard, all inheritance done."""

    every: Cadence
    timeout_seconds: float
    retry_seconds: float
    fail_after: Threshold
    recover_after: int

    @property
    def hard_count(self) -> int:
        """The bad results in a row that are hard, for a threshold of any form."""
        if self.fail_after.seconds is None:
            return self.fail_after.count
        return max(1, round(self.fail_after.seconds / self.retry_seconds))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """The inputs of an expansion. `is_open`: a file that says not even which service it is could not be read."""

    config: Config
    defaults: Defaults
    snapshot: Snapshot
    known: Catalogue
    documents: Mapping[str, Document]
    is_open: bool = False

    def owner(self, header: Header, item: Item | None = None) -> str:
        """Who owns an item: its own word, the file's, the configuration's."""
        return (item.owner if item is not None else None) or header.owner or self.config.owner

    def pace(self, header: Header, spec: CheckSpec) -> Pace:
        """The pace of a check: its own words, the file's defaults, the configuration's, ours."""
        return pace(spec, (header.defaults.checks, self.defaults.checks), self.config.timezone)


def pace(spec: CheckSpec | CheckDefaults, defaults: tuple[CheckDefaults, ...], zone: str) -> Pace:
    """The first word that anybody says on each matter."""
    words = (spec, *defaults)
    every = next((word.every for word in words if word.every is not None), EVERY)
    timeout = next((word.timeout for word in words if word.timeout is not None), TIMEOUT_SECONDS)
    retry = next((word.retry_every for word in words if word.retry_every is not None), RETRY_SECONDS)
    fail_after = next((word.fail_after for word in words if word.fail_after is not None), Threshold())
    recover_after = next((word.recover_after for word in words if word.recover_after is not None), 1)
    shortest = min((rule.seconds for rule in every if isinstance(rule, Every)), default=retry)
    return Pace(
        every=when.in_zone(every, zone),
        timeout_seconds=timeout,
        retry_seconds=min(retry, shortest),  # a retry is never slower than the next look
        fail_after=fail_after,
        recover_after=recover_after,
    )


def hosts_of(scene: Scene, header: Header, pattern: str | None, place: Place, wrong: list[Fault]) -> Hosts:
    """The hosts of an item; empty, with a fault, when its pattern is of no use."""
    inherited = pattern is None
    pattern = header.hosts if pattern is None else pattern
    if pattern is None:
        wrong.append(place.fault("'hosts' is missing: say it here, or at the top of the file", at_key=True))
        return ()
    if pattern == NO_HOST:
        return (None,)
    at = Place(file=place.file, path=("hosts",)) if inherited else place / "hosts"
    return resolved(scene.snapshot, pattern, at, wrong)


def resolved(snapshot: Snapshot, pattern: str, place: Place, wrong: list[Fault]) -> tuple[str, ...]:
    """The hosts that a pattern means."""
    if pattern in snapshot.problems:
        wrong.append(place.fault(f"hosts {wording.quoted(pattern)}: {snapshot.problems[pattern]}"))
    return snapshot.patterns.get(pattern, ())


def patterns(documents: Mapping[str, Document]) -> Iterator[str]:
    """Every host pattern that any document uses."""
    for document in documents.values():
        if document.header is None:
            continue
        items: list[str | None] = [document.header.hosts]
        items += [entry.spec.hosts for entry in document.checks.values() if entry is not None]
        items += [remedy.hosts for remedy in document.remedies.values() if remedy is not None]
        items += [entry.spec.hosts for entry in document.backups.values() if entry is not None]
        items += [window.hosts for window in document.windows.values() if window is not None]
        recoveries = [recovery for recovery in document.recoveries.values() if recovery is not None]
        items += [recovery.hosts for recovery in recoveries]
        items += [recovery.rehearse.on for recovery in recoveries if recovery.rehearse is not None]
        yield from (pattern for pattern in items if pattern is not None and pattern != NO_HOST)


def enabled_checks(document: Document) -> Iterator[tuple[str, CheckEntry]]:
    """The checks of a document that are sound and switched on."""
    for key, entry in document.checks.items():
        if entry is not None and entry.spec.enabled:
            yield key, entry

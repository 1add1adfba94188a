"""References from item to item: `section/name`, `service/section/name`, each with or without `@host`."""

import dataclasses
from collections.abc import Iterator, Mapping

from agent.model.check import NO_HOST, key_of
from agent.policy import wording
from agent.policy.catalogue import Place
from agent.policy.faults import Fault
from agent.policy.reading import Document
from agent.policy.scene import Hosts, Pace


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """Which checks and remedies exist, where they stand, and how fast the checks are. Ids are `service/section/name`."""

    documents: Mapping[str, Document]
    is_open: bool
    checks: Mapping[str, Hosts]
    remedies: Mapping[str, Hosts]
    paces: Mapping[str, Pace]


def check_keys(register: Register, text: str, service: str, host: str | None, place: Place) -> tuple[str, ...] | Fault:
    """The keys that a reference to a check means, seen from a host; empty when the check is switched off or broken.

    Without `@host` it is the same host where the check has it, else all hosts of that check.
    """
    named, at, wanted = text.partition("@")
    item = _item(register, named, service, "checks", place)
    if isinstance(item, Fault):
        return item
    hosts = register.checks.get(item, ())
    if not hosts:
        return ()
    if at:
        target = None if wanted == NO_HOST else wanted
        if target not in hosts:
            known = [str(one or NO_HOST) for one in hosts]
            return place.fault(f"{wording.quoted(text)}: {wording.unknown('host of that check', wanted, known)}")
        return (key_of(item, target),)
    if host in hosts:
        return (key_of(item, host),)
    return tuple(key_of(item, one) for one in hosts)


def remedy_item(register: Register, text: str, service: str, place: Place) -> str | Fault:
    """The id of the remedy that a check names."""
    named = text if "/" in text else f"remedies/{text}"
    return _item(register, named, service, "remedies", place)


def _item(register: Register, text: str, service: str, section: str, place: Place) -> str | Fault:
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        form = f"{section}/name or service/{section}/name"
        return place.fault(f"{wording.quoted(text)} is not a reference: write it like {form}")
    owner = parts[0] if len(parts) == 3 else service
    if parts[-2] != section:
        return place.fault(f"{wording.quoted(text)}: one of {section} is due here, not of {parts[-2]}")
    document = register.documents.get(owner)
    if document is None:
        fault = place.fault(wording.unknown("service", owner, register.documents))
        return f"{owner}/{section}/{parts[-1]}" if register.is_open else fault
    names = document.checks if section == "checks" else document.remedies
    if parts[-1] not in names and document.whole:
        what = ("check" if section == "checks" else "remedy") + ("" if owner == service else f" of {owner}")
        return place.fault(wording.unknown(what, parts[-1], names))
    return f"{owner}/{section}/{parts[-1]}"


def circles(needs: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Every circle found on one walk over the whole graph, each as the keys along it, first one repeated at its end."""
    done: set[str] = set()
    for start in needs:
        if start not in done:
            yield from _walk(start, needs, done)


def _walk(start: str, needs: Mapping[str, tuple[str, ...]], done: set[str]) -> Iterator[tuple[str, ...]]:
    """Depth first, without recursion: a chain of needs may be as long as the fleet."""
    trail: dict[str, Iterator[str]] = {start: iter(needs.get(start, ()))}
    while trail:
        key = next(reversed(trail))
        parent = next(trail[key], None)
        if parent is None:
            done.add(key)
            del trail[key]
        elif parent in trail:
            along = list(trail)
            yield (*along[along.index(parent) :], parent)
        elif parent not in done:
            trail[parent] = iter(needs.get(parent, ()))

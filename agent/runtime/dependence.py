"""What services depend on: an incident is told which others are open there, for perhaps that is the reason."""

from collections.abc import Iterator, Mapping, Sequence

from agent.model.incident import Incident
from agent.model.service import Service
from agent.store import incidents
from agent.store.tx import Reader

NAMED = 3  # incidents in one line; the rest is a number


def lines(reader: Reader, opened: Incident, services: Mapping[str, Service]) -> Iterator[tuple[Incident, str]]:
    """What is to be said to whom: to the one that was just opened, and to open ones that may follow from it."""
    own = services.get(opened.service)
    for name in own.depends_on if own is not None else ():
        found = incidents.open_of_service(reader, name)
        if found:
            yield opened, f"{opened.service} depends on {name}, where {_named(found)}"
    for other in services.values():
        if opened.service in other.depends_on:
            for one in incidents.open_of_service(reader, other.name):
                yield one, f"{other.name} depends on {opened.service}, where {_named([opened])}"


def _named(found: Sequence[Incident]) -> str:
    told = "; ".join(f"{one.number} is open: {one.title}" for one in found[:NAMED])
    return f"{told}; and {len(found) - NAMED} more" if len(found) > NAMED else told

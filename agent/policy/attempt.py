"""One attempt to put a set of files into force: inventory asked, everything expanded, every problem with its place."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from agent.errors import InventoryError
from agent.inventory import Snapshot
from agent.model.check import NO_HOST
from agent.model.config import Config
from agent.model.policy import PolicySet, Problem
from agent.policy import expand, faults
from agent.policy.catalogue import Catalogue, Place
from agent.policy.faults import Fault
from agent.policy.reading import Document
from agent.policy.scene import Scene, patterns
from agent.policy.settings import Settings

Ask = Callable[[Config, frozenset[str]], Snapshot]  # what the inventory says, and what these patterns mean in it


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """Files that may come into force together. Documents with problems only take part in looking for more of them."""

    settings: Settings
    data: bytes
    documents: Mapping[str, Document]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A policy set, or what is wrong between the files; `problems` does not repeat those inside one file."""

    policies: PolicySet | None
    problems: tuple[Problem, ...]


class Session:
    """The attempts of one load; the inventory is asked again only for patterns that nobody has asked for yet."""

    def __init__(self, known: Catalogue, ask: Ask) -> None:
        self._known = known
        self._ask = ask
        self._answers: list[tuple[Path, frozenset[str], Snapshot]] = []

    def attempt(self, candidate: Candidate) -> Attempt:
        """Expand a candidate; its policies are None as long as anything is wrong."""
        config = candidate.settings.config
        by_service, twice = _by_service(candidate.documents.values())
        try:
            snapshot = self._snapshot(candidate, by_service)
        except InventoryError as error:
            return Attempt(policies=None, problems=_unlisted(candidate, error))
        scene = Scene(
            config=config,
            defaults=candidate.settings.defaults,
            snapshot=snapshot,
            known=self._known,
            documents=by_service,
            is_open=any(one.service is None for one in candidate.documents.values()),
        )
        expansion = expand.expand(scene, candidate.settings.windows, config.path.name)
        problems = _located(candidate, (*twice, *expansion.faults))
        if problems or any(one.problems for one in candidate.documents.values()):
            return Attempt(policies=None, problems=problems)
        sources = {config.path.name: candidate.data} | {one.file: one.data for one in candidate.documents.values()}
        return Attempt(policies=expand.policy_set(scene, expansion, sources), problems=())

    def _snapshot(self, candidate: Candidate, by_service: Mapping[str, Document]) -> Snapshot:
        config = candidate.settings.config
        spans = (window.hosts for window in candidate.settings.windows.values())
        wanted = frozenset(patterns(by_service)) | {hosts for hosts in spans if hosts is not None and hosts != NO_HOST}
        for path, asked, answer in self._answers:
            if path == config.inventory and wanted <= asked:
                return answer
        answer = self._ask(config, wanted)
        self._answers.append((config.inventory, wanted, answer))
        return answer


def _by_service(documents: Iterable[Document]) -> tuple[dict[str, Document], list[Fault]]:
    found: dict[str, Document] = {}
    twice: list[Fault] = []
    for document in documents:
        if document.service is None:
            continue
        if document.service in found:
            place = Place(file=document.file, path=("service",))
            twice.append(place.fault(f"service {document.service!r} is already in {found[document.service].file}"))
        else:
            found[document.service] = document
    return found, twice


def _unlisted(candidate: Candidate, error: InventoryError) -> tuple[Problem, ...]:
    place = Place(file=candidate.settings.config.path.name, path=("inventory",))
    message = f"{error}; {error.hint}" if error.hint else str(error)
    return _located(candidate, (place.fault(message),))


def _located(candidate: Candidate, found: Iterable[Fault]) -> tuple[Problem, ...]:
    per_file: dict[str, list[Fault]] = {}
    for fault in found:
        per_file.setdefault(fault.file, []).append(fault)
    problems: list[Problem] = []
    for file, its in per_file.items():
        data = candidate.documents[file].data if file in candidate.documents else candidate.data
        problems += faults.located(its, data)
    return faults.ordered(problems)

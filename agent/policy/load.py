"""Loads the whole configuration: every error of every file at once, and the last good version of what is broken.

Read it from `load` down. A file that cannot be used is replaced by its last good version where there is one; the mixed
set is then validated as a whole, as any other.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from agent.errors import PolicyError
from agent.model.config import Config
from agent.model.policy import PolicySet, Problem
from agent.policy import faults, files, source
from agent.policy.attempt import Ask, Attempt, Candidate, Session
from agent.policy.catalogue import Catalogue
from agent.policy.reading import Document, document
from agent.policy.remembered import Remembered
from agent.policy.schema_config import ConfigSpec
from agent.policy.settings import Settings, settings

__all__ = ["Ask", "Catalogue", "Loaded", "config_kept", "config_of", "load", "load_kept", "state_of"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What a load gave. `policies` is None when nothing can be in force; with problems it is a mixed set."""

    policies: PolicySet | None
    problems: tuple[Problem, ...]


def load(
    config_path: Path,
    *,
    catalogue: Catalogue,
    inventory: Ask,
    inventory_kept: Ask | None = None,
    last_good: Mapping[str, bytes] | None = None,
    remembered: Remembered | None = None,
) -> Loaded:
    """The policies in force by the files as they are now, and every problem in them.

    `last_good` are the sources of the set that was last in force (`PolicySet.sources`), `inventory_kept` tells what the
    inventory said last; who loads again and again hands in what is `remembered` of the files.
    """
    path = Path(os.path.normpath(config_path.absolute()))
    session = Session(catalogue, inventory)
    kept = _Kept(path, catalogue, last_good or {})
    data = files.content(path)
    now, problems = _settings(path, data, catalogue)
    folder = now.config.policies if now is not None else _folder(path, data)
    documents, unlisted = _documents(folder, path, remembered or Remembered(catalogue))
    problems += [*unlisted, *(problem for one in documents.values() for problem in one.problems)]
    if now is not None and isinstance(data, bytes):
        attempt = session.attempt(Candidate(settings=now, data=data, documents=documents))
        problems += attempt.problems
        if not problems:
            return Loaded(policies=attempt.policies, problems=())
    policies = _mixed(session, kept, (now, data), documents) if last_good else None
    if policies is None and last_good and inventory_kept is not None:
        policies = _mixed(Session(catalogue, inventory_kept), kept, (now, data), documents)
    return Loaded(policies=policies, problems=faults.ordered(problems))


def _settings(path: Path, data: bytes | str, known: Catalogue) -> tuple[Settings | None, list[Problem]]:
    if isinstance(data, str):
        return None, [Problem(file=path.name, line=0, column=0, message=data)]
    found, problems = settings(path, path.name, data, known)
    return found, list(problems)


def _folder(path: Path, data: bytes | str) -> Path:
    """Where the policies are by a configuration that is broken elsewhere: their errors are told all the same."""
    root = source.read(data).root if isinstance(data, bytes) else None
    named = root.get("policies") if isinstance(root, dict) else None
    return path.parent / (named if isinstance(named, str) and named else "policies")


def _documents(folder: Path, config: Path, remembered: Remembered) -> tuple[dict[str, Document], list[Problem]]:
    if not folder.is_dir():
        message = f"the policies folder {files.relative(folder, config.parent)} does not exist"
        return {}, [Problem(file=config.name, line=0, column=0, message=message)]
    found = {}
    for path in files.policy_files(folder):
        name = files.relative(path, config.parent)
        data = files.content(path)
        if isinstance(data, bytes):
            found[name] = remembered.document(name, data)
        else:
            problem = Problem(file=name, line=0, column=0, message=data)
            found[name] = Document(file=name, data=b"", problems=(problem,), whole=False)
    remembered.forget_others(found)
    return found, []


class _Kept:
    """The last good version of each file, parsed when it is asked for."""

    def __init__(self, path: Path, known: Catalogue, sources: Mapping[str, bytes]) -> None:
        self._path = path
        self._known = known
        self._sources = sources

    def settings(self) -> tuple[Settings | None, bytes]:
        """The last good configuration, None when there is none."""
        data = self._sources.get(self._path.name, b"")
        return settings(self._path, self._path.name, data, self._known)[0], data

    def document(self, file: str) -> Document | None:
        """The last good version of a policy file, None when there is none that still loads."""
        if file not in self._sources or file == self._path.name:
            return None
        found = document(file, self._sources[file], self._known)
        return None if found.problems else found

    def documents(self) -> dict[str, Document]:
        """All of them."""
        found = {file: self.document(file) for file in self._sources}
        return {file: one for file, one in found.items() if one is not None}


def _mixed(
    session: Session, kept: _Kept, config: tuple[Settings | None, bytes | str], documents: Mapping[str, Document]
) -> PolicySet | None:
    """What is sound now, and the last good version of the rest; at worst the whole set that was last good."""
    now, data = config
    if now is None or isinstance(data, str):
        now, data = kept.settings()
    if now is None:
        return None
    sound = {file: kept.document(file) if one.problems else one for file, one in documents.items()}
    candidate = Candidate(
        settings=now, data=data, documents={file: one for file, one in sound.items() if one is not None}
    )
    for _ in range(len(documents) + 1):  # each round takes at least one file back
        attempt = session.attempt(candidate)
        if attempt.policies is not None:
            return attempt.policies
        back = _taken_back(candidate, attempt, kept)
        if back is None:
            break
        candidate = back
    return _whole(session, kept)


def _whole(session: Session, kept: _Kept) -> PolicySet | None:
    old, data = kept.settings()
    if old is None:
        return None
    return session.attempt(Candidate(settings=old, data=data, documents=kept.documents())).policies


def load_kept(config_path: Path, *, catalogue: Catalogue, inventory: Ask, sources: Mapping[str, bytes]) -> Loaded:
    """The set that was last in force, whatever the files say now; None when it no longer loads."""
    path = Path(os.path.normpath(config_path.absolute()))
    kept = _Kept(path, catalogue, sources)
    return Loaded(policies=_whole(Session(catalogue, inventory), kept), problems=())


def config_of(config_path: Path, catalogue: Catalogue) -> Config:
    """The agent's own configuration alone; PolicyError with all that is wrong in it."""
    path = Path(os.path.normpath(config_path.absolute()))
    found, problems = _settings(path, files.content(path), catalogue)
    if found is None:
        raise PolicyError("\n".join(map(str, problems)), hint="mend it, then: watchkeeper validate")
    return found.config


def config_kept(config_path: Path, *, catalogue: Catalogue, sources: Mapping[str, bytes]) -> Config | None:
    """The agent's own configuration as it was in force last; None when it no longer loads."""
    path = Path(os.path.normpath(config_path.absolute()))
    found, _ = _Kept(path, catalogue, sources).settings()
    return None if found is None else found.config


def state_of(config_path: Path) -> Path | None:
    """Where the state is by a configuration that is broken elsewhere; None when nobody can say."""
    path = Path(os.path.normpath(config_path.absolute()))
    data = files.content(path)
    if isinstance(data, str):
        return None
    tree = source.read(data)
    seen = tree.root if isinstance(tree.root, dict) else tree.partial
    named = seen.get("state") if isinstance(seen, dict) else None
    if isinstance(named, str) and named:
        return path.parent / named
    return None if b"state" in data else path.parent / ConfigSpec.model_fields["state"].default


def _taken_back(candidate: Candidate, attempt: Attempt, kept: _Kept) -> Candidate | None:
    """The candidate with the blamed files as they last were; None when that changes nothing."""
    documents = dict(candidate.documents)
    for file in {problem.file for problem in attempt.problems} & set(documents):
        old = kept.document(file)
        if old is None:
            del documents[file]
        elif old.data != documents[file].data:
            documents[file] = old
    if documents == candidate.documents:
        return None
    return dataclasses.replace(candidate, documents=documents)

"""The risk that a playbook's own modules give it, whatever was declared: a reboot is disruptive, formatting is final."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from agent.actions.play_tree import locate
from agent.model.remedy import Risk

DANGEROUS: Mapping[str, Risk] = MappingProxyType(
    {
        "reboot": Risk.DISRUPTIVE,
        "shutdown": Risk.DISRUPTIVE,
        "parted": Risk.IRREVERSIBLE,
        "filesystem": Risk.IRREVERSIBLE,
        "lvg": Risk.IRREVERSIBLE,
        "lvol": Risk.IRREVERSIBLE,
        "zfs": Risk.IRREVERSIBLE,
        "crypttab": Risk.DISRUPTIVE,
        "luks_device": Risk.IRREVERSIBLE,
    }
)
REMOVERS = frozenset({"user", "group", "mysql_db", "postgresql_db", "mysql_user", "postgresql_user"})
_INCLUDES = ("import_tasks", "include_tasks", "import_playbook")
_MOST_FILES = 200  # a playbook with more is judged by its first ones


class _Reader(yaml.CSafeLoader):
    """Reads playbooks for their shape alone: tags such as `!vault` are passed over."""


_Reader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def raised_risk(playbooks: Path, name: str) -> tuple[Risk, str] | None:
    """The highest risk among the playbook's modules, and which one has it; None when none is known as dangerous."""
    worst: tuple[Risk, str] | None = None
    for module, arguments in _modules(locate(playbooks, name), playbooks, set()):
        risk = _risk(module.rpartition(".")[2], arguments)
        if risk is not None and (worst is None or risk > worst[0]):
            worst = (risk, module)
    return worst


def _risk(module: str, arguments: Any) -> Risk | None:
    if module in REMOVERS and isinstance(arguments, Mapping) and arguments.get("state") == "absent":
        return Risk.IRREVERSIBLE
    return DANGEROUS.get(module)


def _modules(path: Path, playbooks: Path, seen: set[Path]) -> Iterator[tuple[str, Any]]:
    if path in seen or len(seen) >= _MOST_FILES or not path.is_file():
        return
    seen.add(path)
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Reader)  # noqa: S506  a safe loader without tags
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return  # Ansible will say what is wrong with it
    for task in _mappings(document):
        yield from ((str(key), value) for key, value in task.items())
        for include in _INCLUDES:
            named = task.get(include) or task.get(f"ansible.builtin.{include}")
            if isinstance(named, str):
                yield from _modules(path.parent / named, playbooks, seen)
        yield from _roles(task.get("roles"), playbooks, seen)


def _roles(roles: Any, playbooks: Path, seen: set[Path]) -> Iterator[tuple[str, Any]]:
    for role in roles if isinstance(roles, list) else ():
        name = role.get("role", role.get("name")) if isinstance(role, Mapping) else role
        for file in sorted((playbooks / "roles" / str(name) / "tasks").glob("*.y*ml")):
            yield from _modules(file, playbooks, seen)


def _mappings(document: Any) -> Iterator[Mapping[Any, Any]]:
    if isinstance(document, Mapping):
        yield document
        for value in document.values():
            yield from _mappings(value)
    elif isinstance(document, list):
        for value in document:
            yield from _mappings(value)

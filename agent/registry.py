"""Names in YAML ↔ classes: a decorator stamps a class, a scan of its package finds it. There is no list to edit."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar

from agent.errors import AgentError, PolicyError

_STAMP = "__registered_as__"
Class = TypeVar("Class", bound=type)


def stamp(family: str, name: str) -> Callable[[Class], Class]:
    """A decorator that marks a class as member `name` of a family; it registers nothing anywhere."""

    def mark(cls: Class) -> Class:
        setattr(cls, _STAMP, (family, name))
        return cls

    return mark


class _Later:
    """An attribute of a class that is loaded when somebody looks at it."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __get__(self, _: object, owner: type) -> Any:
        return getattr(importlib.import_module(self._module), self._name)


def later(module: str, name: str) -> Any:
    """An attribute for a plug-in's class whose module is loaded only when it is looked at."""
    return _Later(module, name)


def scan(package: ModuleType, family: str) -> Mapping[str, type]:
    """All stamped classes of a package's modules, by name; two with one name refuse to start."""
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        loaded = importlib.import_module(module.name)
        for member in vars(loaded).values():
            stamped = member.__dict__.get(_STAMP) if isinstance(member, type) else None
            if stamped is None or stamped[0] != family or member.__module__ != loaded.__name__:
                continue
            name = stamped[1]
            if name in found:
                raise AgentError(f"two {family} plug-ins are called {name!r}: {found[name]} and {member}")
            found[name] = member
    return MappingProxyType(dict(sorted(found.items())))


def one(package: ModuleType, family: str, what: str, name: str) -> type:
    """The class of that name, out of the module of that name: no other is loaded, unless that one does not have it."""
    if name.isidentifier() and f"{package.__name__}.{name}" in _modules(package):
        for member in vars(importlib.import_module(f"{package.__name__}.{name}")).values():
            if isinstance(member, type) and member.__dict__.get(_STAMP) == (family, name):
                return member
    return named(scan(package, family), what, name)


def _modules(package: ModuleType) -> set[str]:
    return {module.name for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")}


def named(family: Mapping[str, type], what: str, name: str) -> type:
    """The class of that name, or an error that lists the known ones."""
    if name not in family:
        raise PolicyError(f"unknown {what} {name!r}", hint=f"known: {', '.join(family)}")
    return family[name]

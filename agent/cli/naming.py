"""Short names for typing: `web`, `checks/web`, `shop/web` or `shop/checks/web`, each with or without `@host`."""

import difflib
from collections.abc import Iterable

from agent.errors import InputError
from agent.model.check import host_of, item_of


def matching(keys: Iterable[str], text: str, what: str, *, host: str | None = None, see: str = "") -> list[str]:
    """The keys that a person means: those of one item, on all hosts or on the one that was named.

    `see` says what there is, where no list of that is to be had.
    """
    all_keys = sorted(keys)
    name, _, after = text.partition("@")
    wanted = host or after or None
    items = {item for item in map(item_of, all_keys) if _means(name, item)}
    if name in items:
        items = {name}
    if not items:
        near = difflib.get_close_matches(name, _names(map(item_of, all_keys), name.count("/")), n=1)
        suggestion = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"there is no {what} {name!r}", hint=suggestion + (see or f"see: watchkeeper {what} list"))
    if len(items) > 1:
        raise InputError(f"{name!r} may mean {' or '.join(sorted(items))}", hint="write it in full")
    found = [key for key in all_keys if item_of(key) in items and wanted in (None, host_of(key) or "none")]
    if not found:
        hosts = ", ".join(host_of(key) or "none" for key in all_keys if item_of(key) in items)
        raise InputError(f"{items.pop()} is not on {wanted}", hint=f"it is on: {hosts}")
    return found


def one(keys: Iterable[str], text: str, what: str, *, host: str | None = None) -> str:
    """The one key that a person means."""
    found = matching(keys, text, what, host=host)
    if len(found) > 1:
        raise InputError(f"{text!r} is on several hosts: {', '.join(found)}", hint="add @HOST")
    return found[0]


def known(name: str | None, names: Iterable[str], what: str) -> None:
    """InputError when a name was given that nothing has: an empty list would look like good news."""
    there = sorted(names)
    if name is None or name in there:
        return
    near = difflib.get_close_matches(name, there, n=1)
    hint = (
        f"did you mean {near[0]!r}?"
        if near
        else f"there are: {', '.join(there[:12])}{', …' if len(there) > 12 else ''}"
    )
    raise InputError(f"there is no {what} {name!r} in the policies", hint=hint)


def _names(items: Iterable[str], slashes: int) -> set[str]:
    """What items may be called, with so many slashes."""
    found = set()
    for item in items:
        service, section, name = item.split("/", 2)
        found |= {name} if not slashes else {item} if slashes > 1 else {f"{service}/{name}", f"{section}/{name}"}
    return found


def _means(text: str, item: str) -> bool:
    service, section, name = item.split("/", 2)
    return text in {item, name, f"{section}/{name}", f"{service}/{name}"}

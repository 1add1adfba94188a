"""The one file that imports Ansible's inventory code; run as a program, it answers one question by JSON and ends.

Question on stdin: {"source": path, "patterns": [text]}. Answer on stdout: {"hosts": {name: {"groups", "variables"}},
"patterns": {pattern: [name]}, "faults": {pattern: why}, "groups": [name]} or {"error": text}. A template in a variable is rendered by
Ansible itself; one that cannot be (it needs facts) or that would look something up is left out, and so are values
from a vault and the passwords of connections: nobody here needs them.
"""

import gc
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

# GPL: Ansible is imported in this process alone, never in the agent's own.
from ansible.errors import AnsibleError  # type: ignore[import-untyped]  # it ships no types
from ansible.inventory.manager import InventoryManager  # type: ignore[import-untyped]  # it ships no types
from ansible.parsing.dataloader import DataLoader  # type: ignore[import-untyped]  # it ships no types
from ansible.template import Templar  # type: ignore[import-untyped]  # it ships no types
from ansible.vars.manager import VariableManager  # type: ignore[import-untyped]  # it ships no types

_MAGIC = {
    "ansible_config_file", "ansible_facts", "ansible_playbook_python", "ansible_version", "environment", "groups", "hostvars",
    "inventory_dir", "inventory_file", "omit", "playbook_dir", "vars",
}  # fmt: skip
_PASSWORDS = ("ansible_password", "ansible_ssh_pass", "ansible_become_pass", "ansible_sudo_pass", "ansible_su_pass")
_LOOKUPS = ("lookup(", "query(", "q(")


class _Unknown(Exception):  # noqa: N818  # not an error: a value that is left out
    """A value that cannot be told."""


def _plain(value: Any, templar: Templar) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value.real
    if isinstance(value, str):
        return _rendered(value, templar) if "{{" in value or "{%" in value else str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(inner, templar) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, templar) for inner in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise _Unknown


def _rendered(text: str, templar: Templar) -> Any:
    if any(word in text for word in _LOOKUPS):
        raise _Unknown
    try:
        value = templar.template(text)
    except AnsibleError:
        raise _Unknown from None
    return json.loads(json.dumps(value, default=str))


def _variables(raw: Mapping[str, Any], loader: DataLoader) -> dict[str, Any]:
    templar = Templar(loader=loader, variables=raw)
    told = {}
    for name, value in raw.items():
        if name in _MAGIC or name.startswith(_PASSWORDS):
            continue
        try:
            told[str(name)] = _plain(value, templar)
        except _Unknown:
            continue
    return told


def answer(source: str, patterns: list[str]) -> dict[str, Any]:
    """Hosts with their variables, and what each pattern means."""
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[source])
    variables = VariableManager(loader=loader, inventory=inventory)
    hosts = {}
    for host in inventory.get_hosts("all"):
        raw = variables.get_vars(host=host, include_hostvars=False)
        groups = sorted(group.name for group in host.get_groups() if group.name != "all")
        hosts[str(host.name)] = {"groups": groups, "variables": _variables(raw, loader)}
    resolved: dict[str, list[str]] = {}
    faults: dict[str, str] = {}
    for pattern in patterns:
        try:
            names = [str(host.name) for host in inventory.get_hosts(pattern)]
        except AnsibleError as error:
            faults[pattern] = str(error)
            continue
        except (ValueError, LookupError, TypeError, RecursionError):  # `!`, `[0` and the like: not checked over there
            faults[pattern] = "is not a host pattern"
            continue
        resolved[pattern] = [name for name in names if name in hosts]
        if len(resolved[pattern]) != len(names):
            faults[pattern] = "means this machine itself, which the inventory does not list: add localhost to it"
    return {"hosts": hosts, "patterns": resolved, "faults": faults, "groups": sorted(inventory.groups)}


def main() -> None:
    """Answer the question on stdin; whatever Ansible prints goes to stderr."""
    gc.disable()  # a short life: collecting would be a fifth of it
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    question = json.load(sys.stdin)
    try:
        told: dict[str, Any] = answer(question["source"], question["patterns"])
    except AnsibleError as error:
        told = {"error": str(error)}
    json.dump(told, out)
    out.flush()


if __name__ == "__main__":
    main()

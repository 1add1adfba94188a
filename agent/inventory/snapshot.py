"""One reading of the inventory, as values: hosts, what each pattern means, and what is wrong with a pattern."""

import dataclasses
import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agent.inventory import jumps
from agent.model.check import NO_HOST
from agent.model.host import Connection, Host

_ADDRESSABLE = re.compile(r"[^\s@#/]+\Z")  # the other characters separate the parts of a fact's name
_CONNECTIONS = {
    "local": Connection.LOCAL,
    "ssh": Connection.SSH,
    "smart": Connection.SSH,
    "paramiko": Connection.SSH,
    "paramiko_ssh": Connection.SSH,
    "network_cli": Connection.NETWORK_CLI,
}
_NO_MATCH = re.compile(r"Could not match supplied host pattern, ignoring: (.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What the inventory said. A pattern stands either in `patterns` (at least one host) or in `problems` (why not)."""

    hosts: Mapping[str, Host]
    patterns: Mapping[str, tuple[str, ...]]
    digest: str
    problems: Mapping[str, str] = dataclasses.field(default_factory=dict)


class _RefusedHostError(ValueError):
    """A host that the agent cannot use, and why."""


def of_answer(answer: Mapping[str, Any], patterns: frozenset[str], home: Path) -> Snapshot:
    """The child's answer as values. A host that cannot be used spoils only the patterns that mean it."""
    hosts: dict[str, Host] = {}
    refused: dict[str, str] = {}
    for name, told in answer["hosts"].items():
        try:
            hosts[name] = _host(name, told["groups"], told["variables"], home)
        except _RefusedHostError as error:
            refused[name] = str(error)
    hosts, astray = _with_jumps(hosts)
    refused |= astray
    known = [*answer["groups"], *answer["hosts"]]
    resolved: dict[str, tuple[str, ...]] = {}
    problems: dict[str, str] = {}
    for pattern in sorted(patterns):
        names = tuple(answer["patterns"].get(pattern, ()))
        bad = next((name for name in names if name in refused), None)
        if not any(letter.isalnum() or letter == "*" for letter in pattern):
            problems[pattern] = "is not a host pattern"  # Ansible takes `,` and the like for all hosts
        elif pattern in answer["faults"]:
            problems[pattern] = _fault(answer["faults"][pattern], known)
        elif bad is not None:
            problems[pattern] = f"means host {bad!r}: {refused[bad]}"
        elif not names:
            problems[pattern] = "matches no host of the inventory"
        else:
            resolved[pattern] = names
    text = json.dumps([answer["hosts"], answer["patterns"]], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Snapshot(hosts=hosts, patterns=resolved, digest=digest, problems=problems)


def _fault(message: str, known: list[str]) -> str:
    match = _NO_MATCH.match(message)
    if match is None:
        return message
    word = match[1].lstrip("!&")
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.66 if len(word) <= 3 else 0.7)
    return f"matches nothing: the inventory has no host or group {word!r}" + (
        f"; did you mean {near[0]!r}?" if near else ""
    )


def _host(name: str, groups: list[str], variables: dict[str, Any], home: Path) -> Host:
    if name == NO_HOST or _ADDRESSABLE.match(name) is None:
        raise _RefusedHostError(
            "this name cannot be addressed; give the host another one, and its address as ansible_host"
        )
    address = str(_first(variables, "ansible_host", "ansible_ssh_host") or name)
    if any(letter.isspace() or not letter.isprintable() for letter in address) or address.startswith("-"):
        raise _RefusedHostError(f"its ansible_host {address!r} is not an address")
    key_file = _first(variables, "ansible_ssh_private_key_file", "ansible_private_key_file")
    user = _first(variables, "ansible_user", "ansible_ssh_user")
    return Host(
        name=name,
        address=address,
        connection=_connection(variables),
        groups=tuple(groups),
        port=_port(variables),
        user=None if user is None else str(user),
        key_file=None if key_file is None else str(home / Path(str(key_file)).expanduser()),
        become=_truth(variables.get("ansible_become")),
        variables=MappingProxyType({"ansible_host": address, "inventory_hostname": name} | variables),
    )


def _with_jumps(hosts: Mapping[str, Host]) -> tuple[dict[str, Host], dict[str, str]]:
    """The hosts with the way to each; and those to which the way cannot be told, and why."""
    table, refused = jumps.Table(hosts), dict[str, str]()
    found: dict[str, Host] = {}
    for name, host in hosts.items():
        try:
            way = table.way_to(host)
        except jumps.NoWayError as error:
            refused[name] = str(error)
            continue
        found[name] = dataclasses.replace(host, jumps=way) if way else host
    return found, refused


def _first(variables: Mapping[str, Any], *names: str) -> Any:
    return next((variables[name] for name in names if variables.get(name) not in (None, "")), None)


def _connection(variables: Mapping[str, Any]) -> Connection:
    named = str(_first(variables, "ansible_connection") or "ssh")
    connection = _CONNECTIONS.get(named.rpartition(".")[2])
    if connection is None:
        raise _RefusedHostError(f"its ansible_connection {named!r} is not known here (known: local, ssh, network_cli)")
    return connection


def _port(variables: Mapping[str, Any]) -> int:
    given = _first(variables, "ansible_port", "ansible_ssh_port")
    if given is None:
        return 22
    text = str(given)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 65535:
        raise _RefusedHostError(f"its ansible_port {text!r} is not a port")
    return int(text)


def _truth(value: object) -> bool:
    return str(value).lower() in {"true", "yes", "on", "1", "y", "t"}  # what Ansible takes for true

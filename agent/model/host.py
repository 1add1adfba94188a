"""A host as the inventory describes it."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any


class Connection(enum.StrEnum):
    """How a host is reached (`ansible_connection`)."""

    LOCAL = "local"
    SSH = "ssh"
    NETWORK_CLI = "network_cli"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """One host: name, address and login as Ansible would use them, its groups and its variables (plain JSON values).

    `jumps` are the hosts on the way to it, the first is the one that is dialled; as a hop, a host has none of its own.
    """

    name: str
    address: str
    connection: Connection
    groups: tuple[str, ...] = ()
    port: int = 22
    user: str | None = None
    key_file: str | None = None
    become: bool = False
    jumps: tuple["Host", ...] = ()
    variables: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    # `repr` leaves the variables out: an inventory may hold passwords

    @property
    def is_remote(self) -> bool:
        """Whether it is reached over a transport, and may be out of reach."""
        return self.connection is not Connection.LOCAL

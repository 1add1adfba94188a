"""Says to OpenSSH's programs what our own SSH keeps to: pinned host keys only, the way through the jump hosts, the login."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.model.host import Connection, Host

CONFIG = "ssh_config"
_QUIET = ("BatchMode=yes", "ForwardAgent=no", "ForwardX11=no", "PermitLocalCommand=no", "RequestTTY=no",
          "ConnectTimeout=20")  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """Where a machine is and who goes in there; None leaves it to the user's own ssh_config. `become`: root by sudo."""

    name: str
    address: str
    port: int = 22
    user: str | None = None
    key_file: str | None = None
    become: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """How to reach a host by `ssh`: through `hops`, the first of which is dialled, trusting the keys in `known_hosts`."""

    host: Login
    known_hosts: str
    hops: tuple[Login, ...] = ()


def route(host: Host, pins: Path) -> Route | None:
    """The route to a host of the inventory; None when it is this machine."""
    if host.connection is Connection.LOCAL:
        return None
    return Route(host=_login(host), known_hosts=str(pins.absolute()), hops=tuple(map(_login, host.jumps)))


def _login(host: Host) -> Login:
    return Login(
        name=host.name, address=host.address, port=host.port, user=host.user, key_file=host.key_file, become=host.become
    )


def command(way: Route, folder: Path, *, lent: tuple[int, int] | None = None) -> tuple[str, ...]:
    """The beginning of a command line, `ssh … ADDRESS`; what is to run there goes behind it.

    Its configuration is written into `folder`, which must be there and ours alone. `lent`: a port of the host's loopback
    that leads to one of ours for as long as it runs; when it cannot be had, ssh ends.
    """
    config = folder / CONFIG
    config.write_text(config_text(way.known_hosts, [dataclasses.asdict(hop) for hop in way.hops]), encoding="utf-8")
    return ("ssh", *arguments(way, config, lent=lent), "--", way.host.address)


def arguments(way: Route, config: Path, *, lent: tuple[int, int] | None = None) -> tuple[str, ...]:
    """The options of `ssh` for this way, for programs that start it themselves (rsync's `-e`)."""
    there = way.host
    options = [option for text in _QUIET for option in ("-o", text)]
    if lent is None:
        options += ["-o", "ClearAllForwardings=yes"]
    else:
        options += ["-o", "ExitOnForwardFailure=yes", "-R", f"127.0.0.1:{lent[0]}:127.0.0.1:{lent[1]}"]
    login = ["-p", str(there.port), *(("-l", there.user) if there.user else ()),
             *(("-i", there.key_file, "-o", "IdentitiesOnly=yes") if there.key_file else ())]  # fmt: skip
    jumps = ("-J", ",".join(map(_hop, way.hops))) if way.hops else ()
    return ("-F", str(config), "-T", *options, *login, *jumps)


def _hop(hop: Login) -> str:
    name = f"[{hop.name}]" if ":" in hop.name else hop.name
    return f"{hop.user}@{name}:{hop.port}" if hop.user else f"{name}:{hop.port}"


def trusting(known_hosts: str) -> tuple[str, ...]:
    """Options that make ssh trust the keys of this file and no other, and notice a dead line within a minute."""
    quoted = known_hosts.replace("%", "%%")
    return (
        f'UserKnownHostsFile="{quoted}"',
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=4",
    )


def config_text(known_hosts: str, hops: Sequence[Mapping[str, Any]]) -> str:
    """An ssh_config(5): how jump hosts are reached, then what the user has.

    To the ssh that it starts for a jump host (`-J`), ssh hands on nothing but its `-F`.
    """
    lines = ["Host *", *trusting(known_hosts), "ControlMaster=no", "ControlPath=none"]
    for name in dict.fromkeys(hop["name"] for hop in hops):
        lines += [f"Host {name}", *_settings([hop for hop in hops if hop["name"] == name])]
    return "\n".join(
        [*lines, "Host *", "ConnectTimeout=10", "Include ~/.ssh/config", "Include /etc/ssh/ssh_config", ""]
    )


def _settings(same: Sequence[Mapping[str, Any]]) -> list[str]:
    """How ssh gets to a jump host; where it stands with several users or ports, these are in `-J` itself."""
    lines = []
    for option, name in (("HostName", "address"), ("Port", "port"), ("User", "user"), ("IdentityFile", "key_file")):
        values = {hop[name] for hop in same}
        if len(values) == 1 and (value := values.pop()) is not None:
            lines.append(f'{option}="{str(value).replace("%", "%%") if name == "key_file" else value}"')
    return lines

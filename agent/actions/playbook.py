"""action: playbook — an Ansible playbook on hosts of the inventory, run by ansible-runner inside the shim."""

import dataclasses
import json
import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from agent.actions import action
from agent.actions.play_outcome import PlayOutcome, outcome
from agent.actions.play_tree import Tree, digest, exists, locate
from agent.actions.play_variables import as_yaml, check_names, texts
from agent.closed import is_hostname
from agent.errors import InputError
from agent.model.host import Host
from agent.transports.child import Ended, Lost, Packet

__all__ = ["Play", "PlayOutcome", "Playbook", "Tree", "check_names", "digest", "exists", "outcome", "packet"]

VARIABLES, SECRETS = "VARIABLES", "SECRETS"
PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Play:
    """One playbook on these hosts. `variables` are plain values, handed over as data under their own names.

    `secret` names those variables whose values nothing that is kept may hold: they are blanked in output and messages.
    `check`: rehearse only. `hops`: the jump hosts on the way to these hosts.
    """

    playbook: str
    hosts: tuple[str, ...]
    variables: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    secret: tuple[str, ...] = ()
    check: bool = False
    hops: tuple[Host, ...] = ()


def packet(
    play: Play, *, run_dir: Path, playbooks: Path, inventory: Path, known_hosts: Path, timeout_seconds: float
) -> Packet:
    """What the shim is to run for this play; InputError when the play cannot be run as asked."""
    _refuse(play)
    job = {
        "playbook": str(locate(playbooks, play.playbook).absolute()),
        "playbooks": str(playbooks.absolute()),
        "inventory": str(inventory.absolute()),
        "known_hosts": str(known_hosts.absolute()),
        "hosts": list(play.hosts),
        "check": play.check,
        "hops": [
            {"name": hop.name, "address": hop.address, "port": hop.port, "user": hop.user, "key_file": hop.key_file}
            for hop in play.hops
        ],
    }
    home = pwd.getpwuid(os.getuid()).pw_dir
    return Packet(
        argv=(
            sys.executable,
            "-I",
            "-m",
            "agent.actions",
            json.dumps(job),
            f"{{{{{VARIABLES}}}}}",
            f"{{{{{SECRETS}}}}}",
        ),
        cwd=str(run_dir.absolute()),
        env={
            "PATH": f"{Path(sys.executable).parent}:{PROGRAMS}",
            "HOME": home,
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
        },
        timeout_seconds=timeout_seconds,
        secret_files={VARIABLES: as_yaml(play.variables), SECRETS: json.dumps(_secret_texts(play)).encode()},
    )


def _refuse(play: Play) -> None:
    if refused := check_names(play.variables):
        raise InputError(
            f"refused variable {'; '.join(refused)}", hint="give it another name, here and in the playbook"
        )
    if not play.hosts:
        raise InputError(f"{play.playbook}: no hosts", hint="name at least one host of the inventory")
    for host in play.hosts:
        if not is_hostname(host):  # `all`, `!x` and `web*` are patterns: the limit takes names only
            raise InputError(f"{host!r} is not a host's name", hint="letters, digits, dots, dashes and underscores")


def _secret_texts(play: Play) -> list[str]:
    return sorted({text for name in play.secret for text in texts(play.variables[name])}, key=len, reverse=True)


@action("playbook")
class Playbook:
    """A playbook as an action."""

    CHANGES: ClassVar[bool] = True

    @staticmethod
    def rehearse(play: Play) -> Play:
        """The same play in Ansible's check mode, with its differences shown."""
        return dataclasses.replace(play, check=True)

    packet = staticmethod(packet)

    @staticmethod
    def outcome(run_dir: Path, ended: Ended | Lost) -> PlayOutcome:
        """What happened, host by host and task by task."""
        return outcome(run_dir, ended)

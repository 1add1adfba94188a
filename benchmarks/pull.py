"""What it costs to save the files of a host behind SSH, against restic alone on the same tree, here: first and unchanged."""

import os
import tempfile
from pathlib import Path
from typing import Any

from agent.transports.openssh import Login, Route
from benchmarks.backup import figures, parted, plant, turn
from benchmarks.measuring import result
from tests.lab.sshd import running_sshd

REPEATS = 3
LIMIT = 1.5  # times restic alone, when nothing changed


def main() -> dict[str, Any]:
    """Both, turn by turn; the host is an sshd on a loopback address, with rsync."""
    with tempfile.TemporaryDirectory() as top:
        source, door = Path(top) / "source", Path(top) / "sshd"
        door.mkdir()
        plant(source)
        os.sync()
        with running_sshd(door) as host:
            pins = door / "known_hosts"
            pins.write_text(f"[{host.address}]:{host.port} {host.public_key}\n", encoding="utf-8")
            login = Login(name="far", address=host.address, port=host.port, user=host.user, key_file=str(host.key_file))
            route = Route(host=login, known_hosts=str(pins))
            turns = [turn(Path(top) / str(number), source, route=route) for number in range(REPEATS)]
    first, unchanged = parted(turns)
    return result(
        "a pull of a host behind SSH, with its manifest",
        *figures("first pull", first, None),
        *figures("unchanged pull", unchanged, LIMIT),
    )

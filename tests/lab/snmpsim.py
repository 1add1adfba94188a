"""snmpsim with recorded devices: real answers of routers, switches and firewalls, each under a community of its own."""

import bz2
import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.lab.snmpd import answers
from tests.lab.wait import until


def recordings() -> Path | None:
    """The folder of snmpsim-data; None when it is not installed."""
    found = importlib.util.find_spec("snmpsim_data")
    return Path(next(iter(found.submodule_search_locations or ()))) / "data" if found is not None else None


@contextlib.contextmanager
def running_snmpsim(
    folder: Path, devices: Mapping[str, str], kept: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, int]]:
    """Address and port. `devices`: community: recording; of each only what begins with one of its `kept`: it is slow."""
    source = recordings()
    assert source is not None
    data = folder / "data"
    data.mkdir()
    for community, recording in devices.items():
        starts = tuple(f"{one}.".encode() for one in kept[community])
        lines = bz2.decompress((source / f"{recording}.snmprec.bz2").read_bytes()).splitlines(keepends=True)
        (data / f"{community}.snmprec").write_bytes(b"".join(line for line in lines if line.startswith(starts)))
    address = f"127.{64 + os.getpid() % 64}.{os.getpid() // 64 % 250 + 1}.3"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    program = shutil.which("snmpsim-command-responder", path=str(Path(sys.executable).parent))
    assert program is not None
    argv = [program, f"--data-dir={data}", f"--cache-dir={folder / 'cache'}", f"--agent-udpv4-endpoint={address}:{port}",
            "--process-user=root", "--process-group=root", "--logging-method=null"]  # fmt: skip
    argv = argv if os.geteuid() == 0 else [one for one in argv if not one.startswith("--process")]
    with (folder / "snmpsim.log").open("wb") as log:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
    try:
        until(lambda: answers(address, port, list(devices)[-1]), 30, "snmpsim answers")
        yield address, port
    finally:
        child.kill()
        child.wait(10)

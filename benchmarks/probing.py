"""What the benchmarks of network probes share: looks as the agent does them, in a network namespace of their own."""

import asyncio
import contextlib
import dataclasses
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.checks import Target
from agent.clock import Deadline, SystemClock
from agent.closed import ClosedModel
from agent.model.cadence import Every
from agent.model.check import Check, Rules, RunFrom
from agent.model.host import Connection, Host
from agent.model.look import Verdict
from agent.runtime import garbage
from agent.runtime.looking import Looker
from agent.runtime.workers import Workers
from agent.transports.snmp.hub import Hub
from benchmarks import measuring
from benchmarks.measuring import Figure

CLOCK = SystemClock()
INSIDE = "import importlib, json, sys; print(json.dumps(importlib.import_module('benchmarks.' + sys.argv[1]).inside()))"
Due = tuple[Host, Check]  # what is looked at


def in_namespace(name: str) -> dict[str, Any]:
    """What the `inside()` of a benchmark returns, run as root in a network namespace with a loopback alone."""
    argv = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-c", INSIDE, name]
    ended = subprocess.run(argv, cwd=measuring.TOP, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def due(address: str, kind: str, options: ClosedModel, variables: dict[str, Any] | None = None) -> Due:
    """One check from the agent on one host, both named by the host's address."""
    item = f"bench/checks/{kind}"
    check = Check(
        key=f"{item}@{address}", item=item, service="bench", host=address, kind=kind, options=options,
        run_from=RunFrom.AGENT, every=(Every(seconds=60),), timeout_seconds=10, retry_every_seconds=15,
        rules=Rules(key=f"{item}@{address}"),
    )  # fmt: skip
    return Host(name=address, address=address, connection=Connection.LOCAL, variables=variables or {}), check


def look_cpu(probe: type, targets: Sequence[Due], rounds: int) -> float:
    """CPU seconds per look by the agent's own Looker, all of a round at once; every look must be well.

    The first round is not counted: lines are opened then, engines and certificates become known.
    """

    async def work() -> float:
        hub, workers = Hub(), Workers(1)
        looker = Looker(
            probes={targets[0][1].kind: probe}, pools={}, workers=workers, clock=CLOCK, inner={},
            means=Target(host=None, address=None, snmp=hub),
        )  # fmt: skip
        begun = 0.0
        for number in range(rounds + 1):
            found = await asyncio.gather(*(looker.look(host, [check]) for host, check in targets))
            if bad := [result.look.summary for [result] in found if result.look.verdict is not Verdict.OK]:
                raise RuntimeError(f"{targets[0][1].kind}: {bad[0]}")
            if number == 0:
                garbage.settle()  # as the daemon does after its start
                begun = time.process_time()
        spent = time.process_time() - begun
        hub.close()
        workers.close()
        return spent / rounds / len(targets)

    return asyncio.run(work())


def tool_cpu(argv: Sequence[str], runs: int = 20) -> float:
    """CPU seconds per run of a tool, its children included."""
    return sum(measuring.cost(argv).cpu_seconds for _ in range(runs)) / runs


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """Who does the same: `cost` measures it once, in CPU seconds; `least` times as much as ours must it be."""

    name: str
    cost: Callable[[], float]
    least: float | None = None
    package: str = ""
    program: str = ""

    @property
    def missing(self) -> str | None:
        """What to say when its program is not here."""
        return measuring.missing(self.program or self.name, self.package)


def beside(what: str, ours: Callable[[], float], *peers: Peer, repeats: int = 5) -> list[Figure]:
    """Ours and those of the peers that are here, measured in turns."""
    present = [peer for peer in peers if peer.missing is None]
    found: list[tuple[float, ...]] = [
        (ours() * 1000, *(peer.cost() * 1000 for peer in present)) for _ in range(repeats)
    ]
    mine, *others = zip(*found, strict=True)
    figures = [Figure(name=what, unit="ms", values=mine)]
    for peer, theirs in zip(present, others, strict=True):
        figures.append(Figure(name=f"{what}, by {peer.name}", unit="ms", values=theirs))
        ratio = measuring.times(theirs, mine)
        figures.append(Figure(name=f"{what}: {peer.name} takes", unit="times", values=ratio, least=peer.least))
    return figures


def left_out(*peers: Peer) -> list[str]:
    """What to say of the peers that are not here, each once."""
    return list(dict.fromkeys(why for peer in peers if (why := peer.missing) is not None))


def process_cpu(process: subprocess.Popen[bytes]) -> float:
    """CPU seconds that a living process has used, all of its threads (clock_getcpuclockid(3))."""
    return time.clock_gettime(~process.pid << 3 | 2)


@contextlib.contextmanager
def serving(argv: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server in the foreground, up once it accepts connections on that port of 127.0.0.1; killed at the end."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        patience = Deadline.after(CLOCK, 20)
        while not _accepts(port):
            if process.poll() is not None or patience.is_over():
                raise RuntimeError(f"{argv[0]} does not serve on port {port}")
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def nginx(folder: Path, servers: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A web server of one process, up once it accepts connections on that port of 127.0.0.1."""
    places = " ".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr crit;\n"
        f"events {{ worker_connections 4096; }}\nhttp {{ access_log off; {places}\n{servers}\n}}\n"
    )
    with serving(["nginx", "-e", "stderr", "-c", str(config)], port) as process:
        yield process

"""SNMP beside its usual tools: a GET and a walk of ifTable as the agent does them, check_snmp and snmpbulkwalk.

Everything happens in a network namespace of its own with 49 interfaces and one real snmpd that answers under twenty
addresses. The CPU time is that of whoever asks: this process, or the tool with its children.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.checks import Target
from agent.checks.interfaces import Interfaces, InterfacesOptions
from agent.checks.snmp import Snmp, SnmpOptions
from agent.clock import Deadline, SystemClock
from agent.closed import ClosedModel
from agent.model.cadence import Every
from agent.model.check import Check, Rules, RunFrom
from agent.model.host import Connection, Host
from agent.model.look import Verdict
from agent.runtime.looking import Looker
from agent.runtime.workers import Workers
from agent.transports.snmp import ber
from agent.transports.snmp.hub import Hub
from agent.transports.snmp.session import Access, Session
from benchmarks import measuring
from benchmarks.measuring import Figure

CLOCK = SystemClock()
REPEATS = 5
ROUNDS = 50  # of one look at every address
TOOL_RUNS = 20
PORT = 1161
ADDRESSES = tuple(f"127.0.1.{number}" for number in range(1, 21))
UPTIME, TABLE = "1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.2.2"
PLUGIN = "/usr/lib/nagios/plugins/check_snmp"
SIGNED, SEALED = "signed-by-me", "sealed-by-me"
V2C = {"snmp_community": "public"}
V3 = {"snmp_user": "u", "snmp_authentication": "sha-256", "snmp_password": SIGNED, "snmp_privacy": SEALED}
INSIDE = "import json; from benchmarks import snmp; print(json.dumps(snmp.inside()))"


def look_cpu(kind: str, options: ClosedModel, variables: dict[str, Any], rounds: int) -> float:
    """CPU seconds per look, by the agent's own Looker; every look must be well."""
    key = f"net/checks/{kind}@h"
    check = Check(
        key=key, item=f"net/checks/{kind}", service="net", host="h", kind=kind, options=options, run_from=RunFrom.AGENT,
        every=(Every(seconds=60),), timeout_seconds=10, retry_every_seconds=15, rules=Rules(key=key),
    )  # fmt: skip
    hosts = [
        Host(name="h", address=address, connection=Connection.LOCAL, variables={"snmp_port": PORT, **variables})
        for address in ADDRESSES
    ]

    async def work() -> float:
        hub, workers = Hub(), Workers(1)
        looker = Looker(
            probes={"snmp": Snmp, "interfaces": Interfaces}, pools={}, workers=workers, clock=CLOCK, inner={},
            means=Target(host=None, address=None, snmp=hub),
        )  # fmt: skip
        begun = 0.0
        for number in range(rounds + 1):
            found = await asyncio.gather(*(looker.look(host, [check]) for host in hosts))
            if bad := [result.look.summary for [result] in found if result.look.verdict is not Verdict.OK]:
                raise RuntimeError(f"{kind}: {bad[0]}")
            if number == 0:
                begun = time.process_time()  # lines are open, engines known: as in every round but the first
        spent = time.process_time() - begun
        hub.close()
        workers.close()
        return spent / rounds / len(hosts)

    return asyncio.run(work())


def walk_cpu(rounds: int) -> float:
    """CPU seconds per walk of the whole of ifTable."""

    async def work() -> float:
        hub = Hub()
        accesses = [Access(address=address, port=PORT, community="public") for address in ADDRESSES]
        begun = time.process_time()
        for _ in range(rounds):
            walks = [Session(hub, one, Deadline.after(CLOCK, 20)).table([ber.oid(TABLE)]) for one in accesses]
            for [column] in await asyncio.gather(*walks):
                if len(column) < 1000:
                    raise RuntimeError(f"only {len(column)} values in ifTable")
        spent = time.process_time() - begun
        hub.close()
        return spent / rounds / len(accesses)

    return asyncio.run(work())


def tool_cpu(argv: Sequence[str]) -> float:
    """CPU seconds per run of a tool."""
    return sum(measuring.cost(argv).cpu_seconds for _ in range(TOOL_RUNS)) / TOOL_RUNS


def inside() -> dict[str, Any]:
    """All figures, in a namespace of its own."""
    for argv in [
        ["link", "set", "lo", "up"],
        *(["link", "add", f"a{n}", "type", "veth", "peer", f"b{n}"] for n in range(24)),
    ]:
        subprocess.run(["ip", *argv], check=True)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "snmpd.conf"
        listens = ",".join(f"udp:{address}:{PORT}" for address in ADDRESSES)
        config.write_text(
            f"agentaddress {listens}\nrocommunity public\ncreateUser u SHA-256 {SIGNED} AES {SEALED}\nrouser u priv\n"
        )
        argv = ["snmpd", "-f", "-LE", "3", "-C", "-c", str(config)]
        environment = {"PATH": "/usr/sbin:/usr/bin", "SNMP_PERSISTENT_DIR": folder, "MIBS": ""}
        snmpd = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            subprocess.run(["snmpget", "-v2c", "-cpublic", "-r", "50", "-t", "0.2", f"{ADDRESSES[0]}:{PORT}", UPTIME],
                           check=True, capture_output=True)  # fmt: skip
            return compared()
        finally:
            snmpd.kill()
            snmpd.wait()


def compared() -> dict[str, Any]:
    """Us and the tools on the same targets, in turns."""
    where = ADDRESSES[0]
    plugin = [PLUGIN, "-H", where, "-p", str(PORT), "-P", "2c", "-C", "public", "-o", UPTIME]
    bulk = ["snmpbulkwalk", "-v2c", "-cpublic", "-m", "", "-Cr25", f"{where}:{PORT}", TABLE]
    one = SnmpOptions(oid=UPTIME)
    gets, plugins, sealed, walks, bulks, interfaces = zip(
        *(
            (
                look_cpu("snmp", one, V2C, ROUNDS), tool_cpu(plugin), look_cpu("snmp", one, V3, ROUNDS),
                walk_cpu(5), tool_cpu(bulk), look_cpu("interfaces", InterfacesOptions(), V2C, 3),
            )
            for _ in range(REPEATS)
        ),
        strict=True,
    )  # fmt: skip

    def ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
        return tuple(mine / other for mine, other in zip(ours, theirs, strict=True))

    def ms(values: Sequence[float]) -> tuple[float, ...]:
        return tuple(value * 1000 for value in values)

    return measuring.result(
        "SNMP, manager CPU",
        Figure(name="a look at one value (v2c)", unit="ms", values=ms(gets)),
        Figure(name="the same by check_snmp", unit="ms", values=ms(plugins)),
        Figure(name="our share of it", unit="", values=ratios(gets, plugins), limit=1 / 100),
        Figure(name="a look at one value (v3, SHA-256 and AES)", unit="ms", values=ms(sealed)),
        Figure(name="a walk of ifTable, 49 interfaces", unit="ms", values=ms(walks)),
        Figure(name="the same by snmpbulkwalk", unit="ms", values=ms(bulks)),
        Figure(name="our share of the walk", unit="", values=ratios(walks, bulks), limit=1 / 3),
        Figure(name="a look at all 49 interfaces", unit="ms", values=ms(interfaces)),
    )


def main() -> dict[str, Any]:
    """Run `inside` in a network namespace, as root."""
    argv = ["unshare", "-n", sys.executable, "-c", INSIDE]
    ended = subprocess.run(argv, cwd=measuring.TOP, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found

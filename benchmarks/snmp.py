"""SNMP beside its usual tools: a GET and a walk of ifTable as the agent does them, check_snmp and snmpbulkwalk.

Everything happens in a network namespace of its own with 49 interfaces and one real snmpd that answers under twenty
addresses. The CPU time is that of whoever asks: this process, or the tool with its children.
"""

import asyncio
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from agent.checks.interfaces import Interfaces, InterfacesOptions
from agent.checks.snmp import Snmp, SnmpOptions
from agent.clock import Deadline, SystemClock
from agent.closed import ClosedModel
from agent.transports.snmp import ber
from agent.transports.snmp.hub import Hub
from agent.transports.snmp.session import Access, Session
from benchmarks import measuring, probing

CLOCK = SystemClock()
ROUNDS = 50  # of one look at every address
PORT = 1161
ADDRESSES = tuple(f"127.0.1.{number}" for number in range(1, 21))
UPTIME, TABLE = "1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.2.2"
PLUGINS = "monitoring-plugins-standard"
PLUGIN = "/usr/lib/nagios/plugins/check_snmp"
SIGNED, SEALED = "signed-by-me", "sealed-by-me"
V2C = {"snmp_community": "public"}
V3 = {"snmp_user": "u", "snmp_authentication": "sha-256", "snmp_password": SIGNED, "snmp_privacy": SEALED}


def look_cpu(probe: type, kind: str, options: ClosedModel, variables: dict[str, Any], rounds: int) -> float:
    """CPU seconds per look at one of the addresses."""
    where = {"snmp_port": PORT, **variables}
    return probing.look_cpu(probe, [probing.due(address, kind, options, where) for address in ADDRESSES], rounds)


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


def inside() -> dict[str, Any]:
    """All figures, in a namespace of its own."""
    for number in range(24):
        argv = ["ip", "link", "add", f"a{number}", "type", "veth", "peer", f"b{number}"]
        subprocess.run(argv, check=True)
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
    peers = (
        probing.Peer(
            name="check_snmp", cost=partial(probing.tool_cpu, plugin), least=100, program=PLUGIN, package=PLUGINS
        ),
        probing.Peer(name="snmpbulkwalk", cost=partial(probing.tool_cpu, bulk), least=3, package="snmp"),
    )
    figures = [
        *probing.beside("one value, v2c", partial(look_cpu, Snmp, "snmp", one, V2C, ROUNDS), peers[0]),
        *probing.beside("one value, v3, SHA-256 and AES", partial(look_cpu, Snmp, "snmp", one, V3, ROUNDS)),
        *probing.beside("ifTable of 49 interfaces", partial(walk_cpu, 5), peers[1]),
        *probing.beside(
            "the check of 49 interfaces", partial(look_cpu, Interfaces, "interfaces", InterfacesOptions(), V2C, 3)
        ),
    ]
    return measuring.result("SNMP, manager CPU", *figures, left_out=probing.left_out(*peers))


def main() -> dict[str, Any]:
    """Run `inside` in a network namespace, as root."""
    return probing.in_namespace("snmp")

"""Pings and TCP connections as the agent makes them, beside fping and check_tcp, on the same loopback addresses.

A sweep is 500 hosts with one ping check each, all due at once; fping does the same in one process, a millisecond
between two addresses (its own default is ten), and once more without any pause, as nobody should ask a real network.
The CPU time is that of whoever asks. The kernel answers the echoes itself, at the asker's expense: as much for both.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from agent.checks.ping import Ping, PingOptions
from agent.checks.tcp import Tcp, TcpOptions
from benchmarks import measuring, probing
from benchmarks.measuring import Figure

ROUNDS = 5  # sweeps of each repeat
TOOL_RUNS = 50
ADDRESSES = tuple(f"127.0.{3 + number // 250}.{number % 250 + 1}" for number in range(500))
PORT = 7099
MANY = 5  # echoes of a check that says nothing else
PLUGINS = "monitoring-plugins-standard"
PLUGIN = "/usr/lib/nagios/plugins/check_tcp"


def ping_cpu(count: int) -> float:
    """CPU seconds per address of a sweep with so many echoes."""
    options = PingOptions(count=count)
    rounds = ROUNDS if count == 1 else 2
    return probing.look_cpu(Ping, [probing.due(address, "ping", options) for address in ADDRESSES], rounds)


def fping_cpu(count: int, pause_ms: int) -> float:
    """The same by one fping; several echoes are as far apart as ours."""
    argv = ["fping", "-q", "-i", str(pause_ms), "-p", "200", "-c", str(count), *ADDRESSES]
    return probing.tool_cpu(argv, ROUNDS if count == 1 else 2) / len(ADDRESSES)


def tcp_cpu() -> float:
    """CPU seconds per connection."""
    options = TcpOptions(port=PORT)
    return probing.look_cpu(Tcp, [probing.due(address, "tcp", options) for address in ADDRESSES], ROUNDS)


def plugin_cpu() -> float:
    """CPU seconds per run of check_tcp."""
    runs = [[PLUGIN, "-H", address, "-p", str(PORT)] for address in ADDRESSES[:TOOL_RUNS]]
    return sum(measuring.cost(argv).cpu_seconds for argv in runs) / len(runs)


def inside() -> dict[str, Any]:
    """All figures, in a namespace of its own."""
    figures: list[Figure] = []
    plugin = probing.Peer(name="check_tcp", cost=plugin_cpu, least=8, program=PLUGIN, package=PLUGINS)
    peers = [plugin]
    for count in (1, MANY):
        paced = probing.Peer(name="fping", cost=partial(fping_cpu, count, 1), least=2, package="fping")
        at_once = probing.Peer(name="fping -i 0", program="fping", cost=partial(fping_cpu, count, 0), package="fping")
        what = "one echo to each of 500 hosts" if count == 1 else f"{count} echoes to each of 500 hosts"
        figures += probing.beside(what, partial(ping_cpu, count), paced, at_once)
        peers += [paced, at_once]
    server = f"server {{ listen {PORT} backlog=1024; }}"
    with tempfile.TemporaryDirectory() as folder, probing.nginx(Path(folder), server, PORT):
        figures += probing.beside("a TCP connection", tcp_cpu, plugin)
    return measuring.result("ping and TCP, manager CPU", *figures, left_out=probing.left_out(*peers))


def main() -> dict[str, Any]:
    """Run `inside` in a network namespace, as root."""
    return probing.in_namespace("net_poll")

"""HTTP and HTTPS checks as the agent does them, beside check_http and blackbox_exporter, on the same web server.

A fresh connection each time, as everybody's checks make it; over HTTPS the agent and blackbox_exporter verify the
certificate, check_http does not. The CPU time is that of whoever asks: this process, the plugin, or the exporter,
whose own interface is asked over one kept connection that is not charged.
"""

import http.client
import subprocess
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from agent.checks.http import Http, HttpOptions
from benchmarks import measuring, probing
from benchmarks.measuring import Figure

ROUNDS = 10  # of one look at every address
TOOL_RUNS = 20
PROBES = 100  # of blackbox_exporter
ADDRESSES = tuple(f"127.0.2.{number}" for number in range(1, 51))
PORTS = {"http": 8088, "https": 8443}
EXPORTER_PORT = 9115
PLUGINS = "monitoring-plugins-standard"
PLUGIN = "/usr/lib/nagios/plugins/check_http"
EXPORTER = "prometheus-blackbox-exporter"
GOALS = {"http": (5.0, 2.0), "https": (3.0, None)}  # check_http, blackbox_exporter


def certificate(folder: Path) -> Path:
    """An ECDSA certificate for all addresses that is its own authority, with its key beside it."""
    names = ",".join(f"IP:{address}" for address in ADDRESSES)
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=bench", "-addext", f"subjectAltName={names}"]  # fmt: skip
    made = folder / "certificate.pem"
    subprocess.run([*argv, "-keyout", str(folder / "key.pem"), "-out", str(made)], check=True, capture_output=True)
    return made


def servers(folder: Path, trusted: Path) -> str:
    """The server's side: one small page, TLS 1.3, no session taken up again."""
    return (
        f"ssl_protocols TLSv1.3; ssl_session_tickets off; ssl_certificate {trusted}; ssl_certificate_key {folder}/key.pem;\n"
        f"server {{ listen {PORTS['http']} backlog=1024; listen {PORTS['https']} ssl backlog=1024;\n"
        f'location / {{ return 200 "{"all is well " * 50}"; }} }}'
    )


def plugin_cpu(scheme: str) -> float:
    """CPU seconds per run of check_http."""
    tls = ["-S"] if scheme == "https" else []
    runs = [[PLUGIN, "-I", address, "-p", str(PORTS[scheme]), *tls] for address in ADDRESSES[:TOOL_RUNS]]
    return sum(measuring.cost(argv).cpu_seconds for argv in runs) / len(runs)


def exporter_cpu(exporter: subprocess.Popen[bytes] | None, scheme: str) -> float:
    """CPU seconds of blackbox_exporter per probe."""
    assert exporter is not None, "a peer that is not here is not asked"
    asking = http.client.HTTPConnection("127.0.0.1", EXPORTER_PORT)

    def probe(number: int) -> None:
        address = ADDRESSES[number % len(ADDRESSES)]
        asking.request("GET", f"/probe?module={scheme}&target={scheme}://{address}:{PORTS[scheme]}/")
        if b"\nprobe_success 1\n" not in asking.getresponse().read():
            raise RuntimeError(f"blackbox_exporter has no success with {scheme}")

    probe(0)
    begun = probing.process_cpu(exporter)
    for number in range(PROBES):
        probe(number)
    return (probing.process_cpu(exporter) - begun) / PROBES


def exporting(folder: Path, trusted: Path) -> list[str]:
    """How blackbox_exporter is started."""
    config = folder / "blackbox.yml"
    tail = f"http: {{preferred_ip_protocol: ip4, tls_config: {{ca_file: {trusted}}}}}"
    modules = "".join(f"  {scheme}: {{prober: http, timeout: 5s, {tail}}}\n" for scheme in PORTS)
    config.write_text(f"modules:\n{modules}")
    return [EXPORTER, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{EXPORTER_PORT}", "--log.level=error"]


def look_cpu(scheme: str, trusted: Path) -> float:
    """CPU seconds per look."""
    urls = {address: f"{scheme}://{address}:{PORTS[scheme]}/" for address in ADDRESSES}
    targets = [probing.due(address, "http", HttpOptions(url=url, ca=str(trusted))) for address, url in urls.items()]
    return probing.look_cpu(Http, targets, ROUNDS)


def peers(scheme: str, exporter: subprocess.Popen[bytes] | None) -> list[probing.Peer]:
    """Who does the same; without a process of its own the exporter is only named."""
    plugin, other = GOALS[scheme]
    return [
        probing.Peer(
            name="check_http", cost=partial(plugin_cpu, scheme), least=plugin, program=PLUGIN, package=PLUGINS
        ),
        probing.Peer(name=EXPORTER, cost=partial(exporter_cpu, exporter, scheme), least=other, package=EXPORTER),
    ]


def inside() -> dict[str, Any]:
    """All figures, in a namespace of its own."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        trusted = certificate(folder)
        stack.enter_context(probing.nginx(folder, servers(folder, trusted), PORTS["http"]))
        exporter = None
        if measuring.missing(EXPORTER, EXPORTER) is None:
            exporter = stack.enter_context(probing.serving(exporting(folder, trusted), EXPORTER_PORT))
        figures: list[Figure] = []
        for scheme in PORTS:
            ours = partial(look_cpu, scheme, trusted)
            figures += probing.beside(f"a look by {scheme.upper()}", ours, *peers(scheme, exporter))
        left_out = probing.left_out(*(peer for scheme in PORTS for peer in peers(scheme, exporter)))
    return measuring.result("HTTP and HTTPS, manager CPU", *figures, left_out=left_out)


def main() -> dict[str, Any]:
    """Run `inside` in a network namespace, as root."""
    return probing.in_namespace("http_poll")

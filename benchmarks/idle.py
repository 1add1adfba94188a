"""What the daemon costs while nothing happens: 100 checks, each once a minute, all well."""

import http.server
import json
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measuring import PROGRAM, Figure, result

WINDOWS = 3
WINDOW_SECONDS = 60  # every check is due once in each
READY_SECONDS = 150

CONFIG = """\
version: 1
name: bench
owner: team
teams: {team: {members: [first]}}
"""
POLICY = """\
version: 1
service: bench
owner: team
hosts: here
defaults: {checks: {every: 60s}}
checks:
"""


class Well(http.server.BaseHTTPRequestHandler):
    """Answers everything with 200."""

    def do_GET(self) -> None:
        """One short answer."""
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
        """Nothing is told."""


def lay_out(folder: Path, port: int) -> None:
    """A home with 100 checks of this machine: 40 http, 20 tcp, 40 of what psutil knows."""
    kinds = [f'http: {{url: "http://127.0.0.1:{port}/"}}'] * 40 + [f"tcp: {{port: {port}, host: 127.0.0.1}}"] * 20
    kinds += ["disk: /", "memory: ", "load: ", "process: python"] * 10
    checks = "".join(f"  check-{number}: {{{kind}}}\n" for number, kind in enumerate(kinds))
    for name in ("inventory", "policies", "playbooks", "secrets"):
        (folder / name).mkdir()
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "inventory/hosts").write_text("here ansible_connection=local\n", encoding="utf-8")
    (folder / "policies/bench.yaml").write_text(POLICY + checks, encoding="utf-8")


def wait_until_all_looked(config: str) -> None:
    """Return once no check is pending; RuntimeError when that never comes."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        argv = [PROGRAM, "--config", config, "check", "list", "--json"]
        listed = subprocess.run(argv, capture_output=True, text=True, check=False)
        items = json.loads(listed.stdout)["items"] if listed.returncode in {0, 1} else []
        if len(items) >= 100 and all(item["state"] != "pending" for item in items):
            return
        time.sleep(2)
    raise RuntimeError(f"not all checks were made within {READY_SECONDS} s: {listed.stdout[-2000:]}{listed.stderr}")


def cpu_seconds(daemon: psutil.Process) -> float:
    """Of the daemon and all its ended children."""
    times = daemon.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def main() -> dict[str, Any]:
    """CPU and memory of a real daemon, over windows in which every check is made once."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Well)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as name:
        lay_out(Path(name), server.server_address[1])
        config = f"{name}/config.yaml"
        running = subprocess.Popen(
            [PROGRAM, "--config", config, "run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until_all_looked(config)
            daemon = psutil.Process(running.pid)
            shares, memory = [], []
            for _ in range(WINDOWS):
                before = cpu_seconds(daemon)
                time.sleep(WINDOW_SECONDS)
                shares.append((cpu_seconds(daemon) - before) / WINDOW_SECONDS * 100)
                memory.append(daemon.memory_info().rss / 1e6)
        finally:
            running.terminate()
            running.wait(60)
    return result(
        "the daemon at rest, 100 checks once a minute",
        Figure(name="CPU, of one core", unit="%", values=tuple(shares), limit=1.0),
        Figure(name="memory (RSS)", unit="MB", values=tuple(memory), limit=100.0),
    )

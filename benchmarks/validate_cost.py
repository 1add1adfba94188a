"""What a cold `watchkeeper validate` of 1,000 policies with 10,000 checks costs."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measuring import PROGRAM, Figure, cost, result

REPEATS = 5
POLICIES = 1_000
HOSTS = 100

CONFIG = """\
version: 1
name: bench
owner: team
teams: {team: {members: [first]}}
"""
POLICY = """\
version: 1
service: service-{number}
owner: team
hosts: web{host}
defaults: {{checks: {{every: 60s, fail_after: 3}}}}
checks:
  front: {{http: {{url: "http://{{{{ inventory_hostname }}}}:8080/health", expect: {{status: [200]}}}}, every: 30s}}
  port: {{tcp: 8080, needs: [checks/front]}}
  root: {{disk: /, warn: {{used: above 80%}}, crit: {{used: above 90%}}}}
  memory: {{memory: , warn: {{used: above 90%}}}}
  load: {{load: , warn: {{load5: above 4}}}}
  unit: {{systemd: nginx.service, fail_after: 2}}
  workers: {{process: nginx, crit: {{count: below 1}}}}
  queue: {{nagios: {{command: "check_mailq -w 50 -c 200"}}}}
  back: {{http: {{url: "https://back.example.org/health"}}, hosts: none}}
  cache: {{tcp: 6379, retry_every: 10s, recover_after: 2}}
"""


def lay_out(folder: Path) -> None:
    """A home with that many policies."""
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    for name in ("inventory", "policies", "playbooks", "secrets"):
        (folder / name).mkdir()
    hosts = "".join(f"web{number} ansible_host=127.0.0.1\n" for number in range(HOSTS))
    (folder / "inventory/hosts").write_text(hosts, encoding="utf-8")
    for number in range(POLICIES):
        text = POLICY.format(number=number, host=number % HOSTS)
        (folder / f"policies/service-{number}.yaml").write_text(text, encoding="utf-8")


def main() -> dict[str, Any]:
    """Validate in a new process each time, the inventory read by Ansible included."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder)
        costs = [cost([PROGRAM, "--config", f"{folder}/config.yaml", "validate"]) for _ in range(REPEATS)]
    return result(
        "`watchkeeper validate`, cold: 1,000 policies, 10,000 checks",
        Figure(
            name="CPU, Ansible's reading of the inventory included",
            unit="s",
            values=tuple(one.cpu_seconds for one in costs),
        ),
        Figure(name="time", unit="s", values=tuple(one.wall_seconds for one in costs), limit=3.0),
    )

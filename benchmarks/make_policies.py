"""Writes a configuration of any size: 1,000 policies with 10 checks each over 1,000 hosts, unless told otherwise."""

import argparse
from pathlib import Path

CONFIG = """\
version: 1
name: bench
timezone: Europe/Berlin
owner: team-0
teams: {team-0: {members: [ada]}, team-1: {members: [linus]}}
repositories: {main: {url: var/repository, password: {secret: restic}}}
defaults: {checks: {every: 60s, fail_after: 3, retry_every: 15s, timeout: 10s}}
"""
HEAD = """\
version: 1
service: service-{number}
title: Service number {number}
owner: team-{team}
importance: high
hosts: host-{host}
defaults: {{checks: {{every: 60s, fail_after: 3}}}}
checks:
"""
CHECKS = (
    """\
  web-{number}:
    tcp: {{port: 443}}
    every: 30s
    fail_after: 3
    retry_every: 10s
    recover_after: 2
    crit: {{time: above 2s}}
    runbook: https://wiki.example.org/web
    remedy: restart
""",
    """\
  disk-{number}:
    disk: {{path: /}}
    warn: {{used: above 80%}}
    crit: {{used: above 90%}}
    needs: [checks/web-0]
    labels: {{tier: "1", site: fra}}
""",
)
REMEDY = """\
remedies:
  restart:
    playbook: restart.yml
    vars: {service: nginx}
    risk: safe
    mode: auto
    limits: {per_host: 3 per 24h, cooldown: 15m}
"""


def write(folder: Path, *, policies: int, checks: int, hosts: int) -> None:
    """A whole configuration in a folder."""
    for name in ("policies", "playbooks", "inventory"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "playbooks" / "restart.yml").write_text("- hosts: all\n  tasks: []\n")
    lines = (
        f"host-{number} ansible_host=10.0.{number // 250}.{number % 250} site=s{number % 7}" for number in range(hosts)
    )
    (folder / "inventory" / "hosts.ini").write_text("[web]\n" + "\n".join(lines) + "\n")
    for number in range(policies):
        text = HEAD.format(number=number, team=number % 2, host=number % hosts)
        text += "".join(CHECKS[index % 2].format(number=index) for index in range(checks))
        (folder / "policies" / f"service-{number:05}.yaml").write_text(text + REMEDY)


def main() -> None:
    """Write it where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--policies", type=int, default=1000)
    parser.add_argument("--checks", type=int, default=10)
    parser.add_argument("--hosts", type=int, default=1000)
    given = parser.parse_args()
    write(given.folder, policies=given.policies, checks=given.checks, hosts=given.hosts)


if __name__ == "__main__":
    main()

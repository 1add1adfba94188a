"""Hosts over SSH: one that vanishes, one that is not the one we knew, and a policy that nobody here has seen."""

from typing import Any

import pytest

from agent.model.check import reach_key
from agent.model.look import Verdict
from tests.acceptance.world import World
from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]


def over_ssh(host: LabHost) -> dict[str, Any]:
    """A host of the lab as the inventory has it."""
    return {
        "ansible_host": host.address, "ansible_user": host.user, "ansible_ssh_private_key_file": str(host.key_file),
        "ansible_python_interpreter": "/usr/bin/python3",
    }  # fmt: skip


def trust(world: World, *hosts: LabHost) -> None:
    """Pin their keys, as `host trust` does."""
    world.state.mkdir(mode=0o700, exist_ok=True)
    pins = world.state / "known_hosts"
    pins.touch(mode=0o600)
    pins.write_text("".join(f"{host.address} {host.public_key}\n" for host in hosts))


def test_a_host_that_vanishes_is_one_incident_and_when_it_is_back_all_goes_on(world: World, lab: Lab) -> None:
    """Its cable is pulled; another host goes on as ever."""
    lost, well = lab.hosts
    world.hosts({"lost": over_ssh(lost), "well": over_ssh(well)})
    trust(world, lost, well)
    world.policy(
        "shop",
        hosts="all",
        defaults={"checks": {"timeout": "1s"}},
        checks={
            "files": {"command": "test -d /etc"},
            "unit": {"systemd": "ssh.service"},
            "port": {"tcp": 22},
        },
    )
    daemon = world.run()
    mine = [f"shop/checks/{name}@lost" for name in ("files", "unit", "port")]
    world.until(lambda: all(world.check_state(key).raw is Verdict.OK for key in mine), "all is looked at")
    lost.cut()
    try:
        world.until(lambda: world.is_open("agent/checks/reach@lost"), "it is missed")
        world.until(lambda: all(world.check_state(key).parents for key in mine), "the rest is suppressed")
        seen = last_look(world, "shop/checks/files@well")
        world.until(lambda: last_look(world, "shop/checks/files@well") > seen, "the other host is looked at")
    finally:
        lost.join()
    world.until(lambda: world.is_resolved("agent/checks/reach@lost"), "it is back")
    back = max(last_look(world, key) for key in mine)
    world.until(lambda: all(last_look(world, key) > back for key in mine), "its checks go on")
    assert not any(world.check_state(key).parents for key in mine)
    assert [one.cause for one in world.incidents()] == ["agent/checks/reach@lost"]
    assert daemon.stop() == 0


def last_look(world: World, key: str) -> int:
    seen = world.last_look(key)
    return seen.at_us if seen else 0


def test_on_a_host_with_another_key_nothing_is_done_until_somebody_trusts_it(world: World, lab: Lab) -> None:
    """Its port fails as well, with a remedy: no second incident, no play; not by hand either."""
    (_, changed) = lab.hosts
    world.hosts({"changed": over_ssh(changed)})
    trust(world, changed)
    changed.rekey()
    checks = {"port": {"tcp": 81, "remedy": "mend"}, "files": {"command": "test -d /etc"}}
    world.policy("shop", hosts="changed", checks=checks, remedies={"mend": world.remedy()})
    daemon = world.run()
    reach = reach_key("changed")
    world.until(lambda: world.is_open(reach), "it is told")
    world.until(lambda: world.check_state("shop/checks/port@changed").parents == (reach,), "the rest is suppressed")
    world.until(lambda: world.last_look(reach), "it is written down what was seen")
    seen = world.last_look(reach)
    assert seen is not None
    assert seen.verdict is Verdict.CRITICAL
    assert seen.metrics["failure"] == "host-key"
    assert "SHA256:" in seen.summary

    by_hand = ("playbook", "run", "mend.yml", "--hosts", "changed", "--reason", "I know better")
    refused = world.command(*by_hand)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "evidence: the host key of changed has changed" in refused.stderr
    assert "watchkeeper host trust changed" in refused.stderr
    assert [one.cause for one in world.incidents()] == [reach]
    assert world.executions() == []

    assert world.command("host", "trust", "changed", "--yes").returncode == 0
    world.until(lambda: world.is_resolved(reach), "trusted, it is looked at again")
    world.until(lambda: world.check_state("shop/checks/files@changed").raw is Verdict.OK, "its checks go on")
    assert daemon.stop() == 0


# A policy with nothing of the shipped example in it: other hosts, another service, other playbooks, other probes.
UNIT = """
[Unit]
Description=Keeps the ledger
[Service]
ExecStart=/usr/bin/python3 -u -m http.server --directory /srv/ledger 8100
"""
PLUGIN = """#!/bin/sh
pages=$(ls /srv/ledger/pages | wc -l)
echo "LEDGER - $pages pages | pages=$pages;;;0"
test "$pages" -ge "$2" || exit 2
"""
RESTART = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Restart {{ unit }}
      ansible.builtin.systemd_service: {name: "{{ unit }}", state: restarted}
"""
RESTORE = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Give it the token
      ansible.builtin.copy: {content: "{{ token }}", dest: /srv/ledger.token, mode: "0600"}
    - name: Open a page
      ansible.builtin.copy: {content: "{{ greeting }}", dest: "{{ folder }}/pages/first", mode: "0644"}
"""
LEDGER = """
version: 1
service: ledger
owner: on-watch
hosts: books:!archive
importance: critical
defaults: {checks: {every: 1s, timeout: 5s, fail_after: 1, retry_every: 1s}}

checks:
  unit:
    systemd: ledger.service
  port:
    tcp: {port: "{{ ledger_port }}"}
    fail_after: 3
    needs: [checks/unit]
  page:
    http:
      url: "http://{{ ansible_host }}:{{ ledger_port }}/pages/first"
      expect: {status: [200], body: "welcome to {{ inventory_hostname }}"}
    fail_after: 2
    needs: [checks/port, "checks/unit@{{ inventory_hostname }}"]
    remedy: [restart, restore]
  pages:
    nagios: {command: "check_ledger -c {{ least_pages }}"}
    crit: {pages: below 1}
    needs: [checks/page]
  writable:
    command: "test -w /srv/ledger/pages && ls /srv/ledger/pages | wc -l"
    warn: {value: below 1}

remedies:
  restart:
    playbook: books/restart.yml
    vars: {unit: ledger.service}
    risk: safe
    mode: auto
    limits: {cooldown: 0s}
  restore:
    playbook: books/restore.yml
    vars: {folder: /srv/ledger, greeting: "welcome to {{ inventory_hostname }} {{ motto }}", token: {secret: canary}}
    risk: reversible
    mode: auto
    post_checks: [checks/page, checks/pages, checks/writable]
    limits: {cooldown: 0s}
"""


def test_a_policy_nobody_here_has_seen_works_by_the_language_alone(world: World, lab: Lab) -> None:
    """The first remedy does not help; the second does, and three checks over three probes prove it."""
    front, back = lab.hosts
    for host, name in ((front, "front"), (back, "back")):
        keeps_a_ledger(host, f"welcome to {name}")
    trust(world, front, back)
    # The motto is data of the inventory, so it is rendered; what it holds is data of the play, so it is not.
    shared = {"ledger_port": 8100, "least_pages": 1, "motto": "{% raw %}{{ 7*7 }}{% endraw %}"}
    world.hosts(
        {"front": over_ssh(front) | shared, "back": over_ssh(back) | shared, "archive": {}},
        books=["front", "back", "archive"],
    )
    world.write("policies/ledger.yaml", LEDGER)
    world.write("playbooks/books/restart.yml", RESTART)
    world.write("playbooks/books/restore.yml", RESTORE)
    daemon = world.run()
    names = ("unit", "port", "page", "pages", "writable")
    keys = [f"ledger/checks/{name}@{host}" for name in names for host in ("front", "back")]
    world.until(lambda: all(world.check_state(key).raw is Verdict.OK for key in keys), "all ten are green")
    started = front.exec("systemctl show -p ExecMainStartTimestampMonotonic ledger")
    front.exec("rm /srv/ledger/pages/first")

    page = "ledger/checks/page@front"
    world.until(lambda: world.is_resolved(page), "the second remedy works")
    assert [line.partition(":")[0] for line in world.timeline(page)] == [
        "opened",
        "remedy-started", "comment", "remedy-failed",
        "remedy-started", "comment", "remedy-worked",
        "resolved",
    ]  # fmt: skip
    assert [(one.item, one.host, one.verified) for one in world.executions()] == [
        ("ledger/remedies/restart", "front", False),
        ("ledger/remedies/restore", "front", True),
    ]
    assert [one.cause for one in world.incidents()] == [page], "the rest was suppressed, the other host was well"
    incident = world.incident(page)
    assert incident is not None
    assert (incident.priority, incident.owner) == ("P1", "on-watch")
    assert front.exec("systemctl show -p ExecMainStartTimestampMonotonic ledger") != started
    assert front.exec("cat /srv/ledger/pages/first") == "welcome to front {{ 7*7 }}"
    assert front.exec("stat -c %a /srv/ledger.token; cat /srv/ledger.token") == f"600\n{world.canary}"
    assert daemon.stop() == 0


def keeps_a_ledger(host: LabHost, greeting: str) -> None:
    """Install the service on a host."""
    host.exec(f"mkdir -p /srv/ledger/pages; echo '{greeting}' >/srv/ledger/pages/first")
    host.exec(f"cat >/etc/systemd/system/ledger.service <<'END'\n{UNIT}\nEND")
    host.exec(f"cat >/usr/local/bin/check_ledger <<'END'\n{PLUGIN}\nEND\nchmod 755 /usr/local/bin/check_ledger")
    host.exec("systemctl daemon-reload; systemctl restart ledger")

"""Policies times inventory: what stands where, what it needs, and what proves a remedy."""

from pathlib import Path

import pytest

from agent.model.bounds import Relation
from agent.model.cadence import At, Every
from agent.model.check import Check, RunFrom, Threshold
from agent.model.look import Verdict
from agent.model.policy import PolicySet
from agent.model.remedy import Mode, Risk
from agent.model.service import Importance
from tests.fakes import policies


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return policies.new_home(tmp_path_factory.mktemp("expand"))


def expanded(config: Path, text: str, *more: str) -> PolicySet:
    """The set of a shop on both web servers (and of further files), which must load clean."""
    files = {"shop.yaml": f"version: 1\nservice: shop\nhosts: web\n{text}"}
    files |= {f"{number}.yaml": f"version: 1\n{other}" for number, other in enumerate(more)}
    loaded = policies.load_with(config, files)
    assert [str(problem) for problem in loaded.problems] == []
    assert loaded.policies is not None
    return loaded.policies


def check(config: Path, text: str, key: str = "shop/checks/a@web-1") -> Check:
    """One check of a shop."""
    return expanded(config, f"checks:\n{text}").checks[key]


def needs(policies: PolicySet, key: str) -> set[str]:
    """What a check needs, apart from its host's connection."""
    return {need for need in policies.checks[key].rules.needs if not need.startswith("agent/")}


def test_a_check_stands_on_every_host_of_its_pattern(config: Path) -> None:
    found = expanded(config, 'checks: {a: {tcp: 80}, b: {tcp: 80, hosts: "web:!web-1"}, c: {tcp: 80, hosts: none}}\n')
    mine = {key for key in found.checks if key.startswith("shop/")}
    assert mine == {"shop/checks/a@web-1", "shop/checks/a@web-2", "shop/checks/b@web-2", "shop/checks/c@none"}


def test_own_words_go_before_those_of_the_file_and_those_of_the_configuration(config: Path) -> None:
    text = (
        "defaults: {checks: {every: 2m, timeout: 3s}}\nchecks: {a: {tcp: 80}, b: {tcp: 80, every: 7s, timeout: 1s}}\n"
    )
    found = expanded(config, text)
    inherited, own = (found.checks[f"shop/checks/{name}@web-1"] for name in "ab")
    assert (inherited.every, inherited.timeout_seconds, inherited.retry_every_seconds) == (
        (Every(seconds=120.0),),
        3.0,
        15.0,
    )
    assert (own.every, own.timeout_seconds) == ((Every(seconds=7.0),), 1.0)


def test_a_retry_is_never_slower_than_the_next_look(config: Path) -> None:
    assert check(config, "  a: {tcp: 80, every: 5s}\n").retry_every_seconds == 5.0


def test_a_time_of_the_day_is_in_the_zone_of_the_configuration(config: Path) -> None:
    found = check(config, "  a: {tcp: 80, every: [30s, workday at 02:30]}\n").every
    weekdays = (0, 1, 2, 3, 4)
    at = At(text="workday at 02:30", zone="Europe/Berlin", rule="day", hour=2, minute=30, weekdays=weekdays)
    assert found == (Every(seconds=30.0), at)


def test_templates_are_filled_in_per_host(config: Path) -> None:
    found = expanded(config, 'checks: {a: {http: {url: "http://{{ ansible_host }}/{{ site }}"}}}\n')
    urls = [getattr(found.checks[f"shop/checks/a@web-{number}"].options, "url", None) for number in (1, 2)]
    assert urls == ["http://192.0.2.11/fra", "http://192.0.2.12/ber"]


def test_a_bound_may_be_a_template(config: Path) -> None:
    (metric, (bound,)), *_ = check(config, '  a: {disk: /, crit: {used: "above {{ limit }}"}}\n').rules.crit
    assert (metric, bound.relation, bound.operand) == ("used", Relation.ABOVE, 0.9)


def test_only_double_braces_are_a_template(config: Path) -> None:
    found = check(config, "  a: {command: 'echo ${#x} {% raw %} {# no #}'}\n")
    assert getattr(found.options, "command", None) == "echo ${#x} {% raw %} {# no #}"


def test_text_of_the_inventory_is_not_a_template_again(config: Path) -> None:
    found = check(config, """  a: {command: "{{ '{{' }} site }}"}\n""")
    assert getattr(found.options, "command", None) == "{{ site }}"


def test_needs_mean_the_same_host_where_the_check_has_it_and_else_all_its_hosts(config: Path) -> None:
    found = expanded(
        config,
        """checks:
  a: {tcp: 80, needs: [checks/b, checks/c, database/checks/port, checks/none]}
  b: {tcp: 81}
  c: {tcp: 82, hosts: web-2}
  d: {tcp: 83, hosts: local, needs: checks/b}
  e: {tcp: 84, needs: "checks/b@{{ inventory_hostname }}"}
  f: {tcp: 85, needs: checks/b@web-2}
  none: {tcp: {port: 1, host: localhost}, hosts: none}
""",
        "service: database\nhosts: db\nchecks: {port: {tcp: 5432}}\n",
    )
    port, none = "database/checks/port@db-1", "shop/checks/none@none"
    assert needs(found, "shop/checks/a@web-1") == {"shop/checks/b@web-1", "shop/checks/c@web-2", port, none}
    assert needs(found, "shop/checks/a@web-2") == {"shop/checks/b@web-2", "shop/checks/c@web-2", port, none}
    assert needs(found, "shop/checks/d@local") == {"shop/checks/b@web-1", "shop/checks/b@web-2"}
    assert needs(found, "shop/checks/e@web-1") == {"shop/checks/b@web-1"}
    assert needs(found, "shop/checks/f@web-1") == {"shop/checks/b@web-2"}


def test_a_check_that_is_switched_off_is_no_reason_to_wait(config: Path) -> None:
    found = expanded(config, "checks: {a: {tcp: 80, needs: checks/b}, b: {tcp: 81, enabled: false}}\n")
    assert needs(found, "shop/checks/a@web-1") == set()
    assert "shop/checks/b@web-1" not in found.checks


def test_a_host_over_ssh_has_a_check_of_its_connection_as_fast_as_its_fastest(config: Path) -> None:
    text = "checks: {a: {tcp: 80, every: 20s}, b: {disk: /, every: 5m}, c: {tcp: 80, hosts: local, every: 5s}}\n"
    found = expanded(config, text)
    reach = found.checks["agent/checks/reach@web-1"]
    assert (reach.kind, reach.options, reach.every, reach.owner) == ("reach", None, (Every(seconds=20.0),), "web-team")
    assert "agent/checks/reach@local" not in found.checks
    for name in "ab":
        assert found.checks[f"shop/checks/{name}@web-1"].rules.needs == ("agent/checks/reach@web-1",)
    assert found.checks["shop/checks/c@local"].rules.needs == ()


def test_a_host_that_nothing_logs_in_to_needs_no_login(config: Path) -> None:
    """A printer, or a switch that is asked by SNMP alone: nobody wants to hear that it has no SSH."""
    text = "checks: {a: {tcp: 80}, b: {snmp: 1.3.6.1.2.1.1.3.0}, c: {ping: ''}}\n"
    found = expanded(config, text)
    assert "agent/checks/reach@web-1" not in found.checks
    for name in "abc":
        assert found.checks[f"shop/checks/{name}@web-1"].rules.needs == ()
    for more in (
        "backups: {files: {files: {paths: [/etc]}, every: 1h}}\n",
        "remedies: {mend: {playbook: restart-service.yml}}\n",
    ):
        whole = expanded(config, text + more)
        assert whole.checks["shop/checks/a@web-1"].rules.needs == ("agent/checks/reach@web-1",), more
        assert "agent/checks/reach@web-1" in whole.checks


def test_what_the_agent_knows_by_itself_is_told_while_its_host_is_away(config: Path) -> None:
    """A backup grows too old, and a repository may be damaged, whether or not the host can be reached."""
    text = (
        "checks: {a: {cli: {command: show version}, hosts: switches}}\n"
        "backups: {configs: {device_config: {}, hosts: switches, every: 1h, rpo: 2h}}\n"
    )
    found = expanded(config, text)
    assert found.checks["shop/checks/a@sw-1"].rules.needs == ("agent/checks/reach@sw-1",)
    assert found.checks["shop/backups/configs@sw-1"].rules.needs == ()
    assert found.checks["agent/repositories/main@sw-1"].rules.needs == ()


def test_a_ladder_holds_the_remedies_that_are_for_the_host(config: Path) -> None:
    found = expanded(
        config,
        """checks:
  a: {tcp: 80, remedy: [restart, remedies/other, shop/remedies/off]}
  b: {tcp: 81, remedy: {warn: restart}}
remedies:
  restart: {playbook: restart-service.yml, post_checks: [checks/a, checks/b], attempts: 2, verify_within: 90s}
  other: {playbook: free-disk-space.yml, hosts: web-2}
  off: {playbook: free-disk-space.yml, enabled: false}
""",
    )
    first, second = (found.checks[f"shop/checks/a@web-{number}"].rules for number in (1, 2))
    assert first.ladder_critical == ("shop/remedies/restart",)
    assert second.ladder_critical == ("shop/remedies/restart", "shop/remedies/other")
    assert found.checks["shop/checks/b@web-1"].rules.ladder_warning == ("shop/remedies/restart",)
    rules = first.remedy("shop/remedies/restart")
    assert (rules.attempts, rules.verify_within_seconds) == (2, 90.0)
    assert rules.post_checks == (("shop/checks/a@web-1", 1, 3), ("shop/checks/b@web-1", 1, 3))
    assert second.remedy("shop/remedies/other").post_checks == ()


@pytest.mark.parametrize(
    ("words", "passes", "failures"),
    [
        ("fail_after: 4, recover_after: 2", 2, 4),
        ("fail_after: 10m, retry_every: 1m", 1, 10),
        ("fail_after: 5 of 15", 1, 5),
    ],
)
def test_what_proves_a_remedy_counts_as_its_check_counts(config: Path, words: str, passes: int, failures: int) -> None:
    text = f"checks: {{a: {{tcp: 80, remedy: r}}, b: {{tcp: 81, every: 5m, {words}}}}}\n"
    found = expanded(config, text + "remedies: {r: {playbook: restart-service.yml, post_checks: checks/b}}\n")
    proofs = found.checks["shop/checks/a@web-1"].rules.remedies[0].post_checks
    assert proofs == (("shop/checks/b@web-1", passes, failures),)


def test_a_remedy_is_careful_unless_told_otherwise(config: Path) -> None:
    found = expanded(config, "remedies: {r: {playbook: restart-service.yml}}\n").remedies["shop/remedies/r@web-1"]
    assert (found.risk, found.mode, found.limits.at_once, str(found.limits.per_host)) == (
        Risk.DISRUPTIVE,
        Mode.PROPOSE,
        1,
        "3 per 1d",
    )


def test_variables_keep_their_types_and_quoted_ones_are_text(config: Path) -> None:
    text = """remedies:
  r:
    playbook: restart-service.yml
    vars: {n: 8080, f: 1.5, yes_: true, no_: false, on_: on, s: "8080", mode: 0644, site_: "{{ site }}", deep: [1, {a: "1"}], e: }
"""
    found = expanded(config, text).remedies["shop/remedies/r@web-1"]
    assert dict(found.variables) == {
        "n": 8080, "f": 1.5, "yes_": True, "no_": False, "on_": "on", "s": "8080", "mode": "0644", "site_": "fra",
        "deep": [1, {"a": "1"}], "e": "",
    }  # fmt: skip


def test_a_backup_with_an_rpo_has_a_check_of_its_age(config: Path) -> None:
    text = "backups:\n  etc: {files: {paths: [/etc]}, hosts: local, every: 6h, rpo: 26h, drill: {every: 7d, contains: /etc/fstab}}\n"
    found = expanded(config, text)
    backup, age = found.backups["shop/backups/etc@local"], found.checks["shop/backups/etc@local"]
    assert (backup.repository.name, backup.rpo_seconds, backup.run_missed) == ("main", 93600.0, True)
    assert Path(backup.repository.url) == config.parent / "var" / "repository"
    assert backup.drill is not None
    assert backup.drill.contains == ("/etc/fstab",)
    assert (age.kind, age.options, age.every, age.owner) == (
        "backup-freshness",
        None,
        (Every(seconds=60.0),),
        "web-team",
    )
    assert age.rules.fail_after == Threshold(count=1)


def test_a_backup_without_an_rpo_is_watched_too_for_its_failures(config: Path) -> None:
    found = expanded(config, "backups: {etc: {files: {paths: [/etc]}, hosts: local, every: 6h}}\n")
    assert list(found.checks) == ["shop/backups/etc@local", "agent/repositories/main@local"]


def test_every_recovery_is_watched_for_its_failures_rehearsed_or_not(config: Path) -> None:
    step = "steps: [{playbook: restart-service.yml}]"
    text = f"recoveries:\n  by-hand: {{{step}}}\n  shown: {{{step}, rehearse: {{on: db, every: 7d}}}}\n"
    found = expanded(config, text)
    kinds = {key: check.kind for key, check in found.checks.items() if "/recoveries/" in key}
    assert kinds == dict.fromkeys(found.recoveries, "recovery-standing")
    assert len(kinds) == 4


def test_incidents_are_filed_from_critical_unless_told_otherwise(config: Path) -> None:
    found = expanded(
        config, "checks: {a: {tcp: 80}, b: {tcp: 80, incident: none}, c: {tcp: 80, incident: {from: warning}}}\n"
    )
    filed = [found.checks[f"shop/checks/{name}@web-1"].rules.incident_from for name in "abc"]
    assert filed == [Verdict.CRITICAL, None, Verdict.WARNING]


def test_an_owner_is_the_item_s_or_the_file_s_or_the_agent_s(config: Path) -> None:
    found = expanded(
        config,
        "owner: db-team\nchecks: {a: {tcp: 80}, b: {tcp: 80, owner: web-team}}\n",
        "service: other\nhosts: db\nchecks: {c: {tcp: 1}}\n",
    )
    keys = ("shop/checks/a@web-1", "shop/checks/b@web-1", "other/checks/c@db-1")
    assert [found.checks[key].owner for key in keys] == ["db-team", "web-team", "web-team"]


def test_a_pause_ends_in_the_zone_of_the_configuration(config: Path) -> None:
    found = check(config, "  a: {tcp: 80, paused: {until: 2026-07-01T12:00, why: moved}}\n")
    assert (found.paused_until_us, found.paused_why) == (1782900000000000, "moved")  # 10:00 UTC


def test_windows_are_about_a_service_some_hosts_or_everything(config: Path) -> None:
    found = expanded(
        config,
        "windows:\n  a: {kind: silence, every: day at 01:00, for: 4h}\n"
        "  b: {kind: silence, start: 2026-07-01, end: 2026-07-02, hosts: web-1}\n"
        "  c: {kind: silence, start: 2026-07-01T00:00Z, for: 1h, enabled: false}\n",
    )
    by_item = {window.item: window for window in found.windows}
    assert set(by_item) == {"agent/windows/company-night", "shop/windows/a", "shop/windows/b"}
    assert by_item["agent/windows/company-night"].service == ""
    assert (by_item["shop/windows/a"].hosts, by_item["shop/windows/a"].duration_seconds) == ((), 14400.0)
    once = by_item["shop/windows/b"]
    assert (once.hosts, once.start_us, once.end_us) == (("web-1",), 1782856800000000, 1782943200000000)


def test_a_service_knows_its_hosts_and_the_agent_is_a_service(config: Path) -> None:
    found = expanded(
        config,
        "importance: critical\ndepends_on: other\nmin_healthy: 2\nlabels: {site: fra}\nchecks: {a: {tcp: 80}}\n",
        "service: other\nchecks: {c: {tcp: 1, hosts: db}}\n",
    )
    shop = found.services["shop"]
    assert (shop.importance, shop.depends_on, shop.min_healthy) == (Importance.CRITICAL, ("other",), 2)
    assert (shop.hosts, shop.labels) == (("web-1", "web-2"), (("site", "fra"),))
    assert found.services["other"].hosts == ("db-1",)
    assert found.services["agent"].owner == "web-team"


def test_a_probe_stands_where_its_page_says_unless_told_otherwise(config: Path) -> None:
    found = expanded(config, "checks: {a: {tcp: 80}, b: {disk: /}, c: {tcp: 80, hosts: switches}}\n")
    stands = [found.checks[f"shop/checks/{name}"].run_from for name in ("a@web-1", "b@web-1", "c@sw-1")]
    assert stands == [RunFrom.AGENT, RunFrom.HOST, RunFrom.AGENT]
    assert "agent/checks/reach@sw-1" not in found.checks


def test_a_device_has_a_check_of_its_connection_once_it_is_asked_over_its_command_line(config: Path) -> None:
    text = (
        "checks: {a: {cli: {command: show version}, every: 5m, hosts: switches}, "
        "b: {snmp: 1.3.6.1.2.1.1.3.0, every: 30s, hosts: switches}}\n"
    )
    found = expanded(config, text)
    assert found.checks["agent/checks/reach@sw-1"].every == (Every(seconds=30.0),)
    for name in "ab":
        assert found.checks[f"shop/checks/{name}@sw-1"].rules.needs == ("agent/checks/reach@sw-1",)
    alone = expanded(config, "checks: {b: {snmp: 1.3.6.1.2.1.1.3.0, hosts: switches}}\n")
    assert alone.checks["shop/checks/b@sw-1"].rules.needs == ()

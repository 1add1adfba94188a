"""Each gate's yes and no, which no comes first, and that no ledger ever lets more start than the budgets allow."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from agent.model.gate import Answer, Evidence, Facts, Floor, Past, Request, Scope, Trigger
from agent.model.remedy import Budget, Limits, Mode, Risk
from agent.practices import gates

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
NOW = 1_764_000_000 * SECOND
RESTART = "shop/remedies/restart"
CAUSE = "shop/checks/storefront@web1"
PROPOSAL = f"watchkeeper playbook run restart.yml --hosts web1 --reason '{CAUSE}'"


def names(count: int) -> frozenset[str]:
    return frozenset(f"web{number}" for number in range(1, count + 1))


def scope(name: str, count: int, unhealthy: int = 0, tripped_us: int | None = None) -> Scope:
    return Scope(name=name, hosts=names(count), unhealthy=names(unhealthy), tripped_us=tripped_us)


def request(**more: Any) -> Request:
    """A remedy that asks by itself and may run, but for what is said."""
    usual: dict[str, Any] = {
        "item": RESTART, "service": "shop", "hosts": ("web1",), "trigger": Trigger.AUTOMATIC, "actor": "agent",
        "cause": CAUSE, "playbook": "restart.yml", "risk": Risk.SAFE, "mode": Mode.AUTO,
    }  # fmt: skip
    return Request(**{**usual, **more})


def by_hand(**more: Any) -> Request:
    """The same by a person, who was granted nothing in the policy."""
    return request(**{"trigger": Trigger.PERSON, "actor": "oncall", "cause": "it hangs", "mode": Mode.PROPOSE, **more})


def planned(**more: Any) -> Request:
    """What runs around a backup, on a host that is well."""
    return request(**{"trigger": Trigger.PLANNED, "hosts": ("web2",), "cause": "prepare of shop/backups/files", **more})


def facts(**more: Any) -> Facts:
    """A quiet world of ten hosts, but for what is said."""
    usual: dict[str, Any] = {
        "now_us": NOW, "fleet": scope("the fleet", 10, 1), "global_budget": Budget(count=20, seconds=3600),
        "breaker_cooldown_seconds": 600.0, "unhealthy": names(1),
        "evidence": Evidence(age_seconds=3.0, fresh_for_seconds=70.0, is_hard=True),
        "scopes": (scope("the fleet", 10, 1), scope("service shop", 6, 1)),
    }  # fmt: skip
    return Facts(**{**usual, **more})


def floor(least: int, service: str = "shop") -> tuple[Floor, ...]:
    """A service on all ten hosts that needs so many of them."""
    return (Floor(service=service, hosts=names(10), min_healthy=least),)


def past(ago_us: int = HOUR, **more: Any) -> Past:
    """The same remedy on the same host for the same cause, proven, `ago_us` ago, but for what is said."""
    usual: dict[str, Any] = {
        "item": RESTART, "service": "shop", "hosts": ("web1",), "cause": CAUSE, "episode": 1, "automatic": True,
        "at_us": NOW - ago_us, "running": False, "verified": True,
    }  # fmt: skip
    return Past(**{**usual, **more})


def elsewhere(ago_us: int = HOUR, **more: Any) -> Past:
    """Something else, on another host of the same service."""
    return past(ago_us, **{"item": "shop/remedies/clean", "hosts": ("web2",), "cause": "shop/checks/disk@web2", **more})


YES = ""
NO_LIMIT = Limits(
    per_host=Budget(count=999, seconds=86400),
    per_policy=Budget(count=999, seconds=3600),
    at_once=999,
    cooldown_seconds=0.0,
)


def no(says: str, *, until_us: int | None = None, needs: str = "", trips: str = "") -> Answer:
    return Answer(gate="", passes=False, says=says, until_us=until_us, needs=needs, trips=trips)


def same(answer: Answer, wanted: Answer | str) -> bool:
    """Whether it is the yes, or the no with all it says."""
    if isinstance(wanted, str):
        return answer.passes and (not wanted or answer.says == wanted)
    return dataclasses.replace(answer, gate="") == wanted


TABLE: list[tuple[gates.Gate, Request, Facts, Answer | str]] = [
    # 1 kill switch: for everybody
    (gates.kill_switch, request(), facts(), "off"),
    (gates.kill_switch, by_hand(), facts(kill_switch="by oncall: storm"),
     no("it is on: by oncall: storm", needs="watchkeeper kill-switch off")),
    (gates.kill_switch, by_hand(), facts(safe_mode="the disk is full"),
     no("safe mode: the disk is full", needs="watchkeeper doctor")),
    # 2 evidence
    (gates.evidence, request(), facts(), "hard, seen 3 s ago"),
    (gates.evidence, request(), facts(evidence=None), no("there is no result to act upon")),
    (gates.evidence, request(), facts(evidence=Evidence(age_seconds=3.0, fresh_for_seconds=70.0, is_hard=False)),
     no("the failure is not hard yet")),
    (gates.evidence, request(), facts(evidence=Evidence(age_seconds=70.0, fresh_for_seconds=70.0, is_hard=True)), YES),
    (gates.evidence, request(), facts(evidence=Evidence(age_seconds=71.0, fresh_for_seconds=70.0, is_hard=True)),
     no("the last result is 71 s old")),
    (gates.evidence, by_hand(), facts(evidence=None), "by hand: it hangs"),
    (gates.evidence, by_hand(hosts=("web2", "web1")), facts(distrusted=names(3)),
     no("the host key of web1, web2 has changed", needs="watchkeeper host trust web1")),
    (gates.evidence, request(), facts(distrusted=frozenset({"web9"})), YES),
    # 3 self: hosts, not checks; five at least
    (gates.self_doubt, request(), facts(unreachable=names(5)), "5 of 10 hosts are unreachable"),
    (gates.self_doubt, request(), facts(unreachable=names(6)),
     no("6 of 10 hosts are unreachable: is it our own network?")),
    (gates.self_doubt, by_hand(), facts(unreachable=names(6)), YES),
    (gates.self_doubt, request(), facts(fleet=scope("the fleet", 4), unreachable=names(4)),
     "fewer than 5 hosts: nothing to compare with"),
    (gates.self_doubt, request(), facts(fleet=scope("the fleet", 5), unreachable=names(3)),
     no("3 of 5 hosts are unreachable: is it our own network?")),
    # 4 suppression
    (gates.suppression, request(), facts(), "nothing suppresses it"),
    (gates.suppression, request(), facts(ledger=(past(running=True),)), no(f"{RESTART} runs already on web1")),
    (gates.suppression, by_hand(hosts=("web2", "web3")), facts(ledger=(past(hosts=("web1", "web2"), running=True),)),
     no(f"{RESTART} runs already on web1, web2")),
    (gates.suppression, request(), facts(ledger=(past(), past(hosts=("web2",), running=True), elsewhere(running=True))), YES),
    (gates.suppression, request(), facts(paused="being rebuilt"), no(f"{RESTART} is paused: being rebuilt")),
    (gates.suppression, request(), facts(silenced="shop/windows/nightly"), no("silenced by shop/windows/nightly")),
    (gates.suppression, request(), facts(parents=("a@web1", "b@web1")), no("a@web1, b@web1 fails as well")),
    (gates.suppression, by_hand(), facts(paused="x", silenced="y", parents=("z",)),
     "by hand: silences and parents do not hold a person back"),
    # 5 breaker: min(5, max(1, 20 %)) of each scope
    (gates.breaker, request(), facts(), "closed in the fleet, service shop"),
    (gates.breaker, request(), facts(scopes=(scope("the fleet", 10, 2), scope("service shop", 6, 1))), YES),
    (gates.breaker, request(), facts(scopes=(scope("the fleet", 10, 2), scope("service shop", 6, 2))),
     no("2 of 6 hosts of service shop are unhealthy, 1 are allowed", trips="service shop")),
    (gates.breaker, request(), facts(scopes=(scope("the fleet", 5, 1),)), YES),
    (gates.breaker, request(), facts(scopes=(scope("the fleet", 5, 2),)),
     no("2 of 5 hosts of the fleet are unhealthy, 1 are allowed", trips="the fleet")),
    (gates.breaker, request(), facts(scopes=(scope("the fleet", 100, 5),)), YES),
    (gates.breaker, request(), facts(scopes=(scope("the fleet", 100, 6),)),
     no("6 of 100 hosts of the fleet are unhealthy, 5 are allowed", trips="the fleet")),
    (gates.breaker, request(limits=Limits(stop_if_failing=0.5)), facts(scopes=(scope("service shop", 6, 3),)), YES),
    (gates.breaker, by_hand(), facts(scopes=(scope("the fleet", 10, 9),)), "by hand: a person has looked"),
    (gates.breaker, request(), facts(scopes=(scope("the fleet", 10, 1, NOW - 600 * SECOND),)), YES),
    (gates.breaker, request(), facts(scopes=(scope("the fleet", 10, 1, NOW - 600 * SECOND + 1),)),
     no("the fleet is cooling down after it tripped", until_us=NOW + 1)),
    # 5 breaker, small sets: one automatic episode per cooldown
    (gates.breaker, request(), facts(scopes=(scope("service shop", 4, 4),)), YES),
    (gates.breaker, request(), facts(scopes=(scope("service shop", 4),), ledger=(elsewhere(900 * SECOND),)), YES),
    (gates.breaker, request(), facts(scopes=(scope("service shop", 4),), ledger=(elsewhere(900 * SECOND - 1),)),
     no("service shop has fewer than 5 hosts: one automatic episode per cooldown", until_us=NOW + 1)),
    (gates.breaker, request(), facts(scopes=(scope("service shop", 5),), ledger=(elsewhere(MINUTE),)), YES),
    (gates.breaker, request(), facts(scopes=(scope("service shop", 4),), ledger=(past(MINUTE),)), YES),  # same episode
    (gates.breaker, request(episode=2), facts(scopes=(scope("service shop", 4),), ledger=(past(MINUTE),)),
     no("service shop has fewer than 5 hosts: one automatic episode per cooldown", until_us=NOW + 14 * MINUTE)),
    (gates.breaker, request(correlation_id="b"), facts(scopes=(scope("s", 4),), ledger=(past(MINUTE, correlation_id="b"),)),
     YES),
    (gates.breaker, request(correlation_id="b"), facts(scopes=(scope("s", 4),), ledger=(past(MINUTE, correlation_id="a"),)),
     no("s has fewer than 5 hosts: one automatic episode per cooldown", until_us=NOW + 14 * MINUTE)),
    (gates.breaker, request(), facts(scopes=(scope("s", 4),), ledger=(elsewhere(MINUTE, automatic=False),)), YES),
    (gates.breaker, request(), facts(scopes=(scope("s", 4),), ledger=(elsewhere(MINUTE, service="db"),)), YES),
    # 6 capacity: healthy hosts that are left, those that are being changed not counted
    (gates.capacity, request(), facts(floors=floor(9)), "9 healthy hosts of shop are left, 9 are needed"),  # web1 is sick already
    (gates.capacity, request(hosts=("web2",)), facts(floors=floor(8)), YES),
    (gates.capacity, request(hosts=("web2",)), facts(floors=floor(9)),
     no("8 healthy hosts would be left of shop, it needs 9", needs="fewer hosts at a time")),
    (gates.capacity, by_hand(hosts=("web2",)), facts(floors=floor(9)),
     no("8 healthy hosts would be left of shop, it needs 9", needs="fewer hosts at a time")),
    (gates.capacity, by_hand(hosts=("web3",)), facts(floors=floor(8), ledger=(past(hosts=("web2",), running=True),)),
     no("7 healthy hosts would be left of shop, it needs 8", needs="fewer hosts at a time")),
    (gates.capacity, by_hand(hosts=("web3",)), facts(floors=floor(8), ledger=(past(hosts=("web2",)),)), YES),
    (gates.capacity, by_hand(hosts=("web2",)), facts(floors=(*floor(0), *floor(9, "mail"))),
     no("8 healthy hosts would be left of mail, it needs 9", needs="fewer hosts at a time")),
    (gates.capacity, request(hosts=("other",)), facts(floors=floor(10)), YES),
    (gates.capacity, request(hosts=("web2",)), facts(floors=()), YES),
    # 7 budget: per host
    (gates.budget, request(), facts(), "within 3 per 1d per host, 10 per 1h for the policy, 20 per 1h in all"),
    (gates.budget, request(), facts(ledger=(past(2 * HOUR), past(3 * HOUR))), YES),
    (gates.budget, request(), facts(ledger=(past(2 * HOUR), past(3 * HOUR), past(4 * HOUR))),
     no("the budget of host web1 is spent: 3 of 3 in 24 h", until_us=NOW + 20 * HOUR)),
    (gates.budget, request(), facts(ledger=(past(2 * HOUR), past(3 * HOUR), past(24 * HOUR))), YES),
    (gates.budget, request(), facts(ledger=tuple(past(hours * HOUR) for hours in (5, 2, 4, 3))),
     no("the budget of host web1 is spent: 4 of 3 in 24 h", until_us=NOW + 20 * HOUR)),
    (gates.budget, request(),  # manual runs and other services count too
     facts(ledger=(past(2 * HOUR, automatic=False), past(3 * HOUR, service="db"), past(4 * HOUR, hosts=("db1", "web1")))),
     no("the budget of host web1 is spent: 3 of 3 in 24 h", until_us=NOW + 20 * HOUR)),
    (gates.budget, request(hosts=("web3", "web1")), facts(ledger=(past(2 * HOUR), past(3 * HOUR), past(4 * HOUR))),
     no("the budget of host web1 is spent: 3 of 3 in 24 h", until_us=NOW + 20 * HOUR)),
    # 7 budget: per policy, in all
    (gates.budget, request(), facts(ledger=(elsewhere(MINUTE),) * 9), YES),
    (gates.budget, request(), facts(ledger=(elsewhere(HOUR - 1),) * 10),
     no("the budget of policy shop is spent: 10 of 10 in 1 h", until_us=NOW + 1)),
    (gates.budget, request(), facts(ledger=(elsewhere(HOUR),) * 10), YES),
    (gates.budget, request(), facts(ledger=(elsewhere(MINUTE, service="db"),) * 19), YES),
    (gates.budget, request(), facts(ledger=(elsewhere(MINUTE, service="db"),) * 20),
     no("the budget of the whole agent is spent: 20 of 20 in 1 h", until_us=NOW + 59 * MINUTE)),
    (gates.budget, by_hand(), facts(ledger=(past(MINUTE, running=True),) * 30), "by hand: counted, not limited"),
    # 7 budget: at once
    (gates.budget, request(), facts(ledger=(elsewhere(MINUTE, running=True),)),
     no("1 of at most 1 run already for shop")),
    (gates.budget, request(), facts(ledger=(elsewhere(MINUTE, running=True, automatic=False),)),
     no("1 of at most 1 run already for shop")),
    (gates.budget, request(), facts(ledger=(elsewhere(MINUTE, running=True, service="db"),)), YES),
    (gates.budget, request(limits=Limits(at_once=2)), facts(ledger=(elsewhere(MINUTE, running=True),)), YES),
    # 7 budget: cooldown of the same remedy on the same host, twice as long after each failure
    (gates.budget, request(), facts(ledger=(past(15 * MINUTE),)), YES),
    (gates.budget, request(), facts(ledger=(past(15 * MINUTE - 1),)),
     no(f"{RESTART} ran there lately: cooldown 900 s", until_us=NOW + 1)),
    (gates.budget, request(), facts(ledger=(past(MINUTE, item="shop/remedies/clean"), elsewhere(MINUTE))), YES),
    (gates.budget, request(), facts(ledger=(past(15 * MINUTE, verified=False),)), YES),
    (gates.budget, request(), facts(ledger=(past(2 * HOUR, verified=False), past(20 * MINUTE, verified=False))),
     no(f"{RESTART} ran there lately: cooldown 1800 s", until_us=NOW + 10 * MINUTE)),
    (gates.budget, request(), facts(ledger=(past(20 * MINUTE, verified=False), past(2 * HOUR, verified=False))),
     no(f"{RESTART} ran there lately: cooldown 1800 s", until_us=NOW + 10 * MINUTE)),
    (gates.budget, request(), facts(ledger=(past(2 * HOUR, verified=False), past(20 * MINUTE))), YES),  # it worked
    (gates.budget, request(), facts(ledger=(past(2 * HOUR, verified=False), past(20 * MINUTE, verified=None))), YES),
    # 8 effectiveness
    (gates.effectiveness, request(), facts(ledger=(past(HOUR), past(2 * HOUR))), "2 of 3 cures of the same symptom"),
    (gates.effectiveness, request(), facts(ledger=(past(HOUR), past(2 * HOUR), past(3 * HOUR))),
     no(f"it worked 3 times in 4 h and {CAUSE} came back: find the cause", needs="a person who finds the cause")),
    (gates.effectiveness, request(), facts(ledger=(past(HOUR), past(2 * HOUR), past(4 * HOUR))), YES),
    (gates.effectiveness, request(), facts(ledger=(past(HOUR), past(2 * HOUR), past(4 * HOUR - 1))),
     no(f"it worked 3 times in 4 h and {CAUSE} came back: find the cause", needs="a person who finds the cause")),
    (gates.effectiveness, request(), facts(ledger=(past(HOUR), past(HOUR), past(HOUR, verified=False))), YES),
    (gates.effectiveness, request(), facts(ledger=(past(HOUR), past(HOUR), past(HOUR, automatic=False))), YES),
    (gates.effectiveness, request(), facts(ledger=(past(HOUR), past(HOUR), elsewhere(HOUR))), YES),
    (gates.effectiveness, by_hand(cause=CAUSE), facts(ledger=(past(HOUR),) * 3), YES),
    # 9 lock: for everybody
    (gates.lock, request(), facts(locks=(("web2", "RUN0000001"),)), "nobody holds the hosts"),
    (gates.lock, by_hand(hosts=("web1", "web2")), facts(locks=(("web9", "x"), ("web2", "RUN0000001"))),
     no("web2 is held by RUN0000001")),
    # 10 calendar
    (gates.calendar, request(), facts(), "not built yet: no change windows and no freezes can be declared"),
    # 11 risk and mode
    (gates.risk_and_mode, request(), facts(), "risk safe (declared), mode auto"),
    (gates.risk_and_mode, request(risk=Risk.REVERSIBLE), facts(), "risk reversible (declared), mode auto"),
    (gates.risk_and_mode, request(risk=Risk.DISRUPTIVE), facts(),
     no("risk disruptive (declared) asks for an approver, and approvals are not built yet", needs=PROPOSAL)),
    (gates.risk_and_mode, request(), facts(raised_risk=(Risk.IRREVERSIBLE, "community.general.filesystem")),
     no("risk irreversible (raised by community.general.filesystem) asks for an approver, and approvals are not built yet",
        needs=PROPOSAL)),
    (gates.risk_and_mode, request(), facts(raised_risk=(Risk.SAFE, "reboot")), "risk safe (declared), mode auto"),
    (gates.risk_and_mode, request(mode=Mode.OBSERVE), facts(), no("mode observe leaves it to a person", needs=PROPOSAL)),
    (gates.risk_and_mode, request(mode=Mode.PROPOSE), facts(), no("mode propose leaves it to a person", needs=PROPOSAL)),
    (gates.risk_and_mode, request(mode=Mode.APPROVE), facts(), no("mode approve leaves it to a person", needs=PROPOSAL)),
    (gates.risk_and_mode, by_hand(risk=Risk.IRREVERSIBLE), facts(),
     "risk irreversible (declared), by hand: oncall answers for it; approvals are not built yet"),
    # 12 plan
    (gates.plan, request(), facts(), "the playbook is there; approved plans are not built yet, so there is no hash to compare"),
    (gates.plan, request(), facts(playbook_missing="there is no playbook restart.yml"),
     no("there is no playbook restart.yml", needs="a playbook of that name")),
    (gates.plan, by_hand(hosts=()), facts(), no("no host is left to act upon", needs="a pattern that matches")),
    (gates.plan, by_hand(hosts=tuple(names(10))), facts(),
     no("this is the whole fleet", needs="--hosts all, if that is meant")),
    (gates.plan, by_hand(hosts=tuple(names(10)), says_all=True), facts(), YES),
    (gates.plan, by_hand(hosts=tuple(names(9))), facts(), YES),
    (gates.plan, request(), facts(fleet=scope("the fleet", 1)), YES),
    (gates.plan, by_hand(hosts=tuple(names(2))), facts(fleet=scope("the fleet", 2)),
     no("this is the whole fleet", needs="--hosts all, if that is meant")),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "wish", "world", "wanted"), TABLE)
def test_a_gate_says(gate: gates.Gate, wish: Request, world: Facts, wanted: Answer | str) -> None:
    answer = gate(wish, world)
    assert same(answer, wanted), answer
    assert answer.gate.replace(" ", "_") in {gate.__name__, gate.__name__.removesuffix("_doubt")}


REBOOTS = facts(raised_risk=(Risk.DISRUPTIVE, "ansible.builtin.reboot"))


@pytest.mark.parametrize(
    ("gate", "wish", "world", "wanted"),
    [
        (gates.kill_switch, planned(brings_back=True), facts(kill_switch="x"),
         no("it is on: x", needs="watchkeeper kill-switch off")),
        (gates.evidence, planned(), facts(evidence=None), "planned: prepare of shop/backups/files"),
        (gates.evidence, planned(), facts(distrusted=names(3)),
         no("the host key of web2 has changed", needs="watchkeeper host trust web2")),
        (gates.self_doubt, planned(), facts(unreachable=names(6)), YES),
        (gates.suppression, planned(), facts(paused="x", silenced="y", parents=("z",)),
         "planned: it answers no check that could be suppressed"),
        (gates.breaker, planned(), facts(scopes=(scope("the fleet", 10, 9),)),
         "planned: it is no cure that could make an illness worse"),
        (gates.capacity, planned(), facts(floors=floor(9)),
         no("8 healthy hosts would be left of shop, it needs 9", needs="fewer hosts at a time")),
        (gates.capacity, planned(brings_back=True), facts(floors=floor(9)), "it puts back what an earlier step has changed"),
        (gates.capacity, by_hand(hosts=("web3",)), facts(floors=floor(8), ledger=(past(hosts=("web2",), running=True, planned=True),)),
         no("7 healthy hosts would be left of shop, it needs 8", needs="fewer hosts at a time")),
        (gates.budget, planned(), facts(ledger=tuple(past(MINUTE) for _ in range(99))), "planned: as often as the policy says"),
        (gates.budget, request(), facts(ledger=tuple(past(MINUTE, planned=True, running=True) for _ in range(99))), YES),
        (gates.lock, planned(), facts(locks=(("web2", "RUN0000001 (patch)"),)), no("web2 is held by RUN0000001 (patch)")),
        (gates.risk_and_mode, planned(risk=Risk.REVERSIBLE), facts(),
         f"risk reversible (declared), planned by the policy of {RESTART}"),
        (gates.risk_and_mode, planned(risk=Risk.REVERSIBLE), REBOOTS,
         no("risk disruptive (raised by ansible.builtin.reboot) asks for an approver, and approvals are not built yet",
            needs="watchkeeper playbook run restart.yml --hosts web2 --reason 'prepare of shop/backups/files'")),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)  # fmt: skip
def test_what_a_policy_plans_around_a_backup(
    gate: gates.Gate, wish: Request, world: Facts, wanted: Answer | str
) -> None:
    test_a_gate_says(gate, wish, world, wanted)


@pytest.mark.parametrize(
    ("hosts", "share", "allowed"),
    [(5, 0.2, 1), (9, 0.2, 1), (10, 0.2, 2), (24, 0.2, 4), (25, 0.2, 5), (1000, 0.2, 5), (5, 0.0, 1), (6, 0.5, 3)],
)
def test_how_many_may_be_unhealthy(hosts: int, share: float, allowed: int) -> None:
    assert gates.allowed_unhealthy(hosts, share) == allowed


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 900), (2, 1800), (3, 3600), (4, 7200), (11, 921_600), (12, 921_600), (5000, 921_600)]
)
def test_the_pause_doubles_with_each_failure_and_never_overflows(failures: int, seconds: int) -> None:
    ledger = tuple(past(MINUTE + number, verified=False) for number in range(failures))
    answer = gates.budget(request(limits=dataclasses.replace(NO_LIMIT, cooldown_seconds=900.0)),
                          facts(ledger=ledger, global_budget=Budget(count=9999, seconds=60)))  # fmt: skip
    if failures > 998:
        assert not answer.passes
    else:
        assert answer.until_us == NOW - MINUTE + seconds * SECOND


# order


def test_a_quiet_world_passes_all_twelve_in_their_order() -> None:
    answers = gates.ask(request(), facts())
    assert [answer.gate for answer in answers] == [
        "kill switch", "evidence", "self", "suppression", "breaker", "capacity", "budget", "effectiveness", "lock",
        "calendar", "risk and mode", "plan",
    ]  # fmt: skip
    assert all(answer.passes for answer in answers)


REFUSED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("kill switch", {"kill_switch": "storm"}),
    ("evidence", {"evidence": None}),
    ("self", {"unreachable": names(9)}),
    ("suppression", {"silenced": "nightly"}),
    ("breaker", {"scopes": (scope("the fleet", 10, 9),)}),
    ("capacity", {"floors": floor(99), "unhealthy": frozenset()}),
    ("budget", {"ledger": (past(1), past(2), past(3))}),
    ("effectiveness", {"ledger": (past(HOUR), past(HOUR), past(HOUR))}),
    ("lock", {"locks": (("web1", "RUN0000001"),)}),
    ("risk and mode", {"raised_risk": (Risk.DISRUPTIVE, "reboot")}),
    ("plan", {"playbook_missing": "there is no playbook"}),
)


@pytest.mark.parametrize("first", range(len(REFUSED)))
def test_the_first_refusal_wins_and_nobody_behind_it_is_asked(first: int) -> None:
    limits = Limits(per_host=Budget(count=999, seconds=60)) if first > 6 else Limits()
    wrong = {name: value for _, changes in reversed(REFUSED[first:]) for name, value in changes.items()}
    answers = gates.ask(request(limits=limits), facts(**wrong))
    assert [answer.passes for answer in answers] == [True] * (len(answers) - 1) + [False]
    assert answers[-1].gate == REFUSED[first][0]


def test_a_person_is_stopped_by_few_gates_and_none_of_them_silently() -> None:
    wrong = {name: value for _, changes in reversed(REFUSED) for name, value in changes.items()}
    stopped = []
    while True:
        last = gates.ask(by_hand(), facts(**wrong))[-1]
        if last.passes:
            break
        stopped.append(last.gate)
        for name in dict(REFUSED)[last.gate]:
            del wrong[name]
    assert stopped == ["kill switch", "capacity", "lock", "plan"]


# whatever happened before, never more starts than the budgets allow

HOSTS = some.sampled_from(["web1", "web2", "web3"])
SERVICES = some.sampled_from(["shop", "db"])
WISHES = some.tuples(
    HOSTS, SERVICES, some.integers(0, 40 * 60), some.sampled_from([True, False, None]), some.booleans()
)
BUDGETS = some.builds(Budget, count=some.integers(1, 4), seconds=some.sampled_from([600, 3600, 7200]))


def within(ledger: list[Past], budget: Budget, at_us: int) -> int:
    return sum(at_us - one.at_us < budget.seconds * SECOND for one in ledger)


@settings(max_examples=80)
@given(some.lists(WISHES, max_size=40), BUDGETS, BUDGETS, BUDGETS, some.integers(1, 2))
def test_no_ledger_lets_more_start_than_the_budgets_allow(
    wishes: list[tuple[str, str, int, bool | None, bool]], host: Budget, policy: Budget, everyone: Budget, at_once: int
) -> None:
    limits = Limits(per_host=host, per_policy=policy, at_once=at_once, cooldown_seconds=60.0)
    ledger: list[Past] = []
    at_us = NOW
    for name, service, pause, verified, automatic in wishes:
        at_us += pause * SECOND
        wish = (request if automatic else by_hand)(hosts=(name,), service=service, limits=limits)
        world = facts(now_us=at_us, ledger=tuple(ledger), global_budget=everyone)
        passes = gates.budget(wish, world).passes
        if automatic:
            own = [one for one in ledger if one.service == service]
            spent = (
                within([one for one in ledger if name in one.hosts], host, at_us) >= host.count
                or within(own, policy, at_us) >= policy.count
                or within(ledger, everyone, at_us) >= everyone.count
                or sum(one.running for one in own) >= at_once
            )
            assert not (passes and spent)
        if passes:
            running = verified is None
            ledger = [dataclasses.replace(one, running=one.running and not running) for one in ledger]
            ledger.append(
                past(0, hosts=(name,), service=service, at_us=at_us, running=running, verified=verified, automatic=automatic)
            )  # fmt: skip


@settings(max_examples=80)
@given(some.lists(some.tuples(some.integers(1, 90), some.sampled_from([True, False, None])), max_size=12), BUDGETS)
def test_a_refusal_that_names_a_moment_is_over_then_and_not_before(
    history: list[tuple[int, bool | None]], host: Budget
) -> None:
    """Until then: no. At that moment: yes, or another reason, which names a later one."""
    limits = Limits(per_host=host, per_policy=Budget(count=99, seconds=60), cooldown_seconds=600.0)
    ledger = tuple(past(minutes * MINUTE, verified=verified) for minutes, verified in history)
    now_us = NOW
    for _ in range(30):
        answer = gates.budget(request(limits=limits), facts(now_us=now_us, ledger=ledger))
        if answer.passes:
            break
        assert answer.until_us is not None
        assert answer.until_us > now_us
        assert not gates.budget(request(limits=limits), facts(now_us=answer.until_us - 1, ledger=ledger)).passes
        now_us = answer.until_us
    assert answer.passes

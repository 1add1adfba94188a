"""The gates in front of every change to the world: one ordered tuple of pure functions; the first refusal wins.

A gate whose subject is not built yet answers with that fact, not with a bare yes.
"""

from collections.abc import Callable

from agent.model.gate import Answer, Facts, Past, Request, Scope, Trigger
from agent.model.remedy import Mode, Risk

MICROSECONDS = 1_000_000
SMALL_SET = 5  # hosts; below, shares mean nothing
MOST_DOUBLINGS = 10  # of a cooldown; by then it is days

Gate = Callable[[Request, Facts], Answer]


def ask(request: Request, facts: Facts) -> tuple[Answer, ...]:
    """The answers of all gates up to the first refusal; the change may start when the last one passes."""
    answers: list[Answer] = []
    for gate in GATES:
        answers.append(gate(request, facts))
        if not answers[-1].passes:
            break
    return tuple(answers)


def _yes(gate: str, says: str) -> Answer:
    return Answer(gate=gate, passes=True, says=says)


def _no(gate: str, says: str, *, until_us: int | None = None, needs: str = "") -> Answer:
    return Answer(gate=gate, passes=False, says=says, until_us=until_us, needs=needs)


def _by_hand(request: Request) -> bool:
    return request.trigger is Trigger.PERSON


def _is_planned(request: Request) -> bool:
    return request.trigger is Trigger.PLANNED


def kill_switch(_: Request, facts: Facts) -> Answer:
    """1: nothing moves while the switch is on, or while the agent distrusts itself."""
    if facts.kill_switch:
        return _no("kill switch", f"it is on: {facts.kill_switch}", needs="watchkeeper kill-switch off")
    if facts.safe_mode:
        return _no("kill switch", f"safe mode: {facts.safe_mode}", needs="watchkeeper doctor")
    return _yes("kill switch", "off")


def evidence(request: Request, facts: Facts) -> Answer:
    """2: no action on what is old, soft, or seen through a connection in doubt."""
    doubted = sorted(facts.distrusted.intersection(request.hosts))
    if doubted:
        return _no(
            "evidence",
            f"the host key of {', '.join(doubted)} has changed",
            needs=f"watchkeeper host trust {doubted[0]}",
        )
    if _by_hand(request):
        return _yes("evidence", f"by hand: {request.cause}")
    if _is_planned(request):
        return _yes("evidence", f"planned: {request.cause}")
    seen = facts.evidence
    if seen is None:
        return _no("evidence", "there is no result to act upon")
    if not seen.is_hard:
        return _no("evidence", "the failure is not hard yet")
    if seen.age_seconds > seen.fresh_for_seconds:
        return _no("evidence", f"the last result is {seen.age_seconds:.0f} s old")
    return _yes("evidence", f"hard, seen {seen.age_seconds:.0f} s ago")


def self_doubt(request: Request, facts: Facts) -> Answer:
    """3: many hosts unreachable at once is first a question about the observer."""
    if len(facts.fleet.hosts) < SMALL_SET:
        return _yes("self", f"fewer than {SMALL_SET} hosts: nothing to compare with")
    lost = len(facts.unreachable)
    if lost * 2 > len(facts.fleet.hosts) and request.trigger is Trigger.AUTOMATIC:
        return _no("self", f"{lost} of {len(facts.fleet.hosts)} hosts are unreachable: is it our own network?")
    return _yes("self", f"{lost} of {len(facts.fleet.hosts)} hosts are unreachable")


def suppression(request: Request, facts: Facts) -> Answer:
    """4: not in a silence, not below a failing parent, not twice at a time, not while paused."""
    for past in facts.ledger:
        if past.running and past.item == request.item and set(past.hosts) & set(request.hosts):
            return _no("suppression", f"{request.item} runs already on {', '.join(past.hosts)}")
    if _by_hand(request):
        return _yes("suppression", "by hand: silences and parents do not hold a person back")
    if _is_planned(request):
        return _yes("suppression", "planned: it answers no check that could be suppressed")
    if facts.paused:
        return _no("suppression", f"{request.item} is paused: {facts.paused}")
    if facts.silenced:
        return _no("suppression", f"silenced by {facts.silenced}")
    if facts.parents:
        return _no("suppression", f"{', '.join(facts.parents)} fails as well")
    return _yes("suppression", "nothing suppresses it")


def breaker(request: Request, facts: Facts) -> Answer:
    """5: when too much of a set is unhealthy, automation is not the cure."""
    if _by_hand(request):
        return _yes("breaker", "by hand: a person has looked")
    if _is_planned(request):
        return _yes("breaker", "planned: it is no cure that could make an illness worse")
    for scope in facts.scopes:
        refusal = _small(scope, request, facts) if len(scope.hosts) < SMALL_SET else _tripped(scope, request, facts)
        if refusal is not None:
            return refusal
    return _yes("breaker", "closed in " + ", ".join(scope.name for scope in facts.scopes))


def allowed_unhealthy(hosts: int, share: float) -> int:
    """How many hosts of a set may be unhealthy: min(5, max(1, share))."""
    return min(5, max(1, int(hosts * share)))


def _tripped(scope: Scope, request: Request, facts: Facts) -> Answer | None:
    allowed = allowed_unhealthy(len(scope.hosts), request.limits.stop_if_failing)
    if len(scope.unhealthy) > allowed:
        says = (
            f"{len(scope.unhealthy)} of {len(scope.hosts)} hosts of {scope.name} are unhealthy, {allowed} are allowed"
        )
        return Answer(gate="breaker", passes=False, says=says, trips=scope.name)
    if scope.tripped_us is not None:
        until = scope.tripped_us + int(facts.breaker_cooldown_seconds * MICROSECONDS)
        if facts.now_us < until:
            return _no("breaker", f"{scope.name} is cooling down after it tripped", until_us=until)
    return None


def _small(scope: Scope, request: Request, facts: Facts) -> Answer | None:
    """A small set gets one automatic episode, with all its attempts, per cooldown of the policy."""
    span = int(request.limits.cooldown_seconds * MICROSECONDS)
    mine = (request.cause, request.correlation_id, request.episode)
    for past in facts.ledger:
        other = (past.cause, past.correlation_id, past.episode) != mine
        if past.automatic and other and past.service == request.service and facts.now_us - past.at_us < span:
            says = f"{scope.name} has fewer than {SMALL_SET} hosts: one automatic episode per cooldown"
            return _no("breaker", says, until_us=past.at_us + span)
    return None


def capacity(request: Request, facts: Facts) -> Answer:
    """6: our own hand never takes a service below `min_healthy`; a host that is being changed does not count."""
    if request.brings_back:
        return _yes("capacity", "it puts back what an earlier step has changed")
    busy = {host for past in facts.ledger if past.running for host in past.hosts}
    says = []
    for floor in facts.floors:
        healthy = floor.hosts - facts.unhealthy - busy
        after = len(healthy - set(request.hosts))
        if healthy & set(request.hosts) and after < floor.min_healthy:
            refused = f"{after} healthy hosts would be left of {floor.service}, it needs {floor.min_healthy}"
            return _no("capacity", refused, needs="fewer hosts at a time")
        says.append(f"{after} healthy hosts of {floor.service} are left, {floor.min_healthy} are needed")
    return _yes("capacity", "; ".join(says) or "no service of these hosts needs a number of them")


def budget(request: Request, facts: Facts) -> Answer:
    """7: so many per host, per policy and in all; with a pause in between that grows after failures."""
    if _by_hand(request):
        return _yes("budget", "by hand: counted, not limited")
    if _is_planned(request):
        return _yes("budget", "planned: as often as the policy says")
    limits = request.limits
    ledger = [past for past in facts.ledger if not past.planned]
    mine = [past for past in ledger if past.service == request.service]
    running = sum(past.running for past in mine)
    if running >= limits.at_once:
        return _no("budget", f"{running} of at most {limits.at_once} run already for {request.service}")
    for host in request.hosts:
        here = [past for past in ledger if host in past.hosts]
        if refusal := _spent(here, limits.per_host.count, limits.per_host.seconds, f"host {host}", facts):
            return refusal
        if refusal := _cooling([past for past in here if past.item == request.item], request, facts):
            return refusal
    policy, everyone = limits.per_policy, facts.global_budget
    return (
        _spent(mine, policy.count, policy.seconds, f"policy {request.service}", facts)
        or _spent(ledger, everyone.count, everyone.seconds, "the whole agent", facts)
        or _yes("budget", f"within {limits.per_host} per host, {policy} for the policy, {everyone} in all")
    )


def _spent(past: list[Past], count: int, seconds: float, whose: str, facts: Facts) -> Answer | None:
    span = int(seconds * MICROSECONDS)
    recent = sorted(one.at_us for one in past if facts.now_us - one.at_us < span)
    if len(recent) < count:
        return None
    says = f"the budget of {whose} is spent: {len(recent)} of {count} in {seconds / 3600:g} h"
    return _no("budget", says, until_us=recent[-count] + span)


def _cooling(here: list[Past], request: Request, facts: Facts) -> Answer | None:
    if not here:
        return None
    ordered = sorted(here, key=lambda past: past.at_us)
    failures = 0
    for past in reversed(ordered):
        if past.verified is not False:
            break
        failures += 1
    pause = request.limits.cooldown_seconds * 2 ** min(MOST_DOUBLINGS, max(0, failures - 1))
    until = ordered[-1].at_us + int(pause * MICROSECONDS)
    if facts.now_us >= until:
        return None
    return _no("budget", f"{request.item} ran there lately: cooldown {pause:.0f} s", until_us=until)


def effectiveness(request: Request, facts: Facts) -> Answer:
    """8: a remedy that works again and again does not cure."""
    limit = request.limits.same_symptom
    span = int(limit.seconds * MICROSECONDS)
    worked = [
        past
        for past in facts.ledger
        if past.automatic and past.cause == request.cause and past.verified and facts.now_us - past.at_us < span
    ]
    if len(worked) >= limit.count and not _by_hand(request):
        says = (
            f"it worked {len(worked)} times in {limit.seconds / 3600:g} h and {request.cause} came back: find the cause"
        )
        return _no("effectiveness", says, needs="a person who finds the cause")
    return _yes("effectiveness", f"{len(worked)} of {limit.count} cures of the same symptom")


def lock(request: Request, facts: Facts) -> Answer:
    """9: one change at a time on a host."""
    for host, owner in facts.locks:
        if host in request.hosts:
            return _no("lock", f"{host} is held by {owner}")
    return _yes("lock", "nobody holds the hosts")


def calendar(_: Request, __: Facts) -> Answer:
    """10: change windows and freezes; none can be declared yet."""
    return _yes("calendar", "not built yet: no change windows and no freezes can be declared")


def risk_and_mode(request: Request, facts: Facts) -> Answer:
    """11: what the operator granted, against what the change can do."""
    risk, why = request.risk, "declared"
    if facts.raised_risk is not None and facts.raised_risk[0] > risk:
        risk, why = facts.raised_risk[0], f"raised by {facts.raised_risk[1]}"
    words = f"risk {risk.name.lower()} ({why})"
    if _by_hand(request):
        return _yes("risk and mode", f"{words}, by hand: {request.actor} answers for it; approvals are not built yet")
    if _is_planned(request) and risk < Risk.DISRUPTIVE:
        return _yes("risk and mode", f"{words}, planned by the policy of {request.item}")
    hosts = ",".join(request.hosts)
    needs = f"watchkeeper playbook run {request.playbook} --hosts {hosts} --reason '{request.cause}'"
    if request.mode is not Mode.AUTO:
        return _no("risk and mode", f"mode {request.mode.name.lower()} leaves it to a person", needs=needs)
    if risk >= Risk.DISRUPTIVE:
        return _no("risk and mode", f"{words} asks for an approver, and approvals are not built yet", needs=needs)
    return _yes("risk and mode", f"{words}, mode auto")


def plan(request: Request, facts: Facts) -> Answer:
    """12: there is something to run, somewhere to run it, and nobody hits the whole fleet by accident."""
    if facts.playbook_missing:
        return _no("plan", facts.playbook_missing, needs="a playbook of that name")
    if not request.hosts:
        return _no("plan", "no host is left to act upon", needs="a pattern that matches")
    if len(request.hosts) > 1 and facts.fleet.hosts <= set(request.hosts) and not request.says_all:
        return _no("plan", "this is the whole fleet", needs="--hosts all, if that is meant")
    return _yes("plan", "the playbook is there; approved plans are not built yet, so there is no hash to compare")


GATES: tuple[Gate, ...] = (
    kill_switch,
    evidence,
    self_doubt,
    suppression,
    breaker,
    capacity,
    budget,
    effectiveness,
    lock,
    calendar,
    risk_and_mode,
    plan,
)

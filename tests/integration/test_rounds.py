"""Rounds on a real store and a real inventory: what is due after a failure, and a round whose policy is gone."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import current_thread
from typing import Any

import pytest
from sqlalchemy.event import listen, remove

from agent.app import Builder
from agent.cli.recovery import resumed
from agent.clock import SystemClock
from agent.errors import RefusedError
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.gate import Request, Trigger
from agent.model.look import Verdict
from agent.model.policy import PolicySet
from agent.model.proof import Point
from agent.runtime import holds, once
from agent.runtime.agent import Agent
from agent.runtime.gates import Wanted
from agent.runtime.orders import Orders
from agent.runtime.recovery_records import Order
from agent.runtime.rota import Rota
from agent.store import backups, counters, dues, executions, ids
from agent.store.engine import Store

CLOCK = SystemClock()
KEY, GONE = "shop/backups/files@here", "shop/backups/gone@here"
SECOND = 1_000_000
CONFIG = """
version: 1
name: watch-test
owner: on-watch
teams: {on-watch: {members: []}}
repositories:
  main: {url: var/restic, password: {secret: main}}
  kept: {url: var/kept, password: {secret: main}, check: {every: day at 12:00}, prune: {every: sunday at 12:00}}
  away: {url: var/away, password: {secret: main}, check: {every: day at 12:00}}
"""
POLICY = """
version: 1
service: shop
hosts: here
windows:
  past: {kind: backup, start: 2020-01-01, end: 2020-01-02}
backups:
  files: {files: {paths: [/etc/hosts]}, repository: main, every: 12h, retries: {attempts: 1, pause: 1s}}
  quiet: {files: {paths: [/etc/hosts]}, repository: main, every: 12h, window: past}
"""
TIDY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.file: {path: "{{ marker }}", state: touch, mode: "0600"}
"""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """An agent of this process, that nobody drives."""
    files = {
        "config.yaml": CONFIG, "policies/shop.yaml": POLICY, "playbooks/tidy.yml": TIDY, "secrets/main": "secret",
        "inventory/hosts.yml": "all: {hosts: {here: {ansible_connection: local}}}",
    }  # fmt: skip
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(content)
        path.chmod(0o600)
    built = Builder(tmp_path / "config.yaml").agent(migrate=True)
    yield built
    built.close()


def filed(
    store: Store, key: str, kind: ExecutionKind, state: ExecutionState, *, running: bool = False, **more: Any
) -> Execution:
    """An execution that ended a minute ago, or runs since then."""
    item, _, host = key.partition("@")
    ended = CLOCK.now() - 60 * SECOND
    with store.write() as tx:
        made = Execution(
            id=ids.ulid(CLOCK), number=counters.next_number(tx, "RUN"), kind=kind, item=item, service="shop", host=host,
            state=state, actor="agent", why="it is due", correlation_id=key, episode=1, attempt=1,
            boot_id=CLOCK.boot_id, deadline_ns=CLOCK.boottime(), intent_at_us=ended, ended_at_us=None if running else ended,
            **more,
        )  # fmt: skip
        executions.insert(tx, made)
        if not running:
            holds.note_end(tx, made)
        dues.mark(tx, f"backup:{key}", ended)
    return made


def due(agent: Agent) -> list[tuple[str, str, int]]:
    return [(one.key, one.why, one.attempt) for one in agent.rounds.due(CLOCK.now())]


def test_what_failed_by_what_passes_is_tried_again_and_a_closed_window_is_waited_for(agent: Agent) -> None:
    assert due(agent) == [(KEY, "it is due", 1)]
    filed(
        agent.store, KEY, ExecutionKind.BACKUP, ExecutionState.FAILED, detail={"outcome": "locked"}, args={"attempt": 1}
    )
    assert due(agent) == [(KEY, "try 2 of 2: the last one failed by locked", 2)]
    filed(
        agent.store, KEY, ExecutionKind.BACKUP, ExecutionState.FAILED, detail={"outcome": "locked"}, args={"attempt": 2}
    )
    assert due(agent) == []


def wanted(kind: ExecutionKind) -> Wanted:
    """A person's wish to change the host."""
    request = Request(
        item="playbook/tidy.yml", service="", hosts=("here",), trigger=Trigger.PERSON, actor="oncall", cause="it hangs",
        playbook="tidy.yml", says_all=True,
    )  # fmt: skip
    return Wanted(request=request, kind=kind, correlation_id="x", timeout_seconds=60.0, args={}, why="it hangs")


def test_no_change_begins_while_a_backup_of_its_host_runs_but_files_can_be_restored(agent: Agent) -> None:
    saving = filed(agent.store, GONE, ExecutionKind.BACKUP, ExecutionState.DISPATCHED, running=True)
    refused = agent.gatekeeper.admit(wanted(ExecutionKind.PLAYBOOK), then=lambda _, __: None)
    assert refused.execution is None
    assert refused.refusal.says == f"here is held by {saving.number} (shop/backups/gone)"
    assert agent.gatekeeper.admit(wanted(ExecutionKind.RESTORE), then=lambda _, __: None).execution is not None
    assert due(agent) == [], "and no backup while files are put back"


def test_a_round_whose_policy_is_gone_is_cleaned_up_all_the_same(agent: Agent, tmp_path: Path) -> None:
    marker = tmp_path / "tidied"
    cleanup = {"playbook": "tidy.yml", "variables": {"marker": str(marker)}, "timeout_seconds": 60.0}
    args = {"round": 7, "attempt": 1, "prepares": True, "cleanup": cleanup}
    filed(agent.store, GONE, ExecutionKind.PREPARE, ExecutionState.SUCCEEDED, args=args)
    with agent.store.write() as tx:
        holds.note_begin(tx, GONE, 7)
        dues.mark(tx, f"backup:{KEY}", CLOCK.now())
    assert due(agent) == [], "its host is prepared for another"
    asyncio.run(drive(agent, lambda: not agent.rounds.is_open(GONE)))
    with agent.store.read() as reader:
        told = [(one.kind, one.state, one.summary) for one in executions.listing(reader, correlation_id=GONE)][::-1]
    assert told[1][:2] == (ExecutionKind.BACKUP, ExecutionState.FAILED)
    assert told[1][2] == "its policy is gone"
    assert told[2][:2] == (ExecutionKind.CLEANUP, ExecutionState.SUCCEEDED)
    assert marker.exists()


async def drive(agent: Agent, until: Callable[[], bool]) -> None:
    """Take step after step, as the daemon does."""
    ends_ns = CLOCK.boottime() + 60 * 10**9
    while not until():
        assert CLOCK.boottime() < ends_ns, "it takes too long"
        agent.rounds.waking.poke()
        await agent.rounds.go_on(GONE)
        await agent.executor.poll()
        await CLOCK.sleep_until(CLOCK.boottime() + 10**8)


def test_what_came_with_a_reload_is_watched_from_then_on(agent: Agent, tmp_path: Path) -> None:
    """Its age counts, although nothing was ever saved and the agent was not started anew: else its rpo never ends."""
    new = """
  fresh: {files: {paths: [/etc/hosts]}, repository: main, every: 12h, rpo: 1h}
recoveries:
  back: {steps: [{restore: backups/fresh}]}
"""
    asyncio.run(reloaded(agent, tmp_path, new))
    with agent.store.read() as reader:
        marks = dues.last_runs(reader)
    assert {"watched:shop/backups/fresh@here", "watched:shop/recoveries/back@here"} <= set(marks)


def test_a_round_that_cannot_be_read_holds_up_no_other(agent: Agent) -> None:
    broken = "shop/backups/broken@here"
    filed(agent.store, broken, ExecutionKind.PREPARE, ExecutionState.SUCCEEDED, args={"round": 7})
    args = {"round": 8, "attempt": 1, "prepares": True, "cleanup": None}
    filed(agent.store, GONE, ExecutionKind.PREPARE, ExecutionState.SUCCEEDED, args=args)
    with agent.store.write() as tx:
        holds.note_begin(tx, broken, 7)
        holds.note_begin(tx, GONE, 8)
        dues.mark(tx, f"backup:{KEY}", CLOCK.now())
    asyncio.run(agent.rounds.start_due())
    with agent.store.read() as reader:
        assert executions.listing(reader, correlation_id=GONE)[0].summary == "its policy is gone"


def test_whatever_is_read_for_a_round_or_a_recovery_is_read_where_a_slow_disk_delays_no_check(
    agent: Agent, tmp_path: Path
) -> None:
    """All checks begin in the thread that these ask from."""
    asyncio.run(reloaded(agent, tmp_path, "\nrecoveries: {back: {steps: [{restore: backups/files}]}}\n"))
    recovery = agent.book.policies.recoveries["shop/recoveries/back@here"]
    plan = agent.recoveries.records.file(Order(recovery=recovery, onto="here", actor="oncall", why="it burnt"))
    filed(agent.store, plan.id, ExecutionKind.RESTORE, ExecutionState.FAILED)
    args = {"round": 8, "attempt": 1, "prepares": True, "cleanup": None}
    filed(agent.store, GONE, ExecutionKind.PREPARE, ExecutionState.SUCCEEDED, args=args)
    with agent.store.write() as tx:
        holds.note_begin(tx, GONE, 8)
        dues.mark(tx, f"backup:{KEY}", CLOCK.now())
    asked: list[str] = []
    with agent.store.read() as reader:
        listen(reader.engine, "before_cursor_execute", lambda *given: asked.append(current_thread().name))

    async def a_turn_of_each() -> None:
        await agent.executor.adopt()
        await agent.rounds.start_due()
        await agent.rounds.begin(ExecutionKind.DRILL, agent.book.policies.backups[KEY], actor="oncall", why="")
        await agent.recoveries.turn()
        await agent.dispatcher.round()
        await Orders(agent, Rota(agent)).turn()
        await agent.executor.poll()

    asyncio.run(a_turn_of_each())
    assert {name.partition("_")[0] for name in asked} == {"look", "write"}


def test_once_through_everything_says_what_did_not_come_to_its_end(agent: Agent) -> None:
    """Else a backup that takes longer than an hour looks as if it were done."""

    async def too_short() -> tuple[str, ...]:
        try:
            return await once.through(agent, Rota(agent), asyncio.Event(), longest_seconds=0.0)
        finally:
            while agent.executor.running():
                await agent.executor.poll()
                await CLOCK.sleep_until(CLOCK.boottime() + 10**8)

    assert asyncio.run(too_short()) == ("RUN0000001 (backup of shop/backups/files)",)


def spread(agent: Agent, policies: PolicySet, key: str, hosts: int) -> None:
    """A backup on so many hosts, each saved, drilled and copied an hour ago, and each with a last try that failed."""
    names = [f"host{number}" for number in range(hosts)]
    backup = policies.backups[key]
    spread = {f"{backup.item}@{name}": replace(backup, key=f"{backup.item}@{name}", host=name) for name in names}
    known = {name: replace(policies.hosts["here"], name=name) for name in names}
    agent.book.adopt(replace(policies, hosts=known, backups=spread), agent.book.generation + 1)
    with agent.store.write() as tx:
        dues.watch(tx, spread)
        for one in spread.values():
            saved_us = CLOCK.now() - 3600 * SECOND
            point = Point(
                key=one.key, exec_id=one.key, snapshot=one.key, at_us=saved_us, files=1, size_bytes=1, added_bytes=1
            )
            backups.add_point(tx, point)
            dues.mark(tx, f"drill:{one.key}", saved_us)
    for one in spread.values():
        source, copy = f"agent/repositories/kept@{one.host}", f"agent/repositories/away@{one.host}"
        args = {"source": source, "upto": CLOCK.now()}
        filed(agent.store, copy, ExecutionKind.COPY, ExecutionState.SUCCEEDED, args=args)
        filed(agent.store, one.key, ExecutionKind.BACKUP, ExecutionState.FAILED, detail={"outcome": "locked"})
        with agent.store.write() as tx:
            for name in (f"check:{source}", f"prune:{source}", f"check:{copy}"):
                dues.mark(tx, name, CLOCK.now())


def asked(agent: Agent, what: Callable[[int], object]) -> int:
    """How many questions to the store it takes to find out that nothing is due."""
    statements: list[str] = []

    def note(_: object, __: object, words: str, *___: object) -> None:
        statements.append(words)

    with agent.store.read() as reader:
        engine = reader.engine
    listen(engine, "before_cursor_execute", note)
    assert not what(CLOCK.now())
    remove(engine, "before_cursor_execute", note)
    return len([words for words in statements if words.lstrip().startswith(("SELECT", "WITH"))])


def test_what_is_due_of_many_hosts_takes_no_more_questions_than_of_a_few(agent: Agent, tmp_path: Path) -> None:
    """It is asked twice a minute: with a thousand hosts, a dozen questions for each were a third of a core."""
    retries = "retries: {attempts: 1, pause: 1h}"
    many = f"{{files: {{paths: [/etc/hosts]}}, repository: kept, every: 12h, drill: {{every: 7d}}, copies: [away], {retries}}}"
    asyncio.run(reloaded(agent, tmp_path, f"\n  many: {many}\n"))
    policies, counts = agent.book.policies, []
    for hosts in (2, 20):
        spread(agent, policies, "shop/backups/many@here", hosts)
        agent.caretaker.due(CLOCK.now())
        counts.append((asked(agent, agent.rounds.due), asked(agent, agent.caretaker.due)))
    assert counts[0] == counts[1]
    assert max(counts[0]) < 12


async def reloaded(agent: Agent, home: Path, new: str) -> None:
    """The policy with something new in it, in force."""
    (home / "policies/shop.yaml").write_text(POLICY.rstrip() + new)
    orders = Orders(agent, Rota(agent))
    orders.reload_soon()
    await orders.turn(is_news=False)


def test_what_proves_a_recovery_is_looked_at_together(agent: Agent, tmp_path: Path) -> None:
    """A host that just came back may be slow to answer: one after the other, its checks would stop all recoveries."""
    checks = "".join(f"""
  {mine}: {{command: {{command: "touch {tmp_path}/{mine}; n=0; until test -e {tmp_path}/{other}; do n=$((n+1));
    test $n -gt 30 && exit 2; sleep 0.1; done"}}}}""" for mine, other in (("one", "two"), ("two", "one")))  # fmt: skip
    steps = "steps: [{restore: backups/files}], verify: [checks/one, checks/two]"
    asyncio.run(reloaded(agent, tmp_path, f"\nchecks:{checks}\nrecoveries:\n  back: {{{steps}}}\n"))
    recovery = agent.book.policies.recoveries["shop/recoveries/back@here"]
    plan = agent.recoveries.records.file(Order(recovery=recovery, onto="here", actor="oncall", why="it burnt"))
    filed(agent.store, plan.id, ExecutionKind.RESTORE, ExecutionState.SUCCEEDED)
    assert asyncio.run(agent.recoveries.advance(plan)).state is ExecutionState.SUCCEEDED


def test_while_a_host_comes_up_again_only_what_is_well_is_taken_note_of(agent: Agent, tmp_path: Path) -> None:
    """It is looked at again and again: three looks within a second must open no incident."""
    up, key = tmp_path / "up", "shop/checks/one@here"
    checks = f"{{one: {{command: {{command: test -e {up}}}}}}}"
    steps = "{steps: [{restore: backups/files}], verify: [checks/one]}"
    asyncio.run(reloaded(agent, tmp_path, f"\nchecks: {checks}\nrecoveries: {{back: {steps}}}\n"))
    recovery = agent.book.policies.recoveries["shop/recoveries/back@here"]
    plan = agent.recoveries.records.file(Order(recovery=recovery, onto="here", actor="oncall", why="it burnt"))
    filed(agent.store, plan.id, ExecutionKind.RESTORE, ExecutionState.SUCCEEDED)
    for _ in range(3):
        assert asyncio.run(agent.recoveries.advance(plan)).ended_at_us is None
    assert agent.book.state(key).raw is None
    up.touch()
    assert asyncio.run(agent.recoveries.advance(plan)).state is ExecutionState.SUCCEEDED
    assert agent.book.state(key).raw is Verdict.OK


def test_an_interrupted_recovery_is_not_taken_for_one_to_another_time(agent: Agent, tmp_path: Path) -> None:
    asyncio.run(reloaded(agent, tmp_path, "\nrecoveries: {back: {steps: [{restore: backups/files}]}}\n"))
    recovery = agent.book.policies.recoveries["shop/recoveries/back@here"]
    plan = agent.recoveries.records.file(Order(recovery=recovery, onto="here", actor="oncall", why="it burnt"))
    with pytest.raises(RefusedError, match="as of the newest point"):
        resumed(agent, plan, "here", at_us=CLOCK.now())
    assert resumed(agent, plan, "here", at_us=None).id == plan.id

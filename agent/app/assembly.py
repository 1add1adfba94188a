"""Puts the parts of an agent together: which part is made of which others."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

from agent.checks import Target
from agent.checks.recalling import kept
from agent.clock import Clock
from agent.model.config import Config
from agent.model.execution import ExecutionKind
from agent.model.host import Connection
from agent.policy import watching
from agent.policy.catalogue import Catalogue
from agent.runtime.agent import Agent
from agent.runtime.book import Book
from agent.runtime.caretaker import Caretaker
from agent.runtime.desk import Desk
from agent.runtime.dispatch import Dispatcher
from agent.runtime.drift import Drift
from agent.runtime.executor import Executor, Work
from agent.runtime.foresight import Foresight
from agent.runtime.freshness import Freshness
from agent.runtime.gates import Gatekeeper
from agent.runtime.health import Health
from agent.runtime.looking import Looker
from agent.runtime.memories import Memories
from agent.runtime.pipeline import Pipeline
from agent.runtime.quorums import Quorums
from agent.runtime.recorder import Recorder
from agent.runtime.recoveries import Recoveries
from agent.runtime.recovery_records import Records
from agent.runtime.references import resolve
from agent.runtime.reload import Load, Reloader
from agent.runtime.remedies import Plays, Remedies
from agent.runtime.rounds import Rounds
from agent.runtime.saves import Saves
from agent.runtime.scheduler import Scheduler
from agent.runtime.scripts import Scripts
from agent.runtime.surroundings import AroundPlays, Surroundings
from agent.runtime.upkeep import Upkeep
from agent.runtime.verifying import Verifying, VerifyPlays
from agent.runtime.workers import Workers
from agent.secrets import Secrets
from agent.sinks import SinkContext
from agent.store.engine import Store
from agent.store.owners import Claim
from agent.transports.device import device_pool
from agent.transports.snmp.hub import Hub
from agent.transports.ssh import SshPool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What an agent is built on; the `claim` is a daemon's hold on the state folder."""

    store: Store
    clock: Clock
    catalogue: Catalogue
    config: Config
    load: Load
    failpoint: Callable[[str], None]
    claim: Claim | None = None


def assemble(given: Given) -> Agent:
    """The whole agent, with nothing read yet; it ends by `close`."""
    parts = _Parts(given)
    parts.executor.attend_by(parts.verifying.attend)
    return Agent(
        clock=parts.clock,
        store=parts.store,
        workers=parts.workers,
        book=parts.book,
        desk=parts.desk,
        gatekeeper=parts.gatekeeper,
        executor=parts.executor,
        remedies=parts.remedies,
        saves=parts.saves,
        freshness=parts.freshness,
        rounds=parts.rounds,
        upkeep=parts.upkeep,
        caretaker=parts.caretaker,
        recoveries=parts.recoveries,
        recorder=parts.recorder,
        looker=parts.looker,
        pipeline=parts.pipeline,
        dispatcher=parts.dispatcher,
        reloader=parts.reloader,
        scheduler=parts.scheduler,
        health=parts.health,
        pool=parts.pool,
        devices=parts.devices,
        snmp=parts.snmp,
        claim=given.claim,
    )


class _Parts:
    """What everybody needs, and each further part when it is first asked for."""

    def __init__(self, given: Given) -> None:
        self.given, self.config, self.catalogue = given, given.config, given.catalogue
        self.store, self.clock, self.failpoint = given.store, given.clock, given.failpoint
        self.workers, self.book, self.secrets = Workers(), Book(self.store), Secrets(self.config.secrets)
        self.scheduler, self.health = Scheduler(self.clock), Health(self.config.state, self.clock)
        self.desk = Desk(self.store, self.clock, self.book)
        self.records = Records(store=self.store, clock=self.clock, book=self.book)
        self.freshness = Freshness(store=self.store, clock=self.clock, book=self.book)
        self.snmp, self.memories = Hub(), Memories(self.clock, kinds=kept(self.catalogue.probes))
        known_hosts = self.config.state / "known_hosts"
        self.pool = SshPool(known_hosts, self.clock)
        self.devices = device_pool(known_hosts, self.clock, self.secrets.resolve)

    # what changes the world

    @functools.cached_property
    def saves(self) -> Saves:
        drift = Drift(self.clock, self.book, self.desk)
        return Saves(
            store=self.store, clock=self.clock, book=self.book, secrets=self.secrets, noticed=self.scheduler.now,
            revised=drift.follow,
        )  # fmt: skip

    @functools.cached_property
    def upkeep(self) -> Upkeep:
        return Upkeep(
            store=self.store, clock=self.clock, book=self.book, secrets=self.secrets, noticed=self.scheduler.now
        )

    @functools.cached_property
    def works(self) -> Mapping[ExecutionKind, Work]:
        """What knows how each kind of execution is run and read."""
        plays = Plays(
            book=self.book, desk=self.desk, clock=self.clock, noticed=self.scheduler.now,
            secrets=lambda given: resolve(given, self.secrets),
        )  # fmt: skip
        around = AroundPlays(plays=plays, noticed=self.scheduler.now)
        saves, upkeep = self.saves, self.upkeep
        return {
            ExecutionKind.PREPARE: around, ExecutionKind.CLEANUP: around,
            ExecutionKind.PLAYBOOK: plays, ExecutionKind.REMEDY: plays, ExecutionKind.BACKUP: saves,
            ExecutionKind.DRILL: saves, ExecutionKind.RESTORE: saves, ExecutionKind.VERIFY: VerifyPlays(plays=plays),
            ExecutionKind.CHECK: upkeep, ExecutionKind.PRUNE: upkeep, ExecutionKind.COPY: upkeep,
        }  # fmt: skip

    @functools.cached_property
    def executor(self) -> Executor:
        return Executor(
            store=self.store, clock=self.clock, book=self.book, workers=self.workers, works=self.works,
            failpoint=self.failpoint,
        )  # fmt: skip

    @functools.cached_property
    def gatekeeper(self) -> Gatekeeper:
        return Gatekeeper(self.store, self.clock, self.book, safe_mode=self.health.safe_mode, failpoint=self.failpoint)

    @functools.cached_property
    def verifying(self) -> Verifying:
        return Verifying(
            store=self.store, clock=self.clock, book=self.book, gatekeeper=self.gatekeeper, executor=self.executor,
            workers=self.workers,
        )  # fmt: skip

    @functools.cached_property
    def remedies(self) -> Remedies:
        return Remedies(
            book=self.book, desk=self.desk, gatekeeper=self.gatekeeper, executor=self.executor, store=self.store,
            clock=self.clock,
        )  # fmt: skip

    # what looks

    @functools.cached_property
    def looker(self) -> Looker:
        inner = {
            watching.FRESHNESS: self.freshness.fresh,
            watching.UPKEEP: self.upkeep.look,
            watching.RECOVERY: self.records.fresh,
            "quorum": Quorums(self.book, self.clock).look,
        }
        return Looker(
            probes=self.catalogue.probes, workers=self.workers, clock=self.clock, inner=inner, memories=self.memories,
            pools={Connection.SSH: self.pool, Connection.NETWORK_CLI: self.devices},
            means=Target(host=None, address=None, secrets=self.secrets, snmp=self.snmp),
        )  # fmt: skip

    @functools.cached_property
    def recorder(self) -> Recorder:
        return Recorder(self.store, self.clock, self.workers, self.memories)

    @functools.cached_property
    def pipeline(self) -> Pipeline:
        looker = Foresight(self.looker, self.store, self.book, self.workers)
        return Pipeline(
            book=self.book, looker=looker, desk=self.desk, recorder=self.recorder, remedies=self.remedies,
            workers=self.workers,
        )  # fmt: skip

    # what begins by itself

    @functools.cached_property
    def rounds(self) -> Rounds:
        surroundings = Surroundings(
            store=self.store, clock=self.clock, book=self.book, gatekeeper=self.gatekeeper, saves=self.saves
        )
        return Rounds(
            store=self.store, clock=self.clock, book=self.book, saves=self.saves, executor=self.executor,
            workers=self.workers, looker=self.looker, surroundings=surroundings,
        )  # fmt: skip

    @functools.cached_property
    def caretaker(self) -> Caretaker:
        return Caretaker(
            store=self.store, clock=self.clock, upkeep=self.upkeep, executor=self.executor, workers=self.workers
        )

    @functools.cached_property
    def recoveries(self) -> Recoveries:
        return Recoveries(
            clock=self.clock, book=self.book, gatekeeper=self.gatekeeper, executor=self.executor, workers=self.workers,
            pipeline=self.pipeline, looker=self.looker, records=self.records, noticed=self.scheduler.now,
        )  # fmt: skip

    @functools.cached_property
    def dispatcher(self) -> Dispatcher:
        return Dispatcher(
            store=self.store, clock=self.clock, book=self.book, desk=self.desk, workers=self.workers,
            sinks=self.catalogue.sinks,
            context=SinkContext(secrets=self.secrets, name=self.config.name, home=self.config.home),
        )  # fmt: skip

    @functools.cached_property
    def reloader(self) -> Reloader:
        return Reloader(
            store=self.store, clock=self.clock, book=self.book, desk=self.desk, load=self.given.load,
            scripts=Scripts(self.catalogue.probes), failpoint=self.failpoint,
        )  # fmt: skip

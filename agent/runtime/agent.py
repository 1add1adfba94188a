"""The agent of one process: its parts, put together by the composition root."""

import dataclasses

from agent.clock import Clock
from agent.runtime.book import Book
from agent.runtime.caretaker import Caretaker
from agent.runtime.desk import Desk
from agent.runtime.dispatch import Dispatcher
from agent.runtime.executor import Executor
from agent.runtime.freshness import Freshness
from agent.runtime.gates import Gatekeeper
from agent.runtime.health import Health
from agent.runtime.looking import Looker
from agent.runtime.pipeline import Pipeline
from agent.runtime.recorder import Recorder
from agent.runtime.recoveries import Recoveries
from agent.runtime.reload import Reloader
from agent.runtime.remedies import Remedies
from agent.runtime.rounds import Rounds
from agent.runtime.saves import Saves
from agent.runtime.scheduler import Scheduler
from agent.runtime.upkeep import Upkeep
from agent.runtime.workers import Workers
from agent.store.engine import Store
from agent.store.owners import Claim
from agent.transports.snmp.hub import Hub
from agent.transports.ssh import SshPool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Agent:
    """Everything that works together in one process; `close` ends it in order."""

    clock: Clock
    store: Store
    workers: Workers
    book: Book
    desk: Desk
    gatekeeper: Gatekeeper
    executor: Executor
    remedies: Remedies
    saves: Saves
    freshness: Freshness
    rounds: Rounds
    upkeep: Upkeep
    caretaker: Caretaker
    recoveries: Recoveries
    recorder: Recorder
    looker: Looker
    pipeline: Pipeline
    dispatcher: Dispatcher
    reloader: Reloader
    scheduler: Scheduler
    health: Health
    pool: SshPool
    devices: SshPool
    snmp: Hub
    claim: Claim | None = None  # a daemon's hold on the state folder

    def watch_from_now(self) -> None:
        """Note since when everything that the policies in force name is watched; in the writing thread."""
        self.saves.watch_from_now()
        self.upkeep.watch_from_now()
        self.recoveries.records.watch_from_now()

    def close(self) -> None:
        """Stop the threads, hang up, close the store; then let the next daemon in."""
        self.workers.close()
        self.pool.close()
        self.devices.close()
        self.snmp.close()
        self.store.close()
        if self.claim is not None:
            self.claim.release()

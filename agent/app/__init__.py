"""The composition root and entry point: the only place that builds objects and hands them down."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import InputError, StoreError

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.inventory import Snapshot
    from agent.model.config import Config
    from agent.policy.catalogue import Catalogue
    from agent.policy.load import Loaded
    from agent.runtime.agent import Agent
    from agent.runtime.reload import Load
    from agent.store.engine import Store
    from agent.store.owners import Claim

MIGRATION_SECONDS = 600.0
SYSTEM_CONFIG = Path("/etc/watchkeeper/config.yaml")


def nothing(_point: str) -> None:
    """The failpoint of everyday life."""


def main() -> None:
    """Run the command line."""
    from agent import cli

    cli.main(Builder)


def _migrate_apart(state: Path, clock: "Clock") -> None:
    """Have the schema brought up to date by a process that ends; if it cannot, opening the store says why."""
    from agent.clock import Deadline
    from agent.store.engine import Store
    from agent.transports import local

    try:
        Store.open(state, clock, migrate=False).close()
    except StoreError:
        argv = [sys.executable, "-I", "-m", "agent.store.migrating", str(state)]
        local.run(argv, deadline=Deadline.after(clock, MIGRATION_SECONDS))


class Builder:
    """Builds the parts of the program, each when it is first asked for."""

    def __init__(self, config: Path | None = None, *, failpoint: Callable[[str], None] = nothing) -> None:
        self._config = config
        self._failpoint = failpoint

    def config_path(self) -> Path:
        """The config file in use: as told, else $WATCHKEEPER_CONFIG, else ./config.yaml, else /etc/watchkeeper."""
        if given := self._config or os.environ.get("WATCHKEEPER_CONFIG"):
            path = Path(given).absolute()
            if not path.exists():
                raise InputError(f"there is no {path}", hint="watchkeeper init FOLDER, or name another by --config")
            return path
        here = Path("config.yaml")
        path = here if here.exists() else SYSTEM_CONFIG
        if not path.exists():
            raise InputError("there is no config.yaml here, nor in /etc/watchkeeper", hint="watchkeeper init")
        return path.absolute()

    def clock(self) -> "Clock":
        """The kernel's clocks."""
        from agent.clock import SystemClock

        return SystemClock()

    def catalogue(self) -> "Catalogue":
        """Every probe, engine and sink there is."""
        from agent import backups, checks, sinks
        from agent.policy.catalogue import Catalogue
        from agent.registry import scan

        return Catalogue(
            probes=scan(checks, checks.FAMILY), engines=scan(backups, backups.FAMILY), sinks=scan(sinks, sinks.FAMILY)
        )

    def load(self) -> "Loaded":
        """Everything an operator wrote, validated."""
        return self.loader()()

    def loader(self) -> "Load":
        """Loads the files; with the last good ones at hand for those that are broken, or instead of all."""
        from agent.inventory import Inventory
        from agent.policy import load as policy
        from agent.policy.remembered import Remembered

        path, catalogue, clock = self.config_path(), self.catalogue(), self.clock()
        inventories: dict[Path, Inventory] = {}
        remembered = Remembered(catalogue)

        def of(config: "Config") -> Inventory:
            known = inventories.get(config.inventory)
            if known is None:
                known = Inventory(config.inventory, clock=clock, cache=config.state / "inventory.json")
            inventories[config.inventory] = known
            return known

        def ask(config: "Config", patterns: frozenset[str]) -> "Snapshot":
            return of(config).read(patterns)

        def last(config: "Config", patterns: frozenset[str]) -> "Snapshot":
            return of(config).last(patterns)

        def load(*, last_good: Mapping[str, bytes] | None = None, instead: bool = False) -> "Loaded":
            if instead:
                return policy.load_kept(path, catalogue=catalogue, inventory=ask, sources=last_good or {})
            return policy.load(
                path, catalogue=catalogue, inventory=ask, inventory_kept=last, last_good=last_good,
                remembered=remembered,
            )  # fmt: skip

        return load

    def state(self) -> Path:
        """The configured state folder, whether it exists or not."""
        return self._configuration(self.catalogue()).state

    def _configuration(self, catalogue: "Catalogue") -> "Config":
        """The agent's own configuration; while its file is broken, as it was in force last."""
        from agent.errors import PolicyError
        from agent.policy import load as policy

        path = self.config_path()
        try:
            return policy.config_of(path, catalogue)
        except PolicyError:
            found = self._config_in_force(path, catalogue)
            if found is None:
                raise
            return found

    def _config_in_force(self, path: Path, catalogue: "Catalogue") -> "Config | None":
        from agent.policy import load as policy
        from agent.store import policies
        from agent.store.engine import Store

        folder = policy.state_of(path)
        if folder is None:
            return None
        try:
            store = Store.open(folder, self.clock(), migrate=False)
        except StoreError:
            return None
        try:
            with store.read() as reader:
                last = policies.last_good(reader)
        finally:
            store.close()
        found = policy.config_kept(path, catalogue=catalogue, sources=last.files) if last is not None else None
        return found if found is not None and found.state == folder else None

    def store(self, *, migrate: bool = False) -> "Store":
        """The store of the configured state folder."""
        from agent.store.engine import Store

        config = self._configuration(self.catalogue())
        return Store.open(config.state, self.clock(), migrate=migrate, failpoint=self._failpoint)

    def agent(self, *, migrate: bool = False) -> "Agent":
        """The whole agent, with the policies in force and all states read; with `migrate`, as the folder's one daemon.

        OwnedError when another daemon has the state folder.
        """
        from agent.store import owners

        clock, catalogue = self.clock(), self.catalogue()
        config = self._configuration(catalogue)
        if not migrate:
            return self._open(clock, catalogue, config, None)
        claim = owners.claim(config.state, clock)
        try:
            return self._open(clock, catalogue, config, claim)
        except BaseException:
            claim.release()
            raise

    def found(self) -> Path | None:
        """Begin the record of an agent that never ran; its state folder, None where there is one already."""
        from agent.store import policies
        from agent.store.engine import Store
        from agent.store.folder import DATABASE_NAME

        state = self.state()
        if (state / DATABASE_NAME).exists():
            store = Store.open(state, self.clock(), migrate=False)
            try:
                with store.read() as reader:
                    if policies.last_good(reader) is not None:
                        return None
            finally:
                store.close()
        self.agent(migrate=True).close()
        return state

    def _open(self, clock: "Clock", catalogue: "Catalogue", config: "Config", claim: "Claim | None") -> "Agent":
        from agent.app.assembly import Given, assemble
        from agent.store import owners
        from agent.store.engine import Store

        if claim is not None:
            _migrate_apart(config.state, clock)
        store = Store.open(config.state, clock, migrate=claim is not None, failpoint=self._failpoint)
        try:
            agent = assemble(
                Given(
                    store=store, clock=clock, catalogue=catalogue, config=config, load=self.loader(),
                    failpoint=self._failpoint, claim=claim,
                )
            )  # fmt: skip
            agent.book.read()
            if claim is None:
                self._adopt(agent)
            else:
                with store.write() as tx:
                    owners.record(tx, claim.owner)
                agent.reloader.begin()
                agent.recorder.begin()
        except BaseException:
            store.close()
            raise
        return agent

    def _adopt(self, agent: "Agent") -> None:
        """A command runs by what the daemon has in force; without one, by the files as they are."""
        from agent.errors import PolicyError
        from agent.store import policies

        with agent.store.read() as reader:
            last = policies.last_good(reader)
        if last is None:
            raise StoreError("the agent never ran here", hint="watchkeeper run --once")
        loaded = self.loader()(last_good=last.files)
        if loaded.policies is None:
            raise PolicyError("\n".join(map(str, loaded.problems)), hint="watchkeeper validate")
        agent.book.adopt(loaded.policies, last.generation)

"""Follows executions from their start to their recorded end, shows how far they are, and tells how they ended."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import typer

from agent.cli import ExitCode, output
from agent.cli.wording import harmless, size
from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.model.execution import Execution
    from agent.runtime.agent import Agent

POLL_NS = 200_000_000
Ended = TypeVar("Ended")


class Show(Protocol):
    """Something that shows how far an execution is; asked again and again."""

    def look(self, run_dir: Path) -> None:
        """Show what is new in the run folder."""


async def begun_or_none(agent: "Agent", begin: "Callable[[], Awaitable[Execution | None]]") -> "Execution | None":
    """Begin it. Where there is no room, what a stopped daemon left is settled if it is over, and it is tried once more."""
    found = await begin()
    if found is None:
        await agent.executor.adopt()
        await agent.executor.poll()
        found = await begin()
    return found


async def follow(agent: "Agent", execution: "Execution", show: Show) -> "Execution":
    """Wait for the end of an execution that this process started; the execution as it was recorded."""
    from agent.store import executions

    run_dir = agent.executor.run_dir(execution)
    while any(one.id == execution.id for one in agent.executor.running()):
        show.look(run_dir)
        await agent.clock.sleep_until(agent.clock.boottime() + POLL_NS)
        await agent.executor.poll()
    show.look(run_dir)
    with agent.store.read() as reader:
        ended = executions.get(reader, execution.id)
    if ended is None:
        raise AgentError(f"{execution.number} is not in the record any more", hint="watchkeeper doctor")
    return ended


async def follow_job(agent: "Agent", execution: "Execution", *, quiet: bool) -> "Execution":
    """The same of a backup's or a repository's job, with a meter; `quiet` for programs that read JSON."""
    if quiet:
        return await follow(agent, execution, _Silence())
    with Meter(f"{execution.number} {execution.kind} of {execution.item}") as meter:
        return await follow(agent, execution, meter)


def watched(work: Coroutine[Any, Any, Ended], begun: list[str]) -> Ended:
    """Do what somebody watches. When they stop, what has `begun` by then, by its number, goes on, kept by its shim."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        if not begun:
            raise
        output.note(f"{begun[0]} goes on by itself; the daemon records its end, and: watchkeeper status")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def tell(ended: "Iterable[Execution]", *, lines: str, as_json: bool) -> None:
    """How each ended, with the `lines` of its detail. Leaves with 1 unless all went well, and lacks nothing."""
    from agent.model.execution import ExecutionState
    from agent.runtime import documents

    ended = list(ended)
    if as_json:
        output.document({"items": [{**documents.execution(one), "detail": dict(one.detail)} for one in ended]})
    else:
        for one in ended:
            where = f"{one.item} on {one.host}" if one.host else one.item
            ending = _ending(one)
            output.say(f"{one.number} {one.kind} of {where}: {ending}: {one.summary}", style=ending)
            for line in one.detail.get(lines, ()):
                output.say(f"  {line}")
    if any(_ending(one) != ExecutionState.SUCCEEDED for one in ended):
        raise typer.Exit(ExitCode.WRONG_IN_THE_WORLD)


def _ending(one: "Execution") -> str:
    """Its state; of a job that came to its end and lacks something: partial."""
    from agent.model.execution import ExecutionState

    is_partial = one.state is ExecutionState.SUCCEEDED and one.detail.get("outcome") == "partial"
    return "partial" if is_partial else str(one.state)


class _Silence:
    """Shows nothing, for programs that read JSON."""

    def look(self, run_dir: Path) -> None:
        """Nothing."""


class Tail:
    """The output of a play, as it comes."""

    def __init__(self) -> None:
        self._at = 0

    def look(self, run_dir: Path) -> None:
        """Print what the child has said since the last time."""
        from agent.transports import child

        try:
            with child.stdout_path(run_dir).open("rb") as file:
                file.seek(self._at)
                found = file.read()
        except FileNotFoundError:
            return
        self._at += len(found)
        if found:
            typer.echo(harmless(found.decode("utf-8", "replace").replace("\r\n", "\n"), keep_lines=True), nl=False)


class Meter:
    """A progress bar on a terminal, a line per phase elsewhere, fed from a backup's progress.json."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._phase = ""
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(),
                TextColumn("{task.fields[told]}", markup=False),
            )  # fmt: skip
            self._task = self._bar.add_task(harmless(self._title), total=None, told="")
            self._bar.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def look(self, run_dir: Path) -> None:
        """Show how far the engine says it is."""
        from agent import backups

        try:
            found = json.loads((run_dir / backups.PROGRESS).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return  # not there yet, or just being replaced
        phase, done, total = str(found["phase"]), int(found["size_bytes"]), int(found["total_bytes"])
        if self._bar is not None:
            told = f"{phase}  {found['files']} files, {size(done)}" if found["files"] or done else phase
            self._bar.update(self._task, total=total or None, completed=min(done, total), told=harmless(told))
        elif phase != self._phase:
            output.say(f"{self._title}: {phase}")
        self._phase = phase

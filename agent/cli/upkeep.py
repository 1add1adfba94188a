"""The upkeep of repositories by hand: backup check, backup prune, backup copy."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import output
from agent.cli.context import the_agent
from agent.cli.following import begun_or_none, follow_job, tell, watched
from agent.cli.output import AsJson
from agent.cli.wording import person
from agent.errors import RefusedError

if TYPE_CHECKING:
    from agent.model.execution import Execution, ExecutionKind
    from agent.practices.places import Place
    from agent.runtime.agent import Agent

Which = Annotated[str, typer.Argument(metavar="REPOSITORY", help="A name of config.yaml, such as main or main@HOST.")]
OnHost = Annotated[str | None, typer.Option(help="The repository of this host alone.")]
Why = Annotated[str, typer.Option(help="Why; it is written down.")]
Accept = Annotated[
    bool, typer.Option("--accept", help="First take what the last check found strange for right: you have looked.")
]


def check(
    ctx: typer.Context,
    which: Which,
    *,
    host: OnHost = None,
    accept: Accept = False,
    reason: Why = "by hand",
    as_json: AsJson = False,
) -> None:
    """Check a repository: its structure, the next share of its data, who changed what. Ends with 1 when it is not sound."""
    from agent.model.execution import ExecutionKind

    with the_agent(ctx, found=True) as agent:
        found = _places(agent, which, host)
        if accept:
            for place in found:
                for one in agent.upkeep.accept(place, actor=person(), why=reason):
                    output.note(f"accepted: {one.words}")
        ended = _run(agent, ExecutionKind.CHECK, found, reason, quiet=as_json)
    tell(ended, lines="damage", as_json=as_json)


def prune(
    ctx: typer.Context, which: Which, *, host: OnHost = None, reason: Why = "by hand", as_json: AsJson = False
) -> None:
    """Remove what `keep` does not name, and free its room, now; refused while the repository is not to be trusted."""
    from agent.model.execution import ExecutionKind

    with the_agent(ctx, found=True) as agent:
        found = _places(agent, which, host)
        for place in found:
            if why := agent.upkeep.rests(place):
                raise RefusedError(
                    f"nothing is removed from {place.repository.name}: {why}",
                    hint=agent.upkeep.way_out(place),
                )
        ended = _run(agent, ExecutionKind.PRUNE, found, reason, quiet=as_json)
    tell(ended, lines="damage", as_json=as_json)


def copy(
    ctx: typer.Context, which: Which, *, host: OnHost = None, reason: Why = "by hand", as_json: AsJson = False
) -> None:
    """Bring a repository that others are copied to up to date now, and hold it against them."""
    from agent.model.execution import ExecutionKind

    with the_agent(ctx, found=True) as agent:
        found = [place for place in _places(agent, which, host) if place.sources]
        if not found:
            raise RefusedError(f"nothing is copied to {which}", hint="name it in `copies` of a backup")
        ended = _run(agent, ExecutionKind.COPY, found, reason, quiet=as_json)
    tell(ended, lines="damage", as_json=as_json)


def _places(agent: "Agent", which: str, host: str | None) -> "list[Place]":
    from agent.cli.naming import matching

    known = agent.upkeep.places()
    names = ", ".join(sorted({place.repository.name for place in known.values()}))
    see = f"there are: {names}" if names else "no backup names one"
    return [known[cause] for cause in matching(known, which, "repository", host=host, see=see)]


def _run(
    agent: "Agent", kind: "ExecutionKind", found: "Iterable[Place]", reason: str, *, quiet: bool
) -> "list[Execution]":
    wanted = [(place, args) for place in found for args in agent.caretaker.arguments(kind, place)]
    return [_begin(agent, kind, place, args, reason, quiet=quiet) for place, args in wanted]


def _begin(
    agent: "Agent", kind: "ExecutionKind", place: "Place", args: Mapping[str, object], reason: str, *, quiet: bool
) -> "Execution":
    async def work() -> "Execution":
        execution = await begun_or_none(
            agent, lambda: agent.caretaker.begin(kind, place, actor=person(), why=reason, args=args)
        )
        if execution is None:
            raise RefusedError(
                f"repository {place.repository.name} is at work for somebody else",
                hint="wait for it: watchkeeper status",
            )
        begun.append(execution.number)
        return await follow_job(agent, execution, quiet=quiet)

    begun: list[str] = []
    return watched(work(), begun)

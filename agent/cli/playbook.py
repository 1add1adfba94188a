"""playbook: run one by hand, with the same gates, locks, record and audit as an automatic one."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import ExitCode, output, plain
from agent.cli.context import the_agent
from agent.cli.following import Tail, follow, watched
from agent.cli.options import seconds
from agent.cli.wording import person, plural
from agent.errors import InputError

if TYPE_CHECKING:
    from agent.model.execution import Execution
    from agent.runtime.agent import Agent

app = plain(help="Playbooks, run by hand.")
SERVICE = "agent"  # what people run belongs to no service of the policies


@app.callback()
def _() -> None:
    """Playbooks, run by hand."""


@app.command()
def run(  # noqa: PLR0913  a play is all of this
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A file of the playbooks folder.")],
    *,
    hosts: Annotated[str, typer.Option(metavar="PATTERN", help="An Ansible host pattern.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is written down.")],
    extra: Annotated[
        list[str] | None,
        typer.Option("--extra", "-e", metavar="NAME=VALUE", help="A variable, as data; may be repeated."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Rehearse: Ansible's check mode.")] = False,
    timeout: Annotated[str, typer.Option(metavar="DURATION", help="Killed after so long.")] = "30m",
) -> None:
    """Run a playbook through the gates and follow it. Ends with 1 when it fails, with 3 when a gate refuses."""
    variables = _variables(extra or [])
    limit = seconds(timeout, "--timeout")
    with the_agent(ctx, found=True) as agent:
        args = {"playbook": name, "vars": variables, "check": check}
        execution = _admitted(agent, _resolved(agent, hosts), args, reason, says_all=hosts == "all", limit=limit)
        output.note(f"{execution.number}: {name} on {', '.join(execution.args['hosts'])}")
        ended = watched(_play(agent, execution), [execution.number])
    _tell(ended)


async def _play(agent: "Agent", execution: "Execution") -> "Execution":
    await agent.executor.start(execution)
    return await follow(agent, execution, Tail())


def _variables(given: list[str]) -> dict[str, Any]:
    from pydantic import TypeAdapter

    from agent.actions.play_variables import check_names
    from agent.closed import FreeMap, Plain

    pairs = [text.partition("=") for text in given]
    bad = [name for name, sign, _ in pairs if not sign]
    if bad:
        raise InputError(f"-e {bad[0]}: a value is missing", hint="write it as -e name=value")
    variables: dict[str, Any] = TypeAdapter(FreeMap).validate_python({name: Plain(value) for name, _, value in pairs})
    if refused := check_names(variables):
        raise InputError(
            f"refused variable {'; '.join(refused)}", hint="give it another name, here and in the playbook"
        )
    return variables


def _resolved(agent: "Agent", pattern: str) -> tuple[str, ...]:
    from agent.inventory import Inventory

    found = Inventory(agent.book.policies.config.inventory, clock=agent.clock).read(frozenset({pattern}))
    if pattern not in found.patterns:
        raise InputError(f"--hosts {pattern}: {found.problems[pattern]}", hint="watchkeeper host list")
    return found.patterns[pattern]


def _admitted(
    agent: "Agent", hosts: tuple[str, ...], args: dict[str, Any], reason: str, *, says_all: bool, limit: float
) -> "Execution":
    from agent.cli.gated import admitted
    from agent.model.execution import ExecutionKind
    from agent.model.gate import Request, Trigger
    from agent.runtime.gates import Wanted
    from agent.store import ids

    request = Request(
        item=f"{SERVICE}/playbooks/{args['playbook']}", service=SERVICE, hosts=hosts, trigger=Trigger.PERSON,
        actor=person(), cause=reason, playbook=args["playbook"], says_all=says_all,
    )  # fmt: skip
    return admitted(
        agent,
        Wanted(
            request=request, kind=ExecutionKind.PLAYBOOK, correlation_id=ids.ulid(agent.clock),
            timeout_seconds=limit, args=args, why=reason,
        ),
    )  # fmt: skip


def _tell(ended: "Execution") -> None:
    from agent.model.execution import ExecutionState

    output.say(f"{ended.number} {ended.state}: {ended.summary}", style=ended.state)
    for what in ("failed", "unreachable"):
        names = ended.detail.get(what, ())
        if names:
            output.say(f"{what}: {plural(len(names), 'host')}: {', '.join(names)}")
    if ended.state is not ExecutionState.SUCCEEDED:
        raise typer.Exit(ExitCode.WRONG_IN_THE_WORLD)

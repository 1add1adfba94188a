"""The front door for people: one file per noun, loaded when used.

Exit codes are a promise: 0 done · 1 something is wrong in the world · 2 bad input or configuration · 3 refused by a
gate · 4 the agent itself could not work · 130 interrupted.
"""

import enum
import importlib
import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup, TyperOption

from agent.cli.context import Parts
from agent.errors import WatchkeeperError

PROGRAM = "watchkeeper"


class ExitCode(enum.IntEnum):
    """What our exit codes mean; `--help` and a test repeat them."""

    DONE = 0
    WRONG_IN_THE_WORLD = 1
    BAD_INPUT = 2
    REFUSED = 3
    AGENT_COULD_NOT_WORK = 4
    INTERRUPTED = 130


EXIT_CODES = (
    (ExitCode.DONE, "done"),
    (ExitCode.WRONG_IN_THE_WORLD, "done, and something is wrong in the world: a failing check, an open incident"),
    (ExitCode.BAD_INPUT, "bad input or configuration"),
    (ExitCode.REFUSED, "refused by a gate; the reason and what would lift it are printed"),
    (ExitCode.AGENT_COULD_NOT_WORK, "the agent itself could not work"),
    (ExitCode.INTERRUPTED, "a one-shot command was interrupted"),
)


class Command(NamedTuple):
    """A word of the command line, the module of `agent.cli` behind it, and what it does."""

    name: str
    module: str
    does: str


COMMANDS = (
    Command("init", "init", "write a working set-up for this machine"),
    Command("validate", "validate", "load everything and print every error"),
    Command("schema", "schema", "print the JSON Schema for editors"),
    Command("plan", "plan", "show what would run when and where, touching nothing"),
    Command("run", "run", "run the daemon, or everything once"),
    Command("reload", "reload", "have the running daemon read its files again"),
    Command("status", "status", "services, checks, backups and incidents at a glance"),
    Command("check", "check", "list checks, run them now, explain their state"),
    Command("backup", "backup", "list, make, prove and restore backups"),
    Command("config", "config", "configurations of network devices: their history, and what changed"),
    Command("recovery", "recovery", "list, carry out and rehearse recoveries"),
    Command("playbook", "playbook", "run a playbook by hand, through the same gates"),
    Command("incident", "incident", "list, open and work on incidents"),
    Command("window", "window", "list windows of silence and for changes"),
    Command("kill-switch", "kill_switch", "stop every change to the world, and allow them again"),
    Command("audit", "audit", "verify the journal's chain of hashes"),
    Command("host", "host", "list hosts, pin their keys"),
    Command("doctor", "doctor", "what is missing here, and how to mend it"),
)


class _AsTyped(TyperOption):
    """An option whose value stays what was typed: Typer's conversion would import pydantic for every help."""

    def process_value(self, ctx: Any, value: Any) -> Any:
        """What was typed, through the option's callback if it has one."""
        return self.callback(ctx, self, value) if self.callback is not None else value


def _as_typed(option: Any) -> TyperOption:
    return _AsTyped(
        param_decls=[option.name, *option.opts], type_descriptor=option.type_descriptor, metavar=option.metavar,
        help=option.help, default=option.default, callback=option.callback, is_flag=option.is_flag,
        is_eager=option.is_eager, expose_value=option.expose_value,
    )  # fmt: skip


class Words(TyperGroup):
    """A group of commands whose own options cost nothing."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._help: TyperOption | None = None

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        """The option --help, the same object every time."""
        if self._help is None:
            self._help = _as_typed(super().get_help_option(ctx))
        return self._help


class Front(Words):
    """The words of the command line; the module behind a word is imported when that word is used."""

    def list_commands(self, _: Any) -> list[str]:
        """All words, in the order of the table."""
        return [command.name for command in COMMANDS]

    def get_command(self, _: Any, cmd_name: str) -> Any:
        """The command behind a word."""
        for command in COMMANDS:
            if command.name == cmd_name:
                module = importlib.import_module(f"agent.cli.{command.module}")
                found = typer.main.get_command(module.app)
                found.name = command.name
                return found
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments mean; a misspelt one gets a suggestion."""
        names: dict[str, Any] = dict.fromkeys(self.list_commands(ctx))
        self.commands = names  # only the names are read, for the suggestion
        return super().resolve_command(ctx, args)

    def format_commands(self, _: Any, formatter: Any) -> None:
        """The table of words, without importing what is behind them."""
        with formatter.section("Commands"):
            formatter.write_dl([(command.name, command.does) for command in COMMANDS])

    def format_epilog(self, _: Any, formatter: Any) -> None:
        """The table of exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), meaning) for code, meaning in EXIT_CODES])

    def main(self, args: Any = None, prog_name: str | None = None, **kwargs: Any) -> Any:  # type: ignore[override]  # what it adds is passed on
        """Run a command; an error that its reader can act upon is told in two lines."""
        try:
            return super().main(args, prog_name or PROGRAM, **kwargs)
        except WatchkeeperError as error:
            from agent.cli.output import explain

            explain(error)
            sys.exit(error.exit_code)


def build(parts_factory: Callable[[Path | None], Parts]) -> Any:
    """The command line as a callable; the factory gets the path of `--config`, None without one."""
    app = plain(cls=Front, help="Keeps machines running by policies in YAML, and proves it.", completion=True)

    @app.callback()
    def _(
        ctx: typer.Context,
        *,
        config: Annotated[
            str | None,
            typer.Option(
                metavar="PATH",
                help="The config file; else $WATCHKEEPER_CONFIG, ./config.yaml, /etc/watchkeeper/config.yaml.",
            ),
        ] = None,
        version: Annotated[  # noqa: ARG001  its callback does the work
            bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and exit.")
        ] = False,
    ) -> None:
        ctx.obj = parts_factory(Path(config) if config else None)

    command = typer.main.get_command(app)
    command.name = PROGRAM
    command.params = [_as_typed(option) for option in command.params]
    return command


def plain(*, help: str, cls: type[TyperGroup] = Words, completion: bool = False) -> typer.Typer:  # noqa: A002
    """An empty command, or group of commands, in our manner: plain help, no decorated tracebacks."""
    return typer.Typer(
        cls=cls,
        help=help,
        add_completion=completion,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["--help", "-h"]},
    )


def _version(asked: bool) -> None:  # noqa: FBT001  typer calls it so
    if asked:
        typer.echo(f"{PROGRAM} {importlib.metadata.version(PROGRAM)}")
        raise typer.Exit


def main(parts_factory: Callable[[Path | None], Parts]) -> None:
    """Run the command line and leave with its exit code."""
    build(parts_factory)()

"""init: write a working set-up for this machine."""

import secrets
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from agent.cli import output, plain
from agent.errors import AgentError, InputError

app = plain(help="Write a working set-up for this machine.")
PASSWORD = Path("secrets/restic-main")  # of the repository in config.yaml
IGNORED = Path(".gitignore")
NAMES = (("gitignore", ".gitignore"),)  # a template's own name must not hide it from packaging


@app.command()
def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where; made when missing.")] = Path()) -> None:
    """Write config, inventory, a policy, a playbook and a repository password for this machine; overwrites nothing."""
    files = {Path(dict(NAMES).get(name, name)): data for name, data in _templates()}
    if (folder / IGNORED).exists():
        del files[IGNORED]  # a repository of the operator's own; what it ignores is theirs to say
    there = [str(folder / name) for name in (*files, PASSWORD) if (folder / name).exists()]
    if there:
        raise InputError(
            f"nothing is overwritten: {', '.join(there)} exists", hint="name an empty folder: watchkeeper init DIR"
        )
    try:
        _write(folder, files)
    except OSError as error:
        raise AgentError(f"{error.filename}: {error.strerror}", hint=f"see: ls -ld {folder}") from error
    for name in (*files, PASSWORD):
        output.say(f"wrote {folder / name}")
    _next(folder)


def _templates() -> Iterator[tuple[str, bytes]]:
    yield from _files(resources.files("agent.cli") / "templates", "")


def _files(place: Traversable, before: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files(entry, f"{before}{entry.name}/")
        else:
            yield before + entry.name, entry.read_bytes()


def _write(folder: Path, files: Mapping[Path, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
        path.chmod(0o644)
    password = folder / PASSWORD
    password.parent.mkdir(mode=0o700, exist_ok=True)
    password.touch(mode=0o600, exist_ok=False)
    password.write_text(f"{secrets.token_urlsafe(32)}\n", encoding="ascii")


def _next(folder: Path) -> None:
    output.say()
    output.say(f"Keep a copy of {folder / PASSWORD} elsewhere: without it no backup can be restored.", style="warning")
    output.say()
    output.say("Next:")
    if folder != Path():
        output.say(f"  cd {folder}")
    for command, does in (
        ("watchkeeper validate", "is it sound?"),
        ("watchkeeper plan", "what will run when"),
        ("watchkeeper run --once", "everything once"),
        ("watchkeeper run --live", "the daemon, in the foreground"),
    ):
        output.say(f"  {command:<24} {does}")

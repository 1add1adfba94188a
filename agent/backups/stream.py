"""backup: stream — what a command writes, here or on a host over SSH, as one file; a failing command saves nothing."""

import functools
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from agent.backups import BackupResult, DrillResult, Job, RestoreResult, Setting, SnapshotsResult, engine
from agent.backups.restic import snapshots
from agent.backups.restic.bring_back import bring_back
from agent.backups.restic.drill import Probe, drill
from agent.backups.streaming.producer import Producer
from agent.backups.streaming.saving import save
from agent.backups.streaming.script import is_name
from agent.backups.streaming.verify import Kind, Verify, verify
from agent.clock import Deadline
from agent.closed import ClosedModel, SecretRef, Text, checked
from agent.errors import InputError
from agent.model.host import Connection
from agent.units import share

_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def _command(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError("a command is due, as you would type it on that host")
    return text


def _filename(text: str) -> str:
    if _FILENAME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no file name: letters, digits, dots, dashes and underscores, like shop.dump")
    return text


def _environment(given: dict[str, Any]) -> dict[str, Any]:
    for name, value in given.items():
        if not is_name(name):
            raise ValueError(f"{name!r} is no name of a variable: write it like PGPASSWORD")
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"{name} holds what no environment can")
        if isinstance(value, str) and re.search(r"PASS(WORD|WD)?$|SECRET|TOKEN", name.upper()):
            raise ValueError(f"a password does not stand here: write {name}: {{secret: …}}")
    return given


def _share(value: object) -> object:
    return value if isinstance(value, float) else share(value)  # a job carries the number


Least = Annotated[float, BeforeValidator(_share), WithJsonSchema({"type": "string", "examples": ["50%"]})]


class StreamOptions(ClosedModel):
    """What is to be run, and how its output is called."""

    command: Annotated[Text, AfterValidator(_command)] = Field(
        description="What to run, by /bin/sh on the backup's host; its stdout is saved"
    )
    filename: Annotated[Text, AfterValidator(_filename)] = Field(
        description="How the output is called in the snapshot; keep it, and restic stores what is new alone"
    )
    environment: Annotated[dict[Text, Text | SecretRef], AfterValidator(_environment)] = Field(
        default_factory=dict, repr=False, description="Variables for the command; passwords as `{secret: name}`"
    )
    at_least: Least = Field(
        default=0.5,
        description="A dump smaller than this share of the median of the last five is suspicious: a warning, and partial",
    )
    verify: Kind | None = Field(
        default=None,
        description="Each drill loads the dump into a new, throw-away server of this kind: `postgresql`, `mariadb`, `sqlite`",
    )
    query: Text | None = Field(
        default=None,
        description="One SELECT on what was loaded; its first value must be neither empty, 0 nor false. Needs `verify`",
    )

    @model_validator(mode="after")
    def _is_askable(self) -> Self:
        if self.query is not None and self.verify is None:
            raise ValueError("a query needs a database: write verify: postgresql, mariadb or sqlite")
        return self


@engine("stream")
class Stream:
    """The output of a command."""

    OPTIONS: ClassVar[type[ClosedModel]] = StreamOptions
    REACHES: ClassVar[frozenset[Connection]] = frozenset({Connection.LOCAL, Connection.SSH})

    @staticmethod
    def backup(job: Job, setting: Setting, /) -> BackupResult:
        """Run the command and save what it writes, unless it fails."""
        options = _options(job)
        given = options.environment
        plain = {name: value for name, value in given.items() if isinstance(value, str)}
        secret = {name: _secret(value, setting) for name, value in given.items() if isinstance(value, SecretRef)}
        return save(job, setting, Producer(options.command, plain, secret), options.filename, options.at_least)

    @staticmethod
    def drill(job: Job, setting: Setting, /) -> DrillResult:
        """Restore a snapshot into a sandbox and compare the file with what the command wrote."""
        return drill(job, setting, _probe(job))

    @staticmethod
    def restore(job: Job, setting: Setting, /) -> RestoreResult:
        """Restore the file into an empty folder."""
        return bring_back(job, setting)

    @staticmethod
    def snapshots(job: Job, setting: Setting, /) -> SnapshotsResult:
        """List the snapshots of the item on its host."""
        return snapshots.answered(job, setting)


def _options(job: Job) -> StreamOptions:
    return checked(StreamOptions, job.options, whose=job.item)


def _probe(job: Job) -> Probe | None:
    """What a drill does beyond comparing: the file is used for what it is for."""
    options = _options(job)
    if options.verify is None:
        return None
    wanted = Verify(kind=options.verify, filename=options.filename, query=options.query or "", name=job.exec_id)
    return functools.partial(_verified, wanted)


def _verified(wanted: Verify, folder: Path, deadline: Deadline) -> list[str]:
    return verify(folder, wanted, deadline)


def _secret(reference: SecretRef, setting: Setting) -> str:
    if reference.secret not in setting.secrets:
        raise InputError(f"the secret {reference.secret} was not handed over", hint="run: watchkeeper backup run")
    return setting.secrets[reference.secret]

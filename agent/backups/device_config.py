"""backup: device_config — the running configuration of a network device, versioned in git, restorable from restic."""

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from agent.backups import BackupResult, DrillResult, Job, Outcome, RestoreResult, Setting, SnapshotsResult, engine
from agent.backups.configs import asking, gate, hiding, keeping, patterns, reading
from agent.backups.configs.gate import Expected
from agent.backups.configs.history import History
from agent.backups.configs.platforms import Platform, rules_for
from agent.backups.configs.reading import Wanted
from agent.backups.restic import snapshots
from agent.backups.restic.bring_back import bring_back
from agent.backups.restic.drill import drill
from agent.closed import ClosedModel, Flag, Text, Texts, checked
from agent.model.device import Device
from agent.model.host import Connection
from agent.transports import device


def _compile(found: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in found:
        patterns.compiled(pattern)
    return found


def _with_secret(found: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in _compile(found):
        if "secret" not in patterns.compiled(pattern).groupindex:
            raise ValueError(f"{pattern!r} has no group called secret: write (?P<secret>…) around what is to be hidden")
    return found


class DeviceConfigOptions(ClosedModel):
    """How a configuration is read and what of it is shown."""

    hide_secrets: Flag = Field(
        default=True, description="Keep secrets out of git; with a repository they are in the encrypted copy there"
    )
    command: Text = Field(default="", description="The command that prints the configuration, if not the platform's")
    hostname: Text = Field(default="", description="What the device calls itself, if not as in the inventory")
    ignore: Annotated[Texts, AfterValidator(_compile)] = Field(
        default=(), description="Patterns (RE2) of lines that change by themselves"
    )
    hide: Annotated[Texts, AfterValidator(_with_secret)] = Field(
        default=(), description="Further secrets: patterns (RE2) with a group called secret"
    )


@engine("device_config")
class DeviceConfig:
    """The running configuration of a network device."""

    OPTIONS: ClassVar[type[ClosedModel]] = DeviceConfigOptions
    REACHES: ClassVar[frozenset[Connection]] = frozenset({Connection.NETWORK_CLI})
    KEEPS_HISTORY: ClassVar[bool] = True  # of its own: a repository may be left out, and drift is seen

    @staticmethod
    def backup(job: Job, setting: Setting, /) -> BackupResult:
        """Read the configuration; when it is whole and another one, commit it; with a repository, save all of it."""
        options, history = _options(job), History(Path(job.state), setting.deadline.clock)
        at_us = setting.deadline.clock.now()
        rules = _rules(job)
        with history.writing():
            key = hiding.key_in(history.folder)
            kept = history.last(job.host)
        wanted = Wanted(
            command=options.command or rules.command,
            expected=Expected(rules=rules, names=gate.names_of(job.host, options.hostname), ignore=options.ignore),
            hide=options.hide,
            key=key,
            last="",
            is_watched=bool(job.device and job.device.is_watched),
        )
        wanted = dataclasses.replace(wanted, last=wanted.shown_of_kept(kept.text) if kept is not None else "")
        with asking.session(job, setting) as line:
            found = reading.read(line, wanted)
        if isinstance(found, str):
            return _refused(job, found, is_kept=kept is not None)
        return keeping.keep(job, setting, history, keeping.Read(
            found=found, at_us=at_us, is_hidden=options.hide_secrets, wanted=wanted,
        ))  # fmt: skip

    @staticmethod
    def drill(job: Job, setting: Setting, /) -> DrillResult:
        """Restore the encrypted copy into a sandbox and compare it; without a repository, let git examine the history."""
        if job.repository:
            return drill(job, setting)
        return keeping.drill(job, setting, History(Path(job.state), setting.deadline.clock))

    @staticmethod
    def restore(job: Job, setting: Setting, /) -> RestoreResult:
        """Bring the full configuration back as a file; without a repository, the one of git, which lacks its secrets."""
        if job.repository:
            return bring_back(job, setting)
        return keeping.bring_back(job, History(Path(job.state), setting.deadline.clock))

    @staticmethod
    def snapshots(job: Job, setting: Setting, /) -> SnapshotsResult:
        """List the encrypted copies; without a repository, the commits of git."""
        if job.repository:
            return snapshots.answered(job, setting)
        return keeping.snapshots(job, History(Path(job.state), setting.deadline.clock))


def _options(job: Job) -> DeviceConfigOptions:
    return checked(DeviceConfigOptions, job.options, whose=job.item)


def _rules(job: Job) -> Platform:
    told = (job.device or Device()).network_os
    return rules_for(told, device.driver_of(told))


def _refused(job: Job, why: str, *, is_kept: bool) -> BackupResult:
    stays = "the last good one stays" if is_kept else "nothing is kept"
    return BackupResult(
        outcome=Outcome.FAILED,
        summary=f"{job.host}: {why}; {stays}",
        hint="see docs/device-configs.md",
        faults=(why,),
        fault_count=1,
    )

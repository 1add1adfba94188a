"""What stands behind `files` in a policy; in a module of its own, which jobs do not load: their options are checked."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from agent.backups.restic.wanted import full_paths
from agent.closed import ClosedModel, Flag, Texts
from agent.units import Share, bit_rate


def _filled(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if any(not pattern.strip() or "\0" in pattern for pattern in patterns):
        raise ValueError("an empty pattern excludes nothing: leave it out")
    return patterns


class FilesOptions(ClosedModel):
    """What is to be saved."""

    paths: Annotated[Texts, AfterValidator(full_paths)] = Field(description="Folders and files to save, as full paths")
    exclude: Annotated[Texts, AfterValidator(_filled)] = Field(
        default=(), description='What to leave out, as patterns of restic: "*.tmp", /srv/shop/cache'
    )
    one_file_system: Flag = Field(default=False, description="Leave out what is mounted below the paths")
    may_vanish: Share = Field(
        default=0.5,
        description="The share of a remote host's entries that may be gone since the last backup; if more are, nothing is saved",
    )
    limit: Annotated[float, BeforeValidator(bit_rate)] | None = Field(
        default=None,
        description="The most that rsync, or restic there, may take of the line to a remote host: 20Mbit/s",
    )
    run_from: Literal["agent", "host"] = Field(
        default="agent",
        description="`host`: restic runs on a remote host, which needs it installed, instead of a mirror being pulled",
    )

    @model_validator(mode="after")
    def _has_a_mirror(self) -> Self:
        if self.run_from == "host" and "may_vanish" in self.model_fields_set:
            raise ValueError("`may_vanish` guards a mirror, and `run_from: host` makes none: leave one of them out")
        return self

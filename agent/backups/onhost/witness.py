"""Watches the folder of a repository while it is lent: what appeared there, and whether all of it can be restic's."""

from pathlib import Path

from agent.backups.restic import sound

_TOLD = ("snapshots", "keys")


class Witness:
    """What is there now is known; `appeared` is what came since."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = {name: sound.names(folder / name) for name in {*sound.FOLDERS, *_TOLD}}

    def appeared(self, name: str) -> frozenset[str]:
        """The ids that came to a folder of the repository."""
        return frozenset(sound.names(self._folder / name) - self._before[name])

    def mend(self) -> list[str]:
        """Remove what came and cannot be restic's; what that was."""
        return sound.mend(self._folder / name / one for name in sound.FOLDERS for one in sorted(self.appeared(name)))

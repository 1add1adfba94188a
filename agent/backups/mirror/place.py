"""Keeps a mirror's folder: the tree as the target has it, what is known of it, and room for what is being fetched."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.backups.mirror import listing
from agent.backups.mirror.listing import Item
from agent.backups.mirror.same import Tally
from agent.backups.mirror.tree import Tree, is_as_listed
from agent.backups.restic.paths import MIRRORS
from agent.errors import AgentError, ToolError


def folder_of(state: Path, key: str) -> Path:
    """Where the mirror of one backup on one host is."""
    return state / MIRRORS / hashlib.sha256(key.encode()).hexdigest()[:16]


def tree_of(state: Path, key: str) -> Path:
    """The mirrored tree: `etc/passwd` in it is /etc/passwd of the host."""
    return folder_of(state, key) / "tree"


class Place:
    """The folder of one mirror, for as long as its lock is held."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree, self.work = folder / "tree", folder / "work"
        self._listing, self._boot, self._settled = folder / "listing", folder / "boot", folder / "settled"

    def prepare(self) -> None:
        """Make what is missing, and clear away what a pull that was killed left behind; the tree stays."""
        if not self.tree.is_dir():
            self.unsettle()
            self._listing.unlink(missing_ok=True)  # it told of a tree that somebody removed
            self.tree.mkdir(mode=0o700)
        self.clear()

    def clear(self) -> None:
        """An empty work folder."""
        if self.work.exists():
            shutil.rmtree(self.work)
        self.work.mkdir(mode=0o700)

    def settled(self, fingerprint: str, boot_id: str) -> Tally | None:
        """What the tree holds, when it is the answer of this fingerprint in full; None when that is not certain.

        What was written shortly before a crash may not have reached the disk: after a boot, nothing is certain.
        """
        try:
            of, boot, files, folders = json.loads(self._settled.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return Tally(files=files, folders=folders) if (of, boot) == (fingerprint, boot_id) else None

    def settle(self, fingerprint: str, boot_id: str, tally: Tally) -> None:
        """The tree is the answer of this fingerprint from now on."""
        told = json.dumps([fingerprint, boot_id, tally.files, tally.folders])
        self._settled.write_text(told, encoding="ascii")

    def unsettle(self) -> None:
        """The tree is about to change."""
        self._settled.unlink(missing_ok=True)

    def distrust(self) -> None:
        """What is known of the tree is not so: everything is to be fetched anew."""
        self.unsettle()
        try:
            self._write(map(listing.doubtful, listing.items(self._told())))
        except ToolError:
            self._listing.unlink()

    def _told(self) -> bytes:
        try:
            return self._listing.read_bytes()
        except FileNotFoundError:
            return b""

    def _boot_was(self, boot_id: str) -> bool:
        return self._boot.exists() and self._boot.read_text(encoding="ascii") == boot_id

    def before(self, boot_id: str, now: Iterable[Item] = ()) -> dict[str, Item]:
        """What the tree holds; nothing when that cannot be read: then everything is fetched again.

        After a boot, each entry is looked at. `now` is what the target has, most of it the same.
        """
        try:
            known = {item.path: item for item in listing.items(self._told(), now)}
        except ToolError:
            return {}
        if self._boot_was(boot_id):
            return known
        with Tree(self.tree) as tree:
            return {
                path: item if is_as_listed(tree.look(path), item) else listing.doubtful(item)
                for path, item in known.items()
            }

    def remember(self, items: Iterable[Item], boot_id: str) -> None:
        """Write down what the tree holds."""
        self._write(items)
        self._boot.write_text(
            boot_id, encoding="ascii"
        )  # not before: until then, what was doubted after a boot still is

    def _write(self, items: Iterable[Item]) -> None:
        draft = self.folder / ".listing"
        with draft.open("wb") as stream:
            stream.writelines(item.record + b"\0" for item in items)
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(self._listing)

    def free_bytes(self) -> int:
        """Room on the mirror's file system."""
        room = os.statvfs(self.folder)
        return room.f_bavail * room.f_frsize


@contextlib.contextmanager
def held(state: Path, key: str) -> Iterator[Place]:
    """The mirror of a key, ours alone; AgentError while another pull works on it."""
    folder = folder_of(state, key)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / "key").write_text(f"{key}\n", encoding="utf-8")  # for people who wonder whose folder it is
        yield Place(folder)
    except BlockingIOError as error:
        raise AgentError(f"another pull works in {folder}", hint="wait for it to end") from error
    finally:
        os.close(handle)

"""Lays a staged tree over the real one: `python3 -I laying.py`, orders on stdin; the standard library alone.

It runs on this machine and, sent there as text, on hosts of which only a Python 3.7 is asked. Folders are opened one by
one and links never followed, so nobody can lead it astray meanwhile; what is replaced is kept aside before.
"""

# ruff: noqa: PTH101, PTH102, PTH103, PTH111, PTH112, PTH114, PTH115, PTH120, PTH211 - descriptors of folders are the point
from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import sys
from typing import IO, Any, Iterable, Iterator  # noqa: UP035  Python 3.7 on the other side

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
DRAFT = ".watchkeeper-restoring"  # one at a time in a folder: what a run that was killed left is replaced
CHUNK = 1 << 20
MOST_TOLD = 200
KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
    stat.S_IFBLK: "dev", stat.S_IFCHR: "chardev",
}  # fmt: skip
SKIPPED = ("socket", "irregular")
WORDS = {"dir": "a folder", "symlink": "a symbolic link", "file": "a file", "fifo": "a pipe"}


class Way:
    """Folders below a root, opened one by one."""

    def __init__(self, root: str) -> None:
        self._open = [os.open(root, FOLDER)]
        self._names: list[str] = []

    def enter(self, path: str) -> int:
        """A descriptor of the folder; OSError where it is none, or a link leads there."""
        names = [name for name in path.split("/") if name]
        same = 0
        while same < min(len(names), len(self._names)) and names[same] == self._names[same]:
            same += 1
        while len(self._names) > same:
            self.leave()
        for name in names[same:]:
            self._open.append(os.open(name, FOLDER, dir_fd=self._open[-1]))
            self._names.append(name)
        return self._open[-1]

    def leave(self) -> None:
        """Close the innermost."""
        os.close(self._open.pop())
        self._names.pop()

    def close(self) -> None:
        """Close them all."""
        while self._open:
            os.close(self._open.pop())


class Entry:
    """What is to stand at a path; `staged` is where it lies ready, empty when only its description is known."""

    def __init__(self, path: str, kind: str, numbers: Iterable[int], known: tuple[str, str], staged: str = "") -> None:
        self.path, self.kind, self.staged = path, kind, staged
        self.mode, self.uid, self.gid, self.size, self.mtime_ns = numbers
        self.sha256, self.link = known
        self.parent, _, self.name = path.rpartition("/")


def described(line: str) -> Entry:
    """An entry from a line of JSON: path, kind, mode, uid, gid, size, mtime_ns, sha256, link."""
    path, kind, mode, uid, gid, size, mtime_ns, sha256, link = json.loads(line)
    return Entry(path, kind, (mode, uid, gid, size, mtime_ns), (sha256, link))


def staged(stage: str, path: str) -> Entry:
    """An entry as it lies ready below the stage."""
    at = stage + path
    seen = os.lstat(at)
    kind = KINDS.get(stat.S_IFMT(seen.st_mode), "socket")
    size = seen.st_size if kind == "file" else 0
    link = os.readlink(at) if kind == "symlink" else ""
    numbers = (stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid, size, seen.st_mtime_ns)
    return Entry(path, kind, numbers, ("", link), at)


def walk(stage: str, sources: Iterable[str]) -> Iterator[Entry]:
    """Every entry at and below the sources, folders before what is in them."""
    for source in sources:
        top = source.rstrip("/")
        if top:
            yield staged(stage, top)
        if os.path.isdir(stage + top) and not os.path.islink(stage + top):
            for folder, folders, files in os.walk(stage + top):
                folders.sort()
                inside = folder[len(stage) :]
                for name in sorted(folders + files):
                    yield staged(stage, inside + "/" + name)


class Layer:
    """Looks what laying entries would do, or does it; counts either way."""

    def __init__(self, root: str, keep: str, owners: bool) -> None:  # noqa: FBT001  an order's field
        self._root, self._way, self._keep, self._owners = root, Way(root), keep, owners
        self._gone: set[str] = set()  # what stands in the way of a folder, and is to be replaced by it
        self._folders: list[Entry] = []
        self._placed: dict[tuple[int, int], str] = {}
        self.told: list[list[Any]] = []
        self.faults: list[str] = []
        self.counts = dict.fromkeys(
            ("new", "new_bytes", "changed", "changed_bytes", "same", "same_bytes", "faults", "kept", "others"), 0
        )

    def look(self, entry: Entry) -> str:
        """What would become of an entry: new, changed, same, or blocked."""
        try:
            folder = self._way.enter(entry.parent)
            old = _lstat(folder, entry.name)
        except OSError as error:
            if isinstance(error, FileNotFoundError) or self._is_cleared(entry.parent):
                return self._count("new", entry)
            return self._fault(entry, "the way to it leads over a link, or over what is no folder")
        if old is None:
            return self._count("new", entry)
        verdict = self._compare(entry, folder, old)
        if verdict == "blocked":
            return self._fault(entry, "a folder is in its place: move it away first")
        return self._count(verdict, entry)

    def _is_cleared(self, path: str) -> bool:
        return any(path == gone or path.startswith(gone + "/") for gone in self._gone)

    def _compare(self, entry: Entry, folder: int, old: os.stat_result) -> str:
        kind = KINDS.get(stat.S_IFMT(old.st_mode), "socket")
        if kind == "dir" and entry.kind != "dir":
            return "blocked"
        if kind != entry.kind:
            if entry.kind == "dir":
                self._gone.add(entry.path)
            return "changed"
        is_same = _attributes(entry, old, self._owners) and (entry.kind == "dir" or _content(entry, folder, old))
        return "same" if is_same else "changed"

    def lay(self, entry: Entry) -> None:
        """Put an entry in its place; a failure is counted and told, and the others go on."""
        try:
            folder = self._way.enter(entry.parent)
            old = _lstat(folder, entry.name)
            if entry.kind == "dir":
                self._lay_folder(entry, folder, old)
            elif old is not None and self._compare(entry, folder, old) == "same":
                self._count("same", entry)
            else:
                self._lay_other(entry, folder, old)
        except OSError as error:
            self._fault(entry, error.strerror or str(error))

    def _lay_folder(self, entry: Entry, folder: int, old: os.stat_result | None) -> None:
        if old is not None and not stat.S_ISDIR(old.st_mode):
            self._keep_aside(entry, folder, old)
            os.unlink(entry.name, dir_fd=folder)
            os.mkdir(entry.name, 0o700, dir_fd=folder)
            self._count("changed", entry)
        elif old is None:
            os.mkdir(entry.name, 0o700, dir_fd=folder)
            self._count("new", entry)
        else:
            self._count("same" if _attributes(entry, old, self._owners) else "changed", entry)
        self._folders.append(entry)

    def _lay_other(self, entry: Entry, folder: int, old: os.stat_result | None) -> None:
        if old is not None and stat.S_ISDIR(old.st_mode):
            self._fault(entry, "a folder is in its place: move it away first")
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(DRAFT, dir_fd=folder)
        self._make(entry, folder)
        if old is not None:
            self._keep_aside(entry, folder, old)
        os.replace(DRAFT, entry.name, src_dir_fd=folder, dst_dir_fd=folder)
        self._count("new" if old is None else "changed", entry)

    def _make(self, entry: Entry, folder: int) -> None:
        seen = os.lstat(entry.staged)
        identity = (seen.st_dev, seen.st_ino)
        if seen.st_nlink > 1 and identity in self._placed:
            before = self._placed[identity]
            parent, _, name = before.rpartition("/")
            there = Way(self._root)
            os.link(name, DRAFT, src_dir_fd=there.enter(parent), dst_dir_fd=folder, follow_symlinks=False)
            there.close()
            return
        if entry.kind == "file":
            _copy(entry.staged, folder, DRAFT)
        elif entry.kind == "symlink":
            os.symlink(entry.link, DRAFT, dir_fd=folder)
        elif entry.kind == "fifo":
            os.mkfifo(DRAFT, 0o600, dir_fd=folder)
        else:
            os.mknod(DRAFT, 0o600 | stat.S_IFMT(seen.st_mode), seen.st_rdev, dir_fd=folder)
        _dress(entry, folder, DRAFT, self._owners)
        if seen.st_nlink > 1:
            self._placed[identity] = entry.path

    def _keep_aside(self, entry: Entry, folder: int, old: os.stat_result) -> None:
        """Have what stands there under the same path below the keep, before it is replaced."""
        aside = self._keep + entry.path
        os.makedirs(os.path.dirname(aside), 0o700, exist_ok=True)
        try:
            os.link(entry.name, aside, src_dir_fd=folder, follow_symlinks=False)
        except OSError:  # another file system: a copy then
            _copy_aside(folder, entry.name, aside, old)
        self.counts["kept"] += 1

    def finish(self) -> None:
        """Give the folders what is theirs, the innermost first, when nothing changes in them any more."""
        for entry in reversed(self._folders):
            try:
                _dress(entry, self._way.enter(entry.parent), entry.name, self._owners)
            except OSError as error:
                self._fault(entry, error.strerror or str(error))
        os.sync()

    def others(self, sources: Iterable[str]) -> None:
        """Count what is there and not in the snapshot: it is left alone."""
        found = 0
        for source in sources:
            try:
                folder = self._way.enter(source)
            except OSError:
                continue
            found += sum(len(folders) + len(files) for _, folders, files, _ in os.fwalk(".", dir_fd=folder))
            found += 1
        self.counts["others"] = max(0, found - self.counts["changed"] - self.counts["same"])

    def _count(self, verdict: str, entry: Entry) -> str:
        self.counts[verdict] += 1
        self.counts[verdict + "_bytes"] += entry.size
        if verdict != "same" and len(self.told) < MOST_TOLD:
            self.told.append([verdict, entry.path, entry.kind, entry.size])
        return verdict

    def _fault(self, entry: Entry, words: str) -> str:
        self.counts["faults"] += 1
        if len(self.faults) < MOST_TOLD:
            self.faults.append(entry.path + ": " + words)
        return "blocked"

    def answer(self) -> dict[str, Any]:
        """What was counted and told."""
        return dict(self.counts, told=self.told, words=self.faults)


def _lstat(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _attributes(entry: Entry, old: os.stat_result, owners: bool) -> bool:  # noqa: FBT001  an order's field
    if entry.kind != "symlink" and stat.S_IMODE(old.st_mode) != entry.mode:
        return False
    if owners and (old.st_uid, old.st_gid) != (entry.uid, entry.gid):
        return False
    return entry.kind == "dir" or old.st_mtime_ns == entry.mtime_ns


def _content(entry: Entry, folder: int, old: os.stat_result) -> bool:
    if entry.kind == "symlink":
        return os.readlink(entry.name, dir_fd=folder) == entry.link
    if entry.kind != "file":
        return True
    if old.st_size != entry.size:
        return False
    if not entry.staged and not entry.sha256:
        return False  # it was changing while it was saved: nobody knows what the snapshot has
    wanted = entry.sha256 or _digest(os.open(entry.staged, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
    return wanted == _digest(_opened(folder, entry.name))


def _opened(folder: int, name: str) -> int:
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)


def _digest(handle: int) -> str:
    found = hashlib.sha256()
    with os.fdopen(handle, "rb") as stream:
        for piece in iter(lambda: stream.read(CHUNK), b""):
            found.update(piece)
    return found.hexdigest()


def _copy(path: str, folder: int, name: str) -> None:
    """The content, with its holes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(path, "rb") as old, os.fdopen(os.open(name, flags, 0o600, dir_fd=folder), "wb") as new:  # noqa: PTH123
        for piece in iter(lambda: old.read(CHUNK), b""):
            if piece.count(0) == len(piece):
                new.seek(len(piece), os.SEEK_CUR)
            else:
                new.write(piece)
        new.truncate(old.tell())


def _copy_aside(folder: int, name: str, aside: str, old: os.stat_result) -> None:
    if stat.S_ISLNK(old.st_mode):
        os.symlink(os.readlink(name, dir_fd=folder), aside)
    elif stat.S_ISREG(old.st_mode):
        with os.fdopen(_opened(folder, name), "rb") as source, open(aside, "xb") as copy:  # noqa: PTH123
            shutil.copyfileobj(source, copy, CHUNK)
        os.chmod(aside, stat.S_IMODE(old.st_mode))
        os.chown(aside, old.st_uid, old.st_gid)
        os.utime(aside, ns=(old.st_atime_ns, old.st_mtime_ns))


def _dress(entry: Entry, folder: int, name: str, owners: bool) -> None:  # noqa: FBT001  an order's field
    """Owner, attributes, mode and time, in the order in which none undoes another."""
    if owners:
        os.chown(name, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
    if entry.kind in ("file", "dir"):
        handle = _opened(folder, name)
        try:
            for attribute in os.listxattr(entry.staged, follow_symlinks=False):
                os.setxattr(handle, attribute, os.getxattr(entry.staged, attribute, follow_symlinks=False))
            os.fchmod(handle, entry.mode)
            os.utime(handle, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(handle)
        return
    if entry.kind != "symlink":
        os.chmod(name, entry.mode, dir_fd=folder)
    os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder, follow_symlinks=False)


def base() -> str:
    """Where we keep what is ours on a host: root's, or in the home of who we are."""
    return "/var/lib/watchkeeper" if os.geteuid() == 0 else os.path.expanduser("~/.watchkeeper")


def room(order: dict[str, Any]) -> dict[str, Any]:
    """Make a private folder for what is to come, and say how much it may hold."""
    top = order.get("base") or base()
    os.makedirs(top, 0o700, exist_ok=True)
    seen = os.lstat(top)
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o022:
        return {"refused": top + " is not ours alone"}
    stage = top + "/stage-" + order["name"]
    shutil.rmtree(stage, ignore_errors=True)
    os.mkdir(stage, 0o700)
    free = os.statvfs(stage)
    return {"stage": stage, "keep": top + "/kept/" + order["name"], "free": free.f_bavail * free.f_frsize}


def _lay(order: dict[str, Any]) -> dict[str, Any]:
    """Look at everything first: where anything is in the way, nothing is touched."""
    if order["root"] != "/":
        _make_root(order["root"])
    owners = os.geteuid() == 0
    looked = Layer(order["root"], order["keep"], owners)
    for entry in _wanted(order):
        looked.look(entry)
    if looked.counts["faults"]:
        return dict(looked.answer(), touched=False)
    layer = Layer(order["root"], order["keep"], owners)
    for source in order["sources"]:
        for path in _above(source):
            if not os.path.lexists(order["root"].rstrip("/") + path):
                layer.lay(staged(order["stage"], path))
    for entry in _wanted(order):
        layer.lay(entry)
    layer.finish()
    return dict(layer.answer(), touched=True)


def _wanted(order: dict[str, Any]) -> Iterator[Entry]:
    return (entry for entry in walk(order["stage"], order["sources"]) if entry.kind not in SKIPPED)


def _make_root(root: str) -> None:
    """A folder of ours for what does not go back to its own place; OSError where a link leads there."""
    way = Way("/")
    for path in [*_above(root), root]:
        parent, _, name = path.rpartition("/")
        try:
            os.mkdir(name, 0o700, dir_fd=way.enter(parent))
        except FileExistsError:
            way.enter(path)


def _above(path: str) -> list[str]:
    names = path.strip("/").split("/")[:-1]
    return ["/" + "/".join(names[: count + 1]) for count in range(len(names))]


def _look(order: dict[str, Any], lines: IO[str]) -> dict[str, Any]:
    layer = Layer(order["root"], "", os.geteuid() == 0)
    for line in lines:
        entry = described(line)
        if entry.kind not in SKIPPED:
            layer.look(entry)
    layer.others(order["sources"])
    return layer.answer()


def main() -> None:
    """Do what the first line of stdin orders; the answer is one line of JSON."""
    os.umask(0o077)
    order = json.loads(sys.stdin.readline())
    try:
        answer = _done(order)
    except OSError as error:
        answer = {"refused": f"{error.filename or order['do']}: {error.strerror}"}
    print(json.dumps(answer))  # noqa: T201  its very answer


def _done(order: dict[str, Any]) -> dict[str, Any]:
    if order["do"] == "room":
        return room(order)
    if order["do"] == "look":
        return _look(order, sys.stdin)
    if order["do"] == "lay":
        return _lay(order)
    shutil.rmtree(order["stage"], ignore_errors=True)
    return {}


if __name__ == "__main__":
    main()

"""Brings a mirror up to date with its target: list, decide, fetch, put in place; killed at any moment, it goes on next time."""

import dataclasses
import errno
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.backups import Job, Outcome, Progress, Setting
from agent.backups.mirror import listing, plan
from agent.backups.mirror.fetch import STAGED, fetch
from agent.backups.mirror.line import Line
from agent.backups.mirror.listing import Item, Listing
from agent.backups.mirror.place import Place, held
from agent.backups.mirror.plan import Plan
from agent.backups.mirror.same import Tally, above, fingerprint, lasting
from agent.backups.mirror.tree import Tree, settle, touch_folders
from agent.backups.restic import paths, patterns
from agent.backups.restic.wanted import Wanted
from agent.errors import InputError, ToolError, TransportError

_ANSWER_BYTES = 1 << 30  # a listing: about 8 million entries
_ANSWER, _SCRIPT = "answer", "script"
_YOUNG_SECONDS = 2  # what changed that shortly before it was listed may change again and keep its stamps
_ENTRY_BYTES = 4096  # what an inode costs, at most, on usual file systems
_KEPT = 50
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Pulled:
    """A mirror as its target was: `tree` holds `sources`, apart from `faults`; `torn` changed while being fetched."""

    tree: Path
    sources: tuple[str, ...]
    torn: frozenset[str] = frozenset()
    faults: tuple[str, ...] = ()
    files: int = 0
    folders: int = 0
    fetched: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """The mirror stays as it was, and why."""

    outcome: Outcome
    summary: str
    hint: str


def pull(job: Job, setting: Setting, wanted: Wanted) -> Pulled | Refused:
    """Mirror the job's host; TimeoutError, TransportError, ToolError when it cannot be done now."""
    if job.route is None:
        raise InputError(f"{job.host} is this machine: there is nothing to pull")
    with held(Path(job.state), job.key) as place:
        place.prepare()
        line = Line(route=job.route, work=place.work, deadline=setting.deadline)
        try:
            return _Pull(line, place, wanted, setting.report).run()
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            return Refused(
                outcome=Outcome.NO_SPACE,
                summary=f"the disk of {place.folder} became full while {job.host} was mirrored there",
                hint="make room on that file system; what was fetched is kept",
            )
        finally:
            place.clear()


class _Pull:
    """One pull."""

    def __init__(self, line: Line, place: Place, wanted: Wanted, report: Callable[[Progress], None]) -> None:
        self._line, self._place, self._wanted, self._report = line, place, wanted, report
        self._is_excluded = patterns.matcher(wanted.exclude)
        self._known: dict[str, Item] = {}
        self._torn: set[str] = set()
        self._higher: set[str] = set()  # folders above the sources
        self._had = self._landed = 0  # entries
        self._boot_id = line.deadline.clock.boot_id
        self._faults: list[str] = []

    def run(self) -> Pulled | Refused:
        """List, decide, and follow the target unless too much is gone there."""
        self._report(Progress(phase="listing"))
        told = self._list()
        self._faults += [f"does not exist: {path}" for path in told.missing]
        if not told.sources:
            return _nothing(self._wanted)
        answer = fingerprint(told, self._wanted)
        if not self._faults and (tally := self._place.settled(answer, self._boot_id)) is not None:
            return Pulled(tree=self._place.tree, sources=told.sources, files=tally.files, folders=tally.folders)
        self._place.unsettle()
        now = listing.tree(told, listing.items(told.records))
        now = {path: item for path, item in now.items() if path in told.sources or not self._is_excluded(path)}
        told = self._without_lost(told, now)
        self._higher = above(told.sources) - set(told.sources)
        if not told.sources:
            return _nothing(self._wanted)
        self._known = self._place.before(self._boot_id, now.values())
        todo = self._plan(told, now)
        if (refused := self._refusal(todo)) is not None:
            return refused
        if not todo.is_idle:
            self._follow(todo, now, told)
        only_links = [f"only the link itself: {path}" for path in told.sources if now[path].kind == "symlink"]
        kinds = [item.kind for path, item in now.items() if path not in self._torn or path in self._known]
        tally = Tally(files=kinds.count("file"), folders=kinds.count("dir") - ("/" in now))
        faults = (*only_links, *self._faults)
        if not faults and self._plan(told, now).is_idle:
            self._place.settle(answer, self._boot_id, tally)
        return Pulled(
            tree=self._place.tree,
            sources=told.sources,
            torn=frozenset(path for path in self._torn if any(paths.is_below(path, top) for top in told.sources)),
            faults=faults,
            files=tally.files,
            folders=tally.folders,
            fetched=len(todo.fetch),
        )

    def _without_lost(self, told: Listing, now: Mapping[str, Item]) -> Listing:
        """The sources that were listed: one may be left out by `exclude`, or have gone in between."""
        lost = [path for path in told.sources if path not in now]
        self._faults += [f"not saved: {path}: it is left out by `exclude`, or gone" for path in lost]
        return dataclasses.replace(told, sources=tuple(path for path in told.sources if path in now)) if lost else told

    def _plan(self, told: Listing, now: Mapping[str, Item]) -> Plan:
        """What there is to do, from what the tree holds by now.

        Folders above the sources change whenever anything beside them does: their times alone are no reason to fetch.
        """
        known = dict(self._known)
        for path in self._higher:
            old, new = known.get(path), now.get(path)
            if old and new and not listing.is_doubtful(old) and lasting(old) == lasting(new):
                known[path] = new
        return plan.plan(known, now, is_wanted=self._is_wanted(told), is_complete=told.is_complete)

    def _is_wanted(self, told: Listing) -> Callable[[str], bool]:
        """Whether an entry that is no longer listed would be, were it still there."""
        higher, asked = above(told.sources), (*told.sources, *told.missing)

        def is_wanted(path: str) -> bool:
            is_asked = path in higher or any(paths.is_below(path, source) for source in asked)
            return is_asked and not self._is_excluded(path)

        return is_wanted

    def _refusal(self, todo: Plan) -> Refused | None:
        if why := todo.refusal(self._wanted.may_vanish):
            return Refused(
                outcome=Outcome.FAILED,
                summary=f"{why}: the mirror stays as it was, and nothing was saved",
                hint="look what became of them; if that is right, set `may_vanish: 100%` for one run",
            )
        largest = max(map(plan.room, plan.batches(todo.fetch)), default=0)
        needed = todo.grown_bytes + largest + len(todo.fetch) * _ENTRY_BYTES
        if (lacking := needed - self._place.free_bytes()) > 0:
            return Refused(
                outcome=Outcome.NO_SPACE,
                summary=f"{lacking} bytes are missing in {self._place.folder} for the mirror of {self._line.route.host.name}",
                hint="make room on that file system, or leave more out by `exclude`",
            )
        return None

    def _list(self) -> Listing:
        """What is there now."""
        pruned = patterns.tests(self._wanted.exclude)
        text = listing.script(self._wanted.paths, pruned, one_file_system=self._wanted.one_file_system)
        work = self._line.work
        (work / _SCRIPT).write_text(text, encoding="utf-8", errors="surrogateescape")
        asked = shlex.join(self._line.ssh("sh"))
        done = self._line.run(f"{asked} <{_SCRIPT} >{_ANSWER}", limit_bytes=_ANSWER_BYTES)
        if done.exit_code == listing.NO_PRINTF:
            raise ToolError(
                f"{self._line.route.host.name} has a find without -printf, as busybox has",
                hint="install findutils there, or save that host another way",
            )
        if done.exit_code == listing.CUT_SHORT:
            raise TransportError(f"{self._line.route.host.name}: find ended without a word", hint="run it again")
        if done.exit_code != 0:
            raise self._line.failure(done.stderr or f"the shell there ended with exit code {done.exit_code}")
        told = listing.read((work / _ANSWER).read_bytes())
        lines = [line for line in done.stderr.splitlines() if line.startswith("find: ")]
        unread = [line for line in lines if not line.endswith(": No such file or directory")]
        if not told.is_complete and not lines:
            raise TransportError(f"{self._line.route.host.name}: find ended without a word", hint="run it again")
        if not told.is_complete and not unread:
            told = dataclasses.replace(told, is_complete=True)  # it vanished while find went by: it is gone
        self._faults += [f"not read: {line.removeprefix('find: ')}" for line in unread[:_KEPT]]
        return told

    def _follow(self, todo: Plan, now: Mapping[str, Item], told: Listing) -> None:
        """Remove, fetch in portions, and remember after each what the tree holds by then."""
        if todo.fetch and not {"rsync", "tar"} & told.tools:
            raise ToolError(f"{self._line.route.host.name} has neither rsync nor tar", hint="install one of them there")
        self._doubt(todo)
        self._remove(todo, now)
        said = ""
        for batch in plan.batches(todo.fetch):
            said = self._fetch(batch, now, told)
        if todo.fetch:
            self._look_again(todo, now, (said.splitlines() or [""])[0][:300])
        else:
            self._place.remember(self._known.values(), self._boot_id)

    def _doubt(self, todo: Plan) -> None:
        """Note that what is about to change is not certain, until it is: a pull may end in the midst of it.

        Else what was removed, and is there again as it was (a file system that was not mounted), counted as fetched.
        """
        self._had = len(self._known)
        for path in todo.remove:
            self._known[path] = listing.doubtful(self._known[path])
        for item in todo.fetch:
            self._known[item.path] = listing.doubtful(self._known.get(item.path, item))
        self._place.remember(self._known.values(), self._boot_id)

    def _remove(self, todo: Plan, now: Mapping[str, Item]) -> None:
        with Tree(self._place.tree) as mirror:
            for path in todo.remove:
                mirror.remove(path)
                self._known.pop(path, None)
            above = {path.rpartition("/")[0] or "/" for path in todo.remove}
            mirror.close_folders()
            touch_folders(mirror, [now[path] for path in above if path in now and path in self._known])

    def _fetch(self, batch: list[Item], now: Mapping[str, Item], told: Listing) -> str:
        done = self._had + self._landed
        self._report(Progress(phase="pulling", files=min(done, len(now)), total_files=len(now)))
        by_rsync = "rsync" in told.tools and shutil.which("rsync") is not None
        said = fetch(self._line, batch, self._place.tree, by_rsync=by_rsync, limit_kib=self._wanted.limit_kib)
        torn = self._settle(batch, now)
        self._torn.update(torn)
        self._landed += len(batch) - len(torn)
        young_ns = (told.now_s - _YOUNG_SECONDS) * 10**9
        for item in batch:
            is_sure = item.path not in self._torn and (item.ctime_ns < young_ns or item.path in self._higher)
            self._known[item.path] = item if is_sure else listing.doubtful(item)
        self._place.remember(self._known.values(), self._boot_id)
        self._place.clear()
        return said

    def _is_same(self, one: Item, other: Item) -> bool:
        return lasting(one) == lasting(other) if one.path in self._higher else one.record == other.record

    def _settle(self, batch: list[Item], now: Mapping[str, Item]) -> tuple[str, ...]:
        try:
            with Tree(self._line.work / STAGED) as staged, Tree(self._place.tree) as mirror:
                return settle(staged, mirror, batch, now, self._higher)
        except (FileNotFoundError, NotADirectoryError) as error:
            self._place.distrust()
            raise ToolError(
                f"the mirror of {self._line.route.host.name} has lost the folder {error.filename!r}",
                hint="run it again: the next backup fetches everything anew; look at the disk of the mirror",
            ) from error

    def _look_again(self, todo: Plan, now: Mapping[str, Item], said: str) -> None:
        """List once more: what changed since the first time may have changed in the middle of being fetched."""
        faults = list(self._faults)
        told = self._list()
        self._faults = faults
        after = {item.path: item for item in listing.items(told.records, now.values())}
        same = {path for path, item in after.items() if path in now and self._is_same(item, now[path])}
        for item in todo.fetch:
            if item.path not in same:
                self._torn.add(item.path)
                self._known[item.path] = listing.doubtful(item)
        unread = [item.path for item in todo.fetch if item.path in self._torn and item.path in same]
        self._faults += [f"not read: {path}" for path in unread]
        self._place.remember(self._known.values(), self._boot_id)
        if not self._landed and all(map(listing.is_doubtful, self._known.values())):
            raise ToolError(
                f"{self._line.route.host.name} sent none of {len(todo.fetch)} entries: {said or 'without a word'}",
                hint="try by hand what the message says",
            )


def _nothing(wanted: Wanted) -> Refused:
    return Refused(
        outcome=Outcome.SOURCE_MISSING,
        summary=f"there is nothing to save: {', '.join(wanted.paths)} is missing on the host",
        hint="correct `paths` in the policy, or mount what is missing",
    )

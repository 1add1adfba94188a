"""A restored tree against its manifest: every way to be wrong is named, and nothing else is."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.backups.restic.compare import FAULTS_KEPT, Comparer, Comparison, below, printable
from agent.backups.restic.describe import entry_of
from agent.backups.restic.manifest import Entry
from agent.clock import Deadline, SystemClock

SOURCE = "/srv/shop"


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A tree as restic would restore it."""
    top = Path(f"{tmp_path}{SOURCE}")
    (top / "conf").mkdir(parents=True)
    (top / "conf/a").write_text("hello\n")
    (top / "conf/b").write_text("world\n")
    (top / "link").symlink_to("conf/a")
    os.mkfifo(top / "pipe")
    return tmp_path


def described(box: Path) -> list[Entry]:
    """The manifest of the tree as it stands."""
    deadline = Deadline.after(SystemClock(), 60)
    kinds = {"conf": "dir", "conf/a": "file", "conf/b": "file", "link": "symlink", "pipe": "fifo"}
    found = [entry_of(f"{box}{SOURCE}/{name}", kind, deadline) for name, kind in kinds.items()]
    top = entry_of(f"{box}{SOURCE}", "dir", deadline)
    return [
        Entry(**{name: getattr(one, name) for name in Entry.__slots__} | {"path": one.path.removeprefix(str(box))})
        for one in [top, *found]
    ]


def compare(box: Path, entries: list[Entry], **options: bool) -> Comparison:
    """The comparison of the whole tree."""
    comparer = Comparer(
        box, Deadline.after(SystemClock(), 60), owners=options.get("owners", True), tick=lambda *_: None
    )
    return comparer.compare(lambda: entries, [SOURCE])


def test_a_tree_as_it_was_has_no_faults(box: Path) -> None:
    found = compare(box, described(box))
    assert (found.faults, found.compared, found.torn, found.size_bytes) == ((), 6, 0, 12)


def same_stamps(path: Path, change: Callable[[], object]) -> None:
    """Change something and set the times of the entry and its folder back."""
    stats = [(one, one.lstat()) for one in (path, path.parent)]
    change()
    for one, seen in stats:
        if os.path.lexists(one):
            os.utime(one, ns=(seen.st_atime_ns, seen.st_mtime_ns), follow_symlinks=False)


def replaced(path: Path, make: Callable[[], object]) -> None:
    path.unlink()
    make()


CHANGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("conf/a", lambda path: path.write_text("hellO\n"), "content differs"),
    ("conf/a", lambda path: path.write_text("hello!\n"), "7 bytes instead of 6"),
    ("conf/a", lambda path: path.chmod(0o600), "mode 0600 instead of 0644"),
    ("conf/a", lambda path: path.chmod(0o4644), "mode 4644 instead of 0644"),
    ("conf/a", lambda path: path.unlink(), "missing"),
    ("conf/a", lambda path: replaced(path, path.mkdir), "is a dir instead of a file"),
    ("conf/a", lambda path: replaced(path, lambda: path.symlink_to("b")), "is a symlink instead of a file"),
    ("link", lambda path: replaced(path, lambda: path.symlink_to("conf/b")), "leads elsewhere than it did"),
    ("conf/c", lambda path: path.write_text(""), "not in the snapshot"),
]


@pytest.mark.parametrize(("name", "change", "fault"), CHANGES, ids=[fault for _, _, fault in CHANGES])
def test_a_difference_is_named(box: Path, name: str, change: Callable[[Path], object], fault: str) -> None:
    entries = described(box)
    path = Path(f"{box}{SOURCE}/{name}")
    if os.path.lexists(path):
        same_stamps(path, lambda: change(path))
    else:
        seen = path.parent.stat()
        change(path)
        os.utime(path.parent, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert compare(box, entries).faults == (f"{fault}: {SOURCE}/{name}",)


def test_a_time_that_is_off_by_a_nanosecond_is_a_fault(box: Path) -> None:
    entries = described(box)
    path = Path(f"{box}{SOURCE}/conf/b")
    seen = path.stat()
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns + 1))
    assert compare(box, entries).faults == (f"modified +0.000000001 s off: {SOURCE}/conf/b",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("owners", [True, False])
def test_an_owner_counts_where_it_could_be_restored(box: Path, *, owners: bool) -> None:
    entries = described(box)
    os.chown(f"{box}{SOURCE}/conf/b", 12, 34)
    faults = compare(box, entries, owners=owners).faults
    assert faults == ((f"owner 12:34 instead of 0:0: {SOURCE}/conf/b",) if owners else ())


def test_a_torn_file_must_be_there_and_no_more(box: Path) -> None:
    torn = Entry(path=f"{SOURCE}/conf/a", kind="file", torn=True)
    entries = [torn if entry.path == torn.path else entry for entry in described(box)]
    found = compare(box, entries)
    assert (found.faults, found.compared, found.torn) == ((), 5, 1)
    Path(f"{box}{torn.path}").unlink()
    assert f"missing: {torn.path}" in compare(box, entries).faults


def test_a_name_that_nobody_could_tell_is_neither_missing_nor_too_much(box: Path) -> None:
    entries = described(box)
    folder = Path(f"{box}{SOURCE}/conf")
    seen = folder.stat()
    for name in (b"x\xfe", b"x\xff"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).touch()
    os.utime(folder, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    entries += [Entry(path=f"{SOURCE}/conf/x\ufffd", kind="file", torn=True)] * 2
    assert compare(box, entries).faults == ()


def test_a_socket_is_not_expected_back(box: Path) -> None:
    entries = [*described(box), Entry(path=f"{SOURCE}/sock", kind="socket")]
    assert compare(box, entries).faults == ()


def test_faults_are_kept_within_bounds_and_all_counted(box: Path) -> None:
    entries = described(box) + [Entry(path=f"{SOURCE}/gone{number}", kind="file") for number in range(FAULTS_KEPT + 9)]
    found = compare(box, entries)
    assert (len(found.faults), found.fault_count) == (FAULTS_KEPT, FAULTS_KEPT + 9)


def test_the_deadline_ends_a_comparison(box: Path) -> None:
    comparer = Comparer(box, Deadline.after(SystemClock(), 0), owners=True, tick=lambda *_: None)
    entries = described(box)
    with pytest.raises(TimeoutError):
        comparer.compare(lambda: entries, [SOURCE])


def test_paths_are_shown_as_clean_text() -> None:
    assert printable("/srv/é") == "/srv/é"
    assert printable(os.fsdecode(b"/srv/\xff")) == r"/srv/\xff"
    assert printable("/srv/a\nb\x1b[31m") == r"/srv/a\nb\x1b[31m"


def test_a_part_of_a_manifest_is_what_lies_at_or_below_a_path() -> None:
    entries = [Entry(path=path, kind="file") for path in ("/srv", "/srv/a", "/srv/a/b", "/srv/ab")]
    assert [entry.path for entry in below(entries, ("/srv/a",))] == ["/srv/a", "/srv/a/b"]
    assert [entry.path for entry in below(entries, ())] == ["/srv", "/srv/a", "/srv/a/b", "/srv/ab"]

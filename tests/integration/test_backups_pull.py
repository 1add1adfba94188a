"""Files of a host behind SSH: pulled into a mirror by rsync or tar, saved by restic, and as they were there."""

import dataclasses
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.backups import BackupResult, Kind, Outcome
from agent.backups.mirror import place
from agent.backups.restic import describe
from agent.transports import confine
from agent.transports.openssh import Login, Route
from tests.lab.sshd import Sshd, running_sshd
from tests.lab.wait import until
from tests.vault import Vault, furnish

KEY = "shop/backups/files@web1"
WAYS = ["rsync", "tar"]


@pytest.fixture(scope="module")
def bare_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A host without rsync: its programs stand in a folder of their own."""
    folder = tmp_path_factory.mktemp("bare")
    programs = folder / "bin"
    programs.mkdir()
    for name in ("sh", "find", "tar", "date", "readlink", "dirname", "basename", "sudo"):
        if (found := shutil.which(name)) is not None:
            (programs / name).symlink_to(found)
    with running_sshd(folder, f"SetEnv PATH={programs}") as running:
        yield running


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """An empty repository; to be copied."""
    folder = tmp_path_factory.mktemp("founded")
    return Vault(folder=folder / "vault", source=folder / "source").found()


def route_to(host: Sshd, folder: Path) -> Route:
    """The way there, with its key pinned."""
    pins = folder / "known_hosts"
    pins.write_text(f"[{host.address}]:{host.port} {host.public_key}\n")
    login = Login(name="web1", address=host.address, port=host.port, user=host.user, key_file=str(host.key_file))
    return Route(host=login, known_hosts=str(pins))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Far:
    """A vault whose source lies on a host behind SSH."""

    vault: Vault
    route: Route

    @property
    def tree(self) -> Path:
        return place.tree_of(self.vault.state, KEY)

    def backup(self, exec_id: str, **other: object) -> BackupResult:
        return self.vault.backup(exec_id, route=self.route, **other)


@pytest.fixture(params=WAYS)
def far(request: pytest.FixtureRequest, founded: Vault, sshd: Sshd, bare_sshd: Sshd, tmp_path: Path) -> Far:
    """A furnished source on a host with rsync, and on one without."""
    source = tmp_path / "source"
    furnish(source)
    vault = Vault(folder=tmp_path, source=source)
    shutil.copytree(founded.repository, vault.repository)
    return Far(vault=vault, route=route_to(sshd if request.param == "rsync" else bare_sshd, tmp_path))


def facts(top: Path) -> dict[str, tuple[object, ...]]:
    """All that a backup must keep of a tree, by name."""
    found: dict[str, tuple[object, ...]] = {}
    links: dict[tuple[int, int], str] = {}
    for path in sorted(top.rglob("*")):
        seen = path.lstat()
        first = links.setdefault((seen.st_dev, seen.st_ino), str(path.relative_to(top)))
        attributes = tuple((name, os.getxattr(path, name, follow_symlinks=False))
                           for name in sorted(os.listxattr(path, follow_symlinks=False)))  # fmt: skip
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""  # noqa: PTH115
        device = (seen.st_rdev,) if path.is_block_device() or path.is_char_device() else ()
        found[str(path.relative_to(top))] = (
            oct(seen.st_mode), seen.st_uid, seen.st_gid, seen.st_mtime_ns, first, attributes, content, *device,
            path.is_file() and not path.is_symlink() and describe.has_holes(seen),
        )  # fmt: skip
    return found


def enrich(source: Path) -> None:
    """What only root can make, and what plain copies lose."""
    (source / "acl").write_text("1\n")
    (source / "conf/deep").mkdir()
    subprocess.run(["setfacl", "-m", "u:1234:rw,g:4321:r", source / "acl"], check=True)
    subprocess.run(["setfacl", "-d", "-m", "u:1234:rwx", source / "conf/deep"], check=True)
    os.setxattr(source / "tool", "user.origin", b"\0\1binary")
    os.setxattr(source / "conf", "user.origin", b"folder")
    os.chown(source / "conf/app.conf", 1001, 1002)
    os.chown(source / "link", 1003, 1004, follow_symlinks=False)
    os.mknod(source / "null", 0o020640, os.makedev(1, 3))
    os.utime(source / "acl", ns=(5, 1_600_000_000_123_456_789))


@pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices are root's")
def test_a_pulled_tree_differs_in_nothing(far: Far) -> None:
    source = far.vault.source
    enrich(source)
    saved = far.backup("01A", options={"exclude": []})
    assert (saved.faults, saved.outcome, saved.torn) == ((), Outcome.OK, 0)
    assert facts(Path(f"{far.tree}{source}")) == facts(source)
    drilled = far.vault.drill("01B", snapshot=saved.snapshot, manifest=saved.manifest, route=far.route)
    assert (drilled.outcome, drilled.faults) == (Outcome.OK, ())
    returned = far.vault.restore("01C", far.vault.folder / "back", route=far.route)
    assert (returned.outcome, returned.faults) == (Outcome.OK, ())
    assert facts(Path(f"{returned.target}{source}")) == facts(source)


def files(far: Far) -> set[str]:
    """What is in the mirror of the source."""
    top = Path(f"{far.tree}{far.vault.source}")
    return {str(path.relative_to(top)) for path in top.rglob("*")}


def test_only_what_changed_is_fetched_and_what_is_gone_goes(far: Far) -> None:
    source = far.vault.source
    first = far.backup("01A")
    assert (first.outcome, "junk.tmp" in files(far)) == (Outcome.OK, False)
    shutil.rmtree(source / "conf")
    (source / "conf").write_text("now a file\n")
    (source / "empty").rmdir()
    (source / "empty").symlink_to("/etc")
    (source / "tool").write_bytes(b"\x7fELF" + bytes(range(256)) * 2000)
    (source / "new").mkdir()
    (source / "new/x").write_text("x\n")
    second = far.backup("01B")
    assert (second.outcome, second.faults) == (Outcome.OK, ())
    there = facts(source)
    del there["junk.tmp"]
    assert facts(Path(f"{far.tree}{source}")) == there
    drilled = far.vault.drill("01C", route=far.route)
    assert (drilled.outcome, drilled.faults) == (Outcome.OK, ())
    assert [one.paths for one in far.vault.snapshots().snapshots] == [(str(source),)] * 2


def test_what_did_not_change_is_not_fetched_again(far: Far) -> None:
    options = {"paths": ["/usr/share/perl5/Debconf"]}
    far.backup("01A", options=options)
    before = {path: path.lstat().st_ctime_ns for path in (far.tree / "usr/share/perl5").rglob("*")}
    second = far.backup("01B", options=options)
    assert (second.outcome, second.hashed, second.files > 5) == (Outcome.OK, 0, True)
    assert {path: path.lstat().st_ctime_ns for path in (far.tree / "usr/share/perl5").rglob("*")} == before


def test_a_change_that_hides_behind_its_old_time_is_fetched(far: Far) -> None:
    target = far.vault.source / "hard"
    seen = target.stat()
    far.backup("01A")
    with target.open("r+b") as stream:
        stream.write(b"\x7fEVI")
    os.utime(target, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    far.backup("01B")
    assert Path(f"{far.tree}{target}").read_bytes() == target.read_bytes()


def test_when_too_much_is_gone_nothing_is_saved_and_the_mirror_stays_until_that_is_allowed(far: Far) -> None:
    source = far.vault.source
    for number in range(60):
        (source / f"f{number}").touch()
    assert far.backup("01A").outcome is Outcome.OK
    before = files(far)
    for number in range(60):
        (source / f"f{number}").unlink()
    refused = far.backup("01B")
    assert (refused.outcome, refused.snapshot) == (Outcome.FAILED, "")
    assert "60 of" in refused.summary
    assert "may_vanish: 100%" in refused.hint
    assert files(far) == before
    assert far.backup("01C", options={"may_vanish": 1.0}).outcome is Outcome.OK
    assert "f1" not in files(far)


def test_a_source_that_is_missing_is_a_hole_and_all_of_them_make_a_failure(far: Far) -> None:
    gone = f"{far.vault.folder}/gone"
    partial = far.backup("01A", options={"paths": [str(far.vault.source / "conf"), gone]})
    assert (partial.outcome, partial.faults) == (Outcome.PARTIAL, (f"does not exist: {gone}",))
    missing = far.backup("01B", options={"paths": [gone]})
    assert (missing.outcome, missing.snapshot) == (Outcome.SOURCE_MISSING, "")


def test_a_host_whose_key_changed_is_not_asked_for_anything(far: Far) -> None:
    pins = Path(far.route.known_hosts)
    name, kind, _ = pins.read_text().split()
    other = Path(f"{far.route.host.key_file}.pub").read_text().split()[1]
    pins.write_text(f"{name} {kind} {other}\n")
    job = far.vault.job(Kind.BACKUP, "01A", route=far.route)
    with far.vault.start(job) as started:
        assert started.wait(60) == 1
    result = far.vault.result(job)
    assert (result.outcome, "watchkeeper host trust web1" in result.hint) == (Outcome.FAILED, True)
    assert not far.tree.joinpath(str(far.vault.source)[1:]).exists()


def test_a_pull_that_is_killed_saves_nothing_and_the_next_one_goes_on(far: Far) -> None:
    source = far.vault.source
    far.backup("01A")
    with (source / "large").open("wb") as stream:
        for _ in range(20):
            stream.write(os.urandom(1_000_000))
    job = far.vault.job(Kind.BACKUP, "01B", route=far.route)
    work = place.folder_of(far.vault.state, KEY) / "work"
    with far.vault.start(job) as started:
        until(lambda: started.poll() is not None or (work / "staged").exists(), 30, "it fetches")
        started.kill()
        assert started.wait(60) != 0
    assert len(far.vault.snapshots().snapshots) == 1
    assert not (work.parent / "settled").exists()
    again = far.backup("01C")
    assert (again.outcome, again.faults) == (Outcome.OK, ())
    assert Path(f"{far.tree}{source}/large").read_bytes() == (source / "large").read_bytes()
    assert not any(work.iterdir())


@pytest.fixture
def hostile(tmp_path: Path, founded: Vault) -> Iterator[Far]:
    """A host whose tar is ours to write: what it sends is no answer to what it was asked."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "find", "date", "readlink", "dirname", "basename", "cat"):
        (programs / name).symlink_to(shutil.which(name) or "")
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("a\n")
    vault = Vault(folder=tmp_path, source=source)
    shutil.copytree(founded.repository, vault.repository)
    with running_sshd(tmp_path, f"SetEnv PATH={programs}") as running:
        yield Far(vault=vault, route=route_to(running, tmp_path))


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar archive of these members."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def test_nothing_that_a_target_sends_lands_outside_its_mirror(hostile: Far) -> None:
    outside = hostile.vault.folder / "outside"
    outside.mkdir()
    victim = outside / "victim"
    victim.write_text("untouched\n")
    archive = packed(
        (member("../../../../../outside/up"), b"1"),
        (member(f"{outside}/full"), b"2"),
        (member("./link", tarfile.SYMTYPE, str(outside)), b""),
        (member("./link/through"), b"3"),
        (member("./hard", tarfile.LNKTYPE, str(victim)), b""),
        (member("./hard"), b"4"),
        (member(f".{hostile.vault.source}", tarfile.SYMTYPE, str(outside)), b""),
        (member(f".{hostile.vault.source}/a"), b"5"),
    )
    (hostile.vault.folder / "archive").write_bytes(archive)
    sender = hostile.vault.folder / "bin/tar"
    sender.write_text(f"#!/bin/sh\ncat {hostile.vault.folder}/archive\n")
    sender.chmod(0o755)
    job = hostile.vault.job(Kind.BACKUP, "01A", route=hostile.route)
    with hostile.vault.start(job) as started:
        assert started.wait(60) == 1
    assert hostile.vault.result(job).outcome is not Outcome.OK
    assert ([path.name for path in outside.iterdir()], victim.read_text()) == (["victim"], "untouched\n")


@pytest.mark.parametrize(
    ("name", "script", "words"),
    [
        ("find", "echo 'find: unrecognized: -printf' >&2; exit 1", "find without -printf"),
        (
            "find",
            'for word; do [ "$word" = "" ] && exit 0; done; printf "f/644/0/0/1/1.0/1.0/1/1/1//etc/x"',
            "cut short",
        ),
        (
            "find",
            '/usr/bin/find "$@" | /usr/bin/head -z -n 4; case "$*" in *%p*) exit 137 ;; esac',
            "ended without a word",
        ),
        ("tar", "exit 2", "sent none of"),
        ("tar", "exit 127", "ends too early"),
    ],
    ids=["busybox", "a lie", "a find that is killed", "a tar that does nothing", "no tar"],
)
def test_a_target_that_cannot_or_will_not_answer_is_told(hostile: Far, name: str, script: str, words: str) -> None:
    program = hostile.vault.folder / "bin" / name
    program.unlink(missing_ok=True)
    (hostile.vault.folder / "bin/tar").touch(mode=0o755)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    job = hostile.vault.job(Kind.BACKUP, "01A", route=hostile.route)
    with hostile.vault.start(job) as started:
        assert started.wait(60) == 1
    result = hostile.vault.result(job)
    assert isinstance(result, BackupResult)
    assert words in " ".join([result.summary, *result.faults])


def test_who_reads_what_a_target_sends_can_write_in_one_folder_only(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "kept").touch()
    tricks = f"echo x >{inside}/a; echo x >{outside}/b; rm {outside}/kept; ln -s /etc {outside}/c; echo x >/dev/null"
    argv = [sys.executable, "-I", "-S", confine.__file__, str(inside), "/bin/sh", "-c", tricks]
    subprocess.run(argv, stderr=subprocess.DEVNULL, check=True)
    assert [path.name for path in (*inside.iterdir(), *outside.iterdir())] == ["a", "kept"]

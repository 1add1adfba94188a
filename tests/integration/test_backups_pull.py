"""Files of a host behind SSH: pulled into a mirror by rsync or tar, saved by restic, and as they were there."""

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.backups import BackupResult, Outcome
from agent.backups.mirror import place
from agent.transports.openssh import Login, Route
from tests.lab.sshd import Sshd, running_sshd
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
    assert (far.tree / str(source)[1:] / "sparse").stat().st_blocks < 100
    drilled = far.vault.drill("01B", snapshot=saved.snapshot, manifest=saved.manifest, route=far.route)
    assert (drilled.outcome, drilled.faults) == (Outcome.OK, ())
    returned = far.vault.restore("01C", far.vault.folder / "back", route=far.route)
    assert (returned.outcome, returned.faults) == (Outcome.OK, ())
    assert facts(Path(f"{returned.target}{source}")) == facts(source)

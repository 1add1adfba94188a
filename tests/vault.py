"""A source, a repository and a state folder: what a test of backups needs, with the engine at hand."""

import dataclasses
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.backups import (
    JOB,
    PASSWORD_FILE,
    RESULT,
    BackupResult,
    DrillResult,
    Job,
    Kind,
    RestoreResult,
    Result,
    Setting,
    SnapshotsResult,
    dump,
    load_result,
)
from agent.backups.files import Files
from agent.backups.restic import manifest
from agent.backups.restic.manifest import Draft, Entry, Header
from agent.clock import Deadline, SystemClock
from tests.quick_key import cheapen
from tests.restics import PROGRAMS

TOP = Path(__file__).resolve().parents[1]
SECRET = "correct horse"


@functools.cache
def _founded(program: str) -> tuple[bytes, bytes]:
    """The files of an empty repository, its config and its key; making them anew takes a second, most of it for the key."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "RESTIC_REPOSITORY": folder, "RESTIC_PASSWORD": SECRET}
        subprocess.run([program, "init", "--no-cache"], env=environment, check=True, stdout=subprocess.DEVNULL)
        cheapen(Path(folder), SECRET)
        (key,) = Path(folder, "keys").iterdir()
        return Path(folder, "config").read_bytes(), key.read_bytes()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vault:
    """Jobs of one item on one host."""

    folder: Path
    source: Path
    secret: str = SECRET
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    program: str = PROGRAMS[0]
    url: str = ""  # of a repository elsewhere
    known_hosts: str = ""

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def password_file(self) -> Path:
        path = self.folder / "password"
        path.write_text(f"{self.secret}\n")
        return path

    def found(self) -> "Vault":
        """Make the repository, quick to open."""
        config, key = _founded(self.program)
        for name in ("index", "keys", "locks", "snapshots", *(f"data/{number:02x}" for number in range(256))):
            (self.repository / name).mkdir(mode=0o700, parents=True)
        (self.repository / "config").write_bytes(config)
        (self.repository / "keys" / "0").write_bytes(key)
        cheapen(self.repository, SECRET, self.secret)
        return self

    def job(self, kind: Kind, exec_id: str, **other: Any) -> Job:
        """An order as the runtime would write it."""
        options = {"paths": [str(self.source)], "exclude": ["*.tmp"]} | other.pop("options", {})
        defaults: dict[str, Any] = {"timeout_seconds": 60.0, "program": self.program, "known_hosts": self.known_hosts}
        return Job(
            kind=kind,
            engine="files",
            key="shop/backups/files@web1",
            item="shop/backups/files",
            host="web1",
            exec_id=exec_id,
            options=options,
            repository=self.url or str(self.repository),
            state=str(self.state),
            **(defaults | other),
        )

    def setting(self, job: Job) -> Setting:
        """Where the job works, within this process."""
        return Setting(
            deadline=Deadline.after(SystemClock(), job.timeout_seconds),
            environment={PASSWORD_FILE: str(self.password_file), **self.environment},
            report=lambda _: None,
        )

    def backup(self, exec_id: str, **other: Any) -> BackupResult:
        job = self.job(Kind.BACKUP, exec_id, **other)
        return Files.backup(job, self.setting(job))

    def drill(self, exec_id: str, **other: Any) -> DrillResult:
        job = self.job(Kind.DRILL, exec_id, **other)
        return Files.drill(job, self.setting(job))

    def restore(self, exec_id: str, target: Path, **other: Any) -> RestoreResult:
        job = self.job(Kind.RESTORE, exec_id, target=str(target), **other)
        return Files.restore(job, self.setting(job))

    def snapshots(self) -> SnapshotsResult:
        job = self.job(Kind.SNAPSHOTS, "list")
        return Files.snapshots(job, self.setting(job))

    def start(self, job: Job, *before: str) -> subprocess.Popen[str]:
        """The job in a process of its own, as the shim would start it."""
        run_dir = self.run_dir(job)
        run_dir.mkdir(parents=True)
        (run_dir / JOB).write_text(dump(job))
        return subprocess.Popen(
            [*before, sys.executable, "-m", "agent.backups", str(run_dir)],
            cwd=TOP,
            env={"PATH": os.environ["PATH"], "RESTIC_PASSWORD_FILE": str(self.password_file), **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def backup_apart(self, exec_id: str, **other: Any) -> BackupResult:
        """A backup in a process of its own, which makes a result of whatever happens."""
        job = self.job(Kind.BACKUP, exec_id, **other)
        with self.start(job) as started:
            assert started.wait(60) in {0, 1}
        result = self.result(job)
        assert isinstance(result, BackupResult)
        return result

    def run_dir(self, job: Job) -> Path:
        """Where such a job leaves its papers."""
        return self.folder / "runs" / job.exec_id

    def result(self, job: Job) -> Result:
        """What a started job wrote."""
        return load_result((self.run_dir(job) / RESULT).read_text())

    def restic(self, *arguments: str, before: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Restic by hand on this repository."""
        return subprocess.Popen(
            [*before, self.program, *arguments],
            env={
                "PATH": self.environment.get("PATH", os.environ["PATH"]),
                "RESTIC_REPOSITORY": str(self.repository),
                "RESTIC_PASSWORD_FILE": str(self.password_file),
                "RESTIC_CACHE_DIR": str(self.state / "restic-cache"),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def copy(self, folder: Path) -> "Vault":
        """The same, to be broken."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return dataclasses.replace(self, folder=folder)

    def entries(self, name: str) -> tuple[Header, list[Entry]]:
        """What a manifest says."""
        header, found = manifest.read(self.state / manifest.FOLDER / name)
        return header, list(found)

    def rewrite(self, exec_id: str, header: Header, entries: list[Entry]) -> str:
        """Another manifest for the same snapshot: what a restore that went wrong would be compared with."""
        with Draft(manifest.folder_of(self.state, "shop/backups/files@web1"), exec_id) as draft:
            draft.begin(header)
            for entry in entries:
                draft.add(entry)
            return manifest.name_of(draft.keep())


def furnish(source: Path) -> None:
    """A tree with everything that can go wrong in a copy."""
    (source / "conf").mkdir(parents=True)
    (source / "conf/app.conf").write_text("listen 80\n")
    (source / "conf/app.conf").chmod(0o640)
    (source / "tool").write_bytes(b"\x7fELF" + bytes(range(256)) * 800)
    (source / "tool").chmod(0o4755)
    (source / "empty").mkdir(mode=0o711)
    (source / "link").symlink_to("conf/./app.conf")
    (source / "dangling").symlink_to("/nowhere/../at all")
    (source / "hard").hardlink_to(source / "tool")
    (source / "a\nb * [é]\\").write_text("a name\n")
    (source / os.fsdecode(b"bad\xff\xfe")).write_text("no text\n")
    (source / "junk.tmp").write_text("left out\n")
    os.mkfifo(source / "pipe")
    with (source / "sparse").open("wb") as stream:
        stream.truncate(3_000_000)
    os.utime(source / "conf", ns=(1, 1_234_567_891))
    os.utime(source / "dangling", ns=(1, 1_234_567_892), follow_symlinks=False)

"""A repository with some snapshots of our own record, for tests of its upkeep; and how it is harmed."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.backups import Job, Kind, Setting
from agent.backups.restic import forget, upkeep
from agent.backups.restic.command import Restic
from agent.backups.restic.copying import FROM
from agent.backups.restic.upkeep import ERRAND, RESULT, Errand, Task, UpkeepResult
from agent.clock import SystemClock
from agent.model.upkeep import Holding, Keep, Recorded
from tests.vault import TOP, Vault

ITEM, HOST = "shop/backups/files", "web1"
KEY = f"{ITEM}@{HOST}"
DAY = timedelta(days=1)


def now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now() / 1_000_000, UTC)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shelf:
    """A repository with some snapshots of our own record, a day between them, the newest last."""

    vault: Vault
    ids: tuple[str, ...]

    def restic(self, *arguments: str) -> str:
        """Restic by hand, as an operator or somebody worse; its stdout."""
        environment = {
            "PATH": os.environ["PATH"], "RESTIC_REPOSITORY": str(self.vault.repository),
            "RESTIC_PASSWORD_FILE": str(self.vault.password_file), "RESTIC_CACHE_DIR": str(self.vault.state / "cache"),
        }  # fmt: skip
        argv = [self.vault.program, *arguments]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout

    def save(self, name: str, at: datetime, *, exec_id: str = "") -> str:
        """One more snapshot; with our tags, whoever makes it."""
        (self.vault.source / name).write_bytes(os.urandom(60_000))
        tags = [f"--tag=watchkeeper,item={ITEM},exec={exec_id or name}", f"--host={HOST}"]
        said = self.restic("backup", "--json", f"--time={at:%Y-%m-%d %H:%M:%S}", *tags, str(self.vault.source))
        found = next(one["snapshot_id"] for line in said.splitlines() if "snapshot_id" in (one := json.loads(line)))
        return next(one.name for one in (self.vault.repository / "snapshots").iterdir() if one.name.startswith(found))

    def listed(self) -> set[str]:
        return {one.name for one in (self.vault.repository / "snapshots").iterdir()}

    def packs(self) -> list[Path]:
        """The files with data, the largest first."""
        return sorted(
            (one for one in (self.vault.repository / "data").rglob("*") if one.is_file()),
            key=lambda one: one.stat().st_size,
            reverse=True,
        )

    def job(self, exec_id: str = "01A", **other: Any) -> Job:
        return dataclasses.replace(self.vault.job(Kind.SNAPSHOTS, exec_id), engine="", **other)

    def setting(self) -> Setting:
        return self.vault.setting(self.job())

    def holding(self, keep: Keep | None = None, **other: Any) -> Holding:
        """What our record says: all of `ids`."""
        times = {one.id: one.at_us for one in forget.everything(Restic(self.job(), self.setting()))[1]}
        recorded = tuple(Recorded(snapshot=id_, at_us=times[id_]) for id_ in self.ids if id_ in times)
        return Holding(key=KEY, item=ITEM, host=HOST, keep=keep, recorded=recorded, **other)

    def copy(self, folder: Path) -> "Shelf":
        return dataclasses.replace(self, vault=self.vault.copy(folder))

    def do(self, errand: Errand, **environment: str) -> UpkeepResult:
        """The errand in a process of its own, as the shim would start it."""
        with self.start(errand, **environment) as process:
            process.wait(60)
        return upkeep.load_result((self.run_dir(errand) / RESULT).read_text())

    def start(self, errand: Errand, **environment: str) -> subprocess.Popen[bytes]:
        run_dir = self.run_dir(errand)
        run_dir.mkdir(parents=True)
        (run_dir / ERRAND).write_text(upkeep.dump(errand))
        return subprocess.Popen(
            [sys.executable, "-m", "agent.runtime.upkeep_job", str(run_dir)],
            cwd=TOP, start_new_session=True, stdout=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "RESTIC_PASSWORD_FILE": str(self.vault.password_file), **environment},
        )  # fmt: skip

    def run_dir(self, errand: Errand) -> Path:
        return self.vault.folder / "runs" / errand.job.exec_id


def stocked(folder: Path, program: str = "restic") -> Shelf:
    """Five snapshots in as many days, the oldest 30 days ago; beside it, the same repository when it was `empty`."""
    vault = Vault(folder=folder / "vault", source=folder / "source", program=program).found()
    shutil.copytree(vault.repository, vault.folder / "empty")
    vault.source.mkdir()
    shelf = Shelf(vault=vault, ids=())
    begin = now() - 30 * DAY
    ids = tuple(shelf.save(f"E{index}", begin + index * DAY) for index in range(5))
    return dataclasses.replace(shelf, ids=ids)


LAST_TWO = Keep(last=2, within_seconds=1.0)


def prune(shelf: Shelf, exec_id: str, holding: Holding, **other: Any) -> Errand:
    """The order to remove what the holding does not keep."""
    accepted = other.pop("accepted", ())
    job = shelf.job(exec_id, **other)
    return Errand(task=Task.PRUNE, job=job, name="main", holdings=(holding,), accepted=accepted)


def second(shelf: Shelf, exec_id: str = "01A") -> Job:
    """The job of the repository with the copies."""
    return shelf.job(exec_id, repository=str(shelf.vault.folder / "second"))


def both(shelf: Shelf) -> Setting:
    """One password for both."""
    setting = shelf.setting()
    names = {FROM["RESTIC_PASSWORD_FILE"]: str(shelf.vault.password_file)}
    return dataclasses.replace(setting, environment={**setting.environment, **names})


def flip(path: Path, at: float = 0.5) -> None:
    """One bit, somewhere in the middle."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)

"""A client that may add to a repository and is hostile: behind a real append-only server it takes nothing away, and is told."""

import base64
import dataclasses
import hashlib
import http.client
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agent.backups import Outcome
from agent.backups.restic import snapshots
from agent.backups.restic.location import with_login
from agent.backups.restic.upkeep import Errand, Task
from agent.model.upkeep import Strange
from tests.lab import vaults
from tests.shelf import HOST, ITEM, LAST_TWO, Shelf, prune, stocked

LOGIN = "of the client"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Client:
    """What the client has: the way to the repository with its login, the repository's password, and its wits."""

    shelf: Shelf
    url: str

    def restic(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Its restic, which does whatever it wants."""
        vault = self.shelf.vault
        environment = {
            "PATH": os.environ["PATH"], "RESTIC_REPOSITORY": with_login(self.url, vaults.USER, LOGIN),
            "RESTIC_PASSWORD_FILE": str(vault.password_file), "RESTIC_CACHE_DIR": str(vault.folder / "its-cache"),
        }  # fmt: skip
        nothing = subprocess.DEVNULL
        return subprocess.Popen([vault.program, *arguments], env=environment, stdout=nothing, stderr=nothing)

    def asks(self, method: str, path: str, content: bytes | None = None) -> int:
        """The status of a plain request."""
        server = urlsplit(self.url.removeprefix("rest:"))
        line = http.client.HTTPConnection(server.hostname or "", server.port, timeout=20)
        login = base64.b64encode(f"{vaults.USER}:{LOGIN}".encode()).decode()
        try:
            line.request(method, f"/{path}", body=content, headers={"Authorization": f"Basic {login}"})
            return line.getresponse().status
        finally:
            line.close()


@pytest.fixture
def client(tmp_path: Path, restic: str) -> Iterator[Client]:
    """Its repository lies on this machine; it gets there by a server that lets it add and read."""
    shelf = stocked(tmp_path, restic)
    with vaults.behind_rest(shelf.vault.repository, LOGIN, "--append-only") as there:
        yield Client(shelf=shelf, url=there.url)


def content(repository: Path) -> dict[str, str]:
    """What must stay as it is: everything but locks."""
    return {
        str(path.relative_to(repository)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in repository.rglob("*")
        if path.is_file() and path.parent.name != "locks"
    }


def check(shelf: Shelf, exec_id: str, keys: tuple[str, ...] = (), **other: object) -> Errand:
    holdings = (shelf.holding(LAST_TWO),)
    errand = Errand(task=Task.CHECK, job=shelf.job(exec_id), name="main", holdings=holdings, keys=keys)
    return dataclasses.replace(errand, **other)  # type: ignore[arg-type]


def test_a_client_with_all_credentials_takes_nothing_away_and_whatever_it_adds_is_told(client: Client) -> None:
    shelf = client.shelf
    repository = shelf.vault.repository
    keys = shelf.do(check(shelf, "01A")).keys
    before = content(repository)

    with client.restic("forget", *shelf.ids) as forgetting:  # refused, old restic tries for a quarter of an hour
        for path in before:
            assert client.asks("DELETE", path) in {403, 405}, path
            assert client.asks("POST", path, b"other") in {403, 405}, path
        forgetting.kill()
    for lock in (repository / "locks").iterdir():
        assert client.asks("DELETE", f"locks/{lock.name}") == 200, "locks alone may go: without that nobody could work"
    assert before.items() <= content(repository).items(), "nothing is gone, and nothing is other than it was"
    assert shelf.listed() == set(shelf.ids)

    (shelf.vault.source / "ransom").write_text("pay\n")
    tags = f"--tag=watchkeeper,item={ITEM},exec=E4"
    forging = ("backup", tags, f"--host={HOST}", "--time=2090-01-01 00:00:00", str(shelf.vault.source))
    for _ in range(2):
        assert client.restic(*forging).wait(30) == 0
    (key,) = (repository / "keys").iterdir()
    another = f"{key.read_text()} ".encode()  # as quick to open as the first
    assert client.asks("POST", f"keys/{hashlib.sha256(another).hexdigest()}", another) == 200
    forged = shelf.listed() - set(shelf.ids)
    assert len(forged) == 2

    honest = shelf.holding(LAST_TWO)
    seen = shelf.do(check(shelf, "01B", keys))
    assert {(one.what, one.words.partition(" is ")[2]) for one in seen.findings if one.id in forged} == {
        (Strange.SNAPSHOT, "from the future")
    }
    assert [one.what for one in seen.findings if one.id not in forged] == [Strange.KEY]
    refused = shelf.do(prune(shelf, "01C", honest))
    assert (refused.removed, shelf.listed()) == ((), {*shelf.ids, *forged})
    assert refused.summary.startswith("nothing is removed: snapshot ")

    newest = snapshots.pick(shelf.vault.snapshots().snapshots)
    assert newest is not None
    assert newest.id == shelf.ids[-1], "a restore takes what can be true"
    looked_at = shelf.do(prune(shelf, "01D", honest, accepted=tuple(forged)))
    assert (looked_at.outcome, set(looked_at.removed)) == (Outcome.OK, set(shelf.ids[:3])), "forged ones count for none"

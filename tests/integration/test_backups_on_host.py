"""Files of a host, saved by its own restic into a repository that is lent to it: proven, and proof against that host."""

import dataclasses
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agent.backups import BackupResult, Kind, Outcome
from agent.transports.openssh import Route
from tests.integration.test_backups_pull import enrich, facts, route_to
from tests.lab.sshd import Sshd, running_sshd
from tests.lab.wait import until
from tests.vault import Vault, furnish

pytestmark = pytest.mark.skipif(shutil.which("rclone") is None, reason="no rclone on this machine")
HOST = {"run_from": "host"}
SECRET = secrets.token_hex(16)  # no other test's process has it
RESTIC = shutil.which("restic") or "restic"


@dataclasses.dataclass(frozen=True, kw_only=True)
class There:
    """A vault whose source lies on a host with a restic of its own."""

    vault: Vault
    route: Route
    cache: Path

    def backup(self, exec_id: str, **other: object) -> BackupResult:
        options = HOST | dict(other.pop("options", {}))  # type: ignore[call-overload]
        return self.vault.backup(exec_id, route=self.route, options=options, **other)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """An empty repository; to be copied."""
    folder = tmp_path_factory.mktemp("founded")
    return Vault(folder=folder / "vault", source=folder / "source", secret=SECRET).found()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of the host; `restic` among them may be replaced."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("sh", "find", "date", "readlink", "dirname", "basename", "nice", "xargs", "sha256sum", "uname", "stat",
                 "cat", "sleep"):  # fmt: skip
        (folder / name).symlink_to(shutil.which(name) or "")
    return folder


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[tuple[Sshd, Path]]:
    """The host, and where its restic keeps its cache."""
    folder = tmp_path_factory.mktemp("host")
    with running_sshd(folder, f"SetEnv PATH={programs} XDG_CACHE_HOME={folder}/cache") as running:
        yield running, folder / "cache"


@pytest.fixture
def there(founded: Vault, host: tuple[Sshd, Path], programs: Path, tmp_path: Path) -> There:
    """A furnished source, and a restic that is what it says."""
    sshd, cache = host
    (programs / "restic").unlink(missing_ok=True)
    (programs / "restic").symlink_to(RESTIC)
    source = tmp_path / "source"
    furnish(source)
    vault = Vault(folder=tmp_path, source=source, secret=SECRET)
    shutil.copytree(founded.repository, vault.repository)
    return There(vault=vault, route=route_to(sshd, tmp_path), cache=cache)


def pretend(programs: Path, text: str) -> None:
    """Another program by the name of restic."""
    (programs / "restic").unlink()
    (programs / "restic").write_text(text)
    (programs / "restic").chmod(0o755)


def test_what_a_host_saved_itself_is_told_proven_and_comes_back(there: There) -> None:
    vault = there.vault
    if os.geteuid() == 0:
        enrich(vault.source)
    first = there.backup("01A")
    assert (first.outcome, first.faults, first.torn) == (Outcome.OK, (), 0)
    same = there.backup("01B")
    assert (same.outcome, same.files, same.size_bytes) == (Outcome.OK, first.files, first.size_bytes)
    told = [[(one.path, one.sha256) for one in vault.entries(each.manifest)[1]] for each in (first, same)]
    assert told[0] == told[1]
    (vault.source / "conf/app.conf").write_text("listen 81\n")
    changed = there.backup("01C")
    assert (changed.outcome, changed.torn, 0 < changed.hashed < first.hashed + 1) == (Outcome.OK, 0, True)
    assert [one.id for one in vault.snapshots().snapshots] == [changed.snapshot, same.snapshot, first.snapshot]
    drilled = vault.drill("01D", route=there.route)
    assert (drilled.outcome, drilled.faults, drilled.alarm) == (Outcome.OK, (), True)
    assert f"attributes and ACLs of {drilled.compared} were not compared" in drilled.summary
    returned = vault.restore("01E", vault.folder / "back", route=there.route)
    assert (returned.outcome, returned.faults) == (Outcome.OK, ())
    header, entries = vault.entries(changed.manifest)
    odd = [dataclasses.replace(one, sha256="0" * 64) if one.path.endswith("/tool") else one for one in entries]
    failed = vault.drill(
        "01F", snapshot=changed.snapshot, manifest=vault.rewrite("01X", header, odd), route=there.route
    )
    assert (failed.passed, failed.faults) == (False, (f"content differs: {vault.source}/tool",))
    due = facts(vault.source)
    del due["junk.tmp"]
    assert facts(Path(f"{returned.target}{vault.source}")) == due


def test_a_source_that_is_left_out_there_is_told_every_time_and_what_is_taken_back_is_saved_whole(there: There) -> None:
    other = there.vault.source.parent / "other.tmp"
    other.mkdir()
    (there.vault.source / "keep.tmp").write_text("kept\n")
    paths = [str(there.vault.source), str(other)]
    for exec_id in ("01A", "01B"):
        saved = there.backup(exec_id, options={"paths": paths})
        assert (saved.outcome, saved.faults) == (Outcome.PARTIAL, (f"not in the snapshot: {other}",))
    kept = there.backup("01C", options={"exclude": ["*.tmp", "!keep.tmp"]})
    assert (kept.outcome, kept.torn) == (Outcome.OK, 0)
    assert f"{there.vault.source}/keep.tmp" in {one.path for one in there.vault.entries(kept.manifest)[1] if one.sha256}


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("restic", "", "apt-get install restic"),
        ("restic", "#!/bin/sh\necho restic 0.13.1 compiled with go1.18 on linux/amd64\n", "a newer one"),
        ("sha256sum", "", "install coreutils"),
    ],
    ids=["no restic", "old restic", "no sha256sum"],
)
def test_a_host_that_lacks_what_it_takes_is_told_so(
    there: There, programs: Path, name: str, text: str, hint: str
) -> None:
    kept = (programs / name).rename(programs / "kept")
    if text:
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    try:
        result = there.vault.backup_apart("01A", route=there.route, options=HOST)
    finally:
        kept.rename(programs / name)
    assert (result.outcome, hint in result.hint, "run_from" in result.hint) == (Outcome.FAILED, True, True)
    assert "web1" in result.summary


def test_an_sshd_that_lends_no_port_is_told_so(there: There, tmp_path: Path) -> None:
    (tmp_path / "strict").mkdir()
    with running_sshd(tmp_path / "strict", "AllowTcpForwarding no") as sshd:
        result = there.vault.backup_apart("01A", route=route_to(sshd, tmp_path), options=HOST)
    assert (result.outcome, "AllowTcpForwarding" in result.hint) == (Outcome.UNREACHABLE, True)


def slowly(there: There) -> dict[str, object]:
    """Enough to be in the middle of it for as long as it takes."""
    (there.vault.source / "large").write_bytes(os.urandom(12_000_000))
    return {"route": there.route, "options": HOST, "limit_kib": 100}


def servers(there: There) -> list[psutil.Process]:
    """The servers of this repository that live."""
    found = []
    for one in psutil.process_iter():
        try:
            if one.name() == "rclone" and str(there.vault.repository) in one.cmdline():
                found.append(one)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.parametrize("who", ["ssh", "agent"])
def test_when_it_is_killed_in_the_middle_nothing_stays_and_the_next_run_works(there: There, who: str) -> None:
    vault = there.vault
    vault.backup("01A", options={"paths": [str(vault.source / "conf")]})
    job = vault.job(Kind.BACKUP, "01B", **slowly(there))
    locks = vault.repository / "locks"
    with vault.start(job) as started:
        until(lambda: started.poll() is not None or any(locks.iterdir()), 30, "restic works there")
        assert started.poll() is None, started.communicate()
        secrets_of(there)
        me = psutil.Process(started.pid)
        (me if who == "agent" else next(one for one in me.children() if one.name() == "ssh")).kill()
        assert started.wait(60) != 0
    until(lambda: not servers(there), 10, "its server is gone")
    if who == "ssh":
        assert vault.result(job).outcome is Outcome.UNREACHABLE
    assert any(locks.iterdir())
    cut_short = vault.repository / "index" / ("0" * 64)
    if who == "agent":
        cut_short.write_bytes(b"what its server had of it")
    (vault.source / "large").unlink()
    again = there.backup("01C")
    assert (again.outcome, again.faults) == (Outcome.OK, ())
    assert not any(locks.iterdir())
    assert not cut_short.exists()
    assert len(vault.snapshots().snapshots) == 2


def secrets_of(there: There) -> None:
    """Nobody reads the password of the repository, nor the login of its server, off a process or a disk of the host."""
    secret = there.vault.secret.encode()
    login = b"http://watchkeeper:"
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                text = (process / name).read_bytes()
            except OSError:
                continue
            assert secret not in text
            assert login not in text
    for path in there.cache.rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes()


HOSTILE = f"""#!{sys.executable} -I
import http.client, json, os, subprocess, sys, urllib.parse, base64
if sys.argv[1] == "version":
    os.execv("{RESTIC}", ["restic", "version"])
url, password = open("/dev/fd/4").read().strip(), open("/dev/fd/0").read().strip()
env = {{"RESTIC_REPOSITORY": url, "RESTIC_PASSWORD": password, "PATH": os.environ["PATH"], "HOME": "HERE"}}
def restic(*words, **more):
    return subprocess.run(["{RESTIC}", *words], env=env, timeout=20, **more)
done = restic(*sys.argv[3:]).returncode
server = urllib.parse.urlsplit(url.removeprefix("rest:"))
login = base64.b64encode(f"{{server.username}}:{{server.password}}".encode()).decode()
def ask(method, path, body=None):
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    told = {{"Authorization": f"Basic {{login}}", "Accept": "application/vnd.x.restic.rest.v2"}}
    line.request(method, path, body, told)
    return line.getresponse().read()
for folder in ("snapshots", "keys", "index", "data"):
    for one in (listed["name"] for listed in json.loads(ask("GET", f"/{{folder}}/"))):
        ask("DELETE", f"/{{folder}}/{{one}}")
        ask("DELETE", f"/locks/..%2f{{folder}}/{{one}}")
        ask("POST", f"/{{folder}}/{{one}}", b"overwritten")
ask("DELETE", "/config")
ask("POST", "/config", b"overwritten")
ask("DELETE", "/?delete=true")
ask("POST", "/..%2f..%2fescaped", b"escaped")
tags = "watchkeeper,item=shop/backups/files,exec=01X"
restic("backup", "-q", "--host=web1", "--tag", tags, "--time", "2030-01-01 00:00:00", "/etc/hostname")
open("HERE/pw", "w").write("other")
restic("key", "add", "--new-password-file=HERE/pw", stdout=subprocess.DEVNULL)
ask("POST", "/snapshots/" + "0" * 64, b"no work of restic's")
ask("POST", "/index/" + "0" * 64, b"no work of restic's")
raise SystemExit(done)
"""


def test_a_host_that_turns_against_the_repository_deletes_nothing_and_is_told(
    there: There, programs: Path, tmp_path: Path
) -> None:
    first = there.backup("01A")
    before = {path: path.read_bytes() for path in there.vault.repository.rglob("*") if path.is_file()}
    pretend(programs, HOSTILE.replace("HERE", str(tmp_path)))
    second = there.backup("01B")
    after = {path: path.read_bytes() for path in before if path.exists()}
    assert after == before
    assert second.outcome is Outcome.PARTIAL, second
    assert not list(tmp_path.rglob("escaped"))
    told = " ".join(second.faults)
    assert told.count("did not write it to its end") == 2
    assert ("a snapshot that was not ordered" in told, "a key that was not there before" in told) == (True, True)
    listed = there.vault.snapshots().snapshots
    assert {one.id for one in listed if not one.doubt} >= {first.snapshot, second.snapshot}
    assert there.vault.drill("01C", snapshot=first.snapshot, manifest=first.manifest, route=there.route).passed

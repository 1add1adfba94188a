"""A command's output as a backup: what it wrote comes back byte by byte, and nothing that failed is ever a snapshot."""

import contextlib
import dataclasses
import hashlib
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.backups import BackupResult, DrillResult, Job, Kind, Outcome, RestoreResult
from agent.backups.stream import Stream
from agent.transports import openssh
from tests.canary import search_canary
from tests.lab.sshd import Sshd, host_of, pin, running_sshd
from tests.lab.wait import until
from tests.vault import Vault

BIG = 3_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Well:
    """Jobs of one stream."""

    vault: Vault
    route: openssh.Route | None = None
    secrets: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def job(self, kind: Kind, exec_id: str, command: str = "true", **other: Any) -> Job:
        more: dict[str, Any] = {name: other.pop(name) for name in ("environment", "at_least") if name in other}
        options = {"command": command, "filename": "shop.dump", **more}
        job = self.vault.job(kind, exec_id, **other)
        return dataclasses.replace(job, engine="stream", options=options, route=self.route)

    def backup(self, exec_id: str, command: str, **other: Any) -> BackupResult:
        job = self.job(Kind.BACKUP, exec_id, command, **other)
        return Stream.backup(job, dataclasses.replace(self.vault.setting(job), secrets=self.secrets))

    def drill(self, exec_id: str, saved: BackupResult) -> DrillResult:
        job = self.job(Kind.DRILL, exec_id, snapshot=saved.snapshot, manifest=saved.manifest)
        return Stream.drill(job, self.vault.setting(job))

    def restore(self, exec_id: str) -> RestoreResult:
        job = self.job(Kind.RESTORE, exec_id, target=str(self.vault.folder / exec_id))
        return Stream.restore(job, self.vault.setting(job))

    @property
    def known(self) -> list[str]:
        job = self.job(Kind.SNAPSHOTS, "list")
        return [one.exec_id for one in Stream.snapshots(job, self.vault.setting(job)).snapshots]


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    folder = tmp_path_factory.mktemp("founded")
    return Vault(folder=folder / "vault", source=folder / "source").found()


@pytest.fixture
def well(founded: Vault, tmp_path: Path) -> Well:
    """An empty repository, and a command's way into it."""
    shutil.copytree(founded.repository, tmp_path / "repository")
    return Well(vault=Vault(folder=tmp_path, source=tmp_path / "source"))


@pytest.fixture
def remote(well: Well, sshd: Sshd) -> Well:
    """The same, from a host over SSH whose key is pinned."""
    host = host_of(sshd, "web1")
    pins = well.vault.folder / "known hosts"
    pin(pins, host, sshd)
    return dataclasses.replace(well, route=openssh.route(host, pins))


@pytest.fixture(params=["here", "over ssh"])
def either(request: pytest.FixtureRequest, well: Well) -> Well:
    """Both ways."""
    found: Well = well if request.param == "here" else request.getfixturevalue("remote")
    return found


def test_what_a_command_wrote_is_saved_proven_and_comes_back(either: Well) -> None:
    content = os.urandom(BIG) + b"\nWK-END:"
    source = either.vault.folder / "data"
    source.write_bytes(content)
    saved = either.backup("01A", f"cat {source}; echo told on stderr >&2")
    assert (saved.outcome, saved.files, saved.size_bytes, saved.faults) == (Outcome.OK, 1, len(content), ())
    (entry,) = either.vault.entries(saved.manifest)[1]
    assert (entry.path, entry.sha256) == ("/shop.dump", hashlib.sha256(content).hexdigest())
    drilled = either.drill("01B", saved)
    assert (drilled.passed, drilled.faults, drilled.compared) == (True, (), 1)
    assert "not compared" not in drilled.summary, "what a command wrote has no attributes"
    returned = either.restore("01C")
    assert (returned.outcome, returned.faults) == (Outcome.OK, ())
    assert (Path(returned.target) / "shop.dump").read_bytes() == content
    assert either.known == ["01A"]
    again = either.backup("01D", f"cat {source}")
    assert again.added_bytes < 10_000


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("exit 3", "the command failed with 3"),
        (
            "echo half; echo connection to server lost >&2; exit 1",
            "failed with 1: connection to server",
        ),
        (f"head -c {BIG} /dev/urandom; kill -9 $$", "was ended by signal 9"),
        ("pg_dump_of_another_name shop", "was not found (127)"),
        ("true", "the command succeeded and wrote nothing"),
        ("(echo half; exit 2) | cat", "failed with 2"),
        ("echo half; head -c 5000000 /dev/zero >&2; echo the last word >&2; exit 1", ": the last word"),
    ],
    ids=["at once", "half-way", "killed", "missing", "empty", "in a pipeline", "with much ado"],
)
def test_a_command_that_fails_saves_nothing(well: Well, command: str, words: str) -> None:
    failed = well.backup("01A", command)
    assert (failed.outcome, failed.snapshot, failed.manifest) == (Outcome.FAILED, "", "")
    assert words in failed.summary
    assert failed.hint
    assert list((well.vault.repository / "snapshots").iterdir()) == []


def test_a_command_that_fails_over_ssh_saves_nothing_and_the_next_run_works(remote: Well) -> None:
    failed = remote.backup("01A", "echo half; echo connection to server lost >&2; exit 1")
    assert (failed.outcome, failed.snapshot, failed.manifest) == (Outcome.FAILED, "", "")
    assert failed.summary == "the command failed with 1: connection to server lost"
    assert remote.known == []
    assert remote.backup("01B", "echo whole").outcome is Outcome.OK
    assert remote.known == ["01B"]


def test_a_command_that_does_not_end_in_time_is_ended_and_saves_nothing(either: Well) -> None:
    mark = either.vault.folder / "pid"
    failed = either.backup("01A", f"echo $$ >{mark}; echo half; sleep 77", timeout_seconds=2.0)
    assert (failed.outcome, failed.snapshot) == (Outcome.TIMEOUT, "")
    until(lambda: not psutil.pid_exists(int(mark.read_text())), 10, "the command is ended")
    assert either.known == []
    assert either.backup("01B", "echo whole").outcome is Outcome.OK


def test_ssh_killed_in_the_middle_saves_nothing_and_ends_the_command(remote: Well) -> None:
    mark = remote.vault.folder / "pid"
    kill = f"head -c {BIG} /dev/urandom; echo $$ >{mark}; kill -9 $(pgrep -f {remote.vault.folder}/state/ssh); sleep 77"
    failed = remote.backup("01A", kill)
    assert (failed.outcome, failed.snapshot) == (Outcome.FAILED, "")
    assert "the connection was lost before the command had ended" in failed.summary
    until(lambda: not psutil.pid_exists(int(mark.read_text())), 10, "the command is ended")
    assert remote.known == []


def test_a_host_with_another_key_is_not_asked_for_anything(remote: Well) -> None:
    route = remote.route
    assert route is not None
    pins = Path(route.known_hosts)
    other = "AAAAC3NzaC1lZDI1NTE5AAAAIJ8qOEzoBNFUqbbZ8LxKDC0eBjvSLHNqSUMMhqpqqLcS"
    pins.write_text(" ".join([*pins.read_text().split()[:2], other]) + "\n")
    failed = remote.backup("01A", f"touch {remote.vault.folder}/was-here; echo data")
    assert (failed.outcome, failed.snapshot) == (Outcome.FAILED, "")
    assert "there is no connection" in failed.summary
    assert "Host key verification failed" in failed.summary
    assert not (remote.vault.folder / "was-here").exists()


@contextlib.contextmanager
def started(well: Well, command: str) -> Iterator[psutil.Process]:
    """The backup as a process of its own, while its command runs; what is left of it is ended."""
    job = well.job(Kind.BACKUP, "01A", command)
    with well.vault.start(job) as engine:
        family: list[psutil.Process] = []
        try:
            until((well.vault.folder / "runs-now").exists, 20, "the command runs")
            process = psutil.Process(engine.pid)
            family = process.children(recursive=True)
            yield process
        finally:
            engine.kill()
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()


def test_the_agent_killed_in_the_middle_never_ends_the_stream_for_restic(either: Well) -> None:
    mark = either.vault.folder / "runs-now"
    command = f"head -c {BIG} /dev/urandom; echo $$ >{mark}.draft; mv {mark}.draft {mark}; exec sleep 77"
    with started(either, command) as engine:
        (restic,) = [one for one in engine.children() if one.name() == "restic"]
        asleep = psutil.Process(int(mark.read_text()))
        engine.kill()
        engine.wait(10)
        assert psutil.wait_procs([asleep], timeout=10)[1] == [], "the command is ended with us"
        with contextlib.suppress(psutil.TimeoutExpired):  # nobody hears it any more: it ends at its next word
            restic.wait(3)
        assert list((either.vault.repository / "snapshots").iterdir()) == []
    assert either.backup("01B", "echo whole").outcome is Outcome.OK
    assert either.known == ["01B"]


def test_restic_killed_in_the_middle_ends_the_command(well: Well) -> None:
    with started(well, f"touch {well.vault.folder}/runs-now; echo half; exec sleep 77") as engine:
        (restic,) = [one for one in engine.children() if one.name() == "restic"]
        restic.send_signal(signal.SIGKILL)
        assert engine.wait(20) == 1
        result = well.vault.result(well.job(Kind.BACKUP, "01A"))
    assert result.outcome is Outcome.INTERRUPTED
    assert well.backup("01B", "echo whole").outcome is Outcome.OK
    assert well.known == ["01B"]


def test_a_wrong_password_and_a_missing_repository_are_told_as_such(well: Well) -> None:
    stranger = dataclasses.replace(well, vault=dataclasses.replace(well.vault, secret="wrong"))
    refused = stranger.backup("01A", f"touch {well.vault.folder}/ran; echo data")
    assert (refused.outcome, (well.vault.folder / "ran").exists()) == (Outcome.WRONG_PASSWORD, False), (
        "nothing runs in vain"
    )
    shutil.rmtree(well.vault.repository)
    assert well.backup("01B", "echo data").outcome is Outcome.OK, "a first repository is made, and the command run anew"
    assert well.known == ["01B"]


def test_a_dump_that_shrank_is_suspicious(well: Well) -> None:
    told = [well.backup(f"01{position}", f"head -c {size} /dev/zero") for position, size in enumerate((1000, 400))]
    assert [one.outcome for one in told] == [Outcome.OK, Outcome.PARTIAL]
    assert "400 bytes are 40% of the usual 1000 (the median of the last 1), less than 50%" in told[1].summary
    assert told[1].fault_count == 1
    assert well.drill("02A", told[1]).passed, "a suspicious dump is a snapshot all the same, and can be proven"
    assert well.backup("02B", "head -c 1 /dev/zero", at_least="0%").outcome is Outcome.OK


def test_a_password_reaches_the_command_and_is_found_nowhere(either: Well, canary: str) -> None:
    secret = f"it's $HOME `{canary}` %s\\n\nof two lines"
    well = dataclasses.replace(either, secrets={"shop-db": secret})
    variables = {"PGPASSWORD": {"secret": "shop-db"}, "PGHOST": "/run/x y"}
    told = well.vault.folder.parent / f"{well.vault.folder.name}-told"
    saved = well.backup(
        "01A", f"printf '%s|%s' \"$PGHOST\" \"$PGPASSWORD\" >'{told}'; echo data", environment=variables
    )
    assert saved.outcome is Outcome.OK
    assert told.read_text() == f"/run/x y|{secret}"
    failed = well.backup("01B", 'printf "FATAL: %s" "$PGPASSWORD" >&2; exit 1', environment=variables)
    assert failed.summary.startswith("the command failed with 1: FATAL: ****")
    seen = well.backup("01C", "cat /proc/[0-9]*/cmdline 2>/dev/null; true", environment=variables)
    assert seen.outcome is Outcome.OK
    returned = well.restore("01D")
    assert canary.encode() not in (Path(returned.target) / "shop.dump").read_bytes()
    assert canary not in f"{failed}{saved}"
    assert search_canary(canary, [well.vault.folder]) == ()


def test_a_snapshot_that_appeared_nevertheless_is_forgotten_at_once(well: Well) -> None:
    """Of an empty input restic 0.19 makes a snapshot, and exits with 3; here it does so after a whole one."""
    first = well.backup("01A", "echo first")
    half_hearted = well.vault.folder / "restic"
    half_hearted.write_text('#!/bin/sh\nrestic "$@" || exit\nfor word; do test "$word" != backup || exit 3; done\n')
    half_hearted.chmod(0o700)
    failed = well.backup("01B", "echo second", program=str(half_hearted))
    assert (failed.outcome, failed.snapshot, failed.manifest) == (Outcome.FAILED, "", "")
    assert [path.name for path in (well.vault.repository / "snapshots").iterdir()] == [first.snapshot]


def test_a_host_behind_another_is_saved_through_it(
    remote: Well, sshd: Sshd, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_sshd(tmp_path_factory.mktemp("bastion")) as bastion:
        hop = host_of(bastion, "bastion")
        route = remote.route
        assert route is not None
        pins = Path(route.known_hosts)
        there = dataclasses.replace(hop, name="web1", address=sshd.address, port=sshd.port, key_file=str(sshd.key_file))
        behind = dataclasses.replace(remote, route=openssh.route(dataclasses.replace(there, jumps=(hop,)), pins))
        refused = behind.backup("01A", "echo data")
        assert (refused.outcome, "Host key verification failed" in refused.summary) == (Outcome.FAILED, True)
        pin(pins, hop, bastion)
        assert behind.backup("01B", "echo data").outcome is Outcome.OK
        assert bastion.log.read_text().count("Accepted publickey") == 1

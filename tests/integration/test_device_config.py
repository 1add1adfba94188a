"""device_config on a real router with real git and restic, and on devices that say too much, too little, or lie."""

import contextlib
import dataclasses
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from agent.backups import BackupResult, Job, Kind, Outcome, failure
from agent.backups.configs.asking import LOGIN
from agent.backups.configs.history import History
from agent.backups.device_config import DeviceConfig
from agent.clock import SystemClock
from agent.errors import WatchkeeperError
from agent.model.device import Device
from agent.model.host import Host
from agent.transports import known_hosts
from agent.transports.known_hosts import HostKey
from agent.transports.openssh import route
from tests.lab.peer import Play, prompting, ssh_peer
from tests.lab.router import Router, running_router
from tests.unit.backups.recorded import IOS
from tests.vault import Vault

CLOCK = SystemClock()
PROMPT = b"\r\nsw1#"
PASSWORD = "let-me-in"
WHOLE = IOS.replace("\n", "\r\n").encode()


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """FRR behind its own sshd, with two secrets in its configuration."""
    with running_router(tmp_path_factory.mktemp("router")) as running:
        running.configure("password HIDE-one", "enable password HIDE-two")
        yield running


@dataclasses.dataclass
class Site:
    """The state folder of an agent with one device."""

    vault: Vault
    host: Host
    network_os: str
    secrets: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: float = 20.0

    @property
    def pins(self) -> Path:
        return self.vault.state / "known_hosts"

    @property
    def history(self) -> History:
        return History(self.vault.state, CLOCK)

    def trust(self, key: HostKey) -> "Site":
        self.vault.state.mkdir(parents=True, exist_ok=True)
        known_hosts.pin(self.pins, self.host, key)
        return self

    def job(self, kind: Kind, exec_id: str, **other: Any) -> Job:
        options, repository = other.pop("options", {}), other.pop("repository", "")
        job = self.vault.job(kind, exec_id, timeout_seconds=self.seconds, **other)
        return dataclasses.replace(
            job, repository=repository, engine="device_config", host=self.host.name, key=f"{job.item}@{self.host.name}",
            options=options, route=route(self.host, self.pins),
            device=Device(network_os=self.network_os, why="RUN0000001: it is due"),
        )  # fmt: skip

    def run(self, kind: Kind, exec_id: str, **other: Any) -> Any:
        """What the process of a job would write down."""
        job = self.job(kind, exec_id, **other)
        setting = dataclasses.replace(self.vault.setting(job), secrets=self.secrets)
        try:
            return getattr(DeviceConfig, kind.value)(job, setting)
        except WatchkeeperError as error:
            return failure(kind, Outcome.FAILED, str(error), error.hint)

    def backup(self, exec_id: str, **other: Any) -> BackupResult:
        found = self.run(Kind.BACKUP, exec_id, **other)
        assert isinstance(found, BackupResult)
        return found

    def git(self, *arguments: str) -> str:
        argv = ["git", "-C", str(self.history.folder), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def site(router: Router, tmp_path: Path) -> Site:
    return Site(Vault(folder=tmp_path / "vault", source=tmp_path), router.host, "frr.frr.frr").trust(router.key)


def test_what_is_shown_is_in_git_and_all_of_it_comes_back_from_restic(
    site: Site, router: Router, tmp_path: Path
) -> None:
    site.vault.found()
    in_restic = {"repository": str(site.vault.repository)}
    saved = site.backup("01A", **in_restic)
    assert (saved.outcome, saved.files) == (Outcome.OK, 1), saved.summary
    assert saved.revision is not None
    assert saved.revision.commit == site.git("rev-parse", "main").strip()
    assert "HIDE" not in site.git("show", "main:lab-router.cfg")
    assert "RUN0000001: it is due" in site.git("log", "-1", "--format=%B")
    assert site.git("log", "-1", "--format=%an %cn") == "watchkeeper watchkeeper\n"
    left = [path for path in site.vault.state.rglob("*") if path.is_file() and b"HIDE" in path.read_bytes()]
    assert not left, "the full configuration is on disk in the encrypted repository alone"
    drilled = site.run(Kind.DRILL, "01C", snapshot=saved.snapshot, manifest=saved.manifest, **in_restic)
    assert (drilled.outcome, drilled.passed) == (Outcome.OK, True), drilled.summary
    returned = site.run(Kind.RESTORE, "01D", target=str(tmp_path / "back"), **in_restic)
    assert returned.outcome is Outcome.OK, returned.summary
    text = (tmp_path / "back/lab-router.cfg").read_text()
    assert text.strip() in router.running()
    assert "password HIDE-one\nenable password HIDE-two" in text


def test_without_a_repository_git_alone_has_it_and_gives_it_back(site: Site, router: Router, tmp_path: Path) -> None:
    first = site.backup("01A")
    again = site.backup("01B")
    assert (first.summary, again.snapshot) == ("lab-router: 12 lines, kept for the first time", first.snapshot)
    assert again.summary == "lab-router: 12 lines, unchanged"
    router.configure("ip prefix-list here permit any")
    changed = site.backup("01C", options={"hide_secrets": False})
    assert changed.revision is not None
    assert changed.revision.lines == ("+ip prefix-list here seq 5 permit any", "+!"), "secrets shown now are no change"
    assert "HIDE-one" in site.git("show", "main:lab-router.cfg")
    quieter = site.backup("01Q", options={"hide_secrets": False, "ignore": "^ip prefix-list "})
    assert quieter.revision is not None
    assert not quieter.revision.is_change, "it is the same through other rules"
    assert site.run(Kind.DRILL, "01R", snapshot=quieter.snapshot).passed
    router.configure("no ip prefix-list here")
    assert [one.id for one in site.run(Kind.SNAPSHOTS, "01D").snapshots] == [
        quieter.snapshot,
        changed.snapshot,
        first.snapshot,
    ]
    back = site.run(Kind.RESTORE, "01E", target=str(tmp_path / "back"), snapshot=first.snapshot)
    assert back.outcome is Outcome.OK
    assert (tmp_path / "back/lab-router.cfg").read_text() == site.git("show", f"{first.snapshot}:lab-router.cfg")


def test_one_device_away_or_gone_keeps_its_file(site: Site) -> None:
    site.backup("01A")
    with site.history.writing():
        site.history.commit("far/../away", "text\n", "other: first seen\n\nwhy\n")
    other = dataclasses.replace(site, host=dataclasses.replace(site.host, port=9))
    assert "9" in other.backup("01B").summary
    assert site.history.hosts() == ["far/../away", "lab-router"]
    assert site.git("fsck", "--strict") == ""


def test_a_commit_that_was_killed_leaves_what_was_there_and_no_lock_for_ever(site: Site, router: Router) -> None:
    """Git dies after its objects are written, or while it holds the lock of the branch, an hour ago."""
    first = site.backup("01A")
    lock = site.history.folder / "refs/heads/main.lock"
    lock.touch()
    router.configure("ip prefix-list killed permit any")
    try:
        refused = site.backup("01B")
        assert (refused.outcome, site.git("rev-parse", "main").strip()) == (Outcome.FAILED, first.snapshot)
        os.utime(lock, (1, 1))
        assert site.backup("01C").outcome is Outcome.OK
    finally:
        router.configure("no ip prefix-list killed")
    assert [one.added for one in site.history.commits("lab-router")] == [2, 12]


def speaking(*answers: bytes) -> Play:
    """A switch that gives one answer after the other to every show, over all its sessions; the last one for ever."""
    left = list(answers)

    def answer(command: bytes) -> bytes:
        if command != b"show running-config":
            return b""
        return left.pop(0) if len(left) > 1 else left[0]

    return prompting(PROMPT, answer)


def endless(channel: paramiko.Channel) -> None:
    """It answers with more than anybody keeps."""
    channel.sendall(PROMPT)
    while b"running-config" not in (data := channel.recv(1024)):
        channel.sendall(data + PROMPT)
    while True:
        channel.sendall(b"interface x\r\n" * 2_500)


def silent(channel: paramiko.Channel) -> None:
    """It falls silent in mid-output."""
    channel.sendall(PROMPT)
    while b"running-config" not in (data := channel.recv(1024)):
        channel.sendall(data + PROMPT)
    channel.sendall(b"show running-config\r\n" + WHOLE[:700])
    while channel.recv(1024):
        pass


HALF = WHOLE[: len(WHOLE) // 2]
ODD: dict[str, tuple[Play, str]] = {
    "truncated": (speaking(HALF), "its end is missing: the last line is"),
    "paged": (speaking(HALF + b"\r\n --More-- \r\n"), "its pager is on: '--More--'"),
    "coloured": (speaking(b"\x1b[31m" + WHOLE + b"\x1b[0m"), "0x1b"),
    "another's": (
        speaking(WHOLE.replace(b"sw1", b"sw2")),
        "it is the configuration of 'sw2', not of sw1",
    ),
    "not allowed": (speaking(b"% Authorization failed.\r\n"), "it complains: '% Authorization failed.'"),
    "endless": (endless, "more than 16,000,000 bytes"),
    "silent": (silent, "did not come to an end in time"),
}


@contextlib.contextmanager
def switch(folder: Path, play: Play, *, is_pinned: bool = True) -> Iterator[Site]:
    with ssh_peer(play, password=PASSWORD) as peer:
        host = dataclasses.replace(peer.host, name="sw1")
        site = Site(Vault(folder=folder, source=folder), host, "cisco.ios.ios", {LOGIN: PASSWORD})
        yield site.trust(peer.key if is_pinned else HostKey(type="ssh-ed25519", base64="AAAA"))


@pytest.mark.parametrize("what", ODD)
def test_a_device_that_misbehaves_changes_nothing_that_is_kept(tmp_path: Path, what: str) -> None:
    (tmp_path / "vault").mkdir()
    play, why = ODD[what]
    with switch(tmp_path / "vault", play) as site:
        with site.history.writing():
            site.history.commit("sw1", "hostname sw1\nend\n", "sw1: first seen\n\nwhy\n")
        site.seconds = 3.0 if what == "silent" else 20.0
        before = site.git("rev-parse", "main")
        found = site.backup("01A")
        assert found.outcome is Outcome.FAILED
        assert why in found.summary
        assert "HIDE" not in found.summary
        assert found.revision is None
        assert site.git("rev-parse", "main") == before


def test_a_device_with_another_key_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    with switch(tmp_path / "vault", speaking(WHOLE), is_pinned=False) as site:
        found = site.backup("01A")
        assert found.outcome is Outcome.FAILED
        assert "has changed" in found.summary
        assert site.history.hosts() == []

"""Files of a real host: pulled as root by sudo, through a jump host, and what is said where that is not allowed."""

import dataclasses
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.backups import BackupResult, Outcome
from agent.backups.mirror import place
from agent.transports.openssh import Login, Route
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.vault import Vault

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]

SOURCE = "/srv/kept-shop"
USER = "keeper"
MAY = f"echo '{USER} ALL=(root) NOPASSWD: ALL' >/etc/sudoers.d/{USER}; chmod 440 /etc/sudoers.d/{USER}"
LONG_AGO = (
    f"until [ $(($(date +%s) - $(stat -c %Z {SOURCE}/data))) -gt 3 ]; do sleep 0.1; done"  # its stamps can be trusted
)
SAME = "%P %y %m %U %G %T@ %n %l"
FACTS = f"cd {{top}} && find . -type d -printf '{SAME}\\n' -o -printf '{SAME} %s\\n' | sort"  # a folder's size is its disk's


@dataclasses.dataclass(frozen=True, kw_only=True)
class Far:
    """A vault whose source lies on a host with its own users."""

    vault: Vault
    host: LabHost
    route: Route

    def backup(self, exec_id: str, **options: object) -> BackupResult:
        return self.vault.backup(exec_id, route=self.route, options={"paths": [SOURCE], **options})

    def apart(self, exec_id: str) -> BackupResult:
        return self.vault.backup_apart(exec_id, route=self.route, options={"paths": [SOURCE]})

    @property
    def mirrored(self) -> Path:
        return Path(f"{place.tree_of(self.vault.state, 'shop/backups/files@web1')}{SOURCE}")


@pytest.fixture(scope="module")
def keeper(lab: Lab) -> Iterator[tuple[LabHost, LabHost]]:
    """The host with the source, which only root may read; a user may be root there. And the host before it."""
    host, gate = lab.hosts
    host.exec(
        f"useradd -M -p '*' -s /bin/sh {USER}; {MAY}\n"
        f"mkdir -p {SOURCE}/inner; cd {SOURCE}; echo secret >inner/key; chown 1234:4321 inner/key; chmod 600 inner/key\n"
        "chmod 700 inner; ln inner/key twin; ln -s inner/key link; mkfifo pipe; head -c 500000 /dev/urandom >data\n"
        "touch -d '2001-02-03 04:05:06.123456789' inner/key data"
    )
    yield host, gate
    host.exec(f"userdel {USER}; rm -rf /etc/sudoers.d/{USER} {SOURCE}")


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """An empty repository; to be copied."""
    folder = tmp_path_factory.mktemp("founded")
    return Vault(folder=folder / "vault", source=Path(SOURCE)).found()


@pytest.fixture
def far(keeper: tuple[LabHost, LabHost], founded: Vault, tmp_path: Path) -> Far:
    """The way there leads through the other host, and ends as a user who is not root."""
    host, gate = keeper
    pins = tmp_path / "known_hosts"
    pins.write_text("".join(f"{one.address} {one.public_key}\n" for one in (host, gate)))
    key_file = str(host.key_file)
    target = Login(name="web1", address=host.address, user=USER, key_file=key_file, become=True)
    hop = Login(name="gate", address=gate.address, user="root", key_file=key_file)
    route = Route(host=target, hops=(hop,), known_hosts=str(pins))
    return Far(vault=founded.copy(tmp_path / "vault"), host=host, route=route)


@pytest.fixture(params=["rsync", "tar"])
def way(request: pytest.FixtureRequest, keeper: tuple[LabHost, LabHost]) -> Iterator[str]:
    """With rsync there, and without."""
    if request.param == "tar":
        keeper[0].exec("mv /usr/bin/rsync /usr/bin/rsync-")
    yield request.param
    if request.param == "tar":
        keeper[0].exec("mv /usr/bin/rsync- /usr/bin/rsync")


@pytest.mark.usefixtures("way")
def test_what_only_root_may_read_is_pulled_by_sudo_through_a_jump_host(far: Far) -> None:
    far.host.exec(LONG_AGO)
    saved = far.backup("01A")
    assert (saved.outcome, saved.faults, saved.files) == (Outcome.OK, (), 3)
    there = far.host.exec(FACTS.format(top=SOURCE))
    assert "inner/key f 600 1234 4321 981173106.1234567890 2  7" in there
    assert facts(far.mirrored) == there
    back = far.vault.restore("01B", far.vault.folder / "back", route=far.route)
    assert (back.outcome, facts(Path(f"{back.target}{SOURCE}"))) == (Outcome.OK, there)
    far.host.exec(f"echo more >>{SOURCE}/inner/key")
    try:
        again = far.backup("01C")
        assert (again.outcome, again.hashed) == (Outcome.OK, 2)
        assert (far.mirrored / "twin").read_text() == "secret\nmore\n"
    finally:
        far.host.exec(f"cd {SOURCE}/inner; echo secret >key; touch -d '2001-02-03 04:05:06.123456789' key")


@pytest.mark.skipif(shutil.which("rclone") is None, reason="no rclone on this machine")
def test_restic_there_is_root_by_sudo_and_reaches_its_repository_through_the_jump_host(far: Far) -> None:
    saved = far.backup("01A", run_from="host")
    assert (saved.outcome, saved.faults, saved.files, saved.torn) == (Outcome.OK, (), 3, 0)
    back = far.vault.restore("01B", far.vault.folder / "back", route=far.route)
    assert (back.outcome, back.faults) == (Outcome.OK, ())
    assert facts(Path(f"{back.target}{SOURCE}")) == far.host.exec(FACTS.format(top=SOURCE))
    assert far.host.exec("ss -Htln | grep -c '127.0.0.1:[23][0-9]\\{4\\} ' || :").strip() == "0"


def facts(top: Path) -> str:
    """The same of a tree here."""
    done = subprocess.run(["sh", "-c", FACTS.format(top=top)], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.usefixtures("way")
def test_what_the_user_there_may_not_read_is_named_and_the_rest_is_saved(far: Far) -> None:
    """Without sudo; a file that cannot be read, and a folder that cannot be listed: whether it still holds anything is not known."""
    far = dataclasses.replace(far, route=dataclasses.replace(far.route, hops=()))  # sooner there
    powerless = dataclasses.replace(far.route, host=dataclasses.replace(far.route.host, become=False))
    whole = far.backup("01A")
    far.host.exec(f"cd {SOURCE}; chmod 600 data twin; echo new >new")
    try:
        partial = dataclasses.replace(far, route=powerless).backup("01B")
    finally:
        far.host.exec(f"cd {SOURCE}; chmod 644 data; rm new")
    assert partial.outcome is Outcome.PARTIAL
    named = [
        name for name in ("data", "inner", "twin", "new") if any(f"{SOURCE}/{name}" in one for one in partial.faults)
    ]
    assert (named, partial.fault_count) == (["data", "inner", "twin"], 3), partial.faults
    assert (far.mirrored / "new").read_text() == "new\n"
    assert (far.mirrored / "inner/key").exists(), "what was there is kept until it is known to be gone"
    again = far.backup("01C")
    assert (again.outcome, again.faults, again.files) == (Outcome.OK, (), whole.files)


@pytest.mark.parametrize(
    ("harm", "heal", "words", "hint"),
    [
        (f"rm /etc/sudoers.d/{USER}", MAY, "a password is required", "run sudo without a password"),
        ("mv /usr/bin/sudo /usr/bin/sudo-", "mv /usr/bin/sudo- /usr/bin/sudo", "sudo: not found", "install sudo"),
    ],
    ids=["not allowed", "not there"],
)
def test_where_sudo_is_refused_nothing_is_saved_and_the_words_say_why(
    far: Far, harm: str, heal: str, words: str, hint: str
) -> None:
    far.host.exec(harm)
    try:
        refused = far.apart("01A")
    finally:
        far.host.exec(heal)
    assert (refused.outcome, refused.snapshot) == (Outcome.UNREACHABLE, "")
    assert (words in refused.summary, hint in refused.hint) == (True, True), refused
    assert list((far.vault.repository / "snapshots").iterdir()) == []
    assert far.backup("01B").outcome is Outcome.OK


def test_a_jump_host_with_another_key_is_not_passed(far: Far) -> None:
    lines = Path(far.route.known_hosts).read_text().splitlines()
    swapped = [f"{line.split()[0]} {lines[1 - index].partition(' ')[2]}\n" for index, line in enumerate(lines)]
    Path(far.route.known_hosts).write_text("".join(swapped))
    refused = far.apart("01A")
    assert (refused.outcome, refused.snapshot) == (Outcome.FAILED, "")
    assert "watchkeeper host trust" in refused.hint
    assert not any(far.mirrored.parents[1].iterdir())

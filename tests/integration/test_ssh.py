"""Kept connections to real sshds: one round trip per batch, every shell, every way in, every way it can break."""

import dataclasses
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import psutil
import pytest

from agent.clock import Deadline, SystemClock
from agent.errors import HostKeyError, TransportError
from agent.model.host import Connection, Host
from agent.model.look import Section
from agent.transports import framing, known_hosts
from agent.transports.dial import dial
from agent.transports.login import Transport
from agent.transports.pace import Pace
from agent.transports.ssh import Counts, SshPool
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.network import command
from tests.lab.sshd import Sshd, host_of, pin, running_sshd
from tests.lab.wait import in_time

CLOCK = SystemClock()


def soon(seconds: float = 20.0) -> Deadline:
    return Deadline.after(CLOCK, seconds)


def of(there: Sshd | LabHost, name: str = "plain") -> Host:
    return host_of(there, name)


def trust(pins: Path, there: Sshd | LabHost) -> Host:
    pin(pins, of(there), there)
    return of(there)


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.fixture
def pool(pins: Path) -> Iterator[SshPool]:
    made = SshPool(pins, CLOCK)
    yield made
    made.close()


def test_paramiko_still_has_the_member_that_keeps_idle_connections_asleep() -> None:
    assert paramiko.Transport._active_check_timeout == 0.1  # type: ignore[attr-defined]  # private: this is the guard
    assert Transport._active_check_timeout == 600.0


def test_many_scripts_take_one_round_trip_over_one_connection(sshd: Sshd, pins: Path, pool: SshPool) -> None:
    host = trust(pins, sshd)
    for _ in range(3):
        sections = pool.run_batch(host, [(f"echo {number}", 5.0) for number in range(10)], soon())
        assert [section.text for section in sections] == [f"{number}\n" for number in range(10)]
    assert pool.counts() == Counts(connections=1, round_trips=3)


def test_a_connection_is_encrypted_by_aes_gcm_and_survives_that_its_keys_are_exchanged(
    tmp_path: Path, pins: Path, pool: SshPool
) -> None:
    """A kept connection lives for weeks; the far side asks for new keys by bytes or time (RFC 4253, 9)."""
    with running_sshd(tmp_path, "RekeyLimit 64K", "LogLevel DEBUG1") as running:
        host = trust(pins, running)
        for _ in range(6):
            (section,) = pool.run_batch(host, [("head -c 50000 /dev/zero | tr '\\0' x", 5.0)], soon())
            assert len(section.text) == 50_000
        said = running.log.read_text(errors="replace")
    assert "cipher: aes128-gcm@openssh.com" in said
    assert said.count("SSH2_MSG_KEXINIT received") >= 3
    assert pool.counts() == Counts(connections=1, round_trips=6)


def test_a_peer_whose_machine_is_gone_is_noticed_by_the_kernel(sshd: Sshd) -> None:
    with dial(sshd.address, sshd.port, soon()) as connection:
        options = {
            name: connection.getsockopt(level, option)
            for name, level, option in (
                ("keepalive", socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                ("idle", socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                ("every", socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                ("unacknowledged", socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            )
        }
    assert options == {"keepalive": 1, "idle": 10, "every": 2, "unacknowledged": 10_000}


def test_no_scripts_need_no_connection(sshd: Sshd, pool: SshPool) -> None:
    assert pool.run_batch(of(sshd), [], soon()) == []
    assert pool.counts() == Counts()


@pytest.fixture(scope="module", params=["sh", "dash", "bash --posix", "bash", "busybox sh"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An sshd behind which each of these shells answers, with a greeting that nobody asked for."""
    folder = tmp_path_factory.mktemp("shell")
    greeting = r"printf '\033[1mWelcome\033[0m\r\n'; "
    with running_sshd(folder, f"ForceCommand {greeting} exec {request.param}") as running:
        yield running


@pytest.mark.parametrize(
    ("script", "text", "code"),
    [
        ("echo out; echo err >&2; exit 3", "out\nerr\n", 3),
        ("printf 'no newline'", "no newline", 0),
        ("cat; echo end of input", "end of input\n", 0),
        ('echo "$# [$1]"', "0 []\n", 0),
        ("true", "", 0),
        ("", "", 0),
        ("kill -9 $(sh -c 'echo $PPID')", "", 137),
        ("printf '%s' 'it'\"'\"'s \\ $HOME `x`'", "it's \\ $HOME `x`", 0),
        ("printf 'wk%032d=0;wk%032d]' 0 0", f"wk{0:032}=0;wk{0:032}]", 0),
        ("printf '\\033[31m\\001red'", "\x1b[31m\x01red", 0),
        ("echo one\necho two", "one\ntwo\n", 0),
        ("echo $LC_ALL", "C\n", 0),
    ],
)
def test_every_shell_gives_text_and_exit_code_of_each_script(
    shell: Sshd, shell_pool: SshPool, script: str, text: str, code: int
) -> None:
    before, section, after = shell_pool.run_batch(of(shell), [("echo a", 5.0), (script, 5.0), ("echo b", 5.0)], soon())
    assert section == Section(text=text, exit_code=code)
    assert (before.text, after.text) == ("a\n", "b\n")


@pytest.fixture(scope="module")
def shell_pool(shell: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshPool]:
    own = tmp_path_factory.mktemp("pool") / "known_hosts"
    trust(own, shell)
    made = SshPool(own, CLOCK)
    yield made
    made.close()


def test_every_shell_ends_a_slow_script_with_all_its_children_and_goes_on(shell: Sshd, shell_pool: SshPool) -> None:
    naps = [100_000 * number + os.getpid() for number in (2, 3)]  # like nobody else's
    slow = f"echo begun; (sleep {naps[0]}; true) & sh -c 'sleep {naps[1]}; true'; true"
    with in_time(1.0):
        section, after = shell_pool.run_batch(
            of(shell), [(slow, 1.0), (f"pgrep -fx 'sleep ({naps[0]}|{naps[1]})'", 5.0)], soon()
        )
    assert section == Section(text="begun\n", exit_code=framing.TIMED_OUT, timed_out=True)
    assert after == Section(text="", exit_code=1)


def test_every_shell_caps_what_a_script_prints(shell: Sshd, shell_pool: SshPool) -> None:
    section, after = shell_pool.run_batch(of(shell), [("yes", 5.0), ("echo next", 5.0)], soon())
    assert (len(section.text), section.timed_out) == (framing.SECTION_LIMIT, False)
    assert after.text == "next\n"


def test_every_shell_survives_a_script_that_is_no_script(shell: Sshd, shell_pool: SshPool) -> None:
    section, after = shell_pool.run_batch(of(shell), [("echo 'unbalanced", 5.0), ("echo next", 5.0)], soon())
    assert section.exit_code != 0
    assert after.text == "next\n"


def test_a_script_that_leaves_somebody_behind_on_its_output_ends_with_its_time(
    sshd: Sshd, pins: Path, pool: SshPool
) -> None:
    scripts = [("sleep 6 & echo x", 1.0), ("echo next", 5.0)]
    section, after = pool.run_batch(trust(pins, sshd), scripts, soon())
    assert section.timed_out
    assert after.text == "next\n"


def test_small_systems_without_timeout_ps_and_pgrep_are_served(tmp_path: Path, pins: Path, pool: SshPool) -> None:
    """Only what busybox calls its most basic applets, by their own links."""
    bare = tmp_path / "bin"
    bare.mkdir()
    for applet in ("cat", "sleep", "head", "yes"):
        (bare / applet).symlink_to("/usr/bin/busybox")
    with running_sshd(tmp_path, f"ForceCommand PATH={bare} exec /usr/bin/busybox sh") as running:
        (section, capped) = pool.run_batch(trust(pins, running), [("echo x; sleep 296", 1.0), ("yes", 5.0)], soon())
    assert section == Section(text="x\n", exit_code=framing.TIMED_OUT, timed_out=True)
    assert len(capped.text) == framing.SECTION_LIMIT


def test_an_account_without_a_shell_says_so(tmp_path: Path, pins: Path, pool: SshPool) -> None:
    with (
        running_sshd(tmp_path, "ForceCommand echo This account is not available.; exit 1") as running,
        pytest.raises(
            TransportError, match=r"broke off.*: it closed the connection; it said: This account is not available"
        ) as caught,
    ):
        pool.run_batch(trust(pins, running), [("true", 5.0)], soon())
    assert caught.value.hint


def test_a_connection_gone_stale_is_replaced_without_a_word(sshd: Sshd, pins: Path, pool: SshPool) -> None:
    host = trust(pins, sshd)
    (section,) = pool.run_batch(host, [("echo $PPID", 5.0)], soon())
    command("kill", "-9", section.text.strip())
    (section,) = pool.run_batch(host, [("echo again", 5.0)], soon())
    assert section.text == "again\n"
    assert pool.counts() == Counts(connections=2, round_trips=3)


def test_a_connection_lost_in_mid_batch_is_an_error_and_the_next_batch_connects_anew(
    sshd: Sshd, pins: Path, pool: SshPool
) -> None:
    host = trust(pins, sshd)
    with pytest.raises(TransportError, match="broke off in mid-answer"):
        pool.run_batch(host, [("echo x; sleep 0.7; kill -9 $PPID", 5.0), ("sleep 2", 5.0)], soon())
    assert pool.run_batch(host, [("echo again", 5.0)], soon())[0].text == "again\n"
    assert pool.counts().connections == 2


def test_another_login_for_the_same_name_is_another_connection(sshd: Sshd, pins: Path, pool: SshPool) -> None:
    host = trust(pins, sshd)
    pool.run_batch(host, [("true", 5.0)], soon())
    other = dataclasses.replace(host, user=None)
    pool.run_batch(other, [("true", 5.0)], soon())
    assert pool.counts().connections == 2


def test_closing_one_host_closes_its_connection_alone(sshd: Sshd, pins: Path, pool: SshPool) -> None:
    trust(pins, sshd)
    for name in ("one", "two"):
        pool.run_batch(of(sshd, name), [("true", 5.0)], soon())
    pool.close_host("one")
    pool.close_host("never seen")
    for name in ("one", "two"):
        pool.run_batch(of(sshd, name), [("true", 5.0)], soon())
    assert pool.counts() == Counts(connections=3, round_trips=4)


def test_batches_of_one_host_take_turns_and_of_many_run_side_by_side(sshd: Sshd, pins: Path, pool: SshPool) -> None:
    trust(pins, sshd)
    answers: list[str] = []

    def ask(number: int) -> None:
        host = of(sshd, f"host{number % 4}")
        answers.append(pool.run_batch(host, [(f"echo {number}", 5.0)], soon())[0].text)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, answers)) == list(range(16))
    assert pool.counts() == Counts(connections=4, round_trips=16)


def test_connections_lost_at_one_moment_come_back_at_a_pace(sshd: Sshd, pins: Path) -> None:
    trust(pins, sshd)
    pool = SshPool(pins, CLOCK, pace=Pace(CLOCK, per_second=5, at_once=4))
    hosts = [of(sshd, f"host{number}") for number in range(4)]
    try:
        for host in hosts:
            pool.run_batch(host, [("true", 5.0)], soon())
        for process in psutil.Process(sshd.pid).children():
            process.kill()
        pool._pace = Pace(CLOCK, per_second=5, at_once=1)
        begun = CLOCK.boottime()
        threads = [threading.Thread(target=pool.run_batch, args=(host, [("true", 5.0)], soon())) for host in hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert CLOCK.boottime() - begun >= 600_000_000, "the fourth waits for three turns of 0.2 s"
        assert pool.counts() == Counts(connections=8, round_trips=12)
    finally:
        pool.close()


def test_a_busy_host_is_not_waited_for_beyond_the_deadline(sshd: Sshd, pins: Path, pool: SshPool) -> None:
    host = trust(pins, sshd)
    pool.run_batch(host, [("true", 5.0)], soon())
    begun = threading.Event()

    def keep_busy() -> None:
        begun.set()
        pool.run_batch(host, [("sleep 1", 5.0)], soon())

    thread = threading.Thread(target=keep_busy)
    thread.start()
    begun.wait()
    with pytest.raises(TransportError, match=r"still busy with an earlier batch|did not finish in time"):
        pool.run_batch(host, [("true", 5.0)], soon(0.3))
    thread.join()


def test_an_unknown_key_is_refused_and_taking_a_pin_back_ends_a_kept_connection(
    sshd: Sshd, pins: Path, pool: SshPool
) -> None:
    host = of(sshd)
    with pytest.raises(HostKeyError, match="is not known yet"):
        pool.run_batch(host, [("true", 5.0)], soon())
    trust(pins, sshd)
    pool.run_batch(host, [("true", 5.0)], soon())
    known_hosts.forget(pins, host)
    with pytest.raises(HostKeyError, match="is not known yet"):
        pool.run_batch(host, [("true", 5.0)], soon())
    trust(pins, sshd)
    pool.run_batch(host, [("true", 5.0)], soon())
    assert pool.counts() == Counts(connections=2, round_trips=2)


@pytest.mark.parametrize(
    ("address", "port", "words"),
    [
        ("127.0.0.1", 1, "refuses connections"),
        ("no-such-host.invalid", 22, "the name no-such-host.invalid cannot be resolved"),
        ("a" * 70, 22, "cannot be resolved"),
    ],
)
def test_a_host_that_cannot_be_dialled(address: str, port: int, words: str, pool: SshPool) -> None:
    host = Host(name="gone", address=address, port=port, connection=Connection.SSH)
    with in_time(2.0), pytest.raises(TransportError, match=words) as caught:
        pool.run_batch(host, [("true", 5.0)], soon(2.0))
    assert caught.value.hint


def test_a_key_that_cannot_be_used_is_named_with_its_reason(
    sshd: Sshd, pins: Path, pool: SshPool, tmp_path: Path
) -> None:
    trust(pins, sshd)
    for file, passphrase in (("locked", "secret phrase"), ("stranger", "")):
        command("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(tmp_path / file))
    (tmp_path / "rubbish").write_text("no key")
    for file, reason in (
        ("locked", "has a passphrase"),
        ("stranger", "was refused"),
        ("rubbish", "is not a usable key"),
        ("absent", "No such file"),
    ):
        host = Host(
            name=file,
            address=sshd.address,
            port=sshd.port,
            user="nobody",
            key_file=str(tmp_path / file),
            connection=Connection.SSH,
        )
        with pytest.raises(TransportError, match=reason) as caught:
            pool.run_batch(host, [("true", 5.0)], soon())
        assert "does not let nobody in" in str(caught.value)
        assert "secret phrase" not in str(caught.value)


def test_where_ssh_itself_would_get_in_the_error_says_why_we_do_not(
    sshd: Sshd, pins: Path, pool: SshPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plays follow the user's own file, and checks do not."""
    trust(pins, sshd)
    config = tmp_path / ".ssh" / "config"
    config.parent.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    shut = dataclasses.replace(of(sshd), key_file=None)
    alias = dataclasses.replace(shut, address="front.invalid")
    for host in (shut, alias):
        for written in (False, True):
            if written:
                config.write_text(f"Host *\n  IdentityFile {sshd.key_file}\n")
            with pytest.raises(TransportError) as caught:
                pool.run_batch(host, [("true", 5.0)], soon())
            assert (f"what {config} says of it is not read here" in caught.value.hint) == written
        config.unlink()


def test_a_key_that_only_the_agent_holds_opens_the_door(
    sshd: Sshd, pins: Path, pool: SshPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(pins, sshd)
    place = str(tmp_path / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL) as keeper:
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", place)
            while not Path(place).exists():
                os.sched_yield()
            command("ssh-add", "-q", str(sshd.key_file))
            host = Host(name="x", address=sshd.address, port=sshd.port, user=sshd.user, connection=Connection.SSH)
            assert pool.run_batch(host, [("echo in", 5.0)], soon())[0].text == "in\n"
        finally:
            keeper.terminate()


def test_an_agent_that_does_not_answer_does_not_keep_a_key_file_from_opening_the_door(
    sshd: Sshd, pins: Path, pool: SshPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped one, as behind a dead forwarding, would have been waited for without end."""
    host, place = trust(pins, sshd), str(tmp_path / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL) as keeper:
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", place)
            while not Path(place).exists():
                os.sched_yield()
            keeper.send_signal(signal.SIGSTOP)
            assert pool.run_batch(host, [("echo in", 5.0)], soon())[0].text == "in\n"
        finally:
            keeper.kill()


@pytest.mark.lab
def test_a_host_whose_key_has_changed_is_left_alone(lab: Lab, pins: Path, pool: SshPool) -> None:
    there = lab.hosts[0]
    host = trust(pins, there)
    pool.run_batch(host, [("true", 5.0)], soon())
    there.rekey()
    assert pool.run_batch(host, [("echo kept", 5.0)], soon())[0].text == "kept\n"
    pool.close_host(host.name)
    with pytest.raises(HostKeyError, match="has changed"):
        pool.run_batch(host, [("true", 5.0)], soon())
    trust(pins, there)
    pool.run_batch(host, [("true", 5.0)], soon())


@pytest.mark.lab
def test_a_host_that_vanishes_in_mid_batch_is_noticed_before_the_deadline(lab: Lab, pins: Path, pool: SshPool) -> None:
    there = lab.hosts[1]
    host = trust(pins, there)
    pool.run_batch(host, [("true", 5.0)], soon())
    errors: list[TransportError] = []

    def ask() -> None:
        try:
            pool.run_batch(host, [("touch /run/asked; sleep 50", 55.0)], soon(60.0))
        except TransportError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    with in_time(20.0):
        thread.start()
        there.exec("until [ -e /run/asked ]; do sleep 0.01; done; rm /run/asked")
        there.cut()
        try:
            thread.join(40)
        finally:
            there.join()
    assert len(errors) == 1
    assert pool.run_batch(host, [("echo back", 5.0)], soon())[0].text == "back\n"


@pytest.mark.lab
def test_a_host_behind_a_pulled_cable_does_not_answer_in_time(lab: Lab, pins: Path, pool: SshPool) -> None:
    there = lab.hosts[1]
    host = trust(pins, there)
    there.cut()
    try:
        with pytest.raises(TransportError, match=r"did not answer in time|cannot be reached"):
            pool.run_batch(host, [("true", 5.0)], soon(1.0))
    finally:
        there.join()

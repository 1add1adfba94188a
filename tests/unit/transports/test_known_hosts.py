"""Pinned keys: OpenSSH's own format in, OpenSSH's own format out, nothing else of the file disturbed."""

import base64
from pathlib import Path

import pytest

from agent.errors import HostKeyError, TransportError
from agent.model.host import Connection, Host
from agent.transports import known_hosts
from agent.transports.known_hosts import HostKey


def host(address: str = "10.0.0.1", port: int = 22, name: str = "web1") -> Host:
    return Host(name=name, address=address, port=port, connection=Connection.SSH)


def key(letter: str = "a", kind: str = "ssh-ed25519") -> HostKey:
    return HostKey(type=kind, base64=base64.b64encode(letter.encode() * 51).decode())


def test_without_a_file_nothing_is_pinned(tmp_path: Path) -> None:
    assert known_hosts.pinned(tmp_path / "known_hosts", host()) == ()


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        (host(), "10.0.0.1"),
        (host(port=2222), "[10.0.0.1]:2222"),
        (host("Web1.Example"), "web1.example"),
        (host("fd00::1"), "fd00::1"),
        (host("fd00::1", 2222), "[fd00::1]:2222"),
    ],
)
def test_a_key_is_written_as_openssh_looks_for_it(asked: Host, written: str, tmp_path: Path) -> None:
    pins = tmp_path / "known_hosts"
    known_hosts.pin(pins, asked, key())
    assert pins.read_text() == f"{written} ssh-ed25519 {key().base64}\n"
    assert known_hosts.pinned(pins, asked) == (key(),)
    assert pins.stat().st_mode & 0o777 == 0o600


def test_pinning_replaces_what_was_pinned_for_this_host_alone(tmp_path: Path) -> None:
    pins = tmp_path / "known_hosts"
    for asked, letter in ((host(), "a"), (host("10.0.0.2"), "b"), (host(port=2222), "c"), (host(), "d")):
        known_hosts.pin(pins, asked, key(letter))
    assert known_hosts.pinned(pins, host()) == (key("d"),)
    assert known_hosts.pinned(pins, host("10.0.0.2")) == (key("b"),)
    assert known_hosts.pinned(pins, host(port=2222)) == (key("c"),)


def test_pinning_replaces_a_key_however_its_line_is_spaced(tmp_path: Path) -> None:
    """OpenSSH takes tabs as well; a key that stayed would be trusted beside the new one."""
    pins = tmp_path / "known_hosts"
    pins.write_text(f"10.0.0.1\tssh-ed25519\t{key('a').base64}\n 10.0.0.1,web1  ssh-ed25519 {key('b').base64}\n")
    known_hosts.pin(pins, host(), key("c"))
    assert known_hosts.pinned(pins, host()) == (key("c"),)
    assert known_hosts.pinned(pins, host("web1")) == (key("b"),)


def test_forgetting_leaves_the_rest_as_it_was(tmp_path: Path) -> None:
    pins = tmp_path / "known_hosts"
    body = key().base64
    pins.write_text(
        f"# ours\n\nweb1.example,10.0.0.1 ssh-ed25519 {body} here\n10.0.0.1 ssh-rsa {body}\nrubbish\n10.0.0.9 x"
    )
    known_hosts.forget(pins, host())
    assert pins.read_text() == f"# ours\n\nweb1.example ssh-ed25519 {body} here\nrubbish\n10.0.0.9 x\n"


@pytest.mark.parametrize(
    "line",
    [
        "# 10.0.0.1 ssh-ed25519 {}",
        "@revoked 10.0.0.1 ssh-ed25519 {}",
        "@cert-authority 10.0.0.1 ssh-ed25519 {}",
        "10.0.0.* ssh-ed25519 {}",
        "10.0.0.11 ssh-ed25519 {}",
        "10.0.0.1 ssh-ed25519",
        "10.0.0.1 ssh-ed25519 ***{}",
        "|1|x|y ssh-ed25519 {}",
        "|1| ssh-ed25519 {}",
        "\x00\xff",
    ],
)
def test_a_line_that_does_not_plainly_name_the_host_pins_nothing(line: str, tmp_path: Path) -> None:
    pins = tmp_path / "known_hosts"
    pins.write_text(line.format(key().base64) + "\n")
    assert known_hosts.pinned(pins, host()) == ()


def test_a_key_that_is_pinned_passes(tmp_path: Path) -> None:
    known_hosts.pin(tmp_path / "known_hosts", host(), key())
    known_hosts.verify(tmp_path / "known_hosts", host(), key())


def test_an_unknown_key_says_how_to_trust_it(tmp_path: Path) -> None:
    with pytest.raises(HostKeyError, match="is not known yet") as caught:
        known_hosts.verify(tmp_path / "known_hosts", host(), key())
    assert key().fingerprint in str(caught.value)
    assert caught.value.hint.endswith("watchkeeper host trust web1")


def test_a_changed_key_says_how_it_differs_and_that_nothing_is_done(tmp_path: Path) -> None:
    known_hosts.pin(tmp_path / "known_hosts", host(), key("a"))
    with pytest.raises(HostKeyError, match="has changed") as caught:
        known_hosts.verify(tmp_path / "known_hosts", host(), key("b"))
    assert all(part in str(caught.value) for part in (key("a").fingerprint, key("b").fingerprint, "nothing is done"))
    assert "watchkeeper host trust web1" in caught.value.hint


def test_the_same_body_under_another_type_is_another_key(tmp_path: Path) -> None:
    known_hosts.pin(tmp_path / "known_hosts", host(), key())
    with pytest.raises(HostKeyError):
        known_hosts.verify(tmp_path / "known_hosts", host(), key(kind="ssh-rsa"))


def test_a_folder_that_is_not_there_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="cannot write") as caught:
        known_hosts.pin(tmp_path / "absent" / "known_hosts", host(), key())
    assert caught.value.hint


def test_no_draft_stays_behind(tmp_path: Path) -> None:
    known_hosts.pin(tmp_path / "known_hosts", host(), key())
    known_hosts.forget(tmp_path / "known_hosts", host())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["known_hosts", "known_hosts.lock"]

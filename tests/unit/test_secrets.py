"""Secrets come from files that only their owner can read, and nowhere else."""

import os
from pathlib import Path

import pytest

from agent.closed import SecretRef
from agent.errors import SecretError
from agent.secrets import Secrets


def write(folder: Path, name: str, raw: bytes, mode: int = 0o600) -> Path:
    file = folder / name
    file.write_bytes(raw)
    file.chmod(mode)
    return file


@pytest.mark.parametrize(
    ("raw", "value"),
    [(b"s3cret", "s3cret"), (b"s3cret\n", "s3cret"), (b"two\n\n", "two\n"), (b" p\xc3\xa4 \n", " pä ")],
)
def test_one_newline_at_the_end_is_not_part_of_it(raw: bytes, value: str, tmp_path: Path) -> None:
    write(tmp_path, "key", raw)
    assert Secrets(tmp_path).get("key") == value
    assert Secrets(tmp_path).resolve(SecretRef(secret="key")) == value
    assert Secrets(tmp_path).resolve("plain") == "plain"


@pytest.mark.parametrize("name", ["", "../key", "/etc/passwd", ".hidden", "a/b", "a\x00b", "x" * 200, "key\n"])
def test_a_name_leads_nowhere_else(name: str, tmp_path: Path) -> None:
    write(tmp_path, "key", b"x")
    (tmp_path / "inner").mkdir()
    with pytest.raises(SecretError, match="is not the name of a secret"):
        Secrets(tmp_path / "inner").get(name)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_what_others_can_read_is_no_secret(mode: int, tmp_path: Path) -> None:
    file = write(tmp_path, "key", b"x", mode)
    with pytest.raises(SecretError, match="can be read by others") as told:
        Secrets(tmp_path).get("key")
    assert told.value.hint == f"chmod 600 {file}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_else_is_no_secret_of_ours(tmp_path: Path) -> None:
    os.chown(write(tmp_path, "key", b"x"), 12345, -1)
    with pytest.raises(SecretError, match="belongs to somebody else"):
        Secrets(tmp_path).get("key")


def test_what_cannot_be_a_secret_says_why_without_repeating_it(tmp_path: Path) -> None:
    write(tmp_path, "empty", b"\n")
    write(tmp_path, "binary", b"hunter2\xff")
    write(tmp_path, "endless", b"x" * 70_000)
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, words in {
        "empty": "is empty",
        "binary": "is not text",
        "endless": "longer than",
        "folder": "folder",
        "pipe": "is not a file",
        "absent": "there is no secret absent",
    }.items():
        with pytest.raises(SecretError, match=words) as told:
            Secrets(tmp_path).get(name)
        assert told.value.hint
        assert told.value.__cause__ is None or "hunter2" not in repr(told.value.__cause__)

"""What is left out is what restic would leave out: held against the real one, and against find."""

import os
import subprocess
from pathlib import Path

import pytest

from agent.backups.restic import patterns
from agent.errors import InputError
from tests.vault import Vault

NAMES = [
    "a", "a.tmp", "b/a.tmp", "b/c/x", "b/c/y/z", "cache/one", "b/cache/two", "[x]", "x*y", "b\\c", "d-1", "d-2", "d-a",
    "deep/er/est/a.log", "deep/a.log", "é", "caché/x", ".hidden", "b/.git/config",
]  # fmt: skip
CASES = [
    "*.tmp", "cache", "b/c", "/TOP/b/c", "/TOP/cache", "TOP/cache", "**/c", "b/**/z", "deep/**", "deep/**/a.log",
    "d-[0-9]", "d-[^0-9]", r"\[x\]", r"x\*y", "?", "c/y", "cach?", "*/c", ".*", "/TOP/*/c", "/TOP/deep/*.log", "x*",
    "b/", "[b-d]",
]  # fmt: skip


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    folder = tmp_path_factory.mktemp("patterns")
    for name in NAMES:
        path = folder / "TOP" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Vault(folder=folder, source=folder / "TOP").found()


def entries(top: Path) -> set[str]:
    return {str(path) for path in top.rglob("*")} | {str(top)}


def saved(vault: Vault, pattern: str) -> set[str]:
    """What restic says it would save."""
    done = subprocess.run(
        ["restic", "backup", "--dry-run", "-vv", f"--exclude={pattern}", str(vault.source)],
        env={
            "PATH": os.environ["PATH"], "RESTIC_REPOSITORY": str(vault.repository),
            "RESTIC_PASSWORD_FILE": str(vault.password_file), "RESTIC_CACHE_DIR": str(vault.state / "cache"),
        },
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    lines = [
        line.partition("/")[2].partition(", saved in")[0] for line in done.stdout.splitlines() if ", saved in" in line
    ]
    found = {f"/{line}".rstrip("/") for line in lines}
    return {path for path in found if path.startswith(str(vault.source))}


@pytest.mark.parametrize("pattern", CASES)
def test_a_pattern_leaves_out_what_restic_leaves_out(vault: Vault, pattern: str) -> None:
    pattern = pattern.replace("/TOP", str(vault.source))
    is_out = patterns.matcher([pattern])
    assert {path for path in entries(vault.source) if not is_out(path)} == saved(vault, pattern)


@pytest.mark.parametrize("pattern", CASES)
def test_what_find_leaves_out_already_is_left_out_anyway(vault: Vault, pattern: str) -> None:
    pattern = pattern.replace("/TOP", str(vault.source))
    tests = patterns.tests([pattern])
    if not tests:
        return
    done = subprocess.run(
        ["/bin/sh", "-c", f"find {vault.source} {tests[0]} -prune -o -print"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    is_out = patterns.matcher([pattern])
    assert set(done.stdout.splitlines()) == {path for path in entries(vault.source) if not is_out(path)}


@pytest.mark.parametrize("pattern", ["!keep", "a/../b", "/", "[a"])
def test_what_cannot_be_followed_is_refused(pattern: str) -> None:
    with pytest.raises(InputError):
        patterns.matcher([pattern])


def test_a_name_that_ends_with_a_line_is_another_name(vault: Vault) -> None:
    """Were it left out, the pull of a host would leave it out, and no backup would tell."""
    source = vault.folder / "lines"
    source.mkdir()
    (source / "a.tmp\n").touch()
    (source / "b.tmp").touch()
    done = Vault(folder=vault.folder, source=source).backup("01A")
    assert (done.files, patterns.matcher(["*.tmp"])(f"{source}/a.tmp\n")) == (1, False)

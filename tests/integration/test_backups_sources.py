"""Sources that are no plain folders: what changes with them is seen, and what is not saved of them is told every time."""

import dataclasses
import os
from pathlib import Path

import pytest

from agent.backups import BackupResult, Outcome
from tests.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("a\n")
    return Vault(folder=tmp_path / "vault", source=source).found()


def is_as_drilled(vault: Vault, saved: BackupResult) -> bool:
    drilled = vault.drill(f"{saved.snapshot[:8]}D", snapshot=saved.snapshot, manifest=saved.manifest)
    return (drilled.outcome, drilled.faults) == (Outcome.OK, ())


def test_a_link_or_a_pipe_that_is_a_source_is_described_as_it_was_saved(vault: Vault) -> None:
    """Restic counts neither: only the folders above them tell of a change, and those change with anything."""
    link, pipe = vault.source.parent / "current", vault.source.parent / "pipe"
    options = {"paths": [str(vault.source), str(link), str(pipe)]}
    link.symlink_to("release-1")
    os.mkfifo(pipe, 0o600)
    first = vault.backup("01A", options=options)
    assert is_as_drilled(vault, first)
    link.unlink()
    link.symlink_to("release-2")
    pipe.chmod(0o640)
    second = vault.backup("01B", options=options)
    assert (second.outcome, second.faults) == (first.outcome, (f"only the link itself: {link}",))
    assert is_as_drilled(vault, second)
    link.unlink()
    third = vault.backup("01C", options=options)
    assert third.faults == (f"does not exist: {link}",)
    assert is_as_drilled(vault, third)


@pytest.mark.parametrize("one_file_system", [False, True])
def test_a_source_that_is_left_out_is_told_every_time(vault: Vault, *, one_file_system: bool) -> None:
    other = vault.source.parent / "other.tmp"
    other.mkdir()
    (other / "precious").write_text("x\n")
    options = {"paths": [str(vault.source), str(other)], "one_file_system": one_file_system}
    for exec_id in ("01A", "01B"):
        saved = vault.backup(exec_id, options=options)
        assert (saved.outcome, saved.faults) == (Outcome.PARTIAL, (f"left out by `exclude`: {other}",))


@pytest.mark.parametrize("one_file_system", [False, True])
def test_a_source_that_vanishes_before_restic_looks_is_told(vault: Vault, *, one_file_system: bool) -> None:
    other, program = vault.source.parent / "other", vault.source.parent / "program"
    other.mkdir()
    program.write_text(f'#!/bin/sh\ncase " $* " in *" backup "*) rmdir {other} ;; esac\nexec {vault.program} "$@"\n')
    program.chmod(0o755)
    removing = dataclasses.replace(vault, program=str(program))
    options = {"paths": [str(vault.source), str(other)], "one_file_system": one_file_system}
    saved = removing.backup("01A", options=options)
    assert saved.outcome is Outcome.PARTIAL
    assert any(str(other) in fault for fault in saved.faults)

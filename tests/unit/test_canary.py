"""The search for the canary finds it where it must not be: else its silence would mean nothing."""

import os
import subprocess
from pathlib import Path

from tests.canary import make, search_canary, search_processes


def test_it_is_found_in_a_file_in_a_folder_and_in_a_name(tmp_path: Path) -> None:
    canary = make()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/journal").write_bytes(b"\x00\x01" + canary.encode() + b"\xff")
    (tmp_path / f"run-{canary}").touch()
    (tmp_path / "clean").write_text("nothing")
    assert search_canary(canary, [tmp_path]) == (str(tmp_path / "deep/journal"), str(tmp_path / f"run-{canary}"))


def test_the_file_that_holds_the_secret_by_right_is_left_out(tmp_path: Path) -> None:
    canary = make()
    (tmp_path / "secret").write_text(canary)
    assert search_canary(canary, [tmp_path], allowed=[tmp_path / "secret"]) == ()


def test_it_is_found_in_arguments_and_environment_of_processes() -> None:
    canary = make()
    environment = {**os.environ, "PASSWORD": canary}
    told = subprocess.Popen(["cat", "-", f"/{canary}"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    given = subprocess.Popen(["cat"], stdin=subprocess.PIPE, env=environment)
    try:
        found = search_processes(canary)
    finally:
        for process in (told, given):
            process.communicate()
    assert sorted(found) == sorted([f"/proc/{told.pid}/cmdline of cat", f"/proc/{given.pid}/environ of cat"])


def test_every_run_has_another() -> None:
    assert make() != make()

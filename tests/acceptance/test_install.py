"""A fresh machine: the commands of docs/install.md, from a wheel into an empty venv to a proven backup."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("install")  # one machine for all of them
UNIT = TOP / "docs/watchkeeper.service"
PLAIN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def commands(title: str) -> list[str]:
    """The shell commands below a title of docs/install.md."""
    _, _, below = (TOP / "docs/install.md").read_text(encoding="utf-8").partition(f"\n## {title}\n")
    blocks = re.findall(r"^```sh\n(.*?)^```", below.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    return "".join(blocks).splitlines()


def borrow(venv: Path) -> None:
    """Give an empty venv the locked dependencies of this one, which were installed by hash: the network is not tested."""
    site = Path(sysconfig.get_path("purelib", vars={"base": str(venv), "platbase": str(venv)}))
    # A path file is not followed further: what is installed here for development stays out of sight.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")


def run(command: str, cwd: Path, places: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """One line of the document, with its places moved into a folder of ours."""
    for place, moved in places.items():
        command = command.replace(place, moved)
    return subprocess.run(
        ["/bin/sh", "-ec", command], cwd=cwd, env={**PLAIN, "HOME": places["HOME"]}, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder in which the commands of the document ran, and where each of its places is in it."""
    folder = tmp_path_factory.mktemp("machine")
    clone = folder / "clone"
    (folder / "home").mkdir()
    for name in ("agent", "docs"):
        shutil.copytree(TOP / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(TOP / name, clone)
    places = {
        "python3 ": f"{sys.executable} ", "build/bin/python": f"{folder}/build/bin/python",
        "venv build": f"venv --without-pip {folder}/build", "HOME": f"{folder}/home", "/opt/watchkeeper": f"{folder}/opt",
        "/etc/watchkeeper": f"{folder}/etc", "/var/lib/watchkeeper": f"{folder}/state",
    }  # fmt: skip
    here = clone
    for command in commands("From a wheel"):
        if "--require-hashes" in command:
            borrow(folder / ("opt" if "/opt/" in command else "build"))
        elif command.startswith("cd "):
            here = Path(command.removeprefix("cd ").replace("/etc/watchkeeper", places["/etc/watchkeeper"]))
        else:
            done = run(command, here, places)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return folder, places


def test_the_wheel_alone_runs_from_an_empty_venv(machine: tuple[Path, dict[str, str]]) -> None:
    folder, places = machine
    told = run("/opt/watchkeeper/bin/python -P -c 'import agent; print(agent.__file__)'", folder, places)
    assert told.stdout.startswith(f"{folder}/opt/lib/"), told.stderr


def test_after_one_run_nothing_is_open_and_a_backup_is_proven(machine: tuple[Path, dict[str, str]]) -> None:
    folder, places = machine
    listed = {
        noun: json.loads(run(f"/opt/watchkeeper/bin/watchkeeper {noun} list --json", folder / "etc", places).stdout)
        for noun in ("incident", "backup", "check")
    }
    assert listed["incident"] == {"items": []}
    assert [(one["verdict"], bool(one["proven_at"])) for one in listed["backup"]["items"]] == [("good", True)]
    assert {one["state"] for one in listed["check"]["items"]} <= {"ok", "warning"}  # whatever this machine's load


def test_what_changes_lies_in_the_state_folder_alone(machine: tuple[Path, dict[str, str]]) -> None:
    folder, _ = machine
    assert {path.name for path in (folder / "etc").iterdir()} == {
        ".gitignore", "config.yaml", "inventory", "playbooks", "policies", "secrets",
    }  # fmt: skip
    assert (folder / "state/watchkeeper.sqlite").exists()
    assert [path.name for path in (folder / "state/restic").glob("*/config")] == ["config"]
    assert (folder / "state").stat().st_mode & 0o777 == 0o700


def test_the_unit_comes_with_the_wheel_and_systemd_finds_nothing_wrong_with_it(
    machine: tuple[Path, dict[str, str]],
) -> None:
    folder, places = machine
    shipped = folder / "opt/share/watchkeeper/watchkeeper.service"
    assert f"cp {shipped}".replace(places["/opt/watchkeeper"], "/opt/watchkeeper") in " ".join(commands("As a service"))
    assert shipped.read_text() == UNIT.read_text()
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine")
    moved = folder / "watchkeeper.service"
    moved.write_text(shipped.read_text().replace("/opt/watchkeeper", places["/opt/watchkeeper"]))
    verified = subprocess.run(["systemd-analyze", "verify", moved], capture_output=True, text=True, check=False)
    ours = [line for line in verified.stderr.splitlines() if "watchkeeper" in line]
    assert (verified.returncode, ours) == (0, [])


def test_every_line_of_the_unit_that_the_document_explains_is_in_the_unit() -> None:
    unit, page = UNIT.read_text(), (TOP / "docs/install.md").read_text(encoding="utf-8")
    explained = re.findall(
        r"`([A-Z][A-Za-z]+=[\w-]+)`", page.partition("\n## As a service\n")[2].partition("```ini")[0]
    )
    assert explained
    assert [line for line in explained if f"\n{line}\n" not in unit] == []

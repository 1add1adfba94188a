"""The agent's own machine is lost: on a new one, with the same files and secrets, what was saved comes back at once."""

import shutil
from pathlib import Path

from tests.acceptance.shell import Shell
from tests.acceptance.test_restore import shop
from tests.acceptance.world import World


def test_what_a_lost_agent_saved_comes_back_before_the_new_one_has_ever_run(world: World, tmp_path: Path) -> None:
    data = shop(world)
    repository = tmp_path / "vault"
    (world.state / "restic").rename(repository)  # empty, but quick to open
    world.configure(repositories={"main": {"url": str(repository), "password": {"secret": "canary"}}})
    shell = Shell("--config", str(world.config), folder=world.folder)
    shell.types("backup", "run", "files")
    shutil.rmtree(world.state)
    (data / "orders").write_text("broken\n")

    told = shell.types("backup", "snapshots", "files")
    assert "its record begins in" in told
    assert "1 snapshot" in told
    assert "--target DIR" in shell.types("backup", "restore", "files", "--in-place", "--dry-run", code=2)
    aside = tmp_path / "aside"
    assert "restic alone has verified it" in shell.types("backup", "restore", "files", "--target", str(aside))
    assert Path(f"{aside}{data}/orders").read_text() == "one order\n"
    shell.types("backup", "restore", "files", "--in-place", "--yes")
    assert (data / "orders").read_text() == "one order\n"
    assert not [one for one in world.executions() if one.kind != "restore"]  # nothing was begun by itself

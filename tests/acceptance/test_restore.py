"""Restores as a person types them: looked at first, put back in place, and what does not go is told with the way out."""

import shutil
from pathlib import Path

from tests.acceptance.shell import Shell
from tests.acceptance.world import World


def shop(world: World) -> Path:
    data = world.host / "data"
    (data / "conf").mkdir(parents=True)
    world.found()
    (data / "conf/app").write_text("listen 80\n")
    (data / "orders").write_text("one order\n")
    world.policy(
        "shop", backups={"files": {"files": {"paths": [str(data)]}, "repository": "main", "every": "day at 02:00"}}
    )
    return data


def test_a_person_looks_first_and_puts_back_what_was_broken(world: World) -> None:
    data = shop(world)
    shell = Shell("--config", str(world.config), folder=world.folder)
    shell.types("run", "--once")
    (data / "orders").write_text("broken\n")
    (data / "newer").write_text("written since\n")
    restore = ("backup", "restore", "files", "--host", "here")

    looked = shell.types(*restore, "--in-place", "--dry-run")
    assert "to replace:  1 entries" in looked
    assert "left alone:  1 entries" in looked
    assert (data / "orders").read_text() == "broken\n"
    shell.types(*restore, "--target", str(world.folder / "aside"), "--dry-run")
    assert not (world.folder / "aside").exists()

    assert "add --yes" in shell.types(*restore, "--in-place", code=2)
    assert "--target DIR" in shell.types(*restore, code=2)
    only = ("--include", f"{data}/orders", "--reason", "orders are broken")
    done = shell.types(*restore, "--in-place", "--yes", *only)
    assert (data / "orders").read_text() == "one order\n"
    assert (data / "newer").read_text() == "written since\n"
    (execution,) = [one for one in world.executions() if one.kind == "restore"]
    assert (execution.why, execution.state, execution.risk) == ("orders are broken", "succeeded", 4)
    kept = str(execution.detail["kept"])
    assert Path(f"{kept}{data}/orders").read_text() == "broken\n"
    assert kept in done.replace("\n", "")

    shutil.rmtree(data / "conf")
    (data / "orders").unlink()
    (data / "orders").mkdir()
    told = shell.types(*restore, "--in-place", "--yes", code=1).replace("\n", " ")
    assert "nothing was touched" in told
    assert "--target DIR" in told
    assert not (data / "conf").exists()
    shell.types(*restore, "--in-place", "--dry-run", code=1)
    assert "belongs to the agent" in shell.types(*restore, "--target", str(world.state / "in"), "--dry-run", code=2)


def test_what_was_saved_in_part_is_said_wherever_it_matters(world: World) -> None:
    data = shop(world)
    other = world.host / "other"
    other.mkdir()
    (other / "bill").write_text("one bill\n")
    both = {"files": {"paths": [str(data), str(other)]}, "repository": "main", "every": "day at 02:00"}
    world.policy("shop", backups={"files": both})
    shell = Shell("--config", str(world.config), folder=world.folder)
    shell.types("backup", "run", "files")
    shutil.move(other, world.host / "unmounted")

    assert "partial" in shell.types("backup", "run", "files", code=1)
    newest, whole = shell.reads("backup", "snapshots", "files")["items"]
    assert [newest["state"], whole["state"]] == ["partial", "good"]
    assert newest["size_bytes"] < whole["size_bytes"]
    restore = ("backup", "restore", "files", "--in-place")
    assert "could not be read when it was saved" in shell.types(*restore, "--dry-run").replace("\n", " ")
    told = shell.types("backup", "restore", "files", "--target", str(world.folder / "aside")).replace("\n", " ")
    assert "that snapshot is partial" in told

    named = (*restore, "--snapshot", whole["id"][:8])
    assert "partial" not in shell.types(*named, "--dry-run")
    shell.types(*named, "--yes")
    assert (other / "bill").read_text() == "one bill\n"
    assert "no id" in shell.types(*restore, "--yes", "--snapshot", "latest", code=2)
    assert "or of that id" in shell.types(*restore, "--yes", "--snapshot", "0" * 8, code=1).replace("\n", " ")
    assert "there are: main" in shell.types("backup", "check", "mian", code=2)

"""Reading a run folder: what is there decides, and a pid alone proves nothing."""

import json
import os
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.errors import AgentError
from agent.transports import child, shim

CLOCK = SystemClock()


def me() -> child.Shim:
    found = shim.stat_of(os.getpid())
    assert found is not None
    return child.Shim(pid=os.getpid(), started=found[2], boot_id=CLOCK.boot_id)


def ended(run_dir: Path, **changes: object) -> None:
    document = {"exit_code": 0, "how": "exited", "ended_at_us": 7, "survivors": 0} | changes
    (run_dir / shim.RETURN_CODE).write_text(json.dumps(document))


def test_a_living_shim_without_return_code_is_running(tmp_path: Path) -> None:
    assert child.peek(tmp_path, me(), CLOCK) == child.Running()


@pytest.mark.parametrize(
    "changed",
    [{"boot_id": "another-boot"}, {"started": 1}, {"pid": 2**22 - 1}, {"pid": 0}],
    ids=["another boot", "another start", "no such pid", "no pid"],
)
def test_a_shim_that_differs_in_one_of_three_is_lost(tmp_path: Path, changed: dict[str, object]) -> None:
    fields = {"pid": me().pid, "started": me().started, "boot_id": me().boot_id} | changed
    assert child.peek(tmp_path, child.Shim(**fields), CLOCK) == child.Lost()  # type: ignore[arg-type]  # a table of both


def test_a_return_code_counts_even_when_its_shim_is_gone(tmp_path: Path) -> None:
    ended(tmp_path, exit_code=137, how="deadline")
    assert child.peek(tmp_path, None, CLOCK) == child.Ended(exit_code=137, how="deadline", ended_at_us=7)


def test_a_folder_in_which_nothing_began_is_lost(tmp_path: Path) -> None:
    assert child.peek(tmp_path, None, CLOCK) == child.Lost()


def test_a_torn_return_code_is_an_error_and_never_a_success(tmp_path: Path) -> None:
    (tmp_path / shim.RETURN_CODE).write_text("{")
    with pytest.raises(AgentError, match=r"rc\.json"):
        child.peek(tmp_path, None, CLOCK)


def test_a_forbidden_folder_never_runs(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert child.forbid(run_dir)
    assert child.forbid(run_dir)
    packet = child.Packet(argv=("/bin/true",), cwd="/", env={}, timeout_seconds=1)
    with pytest.raises(AgentError, match="started before"):
        child.launch(run_dir, packet, CLOCK)


def test_what_began_cannot_be_forbidden(tmp_path: Path) -> None:
    (tmp_path / shim.SHIM).write_text(json.dumps({"pid": 5, "started": 6, "boot_id": "b"}))
    assert not child.forbid(tmp_path)
    assert child.kept_by(tmp_path) == child.Shim(pid=5, started=6, boot_id="b")


def test_a_packet_never_shows_its_secrets(tmp_path: Path) -> None:
    packet = child.Packet(argv=("/bin/true",), cwd="/", env={}, timeout_seconds=1, secret_files={"KEY": b"canary"})
    child.prepare(tmp_path / "run", packet)
    assert "canary" not in repr(packet)
    assert "canary" not in (tmp_path / "run" / shim.PACKET).read_text()


def test_a_name_with_spaces_and_brackets_does_not_confuse_the_process_table(tmp_path: Path) -> None:
    name = tmp_path / "a ) b"
    name.symlink_to("/bin/sleep")
    pid = os.posix_spawn(name, [str(name), "60"], {})
    try:
        found = shim.stat_of(pid)
        assert found is not None
        assert found[1] == os.getpid()
        assert pid in shim.descendants(os.getpid())
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)

"""The shim with real processes: it outlives its launcher, and nothing outlives its deadline."""

import json
import os
import select
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.clock import Deadline, SystemClock
from agent.errors import AgentError, ToolError
from agent.transports import child, shim
from tests.lab.wait import in_time

CLOCK = SystemClock()
CANARY = "canary-7f3a"
# A child that does all it can to survive: ignores what can be ignored, in sessions of their own, orphaned.
STUBBORN = """
import os, signal, time
from pathlib import Path
def live(name):
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    Path(name).write_text(str(os.getpid()))
    while True:
        time.sleep(60)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        live("daemonised")
    os._exit(0)
if os.fork() == 0:
    live("plain")
if os.fork() == 0:
    os.setsid()
    live("own-session")
live("first")
"""
STUBBORN_NAMES = ("daemonised", "plain", "own-session", "first")


def packet(*argv: str, seconds: float = 20, secrets: dict[str, bytes] | None = None) -> child.Packet:
    env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    return child.Packet(argv=argv, cwd="/", env=env, timeout_seconds=seconds, secret_files=secrets or {})


def script(text: str, *, seconds: float = 20) -> child.Packet:
    return packet("/bin/sh", "-c", text, seconds=seconds)


def wait(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = Deadline.after(CLOCK, seconds)
    while not condition():
        assert not deadline.is_over(), "waited in vain"
        select.select([], [], [], 0.01)


def outcome(run_dir: Path, who: child.Shim | None = None) -> child.Ended | child.Lost:
    wait(lambda: not isinstance(child.peek(run_dir, who, CLOCK), child.Running))
    seen = child.peek(run_dir, who, CLOCK)
    assert not isinstance(seen, child.Running)
    return seen


def run(run_dir: Path, what: child.Packet) -> child.Ended:
    seen = outcome(run_dir, child.launch(run_dir, what, CLOCK))
    assert isinstance(seen, child.Ended)
    return seen


def is_dead(pid: int) -> bool:
    found = shim.stat_of(pid)
    return found is None or found[0] in "ZX"


def pids(folder: Path) -> list[int]:
    wait(lambda: all((folder / name).exists() and (folder / name).read_text() for name in STUBBORN_NAMES))
    return [int((folder / name).read_text()) for name in STUBBORN_NAMES]


def stubborn(folder: Path, seconds: float) -> child.Packet:
    text = f"import os\nos.chdir({str(folder)!r})\n{STUBBORN}"
    return packet(sys.executable, "-I", "-c", text, seconds=seconds)


def test_the_return_code_and_both_outputs_are_kept(tmp_path: Path) -> None:
    ended = run(tmp_path / "run", script("echo said; echo warned >&2; exit 3"))
    assert (ended.exit_code, ended.how, ended.survivors) == (3, "exited", 0)
    assert child.stdout_path(tmp_path / "run").read_text() == "said\n"
    assert child.stderr_path(tmp_path / "run").read_text() == "warned\n"
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (tmp_path / "run").iterdir())


def test_a_child_ended_by_a_signal_is_told_from_one_that_exits(tmp_path: Path) -> None:
    ended = run(tmp_path / "run", script("kill -9 $$"))
    assert (ended.exit_code, ended.how) == (137, "signalled")


def test_a_program_that_is_not_there_ends_with_127_and_says_so(tmp_path: Path) -> None:
    assert run(tmp_path / "run", packet("/no/such/program")).exit_code == 127
    assert "/no/such/program" in child.stderr_path(tmp_path / "run").read_text()


def test_a_launcher_killed_at_once_neither_kills_nor_loses_the_job(tmp_path: Path) -> None:
    program = f"""
        import os
        from pathlib import Path
        from agent.clock import SystemClock
        from agent.transports import child
        gate = {str(tmp_path / "gate")!r}
        what = child.Packet(argv=("/bin/sh", "-c", "read line < " + gate + "; echo went on"), cwd="/", env={{}}, timeout_seconds=30)
        child.launch(Path({str(tmp_path / "run")!r}), what, SystemClock())
        os.kill(os.getpid(), 9)
    """
    os.mkfifo(tmp_path / "gate")
    launcher = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert launcher.returncode == -signal.SIGKILL
    assert child.peek(tmp_path / "run", None, CLOCK) == child.Running()
    (tmp_path / "gate").write_text("go\n")
    ended = outcome(tmp_path / "run")
    assert isinstance(ended, child.Ended)
    assert (ended.exit_code, ended.how) == (0, "exited")
    assert child.stdout_path(tmp_path / "run").read_text() == "went on\n"


def test_at_the_deadline_every_descendant_is_dead_however_it_hides(tmp_path: Path) -> None:
    ended = run(tmp_path / "run", stubborn(tmp_path, seconds=1.0))
    assert (ended.exit_code, ended.how, ended.survivors) == (137, "deadline", 0)
    assert all(is_dead(pid) for pid in pids(tmp_path))


def test_stop_kills_every_descendant_and_says_stopped(tmp_path: Path) -> None:
    who = child.launch(tmp_path / "run", stubborn(tmp_path, seconds=60), CLOCK)
    living = pids(tmp_path)
    seen = child.stop(tmp_path / "run", who, CLOCK)
    assert isinstance(seen, child.Ended)
    assert (seen.how, seen.survivors) == ("stopped", 0)
    assert all(is_dead(pid) for pid in living)


def test_a_child_that_was_frozen_dies_at_the_deadline_too(tmp_path: Path) -> None:
    assert run(tmp_path / "run", script("kill -STOP $$", seconds=0.5)).how == "deadline"


def test_a_shim_killed_dead_is_lost_and_its_remains_can_be_swept(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    who = child.launch(run_dir, stubborn(tmp_path, seconds=60), CLOCK)
    living = pids(tmp_path)
    (run_dir / shim.SCRATCH).mkdir()
    os.kill(who.pid, signal.SIGKILL)
    assert outcome(run_dir, who) == child.Lost()
    assert outcome(run_dir, None) == child.Lost()
    assert child.stop(run_dir, who, CLOCK) == child.Lost()
    wait(lambda: all(is_dead(pid) for pid in living))
    assert not (run_dir / shim.SCRATCH).exists()


def test_what_a_child_leaves_running_when_it_ends_by_itself_is_left_alone(tmp_path: Path) -> None:
    text = f"setsid sleep 60 >/dev/null 2>&1 & echo $! > {tmp_path}/service"
    assert run(tmp_path / "run", script(text)).how == "exited"
    service = int((tmp_path / "service").read_text())
    assert not is_dead(service)
    os.kill(service, signal.SIGKILL)


def test_who_holds_the_output_open_does_not_delay_the_return_code(tmp_path: Path) -> None:
    with in_time(0.0):
        assert run(tmp_path / "run", script(f"sleep 60 & echo $! > {tmp_path}/pid; echo done")).exit_code == 0
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_endless_output_is_bounded_and_keeps_its_end(tmp_path: Path) -> None:
    run(tmp_path / "run", script("echo begin; head -c 20000000 /dev/zero | tr '\\0' x; echo the end"))
    kept = child.stdout_path(tmp_path / "run").read_text()
    assert len(kept) <= shim.HEAD_BYTES + shim.TAIL_BYTES + 100
    assert kept.startswith("begin\n")
    assert "bytes left out" in kept
    assert kept.endswith("the end\n")


def test_a_secret_is_in_memory_only(tmp_path: Path) -> None:
    """Not in argv, environment or files of shim and child; yet the child reads it, and as often as it likes."""
    run_dir = tmp_path / "run"
    os.mkfifo(tmp_path / "gate")
    text = f"cat $KEY {{{{KEY}}}} | wc -c; read line < {tmp_path}/gate"
    what = packet("/bin/sh", "-c", text, "{{KEY}}", secrets={"KEY": CANARY.encode()})
    who = child.launch(run_dir, what, CLOCK)
    wait(lambda: child.stdout_path(run_dir).exists() and child.stdout_path(run_dir).read_text().endswith("\n"))
    seen = b""
    for pid in (who.pid, *shim.descendants(who.pid)):
        seen += Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    seen += b"".join(path.read_bytes() for path in run_dir.iterdir())
    (tmp_path / "gate").write_text("go\n")
    assert outcome(run_dir, who) != child.Lost()
    assert child.stdout_path(run_dir).read_text().strip() == str(2 * len(CANARY))
    assert f"/proc/{who.pid}/fd/".encode() in seen
    assert CANARY.encode() not in seen


def test_the_environment_is_the_packets_and_nothing_else(tmp_path: Path) -> None:
    run(tmp_path / "run", packet("/usr/bin/env"))
    names = {line.partition("=")[0] for line in child.stdout_path(tmp_path / "run").read_text().splitlines()}
    assert names == {"PATH", "LANG", shim.MARK}


def test_a_child_inherits_no_open_file_and_no_deaf_ear(tmp_path: Path) -> None:
    run(tmp_path / "run", script("ls /proc/self/fd; grep SigIgn /proc/self/status"))
    *numbers, ignored = child.stdout_path(tmp_path / "run").read_text().splitlines()
    assert numbers == ["0", "1", "2", "3"]  # 3 is the folder that ls reads
    assert int(ignored.split()[1], 16) & 0x7FFFFFFF == 0  # the real-time signals are the C library's


def test_the_scratch_folder_is_gone_before_the_return_code_is_there(tmp_path: Path) -> None:
    scratch = tmp_path / "run" / shim.SCRATCH
    text = f"mkdir -p {scratch}/deep; echo {CANARY} > {scratch}/deep/payload; sleep 60"
    assert run(tmp_path / "run", script(text, seconds=0.5)).how == "deadline"
    assert not scratch.exists()


def test_a_return_code_that_cannot_be_written_yet_is_written_later(tmp_path: Path) -> None:
    """As with a full disk; here a folder stands in the file's place for a while."""
    run_dir = tmp_path / "run"
    os.mkfifo(tmp_path / "gate")
    who = child.launch(run_dir, script(f"read line < {tmp_path}/gate"), CLOCK)
    (run_dir / shim.RETURN_CODE).mkdir()
    (tmp_path / "gate").write_text("go\n")
    wait(lambda: bool(list(run_dir.glob("rc.json.*"))))
    assert child.is_alive(who, CLOCK)
    (run_dir / shim.RETURN_CODE).rmdir()
    ended = outcome(run_dir, who)
    assert isinstance(ended, child.Ended)
    assert ended.exit_code == 0


def test_one_folder_runs_once(tmp_path: Path) -> None:
    run(tmp_path / "run", script("echo x >> $0/count".replace("$0", str(tmp_path))))
    with pytest.raises(AgentError, match="started before"):
        child.launch(tmp_path / "run", script("exit 0"), CLOCK)
    assert (tmp_path / "count").read_text() == "x\n"


def test_a_shim_that_comes_late_to_a_forbidden_folder_starts_nothing(tmp_path: Path) -> None:
    """The launcher was killed before shim.json; the restarted daemon forbade the folder; then the shim arrives."""
    run_dir = tmp_path / "run"
    child.prepare(run_dir, script(f"touch {tmp_path}/ran"))
    assert child.forbid(run_dir)
    ready, tell = os.pipe()
    argv = [sys.executable, "-I", "-m", "agent.transports.shim", str(run_dir), str(tell)]
    late = subprocess.Popen(argv, pass_fds=[tell], stderr=subprocess.DEVNULL)
    os.close(tell)
    assert os.read(ready, 10) == b""
    os.close(ready)
    late.wait()
    assert not (tmp_path / "ran").exists()


def test_a_shim_that_cannot_start_is_an_error_with_a_hint(tmp_path: Path) -> None:
    what = child.Packet(argv=("/bin/true",), cwd="/", env={}, timeout_seconds=float("nan"))
    with pytest.raises(ToolError, match="did not start") as caught:
        child.launch(tmp_path / "run", what, CLOCK)
    assert "stderr" in caught.value.hint


def test_an_orphan_is_reaped_by_the_shim(tmp_path: Path) -> None:
    """Where pid 1 reaps nobody, a long run must not fill the process table."""
    os.mkfifo(tmp_path / "gate")
    who = child.launch(tmp_path / "run", script(f"(true & true &); read line < {tmp_path}/gate"), CLOCK)

    def zombies() -> int:
        found = [shim.stat_of(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return sum(1 for each in found if each is not None and each[0] == "Z" and each[1] == who.pid)

    wait(lambda: len(shim.descendants(who.pid)) == 1 and zombies() == 0)
    (tmp_path / "gate").write_text("go\n")
    outcome(tmp_path / "run", who)


def test_the_shim_is_small_and_imports_nothing_heavy(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    who = child.launch(tmp_path / "run", script(f"read line < {tmp_path}/gate"), CLOCK)
    status = Path(f"/proc/{who.pid}/status").read_text()
    resident = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert resident < 25_000
    (tmp_path / "gate").write_text("go\n")
    outcome(tmp_path / "run", who)
    code = "import agent.transports.shim, sys, json; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.check_output([sys.executable, "-I", "-c", code]))
    assert not {"asyncio", "subprocess", "dataclasses", "logging", "typing"} & set(modules)

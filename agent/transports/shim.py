"""Keeps one long child: outlives the daemon, bounds its time and output, leaves a return code.

`python -m agent.transports.shim RUN_DIR READY_FD [NAME=FD …]`, started by `agent.transports.child.launch`.
It may run beside the daemon for hours, so it imports little, and nothing of ours: it reads the boot clock itself.

It is a subreaper: whatever its child forks, daemonised or not, stays its descendant. At the deadline, on SIGTERM, and
when a signal ended its child, it kills them all until none is left. When the child exits, what it left running is left
alone: a playbook may have started a service on this machine.
"""

import json
import os
import resource
import select
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

PACKET, SHIM, RETURN_CODE, STDOUT, STDERR = "packet.json", "shim.json", "rc.json", "stdout", "stderr"
SCRATCH = "tmp"  # the child's; removed before the return code is written, it may hold what nobody shall find later
MARK = "WATCHKEEPER_RUN"  # in the environment of every descendant: how they are found when the shim itself is lost
HEAD_BYTES = 768 * 1024  # so much of each stream is kept,
TAIL_BYTES = 256 * 1024  # and so much of its end, which tells why it failed
GIVE_UP_NS = 20_000_000_000  # who survives that long is stuck in the kernel, or root's: say so instead of hanging
PATIENCE_NS = 3_600_000_000_000  # for a full disk: an hour, while the run counts as running
SLICE_MS = 1_000  # poll(2) stands still while the machine sleeps: look at the boot clock at least that often
_DEAF = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)


def boottime_ns() -> int:
    """Nanoseconds since boot, suspend included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """The kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def stat_of(pid: int) -> tuple[str, int, int] | None:
    """State letter, parent and start time (field 22, clock ticks since boot) of a process; None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1]), int(fields[19])


def descendants(root: int) -> list[int]:
    """All living processes below `root`, from one look at /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        found = stat_of(int(entry.name)) if entry.name.isdigit() else None
        if found is not None and found[0] not in "ZX":
            children.setdefault(found[1], []).append(int(entry.name))
    below, queue = [], [root]
    while queue:
        young = children.get(queue.pop(), [])
        below += young
        queue += young
    return below


def write_durably(path: Path, document: Mapping[str, object], *, once: bool = False) -> None:
    """Write JSON so that after a power cut it is there whole, or not at all; `once` raises FileExistsError."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(json.dumps(document).encode())
        file.flush()
        os.fsync(file.fileno())
    if once:
        try:
            path.hardlink_to(temporary)
        finally:
            temporary.unlink()
    else:
        temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)


class Stream:
    """One output of the child: its beginning goes to a file as it comes, its end when it is over."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._room = HEAD_BYTES
        self._tail = bytearray()
        self._left_out = 0
        self.source, self.sink = os.pipe()
        os.set_blocking(self.source, False)

    def pump(self) -> bool:
        """Take what is there; False when nothing more will come."""
        try:
            data = os.read(self.source, 65_536)
        except BlockingIOError:
            return True
        head, rest = data[: self._room], data[self._room :]
        self._room -= len(head)
        _write(self._file, head)
        self._tail += rest
        excess = max(0, len(self._tail) - TAIL_BYTES)
        self._left_out += excess
        del self._tail[:excess]
        return bool(data)

    def finish(self) -> None:
        """Take the rest without waiting for those who still hold the other end; then make it durable."""
        for _ in range(64):  # a full pipe and a bit: nobody may keep us here by writing on
            if not select.select([self.source], [], [], 0)[0] or not self.pump():
                break
        if self._left_out:
            _write(self._file, b"\n[... %d bytes left out ...]\n" % self._left_out)
        _write(self._file, bytes(self._tail))
        try:
            os.fsync(self._file)
        except OSError:
            return  # the return code is worth more than the output


def _write(file: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(file, data) :]
    except OSError:
        return  # a full disk may cost output, never the child


class Shim:
    """One child from start to return code."""

    def __init__(self, run_dir: Path, packet: Mapping[str, object], secrets: Mapping[str, int]) -> None:
        self._run_dir = run_dir
        self._secrets = {name: f"/proc/{os.getpid()}/fd/{number}" for name, number in secrets.items()}
        self._packet = packet
        self._asked_to_stop = False
        self._status: int | None = None
        self._child = 0
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self._asked_to_stop = True

    def run(self, until_ns: int) -> None:
        """Start the child, wait, kill if need be, write the return code."""
        streams = [Stream(self._run_dir / STDOUT), Stream(self._run_dir / STDERR)]
        self._child = self._start(streams)
        for stream in streams:
            os.close(stream.sink)
        how = self._watch(streams, until_ns)
        if how == "exited" and os.WIFSIGNALED(self._status or 0):
            how = "signalled"
        survivors = 0 if how == "exited" else self._kill_all()
        for stream in streams:
            stream.finish()
        shutil.rmtree(self._run_dir / SCRATCH, ignore_errors=True)
        self._conclude(self._verdict(how, survivors))

    def _conclude(self, verdict: Mapping[str, object]) -> None:
        """Write the return code; a full disk delays it, and only a disk that stays full loses it."""
        give_up_ns = boottime_ns() + PATIENCE_NS
        while True:
            try:
                return write_durably(self._run_dir / RETURN_CODE, verdict)
            except OSError:
                if boottime_ns() >= give_up_ns:
                    raise
                select.select([], [], [], 0.5)

    def _start(self, streams: list[Stream]) -> int:
        argv = [str(word) for word in _list(self._packet["argv"])]
        for name, path in self._secrets.items():
            argv = [word.replace("{{" + name + "}}", path) for word in argv]
        env = {**_mapping(self._packet["env"]), **self._secrets, MARK: str(self._run_dir)}
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            for number, end in enumerate((os.open(os.devnull, os.O_RDONLY), streams[0].sink, streams[1].sink)):
                os.dup2(end, number)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGXFSZ, *_DEAF):  # Python ignores XFSZ itself
                signal.signal(number, signal.SIG_DFL)
            os.chdir(str(self._packet["cwd"]))
            os.execve(argv[0], argv, env)  # noqa: S606  # the very point; no shell
        except OSError as error:
            os.write(2, f"cannot start {argv[0]}: {error}\n".encode())
        finally:
            os._exit(127)

    def _watch(self, streams: list[Stream], until_ns: int) -> str:
        poller = select.poll()
        sources = {stream.source: stream for stream in streams}
        for source in (self._wake, *sources):
            poller.register(source, select.POLLIN)
        while True:
            self._reap()
            if self._status is not None:
                return "exited"
            if self._asked_to_stop:
                return "stopped"
            if (left_ns := until_ns - boottime_ns()) <= 0:
                return "deadline"
            for source, _ in poller.poll(min(SLICE_MS, left_ns // 1_000_000 + 1)):
                if source in sources and not sources[source].pump():
                    poller.unregister(source)
            self._drain_wake()

    def _drain_wake(self) -> None:
        try:
            os.read(self._wake, 4_096)
        except BlockingIOError:
            return

    def _reap(self) -> bool:
        """Collect the dead; False when no child is left, which for a subreaper means no descendant either."""
        try:
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == self._child:
                    self._status = found[1]
        except ChildProcessError:
            return False
        return True

    def _kill_all(self) -> int:
        give_up_ns = boottime_ns() + GIVE_UP_NS
        me = os.getpid()
        while self._reap():
            living = descendants(me)
            for pid in living:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:  # gone, or not ours to kill
                    continue
            if boottime_ns() >= give_up_ns:
                return len(living)
            select.select([self._wake], [], [], 0.02)
            self._drain_wake()
        return 0

    def _verdict(self, how: str, survivors: int) -> dict[str, object]:
        code = 255 if self._status is None else os.waitstatus_to_exitcode(self._status)
        return {
            "exit_code": code if code >= 0 else 128 - code,
            "how": how,
            "ended_at_us": time.time_ns() // 1_000,
            "survivors": survivors,
        }


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> dict[str, str]:
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, dict) else {}


def _prctl(option: int, value: int) -> None:
    import ctypes  # those that only know the shim need none of it

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def main(argv: list[str]) -> int:
    """Leave the launcher's process tree, claim the run folder, tell the launcher, keep the child."""
    run_dir, ready = Path(argv[1]), int(argv[2])
    secrets = {name: int(number) for name, _, number in (word.partition("=") for word in argv[3:])}
    os.umask(0o077)
    if os.fork():
        return 0  # the launcher waits for this one: what goes on is nobody's child, and nobody's zombie
    os.setsid()
    os.chdir(run_dir)
    for end in (ready, *secrets.values()):
        os.set_inheritable(end, False)  # noqa: FBT003  # takes no keyword
    for number in _DEAF:
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold the secrets
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    packet = json.loads((run_dir / PACKET).read_bytes())
    until_ns = boottime_ns() + int(packet["timeout_seconds"] * 1_000_000_000)
    found = stat_of(os.getpid())
    me = {"pid": os.getpid(), "started": found[2] if found else 0, "boot_id": boot_id(), "until_ns": until_ns}
    shim = Shim(run_dir, packet, secrets)
    write_durably(run_dir / SHIM, me, once=True)
    _write(ready, json.dumps(me).encode())  # a launcher that died meanwhile finds shim.json when it is back
    os.close(ready)
    shim.run(until_ns)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

"""check: process — does a program run, how often, and what does it use?

By the name that the kernel keeps (proc_pid_comm(5): its first 15 characters count) or by a pattern over the whole
command line; processes that have ended and only wait to be collected are not counted. Critical when none is there.
`memory` is the resident memory of all of them together, `cpu` the processor time they had since they began, as a share
of one core over that time (what ps(1) calls pcpu), summed: for what happens right now, watch `load`.
"""

import pwd
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from agent.checks import check
from agent.checks.reading import Pattern, common, is_found, one_line, spell_bytes, told
from agent.clock import MICROSECONDS, SystemClock
from agent.closed import ClosedModel, Text
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

if TYPE_CHECKING:
    import psutil

_COMM = 15  # TASK_COMM_LEN less its NUL
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?\Z|[0-9]{1,10}\Z")  # useradd(8), or a number
_PRINTED = re.compile(r"^found ([0-9]{1,9}) ([0-9.]{1,20}) ([0-9]{1,20})$", re.MULTILINE)


class ProcessOptions(ClosedModel):
    """Which processes."""

    name: Text | None = Field(default=None, description="Name of the program, as ps -o comm shows it")
    pattern: Annotated[Pattern, AfterValidator(common)] | None = Field(
        default=None, description="Pattern (what RE2 and grep -E have in common) found in the command line"
    )
    user: Text | None = Field(default=None, description="Only processes of this user")

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str | None) -> str | None:
        if name is not None and (not name or not name.isprintable()):
            raise ValueError(f"{name!r} is not the name of a program")
        return name

    @field_validator("user")
    @classmethod
    def _is_user(cls, user: str | None) -> str | None:
        if user is not None and _USER.match(user) is None:
            raise ValueError(f"{user!r} is not the name of a user")
        return user

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.name is None) == (self.pattern is None):
            raise ValueError("give either name or pattern")
        return self


@check("process")
class Process:
    """All processes that fit, as one."""

    OPTIONS: ClassVar = ProcessOptions
    SHORT: ClassVar = "name"
    METRICS: ClassVar[Mapping[str, Unit]] = {"count": Unit.NUMBER, "cpu": Unit.SHARE, "memory": Unit.BYTES}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False

    @staticmethod
    def script(options: ProcessOptions) -> str:
        """Finds the processes in /proc and adds them up there: a few bytes come back, whatever runs on the host."""
        user = "uid=" if options.user is None else _UID.format(user=shlex.quote(options.user))
        found = _BY_NAME.format(comm=shlex.quote(f"Name:\t{(options.name or '')[:_COMM]}"))
        if options.pattern is not None:
            found = _BY_PATTERN.format(octal=_octal(options.pattern))
        return f"{_BEFORE}{user}\n{found}{_ADD_UP}"

    @staticmethod
    def read(section: Section, options: ProcessOptions) -> Look:
        """Count, share and bytes."""
        if (printed := _PRINTED.search(section.text)) is not None and section.exit_code == 0:
            try:
                return _judged(options, int(printed[1]), float(printed[2]), float(printed[3]))
            except ValueError:
                pass  # dots in the wrong places: told below
        words = "no answer in time" if section.timed_out else one_line(section.text) or f"exit {section.exit_code}"
        return told(Verdict.UNKNOWN, f"no list of processes: {words}", evidence=section.text)

    @staticmethod
    def look(options: ProcessOptions) -> Look:
        """The same of this machine."""
        import psutil

        if (stranger := _stranger(options.user)) is not None:
            return told(Verdict.UNKNOWN, f"no list of processes: no such user: {stranger}")
        now, count, cpu, memory = SystemClock().now() / MICROSECONDS, 0, 0.0, 0.0
        for process in psutil.process_iter():
            try:
                with process.oneshot():
                    if process.status() == psutil.STATUS_ZOMBIE or not _fits(process, options):
                        continue
                    times, age = process.cpu_times(), now - process.create_time()
                    count, memory = count + 1, memory + process.memory_info().rss
                    cpu += (times.user + times.system) / age if age > 0 else 0.0
            except psutil.Error:
                continue  # it ended while we looked
        return _judged(options, count, cpu, memory)


def _stranger(user: str | None) -> str | None:
    try:
        if user is not None and not user.isdigit():
            pwd.getpwnam(user)
    except KeyError:
        return user
    return None


def _fits(process: "psutil.Process", options: ProcessOptions) -> bool:
    if options.user is not None and options.user not in {process.username(), str(process.uids().real)}:
        return False
    if options.pattern is None:
        return process.name()[:_COMM] == (options.name or "")[:_COMM]
    lines = " ".join(process.cmdline()).rstrip(" ").split("\n")  # as grep reads them on other hosts
    return any(is_found(options.pattern, line) for line in lines)


def _judged(options: ProcessOptions, count: int, cpu: float, memory: float) -> Look:
    what = one_line(options.name or options.pattern or "", 60) + (f" of {options.user}" if options.user else "")
    metrics = {"count": float(count), "cpu": cpu, "memory": memory}
    if count == 0:
        return told(Verdict.CRITICAL, f"{what}: not running", metrics=metrics)
    plural = "es" if count > 1 else ""
    return told(
        Verdict.OK,
        f"{what}: {count} process{plural}, {spell_bytes(memory)}, {cpu:.0%} of a core",
        metrics=metrics,
    )


def _octal(text: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in text.encode())


_BEFORE = "LC_ALL=C; export LC_ALL\ncd /proc || exit 3\n"
_UID = 'uid=$(id -u {user} 2>/dev/null) || uid={user}\ncase $uid in *[!0-9]*) echo "no such user: $uid"; exit 3;; esac'
_BY_NAME = "pids=$(grep -lxF -e {comm} [0-9]*/status 2>/dev/null | sed 's/[^0-9]//g')\n"
# The pattern travels in octal and reaches grep by a pipe, so that no process of ours has it in its command line.
_BY_PATTERN = """pids=$(head -c 4096 [0-9]*/cmdline 2>/dev/null | tr '\\000' ' ' | sed 's/ *$//' | grep -aE -f /dev/fd/3 3<<END |
^==> [0-9]+/cmdline <==\\$
$(printf '{octal}')
END
sed -n '/^==> [0-9]*\\/cmdline <==$/{{h;d;}};g;s/[^0-9]//gp' | sort -u)
"""
# proc_pid_status(5) for the owner, proc_pid_stat(5) for the rest, fields counted after the name in parentheses:
# 1 state, 12 and 13 processor time, 20 start, 22 resident pages.
_ADD_UP = """set --
for pid in $pids; do set -- "$@" "$pid/status" "$pid/stat"; done
[ $# -gt 0 ] || { echo found 0 0 0; exit 0; }
read -r up rest < uptime
tick=$(getconf CLK_TCK 2>/dev/null || echo 100)
page=$(getconf PAGESIZE 2>/dev/null || echo 4096)
cat "$@" 2>/dev/null | awk -v "uid=$uid" -v "up=$up" -v "tick=$tick" -v "page=$page" '
/^Uid:/ { owner = $2 }
/^[0-9]+ \\(.*\\) [A-Za-z] / {
  sub(/^.*\\) /, "")
  if ($1 != "Z" && $1 != "X" && (uid == "" || owner == uid)) {
    count++; age = up - $20 / tick; pages += $22
    if (age > 0) cpu += ($12 + $13) / tick / age
  }
}
END { printf "found %d %.4f %.0f\\n", count, cpu, pages * page }'
"""

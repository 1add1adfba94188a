"""Nagios 4 and Icinga 2 with nothing but many cheap checks: their configuration, and how they are started and ended.

The plugin is a static C program that appends one byte to a file: as cheap as a program can be, and it counts itself,
which no status file of theirs does exactly. Notifications, performance data, external commands and logs are off.
"""

import contextlib
import dataclasses
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from benchmarks.measuring import missing

SOURCE = """\
#include <fcntl.h>
#include <unistd.h>
int main() {
    int file = open(COUNT, O_WRONLY | O_APPEND | O_CREAT, 0666);
    return write(file, "x", 1) != 1 || write(1, "OK\\n", 3) != 3;
}
"""
ALL_DAY = "\n".join(
    f" {day} 00:00-24:00" for day in ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
)
NAGIOS_OBJECTS = f"""\
define command {{
 command_name cheap
 command_line %(plugin)s
}}
define timeperiod {{
 timeperiod_name always
 alias always
{ALL_DAY}
}}
define contact {{
 contact_name nobody
 host_notifications_enabled 0
 service_notifications_enabled 0
 host_notification_period always
 service_notification_period always
 host_notification_commands cheap
 service_notification_commands cheap
}}
define host {{
 name any-host
 register 0
 address 127.0.0.1
 active_checks_enabled 0
 max_check_attempts 3
 contacts nobody
 check_period always
 notification_period always
}}
define service {{
 name any-service
 register 0
 check_command cheap
 check_interval 1
 retry_interval 1
 max_check_attempts 3
 contacts nobody
 check_period always
 notification_period always
}}
"""
NAGIOS = """\
cfg_file=%(folder)s/objects.cfg
log_file=%(folder)s/nagios.log
object_cache_file=%(folder)s/objects.cache
precached_object_file=%(folder)s/objects.pre
status_file=%(folder)s/status.dat
status_update_interval=15
lock_file=%(folder)s/lock
temp_file=%(folder)s/temp
temp_path=%(folder)s
check_result_path=%(folder)s
state_retention_file=%(folder)s/retention.dat
command_file=%(folder)s/nagios.cmd
query_socket=%(folder)s/nagios.qh
nagios_user=root
nagios_group=root
interval_length=%(every)d
check_external_commands=0
log_initial_states=0
log_passive_checks=0
use_syslog=0
execute_service_checks=1
enable_notifications=0
service_check_timeout=60
max_service_check_spread=1
service_inter_check_delay_method=s
service_interleave_factor=s
use_large_installation_tweaks=1
auto_reschedule_checks=0
"""
ICINGA = """\
const MaxConcurrentChecks = 512
include <itl>
object CheckerComponent "checker" {}
object IcingaApplication "app" { enable_perfdata = false, enable_notifications = false }
object CheckCommand "cheap" { command = [ "%(plugin)s" ] }
for (i in range(%(hosts)d)) {
  object Host "h" + i { check_command = "dummy", enable_active_checks = false }
}
for (i in range(%(each)d)) {
  apply Service "s" + i {
    check_command = "cheap"
    check_interval = %(every)ds
    retry_interval = %(every)ds
    max_check_attempts = 3
    assign where true
  }
}
"""
ICINGA_FOLDERS = {
    "DataDir": "data", "LogDir": "log", "CacheDir": "cache", "SpoolDir": "spool", "InitRunDir": "run",
    "StatePath": "data/state", "ModAttrPath": "data/changes", "ObjectsPath": "cache/objects", "VarsPath": "cache/vars",
    "PidPath": "run/pid",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """So many checks on each of so many hosts, every so many seconds."""

    hosts: int
    each: int
    every: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """A scheduler to compare with: `command` lays it out in a folder, with that plugin, and says how to start it."""

    name: str
    program: str
    package: str
    command: Callable[[Path, Path, Load], list[str]]

    def missing(self) -> str | None:
        """What to install, None when all is here."""
        return missing(self.program, self.package) or missing("cc", "gcc libc6-dev")


def plugin(folder: Path) -> Path:
    """The plugin, which counts its runs in the file `count` beside it; there is one run already, to prove that it works."""
    source, program = folder / "plugin.c", folder / "plugin"
    source.write_text(SOURCE)
    subprocess.run(["cc", "-O2", "-static", f'-DCOUNT="{folder}/count"', "-o", str(program), str(source)], check=True)
    subprocess.run([str(program)], check=True, stdout=subprocess.DEVNULL)
    return program


def _nagios(folder: Path, plugin: Path, load: Load) -> list[str]:
    hosts = (f"define host {{\n use any-host\n host_name h{host}\n}}\n" for host in range(load.hosts))
    services = (
        f"define service {{\n use any-service\n host_name h{host}\n service_description s{number}\n}}\n"
        for host in range(load.hosts)
        for number in range(load.each)
    )
    (folder / "objects.cfg").write_text("".join([NAGIOS_OBJECTS % {"plugin": plugin}, *hosts, *services]))
    (folder / "nagios.cfg").write_text(NAGIOS % {"folder": folder, "every": load.every})
    return ["/usr/sbin/nagios4", str(folder / "nagios.cfg")]


def _icinga(folder: Path, plugin: Path, load: Load) -> list[str]:
    for name in ("data/api", "log", "cache", "spool", "run"):
        (folder / name).mkdir(parents=True)
    (folder / "icinga2.conf").write_text(ICINGA % {"plugin": plugin, **dataclasses.asdict(load)})
    constants = [f"{name}={folder}/{place}" for name, place in ICINGA_FOLDERS.items()]
    given = [word for one in [*constants, "RunAsUser=root", "RunAsGroup=root"] for word in ("-D", one)]
    return ["/usr/sbin/icinga2", "daemon", "-c", str(folder / "icinga2.conf"), "-x", "warning", *given]


NAGIOS_4 = Peer(name="Nagios 4", program="/usr/sbin/nagios4", package="nagios4-core", command=_nagios)
ICINGA_2 = Peer(name="Icinga 2", program="/usr/sbin/icinga2", package="icinga2-bin", command=_icinga)


class Tree:
    """A daemon with all its processes, those that it forked off twice as well."""

    def __init__(self, child: psutil.Popen) -> None:
        self._child = child

    def cpu_seconds(self) -> float:
        """Of all that live, and of all that they saw the end of."""
        return sum(map(_cpu_seconds, self._living()))

    def megabytes(self) -> float:
        """Memory of its own and its share of what is shared (PSS)."""
        return sum(map(_megabytes, self._living()))

    def end(self) -> None:
        """End every process: a launcher's end is not the end of what it launched."""
        found = self._living()
        with contextlib.suppress(psutil.NoSuchProcess):
            self._child.terminate()
        _, left = psutil.wait_procs(found, timeout=20)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._child.wait()

    def is_over(self) -> bool:
        """Whether it ended by itself."""
        return self._child.poll() is not None

    def _living(self) -> list[psutil.Process]:
        try:
            return [self._child, *self._child.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0  # a plugin that just ended: its parent has its time by now
    return float(times.user + times.system + times.children_user + times.children_system)


def _megabytes(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss / 1e6)
    except psutil.NoSuchProcess:
        return 0.0


@contextlib.contextmanager
def started(argv: list[str], log: Path) -> Iterator[Tree]:
    """A daemon for as long as the block lasts."""
    with log.open("wb") as output:
        tree = Tree(psutil.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True))
        try:
            yield tree
        finally:
            tree.end()

"""What the probes of a machine's own figures (cpu, swap, uptime, inodes, clock) make of what the kernel printed."""

import pytest

from agent.checks.clock import ClockOptions, HostClock
from agent.checks.cpu import Cpu, CpuOptions
from agent.checks.inodes import Inodes, InodesOptions
from agent.checks.swap import Swap, SwapOptions
from agent.checks.uptime import Uptime, UptimeOptions
from agent.model.look import Section, Verdict

BOOT = "d53c1a1a-5a4c-4b8e-9f5e-6a3f1c1f2b3d"


def printed(text: str, exit_code: int = 0) -> Section:
    return Section(text=text, exit_code=exit_code)


@pytest.mark.parametrize(
    ("sooner", "later", "shares"),
    [
        ("100 0 100 800 0 0 0 0 0 0", "110 0 110 880 0 0 0 0 0 0", (0.2, 0.0, 0.0)),
        ("0 0 0 0 0 0 0 0 0 0", "10 10 10 40 20 2 3 5 10 0", (0.4, 0.2, 0.05)),  # guests count in user already
        ("5 5 5 5 90 0 0 0 0 0", "5 5 5 15 80 0 0 0 0 0", (0.0, 0.0, 0.0)),  # iowait went back
        ("1 1 1 1", "2 2 2 2", (0.75, 0.0, 0.0)),  # a kernel older than iowait
        ("0 0 0 7 0 0 0 0", "9 0 0 7 0 0 0 0", (1.0, 0.0, 0.0)),
    ],
)
def test_processors_are_as_busy_as_their_counters_gained(
    sooner: str, later: str, shares: tuple[float, float, float]
) -> None:
    look = Cpu.read(printed(f"cpu  {sooner}\ncpu  {later}\n"), CpuOptions())
    assert look.verdict is Verdict.OK
    assert tuple(look.metrics.values()) == pytest.approx(shares)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sh: /proc/stat: not found",
        "cpu  1 2 3 4\n",
        "cpu  1 2 3 4\ncpu  1 2 3 4\n",
        "cpu  1 2 3 4\ncpu  2 2 3 4 5\n",
    ],
)
def test_without_two_readings_that_differ_nobody_knows_how_busy(text: str) -> None:
    assert Cpu.read(printed(text), CpuOptions()).verdict is Verdict.UNKNOWN


def test_what_was_read_last_time_is_what_is_compared_with() -> None:
    first = Cpu.read(printed("cpu  0 0 0 0\ncpu  10 0 0 90\n"), CpuOptions())
    second = Cpu.read(printed("cpu  40 0 0 160\n"), CpuOptions(), first.memory)
    assert second.metrics["used"] == pytest.approx(0.3)
    rebooted = Cpu.read(printed("cpu  1 0 0 1\n"), CpuOptions(), second.memory)
    assert rebooted.metrics["used"] == pytest.approx(0.5)
    assert "sleep" in Cpu.script(CpuOptions())
    assert "sleep" not in Cpu.script(CpuOptions(), first.memory)


def test_swap_is_used_as_the_table_says_and_not_at_all_where_there_is_none() -> None:
    half = Swap.read(printed("SwapCached: 0 kB\nSwapTotal:  2000 kB\nSwapFree:  1000 kB\n"), SwapOptions())
    assert half.metrics == {"used": 0.5, "free": 1_024_000}
    none = Swap.read(printed("SwapTotal: 0 kB\nSwapFree: 0 kB\n"), SwapOptions())
    assert (none.verdict, none.summary, none.metrics["used"]) == (Verdict.OK, "this machine has no swap", 0.0)
    assert Swap.read(printed("SwapTotal: 5 kB\n"), SwapOptions()).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(59.5, "up for 0 min 59 s"), (3599.0, "up for 59 min 59 s"), (7260.0, "up for 2 h 1 min"), (90000.0, "up for 1 d 1 h")],
)  # fmt: skip
def test_the_time_since_the_start_is_told_with_the_id_of_this_boot(seconds: float, words: str) -> None:
    look = Uptime.read(printed(f"{seconds:.2f} 12.00\n{BOOT}\n"), UptimeOptions())
    assert (look.verdict, look.summary) == (Verdict.OK, words)
    assert look.metrics == {"uptime": seconds, "booted": BOOT}


@pytest.mark.parametrize("text", ["", "1.00 2.00\n", f"x 2.00\n{BOOT}\n", "1.00 2.00\nnot-an-id\n"])
def test_without_both_files_nobody_knows_since_when(text: str) -> None:
    assert Uptime.read(printed(text), UptimeOptions()).verdict is Verdict.UNKNOWN


DF = """\
Filesystem     Type   Inodes  IUsed    IFree IUse% Mounted on
/dev/vda       ext4 16777216 455361 16321855    3% /
/dev/vdb       ext4     1000   1000        0  100% /srv/mail
/dev/vdc       btrfs       0      0        0     - /data
//server/share cifs        -      -        -     - /mnt/my share
"""


def test_inodes_are_counted_where_there_is_a_fixed_number_of_them() -> None:
    look = Inodes.read(printed(DF), InodesOptions(match=("all",)))
    assert {name: one.summary for name, one in look.instances.items()} == {
        "/": "/: 3% used, 16,321,855 inodes free",
        "/srv/mail": "/srv/mail: 100% used, 0 inodes free",
    }
    assert (look.verdict, look.summary) == (Verdict.CRITICAL, "/srv/mail: 100% used, 0 inodes free")


def test_a_path_on_a_file_system_without_that_limit_is_fine() -> None:
    line = "\n".join([DF.splitlines()[0], DF.splitlines()[3]])
    look = Inodes.read(printed(line), InodesOptions(path="/data/x"))
    assert (look.verdict, look.instances["/data/x"].metrics) == (Verdict.OK, {"used": 0.0})


CLOCKED = 1_800_000_000_000_000  # microseconds


@pytest.mark.parametrize(
    ("shown", "offset", "words"),
    [
        ("1800000000.100000000", 0.0, "shows the agent's time"),
        ("1800000000.000000000", 0.0, "shows the agent's time"),
        ("1800000002.200000000", 2.0, "2.0 s ahead"),
        ("1799999999.500000000", 0.5, "500 ms behind"),
        ("1800010000.%N", 9999.8, "3 h ahead"),  # busybox knows whole seconds alone
        ("1799999999.%N", 0.0, "shows the agent's time"),
        ("1799999998.N", 1.0, "1.0 s behind"),
        ("0.000000001", 1.8e9, "20833 d behind"),
    ],
)
def test_a_clock_is_wrong_by_what_no_slow_line_explains(shown: str, offset: float, words: str) -> None:
    section = Section(text=f"now {shown}\n", exit_code=0, asked_us=CLOCKED, answered_us=CLOCKED + 200_000)
    look = HostClock.read(section, ClockOptions())
    assert (look.verdict, look.summary) == (Verdict.OK, words)
    assert look.metrics == {"offset": pytest.approx(offset, abs=1e-6)}


@pytest.mark.parametrize(
    ("said", "synchronized"),
    [
        ("NTPSynchronized=yes", "yes"),
        ("NTPSynchronized=no", "no"),
        ("    status:       0x2001 (PLL)", "yes"),
        ("-S  status: 0x40 (UNSYNC)", "no"),
        ("sh: adjtimex: not found", None),
    ],
)
def test_a_clock_is_kept_right_when_its_system_says_so(said: str, synchronized: str | None) -> None:
    section = Section(text=f"now 1800000000.100000000\n{said}\n", exit_code=0, asked_us=CLOCKED, answered_us=CLOCKED)
    assert HostClock.read(section, ClockOptions()).metrics.get("synchronized") == synchronized


@pytest.mark.parametrize("text", ["", "sh: date: not found", "now soon", "now 1.5"])
def test_without_the_hosts_time_nobody_knows(text: str) -> None:
    section = Section(text=text, exit_code=0, asked_us=CLOCKED, answered_us=CLOCKED)
    assert HostClock.read(section, ClockOptions()).verdict is Verdict.UNKNOWN
    assert HostClock.read(Section(text="now 1.000000000", exit_code=0), ClockOptions()).verdict is Verdict.UNKNOWN

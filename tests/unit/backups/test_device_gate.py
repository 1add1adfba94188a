"""What a device prints is its configuration, or there is a reason why not; a part never takes the place of the whole."""

import pytest

from agent.backups.configs import gate, reading
from agent.backups.configs.gate import Expected
from agent.backups.configs.hiding import hidden
from agent.backups.configs.platforms import GENERIC, PLATFORMS, Ending, rules_for
from agent.backups.configs.reading import Configuration, Wanted
from agent.transports.device import driver_of
from tests.fakes.device_polls import KEY, polled
from tests.fakes.odd_device import PROMPT
from tests.unit.backups.recorded import FORTIOS, FRR, IOS, JUNOS, NXOS, PRINTED

SHARE = 0.3  # of the looks at least are kept: nothing of the gate's makes healthy devices fail


def expected(network_os: str, name: str = "sw1", **more: tuple[str, ...]) -> Expected:
    return Expected(rules=rules_for(network_os, driver_of(network_os)), names=(name,), **more)


def test_a_part_never_takes_the_place_of_the_whole() -> None:
    """Some hundred looks at nine kinds of devices, in most of which something goes wrong; seeded."""
    count = polled(PRINTED, looks=400, seed=20261123)
    assert not count.bad
    assert not count.missed, "a look at which nothing went wrong was refused"
    assert count.kept > SHARE * count.looks
    assert len(count.refused) >= 11, "some faults never came"


@pytest.mark.parametrize("network_os", PRINTED)
def test_a_whole_configuration_passes_and_its_noise_is_gone(network_os: str) -> None:
    """What changes by itself is left out: times, sizes, versions, who was the last to save."""
    wanted = expected(network_os)
    text = gate.tidied(PRINTED[network_os], wanted)
    assert not gate.fault(text, text, wanted)
    assert "05:" not in text
    assert "bytes" not in text


@pytest.mark.parametrize("network_os", PRINTED)
def test_every_cut_is_seen_by_its_end_or_by_the_last_good_one(network_os: str) -> None:
    """Every line end, and some bytes around it; both reads are cut alike."""
    wanted = expected(network_os)
    whole = gate.tidied(PRINTED[network_os], wanted)
    for cut in {at + off for at, letter in enumerate(whole[:-1]) if letter == "\n" for off in (-1, 0, 1, 4)}:
        text = gate.tidied(whole[: max(cut, 0)], wanted)
        if text != whole:
            assert gate.fault(text, text, wanted) or gate.shrunk(whole, text, wanted.rules), (
                f"cut at {cut}: {text[-40:]!r}"
            )


@pytest.mark.parametrize(
    ("network_os", "printed", "why"),
    [
        ("ios", "", "it printed nothing"),
        ("ios", IOS.replace("\n!\nend\n", "\n"), "its end is missing: the last line is 'password 7 <hidden:"),
        ("ios", IOS.replace("sw1", "sw2"), "it is the configuration of 'sw2', not of sw1"),
        ("ios", IOS.replace("hostname sw1\n", ""), "no line of it names the device sw1"),
        ("ios", IOS.replace("router bgp", "\n --More-- \nrouter bgp"), "its pager is on: '--More--'"),
        ("ios", IOS.replace("router bgp", "\x08\x08 router bgp"), "there is a control character"),
        ("ios", IOS.replace("router bgp", "\x1b[0mrouter bgp"), "(0x1b): its pager or its colours are on"),
        ("ios", "% Authorization failed.\n", "it complains: '% Authorization failed.'"),
        ("junos", "error: permission denied\n", "it complains"),
        ("junos", JUNOS.removesuffix("}\n"), "1 braces are not closed"),
        ("junos", JUNOS.partition("{")[2], "its beginning is missing"),
        ("junos", JUNOS.replace("ge-0/0/0 {", "---(more 40%)---\nge-0/0/0 {"), "its pager is on"),
        ("fortios", FORTIOS.removesuffix("end\n"), "1 blocks are not closed"),
        ("fortios", FORTIOS.partition("global\n")[2], "its beginning is missing"),
        ("frr", FRR.replace("end\n", "en"), "the last line is 'en'"),
        ("frr", FRR.replace("hostname sw1", f"hostname {'x' * 200}"), f"'{'x' * 80}…'"),
    ],
)
def test_what_is_wrong_is_told(network_os: str, printed: str, why: str) -> None:
    wanted = expected(network_os)
    text = gate.tidied(printed, wanted)
    told = gate.fault(text, hidden(text, wanted.rules, (), KEY), wanted)
    assert why in told
    assert "HIDE" not in told


@pytest.mark.parametrize(
    ("inventory", "configured", "names"),
    [
        ("sw1", "", ("sw1",)),
        ("SW1.example.org", "", ("sw1.example.org", "sw1")),
        ("sw1.example.org", "CORE", ("core",)),
    ],
)
def test_a_device_may_call_itself(inventory: str, configured: str, names: tuple[str, ...]) -> None:
    assert gate.names_of(inventory, configured) == names


def test_a_device_of_no_known_kind_need_not_say_its_name_but_must_not_be_another() -> None:
    wanted = Expected(rules=GENERIC, names=("sw1",))
    told = [gate.fault(text, text, wanted) for text in ("one\ntwo\n", "sysname SW1\n", "set system host-name sw9\n")]
    assert told == ["", "", "it is the configuration of 'sw9', not of sw1"]


def test_a_line_that_changes_by_itself_can_be_named() -> None:
    wanted = expected("frr", ignore=("^! uptime ",))
    assert gate.tidied(f"! uptime 5 days\n{FRR}", wanted) == gate.tidied(FRR, wanted)


class Talk:
    """A device that gives these answers, one after the other."""

    def __init__(self, *answers: str) -> None:
        self.left = list(answers)

    def prompt(self) -> str:
        return PROMPT

    def run(self, _command: str) -> str:
        return self.left.pop(0)


def read(device: Talk, *, network_os: str = "nxos", last: str = "", is_watched: bool = False) -> Configuration | str:
    wanted = Wanted(command="show", expected=expected(network_os), hide=(), key=KEY, last="", is_watched=is_watched)
    before = wanted.shown(gate.tidied(last, wanted.expected))
    return reading.read(
        device, Wanted(command="show", expected=wanted.expected, hide=(), key=KEY, last=before, is_watched=is_watched)
    )


def test_what_is_as_it_was_is_read_once_and_anything_new_twice() -> None:
    same, new = Talk(NXOS), Talk(NXOS, NXOS)
    assert isinstance(read(same, last=NXOS), Configuration)
    assert isinstance(read(new), Configuration)
    assert not same.left
    assert not new.left


def test_two_reads_must_be_the_same_also_in_their_secrets() -> None:
    other = NXOS.replace("line vty", "line vty\n  exec-timeout 5")
    assert "differ at 'exec-timeout 5'" in str(read(Talk(NXOS, other)))
    assert "HIDE" not in str(read(Talk(NXOS, NXOS.replace("HIDE-ro", "HIDE-rw"))))


def test_without_an_end_mark_a_shorter_one_waits_for_a_person_or_a_window() -> None:
    half = NXOS.partition("interface mgmt0")[0]
    why = read(Talk(half, half), last=NXOS)
    assert "its last 3 lines are others" in str(why) or "and no mark at its end" in str(why)
    assert isinstance(read(Talk(half, half), last=NXOS, is_watched=True), Configuration)
    edited = NXOS.replace("192.0.2.10/24", "192.0.2.11/24")
    assert isinstance(read(Talk(edited, edited), last=NXOS), Configuration)


def test_each_platform_that_claims_an_end_has_one() -> None:
    for rules in PLATFORMS.values():
        assert bool(rules.marker) is (rules.ending is Ending.MARKER), rules.name

"""cli: what may be asked of a device, and what is made of its answers."""

import contextlib
import time
from typing import Any

import pytest

from agent.checks.cli import Cli, CliOptions
from agent.errors import InputError
from agent.model.look import Look, Section, Unit, Verdict


def read(text: str, **options: Any) -> Look:
    given = CliOptions.model_validate({"command": "show version", **options})
    return Cli.read(Section(text=text, exit_code=0), given, "cisco_ios")


@pytest.mark.parametrize(
    "command",
    ["show version", "sh ver", "display device", "dis cpu", "get system status", "dir flash:", "ping 192.0.2.1",
     "show run | include hostname", "/system resource print", "/interface ethernet monitor ether1"],
)  # fmt: skip
def test_what_only_looks_may_be_asked(command: str) -> None:
    assert Cli.command(CliOptions(command=command)) == command


@pytest.mark.parametrize(
    "command",
    ["", "show", "configure terminal", "conf t", "reload", "write memory", "no shutdown", "delete flash:x", "clear counters",
     "show version\nreload", "show version\x00", "show run | redirect flash:x", "show run | append flash:x", "show run |tee x",
     "show run > x", "/system reboot", "request system reboot", "shutdown", "set system x", "shell", "disable", "getx y"],
)  # fmt: skip
def test_what_may_change_something_is_refused(command: str) -> None:
    with pytest.raises(ValueError, match=r"only looks|writes what"):
        CliOptions(command=command)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"find": "x"}, "has no group"),
        ({"find": "(x"}, "not a pattern"),
        ({"find": "(x)", "columns": {"a": "b"}}, "not both"),
        ({"where": {"a": "b"}}, "need columns"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        CliOptions.model_validate({"command": "show version", **options})


def test_what_is_found_is_a_number_or_a_word() -> None:
    text = "CPU utilization for five seconds: 7%/0%; one minute: 6.5%\nrouter uptime is 3 weeks"
    look = read(text, find=r"five seconds: (?P<cpu>\d+)%.*one minute: (?P<minute>[0-9.]+)%|uptime is (?P<up>.*)")
    assert look.metrics == {"cpu": 7.0, "minute": 6.5}
    assert look.units == {"cpu": Unit.NUMBER, "minute": Unit.NUMBER}
    assert read(text, find="uptime is (.*)").metrics == {"value": "3 weeks"}


def test_what_is_not_found_is_critical() -> None:
    look = read("all quiet", find=r"temperature (\d+)")
    assert (look.verdict, look.summary) == (Verdict.CRITICAL, "nothing matches 'temperature (\\\\d+)'")


@pytest.mark.parametrize(
    "text",
    ["% Invalid input detected at '^' marker.", "     ^\nunknown command.", "syntax error, expecting <command>.",
     "Error: Unrecognized command", "% Unknown command: show x", "bad command name x"],
)  # fmt: skip
def test_a_device_that_does_not_understand_is_unknown(text: str) -> None:
    if text.startswith("Error:"):
        text = text.removeprefix("Error: ")
    assert read(text).verdict is Verdict.UNKNOWN


def test_a_log_full_of_messages_is_no_complaint() -> None:
    assert read("%LINK-3-UPDOWN: Interface Gi0/1, changed state to up").verdict is Verdict.OK


def test_a_command_without_a_template_is_told() -> None:
    with pytest.raises(InputError, match="no template makes rows"):
        read("x", command="show nothing-of-the-kind", columns={"a": "b"})


def test_a_column_that_the_template_does_not_have_is_told() -> None:
    text = "Protocol  Address          Age (min)  Hardware Addr   Type   Interface\nInternet  10.0.0.1 5 0011.2233.4455  ARPA   Vlan1"
    with pytest.raises(InputError, match="no column 'nonsense'"):
        read(text, command="show ip arp", columns={"a": "nonsense"})


def test_rows_are_narrowed_and_named() -> None:
    text = (
        "Protocol  Address          Age (min)  Hardware Addr   Type   Interface\n"
        "Internet  10.0.0.1                5   0011.2233.4455  ARPA   Vlan1\n"
        "Internet  10.0.0.2               77   0011.2233.4466  ARPA   Vlan2\n"
    )
    options: dict[str, Any] = {"command": "show ip arp", "columns": {"age": "AGE"}, "where": {"INTERFACE": "^Vlan2$"}}
    look = read(text, **options, instance="IP_ADDRESS")
    assert {name: dict(one.metrics) for name, one in look.instances.items()} == {"10.0.0.2": {"age": 77.0}}
    assert read(text, **{**options, "where": {"INTERFACE": "^Vlan9$"}}).summary == "no row matches"


def test_what_a_device_prints_is_made_plain() -> None:
    look = read("\x1b[31mred\u202e alert\x07 (99)", find=r"\((\d+)\)")
    assert look.evidence.isprintable()
    assert look.metrics == {"value": 99.0}


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("show version", "uptime is " * 5_000),
        ("show aliases", "a" * 50_000),
        ("show authentication sessions", "1a " * 10_000),
        ("show ip ospf neighbor detail", "LLS Options is " * 500),
    ],
)
def test_a_line_made_to_be_searched_for_hours_is_read_at_once(command: str, text: str) -> None:
    """The library's own patterns backtrack over the first of them for half a minute, over the others for ever."""
    with contextlib.suppress(InputError):
        read("x", command=command, columns={"a": "b"})  # the index of templates is read once
    begun = time.process_time()
    with contextlib.suppress(InputError):
        read(text, command=command, columns={"a": "b"})
    assert time.process_time() - begun < 2


def test_more_rows_than_anybody_watches_are_no_instances() -> None:
    text = "".join(f"Internet  10.0.{n // 250}.{n % 250}  5  0011.2233.4455  ARPA  Vlan1\n" for n in range(1_001))
    look = read(text, command="show ip arp", columns={"age": "age"}, instance="ip_address")
    assert (look.verdict, len(look.instances)) == (Verdict.UNKNOWN, 0)
    assert "1,001 rows" in look.summary

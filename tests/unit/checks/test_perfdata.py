"""Nagios plugin output, by the vectors of the developer guidelines, nagioscore and Icinga 2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.checks.perfdata import alerts, parse
from agent.model.look import Unit


@pytest.mark.parametrize(
    ("data", "metrics"),
    [
        ("load1=0.010;5.000;9.000;0;", {"load1": (0.010, Unit.NUMBER)}),
        ("time=0.002722s;;;0.000000;10.000000 size=10701B;;;0", {"time": (0.002722, Unit.SECONDS), "size": (10701, Unit.BYTES)}),
        ("rta=0.5ms loss=20%;1;2", {"rta": (0.0005, Unit.SECONDS), "loss": (0.2, Unit.SHARE)}),
        ("t=12us n=3ns m=2m", {"t": (12e-6, Unit.SECONDS), "n": (3e-9, Unit.SECONDS), "m": (120, Unit.SECONDS)}),
        ("/=2643MB;5948;5958;0;5968", {"/": (2643e6, Unit.BYTES)}),
        ("a=1KB b=1kB c=1KiB d=2TB", {"a": (1e3, Unit.BYTES), "b": (1e3, Unit.BYTES), "c": (1024, Unit.BYTES), "d": (2e12, Unit.BYTES)}),
        ("in=123456c", {"in": (123456, Unit.NUMBER)}),
        ("bits=8b temp=20C", {"bits": (8, Unit.NUMBER), "temp": (20, Unit.NUMBER)}),
        ("'free space'=1GB 'it''s'=1", {"free space": (1e9, Unit.BYTES), "it's": (1, Unit.NUMBER)}),
        ("a=1 b=-3.5;@10:20;~:30 c=+1.E-1", {"a": (1, Unit.NUMBER), "b": (-3.5, Unit.NUMBER), "c": (0.1, Unit.NUMBER)}),
        ("a=b=3", {"a=b": (3, Unit.NUMBER)}),
        ("ping::rta=1ms loss=2%", {"ping::rta": (0.001, Unit.SECONDS), "ping::loss": (0.02, Unit.SHARE)}),
        ("a=U b=1,5 c= d=x e=nan f=inf g=1e999 =5 h", {}),
        ("'never closed=1", {}),
        ("a=1 a=2", {"a": (2, Unit.NUMBER)}),
    ],
)  # fmt: skip
def test_performance_data_becomes_metrics_with_units(data: str, metrics: dict[str, tuple[float, Unit]]) -> None:
    output = parse(f"OK - fine | {data}")
    assert output.text == "OK - fine"
    assert dict(output.metrics) == pytest.approx({name: value for name, (value, _) in metrics.items()})
    assert dict(output.units) == {name: unit for name, (_, unit) in metrics.items()}


@pytest.mark.parametrize(
    ("printed", "text", "long_text", "names"),
    [
        ("", "", "", []),
        ("OK", "OK", "", []),
        ("\nOK\nmore\n", "OK", "more", []),
        (
            "OK | /=1\nlong 1\nlong 2 | /boot=2\n/home=3\n/var=4",
            "OK",
            "long 1\nlong 2",
            ["/", "/boot", "/home", "/var"],
        ),
        ("OK | a=1\nl1 | b=2\nl2 | c=3", "OK", "l1 \nl2", ["a", "b", "c"]),
        ("OK | a=1\nl1\nl2", "OK", "l1\nl2", ["a"]),
        ("| a=1", "", "", ["a"]),
    ],
)
def test_text_and_data_are_told_apart(printed: str, text: str, long_text: str, names: list[str]) -> None:
    output = parse(printed)
    assert (output.text, output.long_text, list(output.metrics)) == (text, long_text, names)


def test_endless_quotes_take_no_time_and_endless_metrics_are_cut() -> None:
    assert parse("OK |" + "'" * 60_000).metrics == {}
    assert len(parse("OK |" + " ".join(f"m{number}=1" for number in range(9_000))).metrics) == 256


@given(st.text(st.sampled_from("|='; \na1.U:%B"), max_size=60))
def test_whatever_is_printed_every_metric_has_a_unit(printed: str) -> None:
    output = parse(printed)
    assert output.metrics.keys() == output.units.keys()


def test_the_ranges_of_a_plugin_tell_which_value_made_the_verdict() -> None:
    output = parse(
        "WARNING | load1=2.5;1;9;0; 'free space'=3GB;10:;@2:4 rta=5ms;;; pl=7% odd=1;x;nan b=5;5;2:1;; c=6;5"
    )
    assert alerts(output).splitlines() == [
        "load1 is 2.5: warning by its range 1",
        "free space is 3GB: critical by its range @2:4",
        "c is 6: warning by its range 5",
    ]
    assert alerts(parse("OK")) == ""

"""What port and file make of what a host printed: addresses as the kernel writes them, stat's line, and none of both."""

import pytest
from pydantic import ValidationError

from agent.checks.file import File, FileOptions
from agent.checks.port import ListeningPort, PortOptions
from agent.model.look import Section, Verdict

V4, ALL4 = "0100007F:0016", "00000000:0016"
V6, ALL6 = "00000000000000000000000001000000:0016", "00000000000000000000000000000000:0016"
MAPPED = "0000000000000000FFFF0000010200C0:0016"


def printed(*lines: str, end: str = "all was read\n") -> Section:
    return Section(text="".join(f"{line}\n" for line in lines) + end, exit_code=0)


@pytest.mark.parametrize(
    ("lines", "address", "verdict", "addresses"),
    [
        ([V4], None, "ok", "127.0.0.1"),
        ([V4, V4, V6], None, "ok", "127.0.0.1 ::1"),
        ([ALL4], "192.0.2.1", "ok", "0.0.0.0"),  # noqa: S104  # read, not bound to
        ([ALL4], "2001:db8::1", "critical", "0.0.0.0"),  # noqa: S104  # as above
        ([ALL6], "192.0.2.1", "ok", "::"),
        ([ALL6], "2001:db8::1", "ok", "::"),
        ([MAPPED], "192.0.2.1", "ok", "192.0.2.1"),
        ([V4], "192.0.2.1", "critical", "127.0.0.1"),
    ],
)
def test_a_port_listens_on_what_it_is_bound_to(
    lines: list[str], address: str | None, verdict: str, addresses: str
) -> None:
    look = ListeningPort.read(printed(*lines), PortOptions(port=22, address=address))
    assert look.verdict == verdict
    assert look.metrics == {"listening": "up", "addresses": addresses}


@pytest.mark.parametrize("section", [printed(V4, end=""), printed("awk: cannot open /proc/net/tcp", end="")])
def test_half_a_table_of_sockets_is_none(section: Section) -> None:
    assert ListeningPort.read(section, PortOptions(port=22)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("found 1000 5 940 644 root adm regular empty file\n", "ok"),
        ("found 1000 5 2000 4755 root UNKNOWN regular file\n", "ok"),
        ("stat: can't stat '/x': No such file or directory\n", "critical"),
        ("stat: cannot statx '/x': Permission denied\n", "unknown"),
        ("sh: stat: not found\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_file_is_what_stat_says(text: str, verdict: str) -> None:
    assert File.read(Section(text=text, exit_code=0), FileOptions(path="/x")).verdict == verdict


def test_a_file_changed_in_the_future_is_new() -> None:
    look = File.read(
        Section(text="found 1000 5 2000 4755 root adm regular file\n", exit_code=0), FileOptions(path="/x")
    )
    assert (look.metrics["age"], look.metrics["mode"]) == (0.0, "4755")


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (FileOptions, {"path": "relative"}),
        (FileOptions, {"path": "/a\nb"}),
        (FileOptions, {"path": "/a", "exists": "false", "sha256": "true"}),
        (PortOptions, {"port": "0"}),
        (PortOptions, {"port": "22", "protocol": "sctp"}),
        (PortOptions, {"port": "22", "address": "localhost"}),
    ],
)
def test_options_of_ports_and_files_that_make_no_sense_are_refused(
    model: type[FileOptions | PortOptions], options: dict[str, str]
) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(options)

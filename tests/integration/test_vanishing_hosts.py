"""The last of the hostile peers: a host that is gone in the middle of a look. The others are served."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.bounds import bounded
from tests.lab.lab import Lab
from tests.lab.sshd import Sshd
from tests.lab.stage import Stage

SERVER = r"""
import pathlib, socket
listening = socket.create_server(("", 8099))
while True:
    connection, _ = listening.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    pathlib.Path("/run/wk-web").touch()
    held = connection
"""


@pytest.fixture
def stage(tmp_path: Path, sshd: Sshd) -> Iterator[Stage]:
    with Stage(tmp_path, sshd) as stage:
        yield stage


@pytest.mark.lab
def test_a_host_that_vanishes_in_mid_tick_costs_its_own_time_alone(lab: Lab, stage: Stage) -> None:
    there = lab.hosts[1]
    there.exec(f"systemd-run --quiet --unit=wk-half --collect python3 -c {shlex.quote(SERVER)}")
    there.exec("until ss -ltn | grep -q :8099; do sleep 0.01; done")
    gone = stage.real("gone", there, vanishes=True)
    stage.expect(
        "critical", "did not finish in time|timed out", "command", gone, command="touch /run/wk-asked; sleep 30"
    )
    stage.expect("critical", "no answer within 1 s", "http", url=f"http://{there.address}:8099/")
    stage.expect("ok", "^beside it$", "command", stage.real("beside", lab.hosts[0]), command="echo beside it")
    stage.neighbours()

    def vanish() -> None:
        there.exec("until [ -e /run/wk-asked -a -e /run/wk-web ]; do sleep 0.01; done")
        there.cut()

    stage.during = vanish
    try:
        with bounded(stage.seconds + 10.0):
            found = stage.look()
        for case in (*stage.cases, *stage.healthy):
            found.judged(case)
    finally:
        there.join()
        there.exec("systemctl stop wk-half; rm -f /run/wk-asked /run/wk-web")

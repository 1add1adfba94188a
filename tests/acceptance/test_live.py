"""`status --watch` on a terminal of 80 columns: the picture fits, and what an operator looks for first is in it."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import pytest

from tests.acceptance.shell import WATCHKEEPER, Shell
from tests.acceptance.world import World


@pytest.fixture
def shell(world: World) -> Shell:
    long = "a remark so long that it does not fit beside anything else on a narrow terminal"
    world.policy("shop", checks={"back-door": world.check(title=long)})
    shell = Shell("--config", str(world.config), folder=world.folder)
    shell.runs("run", "--once", code=1)
    return shell


@pytest.mark.usefixtures("shell")
def test_the_picture_keeps_states_and_hosts_on_a_narrow_terminal(world: World) -> None:
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    words = [str(WATCHKEEPER), "--config", str(world.config), "status", "--watch"]
    with subprocess.Popen(words, stdout=its, stderr=its, env={**os.environ, "TERM": "xterm"}) as program:
        os.close(its)
        told = b""
        while b"INC0000001" not in told:
            told += os.read(ours, 65_536)
        program.send_signal(signal.SIGINT)
        assert program.wait(timeout=30) == 130
    os.close(ours)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told.decode()).splitlines()
    (line,) = {line.rstrip() for line in lines if "back-door" in line}
    assert line.split()[:3] == ["critical", "shop/checks/back-door", "here"]
    assert max(map(len, lines)) <= 80
    assert any("the daemon is not running" in line for line in lines)


def test_a_picture_is_no_document(shell: Shell) -> None:
    assert "watch watchkeeper status --json" in shell.types("status", "--watch", "--json", code=2)

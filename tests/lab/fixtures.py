"""The fixtures `lab` (two real hosts) and `sshd` (a plain one on loopback): each test process builds its own, once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab, running_lab, what_is_missing
from tests.lab.sshd import Sshd, running_sshd


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two hosts with systemd and sshd; ask for it in tests marked `lab`, and leave the hosts as you found them."""
    if missing := what_is_missing():
        pytest.skip(f"no lab on this machine ({missing})")
    with running_lab(tmp_path_factory.mktemp("lab")) as built:
        yield built


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A plain sshd of the current user on a loopback address."""
    if not Path("/usr/sbin/sshd").exists():
        pytest.skip("no sshd on this machine")
    with running_sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running

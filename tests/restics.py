"""Every restic the suite is to run against: WATCHKEEPER_TEST_RESTIC=path:path…, else the one on PATH."""

import os
import re
import subprocess

import pytest

GIVEN = tuple(filter(None, os.environ.get("WATCHKEEPER_TEST_RESTIC", "").split(":")))
PROGRAMS = GIVEN or ("restic",)


def version_of(program: str) -> tuple[int, ...]:
    """The version a restic says it is."""
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"restic (\d+)\.(\d+)\.(\d+)", said)
    assert found, said
    return tuple(map(int, found.groups()))


def _name(program: str) -> str:
    return ".".join(map(str, version_of(program))) if GIVEN else "restic"


@pytest.fixture(scope="session", params=PROGRAMS, ids=_name)
def restic(request: pytest.FixtureRequest) -> str:
    """One restic after the other, as a program to start."""
    program: str = request.param
    return program

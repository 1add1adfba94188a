"""Which tests run in one process, one after the other: those that share what is dear to build.

By itself xdist gives every test to whichever worker is idle, and every worker builds its own servers and repositories. Its
marks for groups are lost on the way since pytest 9.2 (pytest-xdist, issue 1386), so what is shared is read from the files.
"""

import functools
import re
from pathlib import Path

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]  # it ships no types
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # as above

TOP = Path(__file__).resolve().parents[1]
_GROUP = re.compile(r'xdist_group\("(\w+)"\)')
_SHARES = re.compile(r'^@pytest\.fixture\(.*scope="(module|session|package)"', re.MULTILINE)
_SMALL = "tests/unit/"  # milliseconds each: a file at a time costs fewer messages than a test at a time


def scope_of(test: str, text: str) -> str:
    """What a test is kept together with, by its id and the text of its file: a group, its file, or nothing but itself."""
    file = test.partition("::")[0]
    if group := _GROUP.search(text):
        return group[1]
    if "pytest.mark.lab" in text:
        return "lab"
    return file if file.startswith(_SMALL) or _SHARES.search(text) else test


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # as above
    """Hands out tests by what they share, in the order of their collection: those of whole daemons come first."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid, _text(nodeid.partition("::")[0]))


@functools.cache
def _text(file: str) -> str:
    return (TOP / file).read_text(encoding="utf-8")


@pytest.hookimpl(optionalhook=True)  # without xdist there is nothing to hand out
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    """The way tests are handed out, whatever `--dist` says."""
    config.option.loadscopereorder = False
    return Sharing(config, log)

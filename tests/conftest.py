"""What holds for all tests: in CI nothing is skipped, hypothesis draws the same lots every time, one canary secret."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import canary as canaries

pytest_plugins = ("tests.lab.fixtures", "tests.restics", "tests.sharing")

# Debian has no server for S3; with one at hand its tests are there, and without it they are not (nothing is skipped).
collect_ignore = [] if os.environ.get("WATCHKEEPER_TEST_S3_SERVER") else ["integration/test_repositories_s3.py"]

IN_CI = os.environ.get("CI", "") not in ("", "0", "false")

# Derandomised: a red run is red again. No example database: a run leaves nothing in the work tree.
settings.register_profile("watchkeeper", derandomize=True, database=None, deadline=None)
settings.load_profile("watchkeeper")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """With CI=true a test that did not run is a test that failed."""
    if IN_CI and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, and CI skips nothing: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of one test into its failure."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole file into its failure."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.fixture(scope="session")
def canary() -> str:
    """The secret of this run: give it to the agent, then search for it with `tests.canary.search_canary`."""
    return canaries.make()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top folder of the repository."""
    return Path(__file__).resolve().parents[1]

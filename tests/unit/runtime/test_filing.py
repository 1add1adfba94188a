"""How a job that left nothing behind is told."""

from pathlib import Path

import pytest

from agent.runtime import filing
from agent.transports.child import Ended


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("deadline", "its time was up"),
        ("exited", "it left no result (exit code 137); what it said last is in /state/runs/01V/stderr"),
    ],
)
def test_a_job_that_left_nothing_leads_to_its_last_words(how: str, words: str) -> None:
    ended = Ended(exit_code=137, how=how, ended_at_us=0)  # type: ignore[arg-type]  # one of the words of How
    assert filing.left_nothing(ended, Path("/state/runs/01V"), {}).summary == words

"""What an incident says to type next, while it lasts."""

import pytest

from agent.cli.incident import more


@pytest.mark.parametrize(
    ("cause", "state", "typed"),
    [
        ("shop/checks/door@web1", "open", "watchkeeper check why shop/checks/door@web1"),
        ("agent/checks/reach@web1", "acknowledged", "watchkeeper check why agent/checks/reach@web1"),
        ("agent/policies/files@none", "open", "watchkeeper validate"),
        ("shop/checks/door@web1", "resolved", ""),
        ("agent/sinks/hook@none", "open", ""),
    ],
)
def test_an_incident_names_the_command_that_tells_more(cause: str, state: str, typed: str) -> None:
    assert more({"cause": cause, "state": state}) == typed

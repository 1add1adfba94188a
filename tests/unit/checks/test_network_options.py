"""What may stand behind the names of the network's probes, and what is refused at load."""

from typing import Any

import pytest
from pydantic import ValidationError

from agent.checks.ping import PingOptions


@pytest.mark.parametrize(
    "options",
    [{"count": "0"}, {"count": "101"}, {"interval": "1ms"}, {"interval": "1m"}, {"interval": "5"}, {"family": "v5"},
     {"host": "a b"}, {"host": ""}, {"count": "many"}],
)  # fmt: skip
def test_a_ping_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PingOptions.model_validate(options)

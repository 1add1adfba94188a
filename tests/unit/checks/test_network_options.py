"""What may stand behind the names of the network's probes, and what is refused at load."""

from typing import Any

import pytest
from pydantic import ValidationError

from agent.checks.dns import DnsOptions
from agent.checks.ping import PingOptions
from agent.checks.tls import TlsOptions


@pytest.mark.parametrize(
    "options",
    [{"count": "0"}, {"count": "101"}, {"interval": "1ms"}, {"interval": "1m"}, {"interval": "5"}, {"family": "v5"},
     {"host": "a b"}, {"host": ""}, {"count": "many"}],
)  # fmt: skip
def test_a_ping_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PingOptions.model_validate(options)


@pytest.mark.parametrize(
    "options",
    [{}, {"name": "a..b"}, {"name": "x", "type": "ANY"}, {"name": "x", "type": "NONSENSE"}, {"name": "x", "expect": "1.2.3"},
     {"name": "x", "type": "MX", "expect": "mail.example.org"}, {"name": "x", "servers": "localhost"},
     {"name": "x", "servers": [f"192.0.2.{number}" for number in range(11)]}, {"name": "x" * 64}],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DnsOptions.model_validate(options)


@pytest.mark.parametrize("options", [{"starttls": "ftp"}, {"host": ""}, {"name": "a b"}, {"port": "70000"}])
def test_a_handshake_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TlsOptions.model_validate(options)

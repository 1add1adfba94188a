"""What opens a web server to a probe: a bearer token (RFC 6750), or a user with a password (HTTP Basic, RFC 7617)."""

import base64
from typing import Protocol

from pydantic import Field, model_validator

from agent.checks import Target
from agent.closed import ClosedModel, SecretRef, Text

Given = SecretRef | str | None


class Opening(Protocol):
    """Options that may open a server."""

    @property
    def token(self) -> Given:
        """What is sent as it is."""

    @property
    def user(self) -> str | None:
        """Who logs in."""

    @property
    def password(self) -> Given:
        """With what."""


class Credentials(ClosedModel):
    """A token, or a user with a password."""

    token: SecretRef | Text | None = Field(default=None, repr=False, description="Bearer token")
    user: Text | None = Field(default=None, description="User to log in as (HTTP Basic)")
    password: SecretRef | Text | None = Field(default=None, repr=False, description="Password of that user")

    @model_validator(mode="after")
    def _is_one_way_in(self) -> "Credentials":
        one_way_in(self)
        return self


def one_way_in(given: Opening) -> None:
    """ValueError unless it is a token, or a user with a password, or nothing."""
    if (given.user is None) != (given.password is None):
        raise ValueError("user and password go together")
    if given.user is not None and given.token is not None:
        raise ValueError("either a token, or user and password")


def authorization(target: Target, given: Opening) -> dict[str, str]:
    """The header that shows them, {} without any; InputError, with what to type, when a secret is missing."""
    if given.token is not None:
        return {"Authorization": f"Bearer {_secret(target, given.token)}"}
    if given.password is not None:
        both = f"{given.user}:{_secret(target, given.password)}".encode()
        return {"Authorization": f"Basic {base64.b64encode(both).decode()}"}
    return {}


def _secret(target: Target, value: str | SecretRef) -> str:
    if isinstance(value, str):
        return value
    assert target.secrets is not None, "the runtime gives it"
    return target.secrets.resolve(value)

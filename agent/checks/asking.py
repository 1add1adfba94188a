"""How probes come to an SNMP agent: where it listens and what opens it, from the options and the host's variables."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator

from agent.checks import Target
from agent.checks.reading import one_line
from agent.clock import Deadline
from agent.closed import ClosedModel, Port, SecretRef, Text
from agent.errors import InputError
from agent.transports.snmp import ber
from agent.transports.snmp.session import Access, Session
from agent.transports.snmp.usm import User

VARIABLES = "snmp_"  # snmp_community, snmp_user …: in the inventory, as every setting of a host
_SHORTEST = 8  # RFC 3414, 11.2
_HINT = "set snmp_community, or snmp_user with snmp_password and snmp_privacy, in the inventory"


def _is_oid(text: str) -> str:
    ber.oid(text)
    return text.removeprefix(".")


Oid = Annotated[Text, AfterValidator(_is_oid)]
Digest = Literal["sha", "sha-224", "sha-256", "sha-384", "sha-512"]


class SnmpAccess(ClosedModel):
    """What opens an agent. Whatever is left out comes from the host's variables of the inventory."""

    host: Text | None = Field(default=None, description="Name or address of the agent; left out: the check's host")
    port: Port | None = Field(default=None, description="Its port; left out: snmp_port, else 161")
    community: Text | SecretRef | None = Field(
        default=None, repr=False, description="v2c: text, or {secret: name}; left out: snmp_community"
    )
    user: Text | None = Field(default=None, description="v3: who asks; left out: snmp_user")
    authentication: Digest | None = Field(
        default=None, description="v3: how it is signed; left out: snmp_authentication, else sha"
    )
    password: SecretRef | Text | None = Field(
        default=None, repr=False, description="v3: what it is signed with; left out: snmp_password"
    )
    privacy: SecretRef | Text | None = Field(
        default=None, repr=False, description="v3: what it is sealed with (AES-128); left out: snmp_privacy"
    )
    context: Text | None = Field(default=None, description="v3: the context; left out: snmp_context, else none")

    @field_validator("password", "privacy")
    @classmethod
    def _is_long_enough(cls, password: str | SecretRef | None) -> str | SecretRef | None:
        if isinstance(password, str) and len(password) < _SHORTEST:
            raise ValueError(f"shorter than SNMP allows: {_SHORTEST} characters")
        return password


def access_of(target: Target, given: SnmpAccess) -> Access:
    """Where and how to ask; InputError, with what to type, when something is missing."""
    settings = _settings(target.variables, given)
    address = settings.host or target.address
    if address is None:
        raise InputError("this check is about no host", hint="give it one: access: {host: …}")
    port = settings.port or 161
    if settings.user is not None:
        return Access(address=address, port=port, user=_user(target, settings, settings.user))
    if settings.community is None:
        raise InputError(f"there is no community and no user for {address}", hint=_HINT)
    return Access(address=address, port=port, community=_resolved(target, settings.community))


def session(target: Target, access: Access, deadline: Deadline) -> Session:
    """Questions to the agent over the kept line."""
    assert target.snmp is not None, "the runtime gives it"
    return Session(target.snmp, access, deadline)


def _settings(variables: Mapping[str, Any], given: SnmpAccess) -> SnmpAccess:
    written = {name: getattr(given, name) for name in given.model_fields_set}
    told = {
        name: value
        for name in SnmpAccess.model_fields
        if name != "host" and (value := variables.get(VARIABLES + name)) not in (None, "")
    }
    if "community" in written:
        told.pop("user", None)  # a policy that names a community means it
    try:
        told = {name: value if isinstance(value, Mapping) else str(value) for name, value in told.items()}
        return SnmpAccess.model_validate({**told, **written})
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        name = f"{VARIABLES}{wrong['loc'][0]}"
        raise InputError(
            f"{name}: {one_line(wrong['msg'].removeprefix('Value error, '))}", hint=f"mend {name} in the inventory"
        ) from None


def _user(target: Target, settings: SnmpAccess, name: str) -> User:
    if settings.privacy is not None and settings.password is None:
        raise InputError("snmp: privacy needs a password to sign with as well", hint=_HINT)
    return User(
        name=name,
        authentication=settings.authentication or "sha",
        password=None if settings.password is None else _resolved(target, settings.password),
        privacy=None if settings.privacy is None else _resolved(target, settings.privacy),
        context=settings.context or "",
    )


def _resolved(target: Target, value: str | SecretRef) -> str:
    if isinstance(value, str):
        return value
    assert target.secrets is not None, "the runtime gives it"
    return target.secrets.resolve(value)

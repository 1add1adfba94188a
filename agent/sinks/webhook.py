"""sink: webhook — one signed POST of JSON per event.

`X-Watchkeeper-Signature: t=SECONDS,v1=HEX` is HMAC-SHA256 (RFC 2104) with the shared secret over `SECONDS.BODY`, the
body as sent; the time lets a receiver refuse what is old. `Idempotency-Key` is the same whenever an event is repeated.
Certificates are verified, redirects are not followed. 2xx is delivered; 4xx is refused for good, except 408, 409, 425
and 429 (409: the draft for Idempotency-Key gives it to a request that is still being worked on); the rest is tried
again, as late as Retry-After asks (RFC 9110, 10.2.3).
"""

import asyncio
import email.utils
import hashlib
import hmac
import json
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from agent.clock import MICROSECONDS, Deadline
from agent.closed import ClosedModel, SecretRef, Text
from agent.errors import InputError
from agent.model.outbox import Delivered, Delivery, Message
from agent.sinks import SinkContext, document, sink

if TYPE_CHECKING:
    import httpx2

_AGAIN = frozenset({408, 409, 425, 429})
_HEARD_BYTES = 4_096  # of the answer: enough to say why not
_LONGEST_PAUSE = 3600.0  # whoever asks for more would silence an incident
_SCHEMES = ("http", "https")


class WebhookOptions(ClosedModel):
    """Where to, and what proves that it was us."""

    url: Text | SecretRef = Field(description="Where to post to, or {secret: name} when the address is the secret")
    secret: SecretRef = Field(description="The key of the signature, {secret: name}")
    ca: Text | None = Field(default=None, description="File of the authorities to trust (PEM); left out: the system's")

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str | SecretRef) -> str | SecretRef:
        return _checked(url) if isinstance(url, str) else url


def _checked(url: str) -> str:
    split = urlsplit(url)
    if split.scheme not in _SCHEMES or not split.hostname or not url.isprintable() or " " in url:
        raise ValueError("a URL is expected here, like https://hooks.example.org/in")
    _ = split.port  # raises ValueError itself when it is no port
    return url


def signature(secret: str, at_seconds: int, body: bytes) -> str:
    """The value of X-Watchkeeper-Signature."""
    digest = hmac.new(secret.encode(), f"{at_seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_seconds},v1={digest}"


@sink("webhook")
class Webhook:
    """Posts, and says what became of it. The URL may be a secret: no message repeats it."""

    OPTIONS: ClassVar = WebhookOptions

    @staticmethod
    def deliver(message: Message, options: WebhookOptions, context: SinkContext, deadline: Deadline) -> Delivered:
        """One POST; over by the deadline, whatever the other side does."""
        try:
            url = _checked(context.secrets.resolve(options.url))
        except ValueError:
            raise InputError(
                "webhook: the secret that is its url is no URL", hint="look at sinks in config.yaml"
            ) from None
        body = json.dumps(document(message, context), sort_keys=True, separators=(",", ":"))
        data = body.encode()
        now = deadline.clock.now() // MICROSECONDS
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "watchkeeper",
            "Accept-Encoding": "identity",
            "Idempotency-Key": message.key,
            "X-Watchkeeper-Signature": signature(context.secrets.resolve(options.secret), now, data),
        }
        return asyncio.run(_post(url, data, headers, _trusting(options.ca), deadline))


def _trusting(authorities: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except (ssl.SSLError, OSError) as error:
        hint = f"file {authorities}"
        raise InputError(f"webhook: ca: {authorities} holds no certificates in PEM form", hint=hint) from error


async def _post(
    url: str, data: bytes, headers: Mapping[str, str], context: ssl.SSLContext, deadline: Deadline
) -> Delivered:
    import httpx2

    try:
        # Its own timeouts are per read and per write; only this one ends an answer that comes byte by byte.
        async with (
            asyncio.timeout(deadline.remaining_seconds()),
            httpx2.AsyncClient(verify=context, timeout=None, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", url, content=data, headers=dict(headers)) as response,
        ):
            return _judged(response, await _hear(response), deadline.clock.now() / MICROSECONDS)
    except TimeoutError:
        return Delivered(outcome=Delivery.RETRY, detail="no answer in time")
    except httpx2.InvalidURL:
        raise InputError("webhook: its url is no URL", hint="look at sinks in config.yaml") from None
    except httpx2.HTTPError as error:
        words = str(error) or type(error).__name__
        return Delivered(outcome=Delivery.RETRY, detail=words.replace(url, "the url")[:200])


async def _hear(response: "httpx2.Response") -> str:
    """The beginning of the answer's body, as one line."""
    heard = b""
    async for piece in response.aiter_raw():
        heard += piece
        if len(heard) >= _HEARD_BYTES:
            break
    text = heard[:_HEARD_BYTES].decode("utf-8", "replace")
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:120]


def _judged(response: "httpx2.Response", said: str, now: float) -> Delivered:
    status = response.status_code
    detail = f"{status}: {said}" if said else str(status)
    if 200 <= status <= 299:
        return Delivered(outcome=Delivery.DELIVERED, detail=detail)
    if 400 <= status <= 499 and status not in _AGAIN:
        return Delivered(outcome=Delivery.REFUSED, detail=detail)
    pause = _pause(response.headers.get("Retry-After", ""), now)
    return Delivered(outcome=Delivery.RETRY, detail=detail, retry_after_seconds=pause)


def _pause(asked: str, now: float) -> float | None:
    """Seconds of a Retry-After: a number, or a date; None when it says nothing that can be used."""
    if asked.isascii() and asked.isdigit() and len(asked) < 10:
        return min(float(asked), _LONGEST_PAUSE)
    try:
        at = email.utils.parsedate_to_datetime(asked).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(at - now, 0.0), _LONGEST_PAUSE)

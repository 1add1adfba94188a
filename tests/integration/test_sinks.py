"""Sinks against a real receiver and a real file system: signed, once, patient, and never for longer than allowed."""

import email.utils
import hashlib
import hmac
import json
import os
import resource
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.clock import MICROSECONDS, Deadline, SystemClock
from agent.errors import InputError, SecretError
from agent.model.outbox import Delivered, Delivery, Message
from agent.secrets import Secrets
from agent.sinks import SinkContext
from agent.sinks.jsonl import Jsonl, JsonlOptions
from agent.sinks.webhook import Webhook, WebhookOptions
from tests.fakes.receiver import Receiver, receiving
from tests.lab.wait import in_time

SECRET = "tell-nobody"


@pytest.fixture
def context(tmp_path: Path) -> SinkContext:
    """A home with two secrets: a key and an address."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in ("hook", "address"):
        (folder / name).touch(mode=0o600)
    (folder / "hook").write_text(SECRET)
    return SinkContext(secrets=Secrets(folder), name="watch-1", home=tmp_path)


def message(key: str = "k1") -> Message:
    return Message(id="m", sink="s", key=key, order_key="i", payload={"verb": "opened"}, created_at_us=1)


def post(
    context: SinkContext, receiver: Receiver, *, seconds: float = 5.0, scheme: str = "http", **options: Any
) -> Delivered:
    """One delivery to this receiver."""
    valid = WebhookOptions.model_validate(
        {"url": f"{scheme}://127.0.0.1:{receiver.port}/in?x=1", "secret": {"secret": "hook"}, **options}
    )
    return Webhook.deliver(message(), valid, context, Deadline.after(SystemClock(), seconds))


def answer(status: str, *headers: str, body: str = "") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]).encode()


def test_a_receiver_can_prove_who_sent_it_and_when(context: SinkContext) -> None:
    with receiving() as receiver:
        assert post(context, receiver).outcome is Delivery.DELIVERED
    [request] = receiver.requests
    at, signature = (part.partition("=")[2] for part in request.headers["x-watchkeeper-signature"].split(","))
    expected = hmac.new(SECRET.encode(), at.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(signature, expected)
    assert abs(int(at) - SystemClock().now() / MICROSECONDS) < 5
    assert request.path == "/in?x=1"
    assert request.headers["idempotency-key"] == "k1"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {"agent": "watch-1", "key": "k1", "verb": "opened"}
    assert SECRET not in repr(request)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("200 OK", "delivered"),
        ("201 Created", "delivered"),
        ("301 Moved\r\nLocation: http://127.0.0.1:1/", "retry"),
        ("400 Bad Request", "refused"),
        ("401 Unauthorized", "refused"),
        ("404 Not Found", "refused"),
        ("408 Request Timeout", "retry"),
        ("409 Conflict", "retry"),
        ("410 Gone", "refused"),
        ("425 Too Early", "retry"),
        ("429 Too Many Requests", "retry"),
        ("500 Internal Server Error", "retry"),
        ("503 Service Unavailable", "retry"),
    ],
)
def test_the_status_says_what_became_of_it(status: str, outcome: str, context: SinkContext) -> None:
    with receiving() as receiver:
        receiver.always = answer(status, body="because\n of \x1b[31mreasons")
        done = post(context, receiver)
    assert done.outcome == outcome
    assert done.detail == f"{status[:3]}: because of [31mreasons"
    assert len(receiver.requests) == 1, "one attempt, no redirect followed"


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("30", 30),
        ("0", 0),
        ("999999", 3600),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
    ],
)
def test_a_receiver_may_ask_for_time(asked: str, seconds: float | None, context: SinkContext) -> None:
    with receiving() as receiver:
        receiver.always = answer("503 Busy", f"Retry-After: {asked}")
        assert post(context, receiver).retry_after_seconds == seconds


def test_a_receiver_may_ask_for_time_by_a_date(context: SinkContext) -> None:
    with receiving() as receiver:
        at = email.utils.formatdate(SystemClock().now() / MICROSECONDS + 60, usegmt=True)
        receiver.always = answer("429 Slow down", f"Retry-After: {at}")
        pause = post(context, receiver).retry_after_seconds
    assert pause is not None
    assert 55 <= pause <= 60


def test_a_receiver_that_never_answers_is_left_at_the_deadline(context: SinkContext) -> None:
    with receiving() as receiver:
        receiver.is_mute = True
        with in_time(0.3):
            done = post(context, receiver, seconds=0.3)
    assert (done.outcome, done.detail) == (Delivery.RETRY, "no answer in time")


def test_of_an_endless_answer_only_the_beginning_is_heard(context: SinkContext) -> None:
    with receiving() as receiver:
        receiver.always = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 8_000_000
        done = post(context, receiver)
    assert done.outcome is Delivery.DELIVERED
    assert len(done.detail) < 200


@pytest.mark.parametrize("raw", [b"", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
def test_an_answer_that_is_none_is_worth_another_try(raw: bytes, context: SinkContext) -> None:
    with receiving() as receiver:
        receiver.always = raw
        assert post(context, receiver).outcome is Delivery.RETRY
        port = receiver.port
    gone = Receiver(port=port)
    assert post(context, gone).outcome is Delivery.RETRY


def test_a_certificate_must_be_trusted(context: SinkContext, tmp_path: Path) -> None:
    key, crt = tmp_path / "key.pem", tmp_path / "crt.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=hook", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(crt)],
        check=True, capture_output=True,
    )  # fmt: skip
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(crt, key)
    with receiving(server) as receiver:
        assert post(context, receiver, scheme="https", ca=str(crt)).outcome is Delivery.DELIVERED
        stranger = post(context, receiver, scheme="https")
        with pytest.raises(InputError, match="holds no certificates"):
            post(context, receiver, scheme="https", ca="/etc/hostname")
    assert stranger.outcome is Delivery.RETRY
    assert "certificate" in stranger.detail
    assert len(receiver.requests) == 1


def test_an_address_that_is_a_secret_is_in_no_message(context: SinkContext) -> None:
    address: dict[str, Any] = {"url": {"secret": "address"}}
    file = context.home / "secrets/address"
    with receiving() as receiver:
        file.write_text(f"http://127.0.0.1:{receiver.port}/token-in-path\n")
        assert post(context, receiver, **address).outcome is Delivery.DELIVERED
    assert receiver.requests[0].path == "/token-in-path"
    assert "token" not in post(context, receiver, **address).detail
    for broken in ("token-in-path", "http://[::token", "ftp://host/token"):
        file.write_text(broken)
        with pytest.raises(InputError) as told:
            post(context, receiver, **address)
        assert "token" not in str(told.value) + repr(told.value.__cause__)


def test_without_its_secret_nothing_is_sent(context: SinkContext) -> None:
    (context.home / "secrets/hook").chmod(0o644)
    with receiving() as receiver, pytest.raises(SecretError, match="read by others"):
        post(context, receiver)
    assert receiver.requests == []


def append(context: SinkContext, key: str, path: str = "var/log.jsonl") -> Delivered:
    return Jsonl.deliver(message(key), JsonlOptions(path=path), context, Deadline.after(SystemClock(), 5))


def keys(file: Path) -> list[str]:
    return [json.loads(line)["key"] for line in file.read_text().splitlines()]


def test_the_file_is_for_its_owner_and_every_event_stands_in_it_once(context: SinkContext) -> None:
    details = [append(context, key).detail for key in ("a", "b", "a", "c", "b")]
    file = context.home / "var/log.jsonl"
    assert keys(file) == ["a", "b", "c"]
    assert details == ["appended", "appended", "was there already", "appended", "was there already"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_absolute_path_is_taken_as_it_is(context: SinkContext, tmp_path: Path) -> None:
    append(context, "a", str(tmp_path / "elsewhere.jsonl"))
    assert keys(tmp_path / "elsewhere.jsonl") == ["a"]


@pytest.mark.parametrize("torn", [b'{"key":"a","verb":"ope', b"[" * 100_000, b"\xff\x00", b'"a"\n'])
def test_half_a_line_of_a_writer_that_was_killed_spoils_nothing(torn: bytes, context: SinkContext) -> None:
    file = context.home / "log.jsonl"
    file.write_bytes(torn)
    assert append(context, "a", "log.jsonl").outcome is Delivery.DELIVERED
    assert file.read_bytes().startswith(torn)
    assert json.loads(file.read_bytes().split(b"\n")[-2])["key"] == "a"


def test_when_the_disk_is_full_nothing_of_the_line_stays(context: SinkContext) -> None:
    append(context, "a")
    file = context.home / "var/log.jsonl"
    before, limits = file.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (10, 0):
        resource.setrlimit(resource.RLIMIT_FSIZE, (before + room, limits[1]))
        try:
            done = append(context, "b")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert done.outcome is Delivery.RETRY
        assert keys(file) == ["a"]
        assert file.stat().st_size == before
    assert append(context, "b").outcome is Delivery.DELIVERED
    assert keys(file) == ["a", "b"]


def test_what_is_no_file_is_not_written_to(context: SinkContext) -> None:
    os.mkfifo(context.home / "pipe")
    with pytest.raises(InputError, match="is not a file"):
        append(context, "a", "pipe")
    assert append(context, "a", "secrets").outcome is Delivery.RETRY

"""Sockets are cut when their time is up, in whatever order they came, and never after they were let go."""

import socket
import threading
from collections.abc import Iterator

import pytest

from agent.clock import Deadline, SystemClock
from agent.transports.cutoff import Cutoff

CLOCK = SystemClock()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def cutoff() -> Iterator[Cutoff]:
    made = Cutoff(CLOCK)
    yield made
    made.close()


def test_who_waits_beyond_the_deadline_wakes_up(cutoff: Cutoff, pair: tuple[socket.socket, socket.socket]) -> None:
    begun = CLOCK.boottime()
    with cutoff.watching(pair[0], Deadline.after(CLOCK, 0.05)):
        assert pair[0].recv(1) == b""
    assert CLOCK.boottime() - begun >= 50_000_000


def test_an_earlier_deadline_that_comes_later_is_kept(
    cutoff: Cutoff, pair: tuple[socket.socket, socket.socket]
) -> None:
    with (
        cutoff.watching(pair[1], Deadline.after(CLOCK, 60.0)),
        cutoff.watching(pair[0], Deadline.after(CLOCK, 0.05)),
    ):
        assert pair[0].recv(1) == b""


def test_what_was_over_in_time_is_left_alone(cutoff: Cutoff, pair: tuple[socket.socket, socket.socket]) -> None:
    with cutoff.watching(pair[0], Deadline.after(CLOCK, 0.02)):
        pass
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    with ours, theirs, cutoff.watching(ours, Deadline.after(CLOCK, 0.05)):
        assert ours.recv(1) == b""  # by now the first deadline has passed as well
    pair[1].sendall(b"alive")
    assert pair[0].recv(5) == b"alive"


def test_closing_cuts_what_is_watched_and_all_that_comes_later(pair: tuple[socket.socket, socket.socket]) -> None:
    cutoff = Cutoff(CLOCK)
    with cutoff.watching(pair[0], Deadline.after(CLOCK, 60.0)):
        cutoff.close()
        assert pair[0].recv(1) == b""
    with cutoff.watching(pair[1], Deadline.after(CLOCK, 60.0)):
        assert pair[1].recv(1) == b""


def test_its_thread_ends_with_it(pair: tuple[socket.socket, socket.socket]) -> None:
    before = threading.active_count()
    cutoff = Cutoff(CLOCK)
    with cutoff.watching(pair[0], Deadline.after(CLOCK, 60.0)):
        assert threading.active_count() == before + 1
    cutoff.close()
    assert threading.active_count() == before

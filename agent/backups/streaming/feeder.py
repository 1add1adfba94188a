"""Feeds restic from a command. The end of the stream is something we say, never something that happens to us.

restic takes the end of its stdin for success. A pipe ends when its writer dies; so restic reads from a socket, whose
other end it inherits itself: only our `shutdown` ends that stream, after the command has proven its success.
"""

import concurrent.futures
import contextlib
import os
import select
import socket
from collections.abc import Iterator

from agent.backups.streaming.producer import Place, Produced, Producer
from agent.clock import Deadline
from agent.transports import local

_SIGNAL = os.EFD_CLOEXEC | os.EFD_NONBLOCK
_PATIENCE_SECONDS = 5.0  # for restic's first word about its progress; then the command is started all the same


class Feeder:
    """One command as the stdin of restic; `produced` is what came of it, None when restic did not take it."""

    def __init__(self, producer: Producer, place: Place, deadline: Deadline) -> None:
        self._producer, self._place, self._deadline = producer, place, deadline
        self._ready: int | None = None
        self.produced: Produced | None = None

    def begin(self) -> None:
        """Let the command begin: restic has opened the repository, and locked it for us. It is not run in vain before that."""
        if self._ready is not None:
            os.eventfd_write(self._ready, 1)

    @contextlib.contextmanager
    def feed(self) -> Iterator[local.Feed]:
        """The command runs for as long as the context lasts, anew each time."""
        self.produced = None
        ours, theirs = socket.socketpair()
        self._ready = ready = os.eventfd(0, _SIGNAL)
        spoilt, over = os.eventfd(0, _SIGNAL), os.eventfd(0, _SIGNAL)
        try:
            with ours, theirs, concurrent.futures.ThreadPoolExecutor(1) as threads:
                pumping = threads.submit(self._pump, ours, spoilt, (ready, over))
                try:
                    yield local.Feed(stdin=theirs.fileno(), keep=(ours.fileno(),), stop=spoilt)
                finally:  # restic has ended
                    os.eventfd_write(over, 1)
                    with contextlib.suppress(OSError):
                        ours.shutdown(socket.SHUT_RDWR)
                self.produced = pumping.result()
        finally:
            self._ready = None
            for end in (ready, spoilt, over):
                os.close(end)

    def _pump(self, ours: socket.socket, spoilt: int, news: tuple[int, int]) -> Produced | None:
        is_whole, over = False, news[1]
        if over in select.select(news, (), (), _PATIENCE_SECONDS)[0]:
            return None
        try:
            produced = self._producer.run(self._place, self._deadline, ours.sendall, over)
            is_whole = produced is not None and produced.is_good
            if is_whole:
                ours.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):  # restic is gone, and says why
            return None
        finally:
            if not is_whole:
                os.eventfd_write(spoilt, 1)
        return produced

"""Logging: lines for people on a terminal, JSON elsewhere; context (run, check, host) bound once per run."""

import contextvars
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_context: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar("log_context")


@contextmanager
def bound(**values: str) -> Iterator[None]:
    """Every line logged inside carries these values."""
    token = _context.set({**_context.get({}), **values})
    try:
        yield
    finally:
        _context.reset(token)


class _Context(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in _context.get({}).items():
            setattr(record, name, value)
        return True


def set_up(level: str = "INFO", *, as_json: bool | None = None) -> None:
    """Send all log lines to stderr: JSON when it is not a terminal, or as told."""
    stream = logging.StreamHandler(sys.stderr)
    stream.addFilter(_Context())
    if as_json if as_json is not None else not sys.stderr.isatty():
        from pythonjsonlogger.json import JsonFormatter

        stream.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    else:
        stream.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[stream], force=True)
    for loud in ("paramiko", "alembic", "httpx2", "httpcore2", "asyncio"):
        logging.getLogger(loud).setLevel(logging.WARNING)

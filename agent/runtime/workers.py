"""Bounded threads, one writer, and `guard`: the one place where an unexpected error stops."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar, TypeVarTuple

from agent.errors import WatchkeeperError

logger = logging.getLogger(__name__)
THREADS = 256  # made as they are needed; more than there are places in all lanes, so that no look waits for a thread
Given = ParamSpec("Given")
Args = TypeVarTuple("Args")
Value = TypeVar("Value")
Instead = TypeVar("Instead")


class Workers:
    """The threads of one process: many that look, one that writes."""

    def __init__(self, threads: int = THREADS) -> None:
        self._lookers = ThreadPoolExecutor(threads, thread_name_prefix="look")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="write")

    async def look(self, function: Callable[Given, Value], *args: Given.args, **kwargs: Given.kwargs) -> Value:
        """Run something that blocks on the world."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._lookers, functools.partial(function, *args, **kwargs))

    async def write(self, function: Callable[Given, Value], *args: Given.args, **kwargs: Given.kwargs) -> Value:
        """Run something that writes to the store; one after the other.

        Shielded: a transaction that has begun is finished, also when its caller is being stopped.
        """
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._writer, functools.partial(function, *args, **kwargs)))

    def close(self) -> None:
        """Wait for what is being written; leave what looks."""
        self._writer.shutdown(wait=True)
        self._lookers.shutdown(wait=False, cancel_futures=True)


def guarded(
    what: str, work: Callable[[*Args], Value], *given: *Args, otherwise: Callable[[Exception], Instead]
) -> Value | Instead:
    """Do at once what must not take others down; an error is logged and becomes what `otherwise` makes of it."""
    try:
        return work(*given)
    except WatchkeeperError as error:
        return otherwise(_told(what, error))
    except Exception as error:
        logger.exception("%s broke", what)
        return otherwise(error)


async def guard(what: str, work: Awaitable[Value], *, otherwise: Callable[[Exception], Instead]) -> Value | Instead:
    """Await work that must not take others down; an error is logged and becomes what `otherwise` makes of it."""
    try:
        return await work
    except WatchkeeperError as error:
        return otherwise(_told(what, error))
    except Exception as error:
        logger.exception("%s broke", what)
        return otherwise(error)


def _told(what: str, error: WatchkeeperError) -> WatchkeeperError:
    logger.warning("%s: %s%s", what, error, f" ({error.hint})" if error.hint else "")
    return error

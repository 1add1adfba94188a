"""A line to a server for libraries that only know blocking sockets: so many bytes and so much time, and no more."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from agent.checks.reaching import opened
from agent.errors import OutputLimitError

Said = TypeVar("Said")
MOST_BYTES = 2_000_000  # of all that a server says
_READ = 65_536


async def relayed(host: str, port: int, speak: Callable[[socket.socket], Said]) -> Said:
    """What `speak`, in a thread of its own, makes of the server; the socket it gets ends when this is cancelled.

    TransportError when there is no connection, OutputLimitError when the server says too much; else whatever `speak` raises.
    """
    async with opened(host, port) as (far_reader, far_writer):
        theirs, ours = socket.socketpair()
        near_reader, near_writer = await asyncio.open_connection(sock=ours)
        sent = asyncio.create_task(_pump(near_reader, far_writer))
        heard = asyncio.create_task(_pump(far_reader, near_writer, MOST_BYTES))
        own = ThreadPoolExecutor(1, thread_name_prefix="relayed")
        try:
            return await asyncio.get_running_loop().run_in_executor(own, speak, theirs)
        finally:
            sent.cancel()
            heard.cancel()
            _, said = await asyncio.gather(sent, heard, return_exceptions=True)
            if not near_writer.is_closing() or near_writer.transport.get_write_buffer_size():
                near_writer.transport.abort()  # what still waits in the thread finds the line dead
            own.submit(theirs.close)
            own.shutdown(wait=False)
            if isinstance(said, OutputLimitError):
                raise said


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None = None) -> None:
    size = 0
    try:
        while data := await reader.read(_READ):
            size += len(data)
            if most is not None and size > most:
                raise OutputLimitError(f"it says more than {most / 1e6:g} MB")
            writer.write(data)
            await writer.drain()
    except OSError:
        return  # the other end sees what it sees
    finally:
        writer.close()

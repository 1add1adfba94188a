"""What nobody needs a month later: the run folders of long work, and messages that were delivered. The records stay, and the journal."""

import os
import shutil
from pathlib import Path

from agent.clock import MICROSECONDS
from agent.store import executions, ids, outbox
from agent.store.engine import Store

KEEP_SECONDS = 30 * 86_400.0  # as samples are kept in full
AT_ONCE = 2_000  # folders in one turn: the disk is there for others, too


def forget_delivered(store: Store, now_us: int) -> int:
    """Drop the messages that their sinks have had for so long; how many. Runs in the writing thread."""
    with store.write(is_news=False) as tx:
        return outbox.forget_delivered(tx, now_us - int(KEEP_SECONDS * MICROSECONDS))


def clear(store: Store, folder: Path, now_us: int) -> int:
    """Remove what ended before that, below the folder of all runs; how many were. A doubtful end waits for a person."""
    before_us = now_us - int(KEEP_SECONDS * MICROSECONDS)
    oldest_kept = ids.earliest(before_us)
    try:
        with os.scandir(folder) as entries:
            old = [entry.name for entry in entries if ids.is_ulid(entry.name) and entry.name < oldest_kept]
    except FileNotFoundError:
        return 0
    if not old:
        return 0
    with store.read() as reader:
        ended = executions.ended_before(reader, old, before_us, limit=AT_ONCE)
    for name in ended:
        shutil.rmtree(folder / name, ignore_errors=True)  # what is left of it is tried again next time
    return len(ended)

"""Draws which files a drill restores: each once per round, in an order that nobody without the key can foretell.

Files are ordered by HMAC(key, path), and a drill takes the next slice of that order. Ranks lie evenly, so files that are
new join where they belong, and a round of `planned` drills ends in time however the tree changes meanwhile.
"""

import dataclasses
import hashlib
import hmac
import math
import os
from collections.abc import Collection
from pathlib import Path

from agent.errors import AgentError
from agent.model.proof import Cycle

KEY_FILE = "drill-order"
_KEY_BYTES = 32


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """The ranks that are drawn: above `after`, up to `upto`; `then` is how far the round is afterwards."""

    after: bytes
    upto: bytes
    count: int
    then: Cycle

    def holds(self, rank: bytes) -> bool:
        """Whether a file of that rank is drawn."""
        return self.after < rank <= self.upto


def key_of(state: Path, key: str) -> bytes:
    """The key that orders the files of one backup, from a secret of this state folder; made at first use."""
    path = state / KEY_FILE
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        secret = _make(path)
    if len(secret) != _KEY_BYTES:
        raise AgentError(f"{path} is not what it was", hint=f"remove it, and every round begins anew: rm {path}")
    return hmac.digest(secret, os.fsencode(key), "sha256")


def mark_of(key: bytes) -> str:
    """What tells one key from another without giving it away."""
    return hashlib.sha256(b"order" + key).hexdigest()[:16]


def rank(key: bytes, path: str) -> bytes:
    """Where a file stands in the order."""
    return hmac.digest(key, os.fsencode(path), "sha256")


def draw(ranks: Collection[bytes], cycle: Cycle, sample: int) -> Slice:
    """The next `sample` of the ranks, more when the tree grew and the round would not end as planned.

    `cycle.order` must be the mark of the key that made the ranks.
    """
    after = bytes.fromhex(cycle.cursor)
    ahead = sorted(one for one in ranks if one > after)
    if not ahead or not cycle.planned:
        begun = cycle.round + (1 if cycle.drawn else 0)
        cycle = dataclasses.replace(cycle, round=begun, drawn=0, planned=0, cursor="")
        after, ahead = b"", sorted(ranks)
    if cycle.sample != sample or not cycle.planned:
        cycle = dataclasses.replace(cycle, sample=sample, planned=cycle.drawn + math.ceil(len(ahead) / sample))
    left = max(1, cycle.planned - cycle.drawn)
    count = min(len(ahead), max(sample, math.ceil(len(ahead) / left)))
    upto = ahead[count - 1] if count else after
    if count < len(ahead):
        then = dataclasses.replace(cycle, drawn=cycle.drawn + 1, cursor=upto.hex())
    else:
        then = dataclasses.replace(cycle, round=cycle.round + 1, drawn=0, planned=0, cursor="")
    return Slice(after=after, upto=upto, count=count, then=then)


def _make(path: Path) -> bytes:
    """A new secret; when another process was quicker, its."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(handle, os.urandom(_KEY_BYTES))
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
    return path.read_bytes()

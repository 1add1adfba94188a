"""The program that lays trees, as one text for `python3 -I -c`: the same here and on a host that has nothing of ours."""

import inspect
from types import ModuleType

from agent.backups import putting
from agent.backups.putting import copying, dressing, entries, layer, laying, way

_PIECES = (way, dressing, copying, entries, layer, laying)  # each after those that it imports
_START = """\
import sys, types
room = sys.modules[ROOM] = types.ModuleType(ROOM)
for name, source in PIECES:
    piece = sys.modules[ROOM + "." + name] = types.ModuleType(ROOM + "." + name)
    setattr(room, name, piece)
    exec(compile(source, name + ".py", "exec"), piece.__dict__)
room.laying.main()
"""


def text() -> str:
    """Python source: the pieces become modules of the same names, made of nothing but what is in here."""
    pieces = [(_name(piece), inspect.getsource(piece)) for piece in _PIECES]
    return f"ROOM, PIECES = {putting.__name__!r}, {pieces!r}\n{_START}"


def _name(piece: ModuleType) -> str:
    return piece.__name__.rpartition(".")[2]

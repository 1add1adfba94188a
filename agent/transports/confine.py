"""Starts a program that can change files below one folder only: `python confine.py FOLDER PROGRAM …` (landlock(7)).

With `--with=PID` first, it also ends when that process does, however that ends.
It reads what a target sends; should the target find a way to make it write elsewhere, the kernel says no. Kernels
without landlock let it run as it is. What it may still do is change modes and owners of what it can name.
"""

import ctypes
import os
import signal
import sys

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_WITH = "--with="
_BENEATH = 1
_BY_ABI = {1: 0x1FF2, 2: 0x3FF2, 3: 0x7FF2}  # write, remove and make anything; moves from 2 on, truncate from 3 on
_WRITE_FILE = 0x2


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled", ctypes.c_uint64),)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def confine(folder: str) -> bool:
    """From now on this process changes nothing outside the folder; False where the kernel cannot see to it."""
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if abi < 1:
        return False
    handled = _BY_ABI[min(abi, max(_BY_ABI))]
    rules = libc.syscall(
        _CREATE, ctypes.byref(_Ruleset(handled)), ctypes.c_size_t(ctypes.sizeof(_Ruleset)), ctypes.c_uint32(0)
    )
    if rules < 0:
        return False
    for path, allowed in ((folder, handled), (os.devnull, _WRITE_FILE)):
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = _Beneath(allowed, parent)
        if libc.syscall(_ADD, rules, _BENEATH, ctypes.byref(rule), ctypes.c_uint32(0)) != 0:
            return False
        os.close(parent)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0)
    return bool(libc.syscall(_RESTRICT, rules, ctypes.c_uint32(0)) == 0)


def tie(pid: int) -> None:
    """From now on this process, and the program it becomes, is killed when its parent, which has that number, ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != pid:
        raise SystemExit(1)  # it ended before we were tied to it


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[0].startswith(_WITH):
        tie(int(words.pop(0).removeprefix(_WITH)))
    confine(words[0])
    os.execvp(words[1], words[1:])  # noqa: S606  # the very point; no shell

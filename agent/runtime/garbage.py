"""Python's garbage collector and C's heap, told what kind of process this is: much that is small and stays, many threads."""

import contextlib
import ctypes
import gc

# The collector looks through all that is young each time so many more objects were made than freed; the default of 700
# is for programs that begin small. Most of what a look leaves is freed by its reference count anyway.
YOUNG, MIDDLE, OLD = 30_000, 20, 20
_M_ARENA_MAX, _HEAPS = -8, 1  # mallopt(3): threads that wait for their hosts need no heap of their own


def share_heap() -> None:
    """Let all threads that begin from now on share one heap, where the C library is glibc."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)


def settle() -> None:
    """Collect now, and leave what there is out of later collections: policies and states stay until the next reload.

    What a reload replaced may hang in cycles, hence the collection of all of it first. See gc.freeze in Python's manual.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what was freed by now goes back to the system

"""Python's cyclic garbage collector, told what kind of process this is: many small objects that stay, little in cycles."""

import gc

# The collector looks through all that is young each time so many more objects were made than freed; the default of 700
# is for programs that begin small. Most of what a look leaves is freed by its reference count anyway.
YOUNG, MIDDLE, OLD = 10_000, 20, 20


def settle() -> None:
    """Collect now, and leave what there is out of later collections: policies and states stay until the next reload.

    What a reload replaced may hang in cycles, hence the collection of all of it first. See gc.freeze in Python's manual.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)

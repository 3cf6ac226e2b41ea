"""Memory that is not needed any more, given back to the machine. With another C library than glibc nothing is done.

glibc keeps a heap for each thread and gives little of any back, so that a training that needs a few hundred megabytes
for a minute would hold them until the process ends.
"""

import ctypes
import platform
from functools import cache

_M_ARENA_MAX = -8
_HEAPS = 2


def share_heaps() -> None:
    """Let the threads of this process share two heaps; most of what is large is allocated outside of any."""
    if (glibc := _glibc()) is not None:
        glibc.mallopt(_M_ARENA_MAX, _HEAPS)


def give_back() -> None:
    """Give unused memory of this process back."""
    if (glibc := _glibc()) is not None:
        glibc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None

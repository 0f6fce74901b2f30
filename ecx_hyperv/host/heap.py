"""How the process gives memory back that a host's answers took.

glibc raises the size from which a block is mapped by itself each time that such a block is freed. After the first
answer of some megabytes all others come from the heaps of the threads that read them, and what lies between longer
lived blocks there is not given back: the process grew to twice of what it held (200 MB, mallopt(3)). A size that is set
stays as it is.
"""

import ctypes
from contextlib import suppress

# M_MMAP_THRESHOLD of malloc.h, and the size that glibc begins with.
_MMAP_THRESHOLD = -3
_SIZE = 128 * 1024


def keep_small() -> None:
    """Have large blocks mapped by themselves, so that they are given back; nothing on another C library."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _SIZE)

"""Reading piece by piece: the next piece comes while one is looked at, and the memory of all is given back."""

import ctypes
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import pyarrow as pa

M_MMAP_THRESHOLD: Final = -3  # of mallopt(3)
AT_ONCE: Final = 1 << 17  # bytes from which the C library gives a block back when it is freed
MOST: Final = 1 << 25  # what it raises that to by itself, once blocks of that size were freed


def ahead(pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Give the pieces, each next one read on a thread of its own meanwhile."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, pieces, None)
        while (piece := coming.result()) is not None:
            coming = reader.submit(next, pieces, None)
            yield piece


@contextmanager
def memory_given_back() -> Iterator[None]:
    """Let the system have back what Arrow took inside: left to itself, that is more than the rows that are kept."""
    own, libc = pa.default_memory_pool(), ctypes.CDLL(None)
    mallopt = getattr(libc, "mallopt", None)  # of glibc, as is the next
    trim = getattr(libc, "malloc_trim", None)
    pa.set_memory_pool(pa.system_memory_pool())
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, AT_ONCE)
    try:
        yield
    finally:
        pa.set_memory_pool(own)
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, MOST)
        if trim is not None:
            trim(0)

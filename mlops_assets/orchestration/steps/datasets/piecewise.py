"""Reading piece by piece: the next piece comes while one is looked at, and the memory of all is given back."""

import ctypes
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow as pa

FREED_BYTES, KEPT_BYTES = 1 << 19, 1 << 25
M_MMAP_THRESHOLD = -3  # its number in <malloc.h>
PIECES = 2  # to give back after each piece costs as much as to read it


def ahead(pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Give the pieces, each next one read on a thread of its own meanwhile."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, pieces, None)
        while (piece := coming.result()) is not None:
            coming = reader.submit(next, pieces, None)
            yield piece


def sparing(pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Give the pieces, and let the system have back what they left behind, every few."""
    for number, piece in enumerate(pieces, start=1):
        yield piece
        if number % PIECES == 0:
            give_back()


@contextmanager
def blocks_given_back() -> Iterator[None]:
    """Let the system have back each block as soon as it is free, from half a megabyte on.

    Left to itself, glibc keeps blocks of up to 32 MB for later, among others that are in use. Once a threshold was set
    it no longer finds its own, so afterwards the highest it could find holds: to take every block anew from the system
    makes work on long columns half as slow again.
    """
    _give_back_from(FREED_BYTES)
    try:
        yield
    finally:
        _give_back_from(KEPT_BYTES)


def _give_back_from(size: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, size)


@contextmanager
def memory_given_back() -> Iterator[None]:
    """Let the system have back at the end what Arrow took inside: left to itself, more than the rows that are kept."""
    own = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(own)
        give_back()


def give_back() -> None:
    """Let the system have back what is free; the C library would keep it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)

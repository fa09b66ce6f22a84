"""Memory that reading piece by piece has taken, and that neither Arrow nor the C library gives back by itself."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa


@contextmanager
def memory_given_back() -> Iterator[None]:
    """Let the system have back what Arrow took inside: left to itself, that is more than the rows that are kept."""
    own = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(own)
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc, which keeps what was freed below its top
        if trim is not None:
            trim(0)

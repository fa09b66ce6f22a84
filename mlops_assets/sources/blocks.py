"""Text too long to hold, cut into blocks at the ends of lines, to be gone through as often as wanted."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO

BLOCK_BYTES = 1 << 24  # what is not longer is one block

Blocks = Callable[[], Iterator[bytes]]  # each call begins anew


def blocks_of(file: IO[bytes]) -> Iterator[bytes]:
    """Give the lines of `file` from its beginning, as many together as make a block."""
    file.seek(0)
    rest = b""
    while data := file.read(BLOCK_BYTES):
        end = data.rfind(b"\n") + 1
        if end:
            yield rest + data[:end]
            rest = data[end:]
        else:
            rest += data
    if rest:
        yield rest


def together(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Give lines that lack their ends as many together as make a block."""
    block = bytearray()
    for line in lines:
        block += line + b"\n"
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


@contextmanager
def kept_here(file: IO[bytes], *, is_here: bool) -> Iterator[IO[bytes]]:
    """Give a file on this machine with the bytes of `file`, so that what is far away is fetched once."""
    if is_here:
        yield file
        return
    with tempfile.SpooledTemporaryFile(max_size=BLOCK_BYTES) as copy:
        shutil.copyfileobj(file, copy, BLOCK_BYTES)
        yield copy

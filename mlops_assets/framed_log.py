"""Append-only files of checksummed frames: what is appended is there after a kill, and what was torn off is known.

A frame is the length of a record and its CRC-32, four bytes each and little-endian, and the record. It is in the
kernel's hands when `append` returns, so killing the process loses nothing; `sync` brings it to the disk.
"""

import errno
import logging
import os
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlops_assets.errors import StoreError

MAX_RECORD_BYTES = 4 * 2**20  # a longer end without a whole frame is damage, not a torn record

_READ_BYTES = 2**24
_HEADER = struct.Struct("<II")
_log = logging.getLogger(__name__)


class FramedFile:
    """One file of frames, open for appending; its writer is alone with it."""

    def __init__(self, path: Path, *, resume_at: int | None = None) -> None:
        """Begin a new file at `path`; or go on behind the first `resume_at` bytes of the one there, dropping the rest.

        Raises:
            OSError: There is one already, or there is none to go on with.
        """
        self.path, self.size, self.dirty = path, resume_at or 0, False
        self._new = resume_at is None
        self._syncing = threading.Lock()  # a file must not be closed, and its number reused, while it is being synced
        path.parent.mkdir(parents=True, exist_ok=True)
        new = os.O_CREAT | os.O_EXCL if resume_at is None else 0
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | new, 0o644)
        if resume_at is None:
            for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
                sync_folder(folder)
        elif os.fstat(self._file).st_size > resume_at:
            os.ftruncate(self._file, resume_at)

    def append(self, records: Iterable[bytes]) -> None:
        """Write `records`; after an error, `abandon` takes back what was written of them."""
        frames = b"".join(_HEADER.pack(len(record), zlib.crc32(record)) + record for record in records)
        written = os.write(self._file, frames)
        if written != len(frames):
            # A regular file takes less than asked for when the disk is full.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += written
        self.dirty = True

    def sync(self) -> None:
        """Bring what was appended to the disk."""
        with self._syncing:
            if self._file >= 0:
                self.dirty = False
                os.fdatasync(self._file)

    def close(self) -> None:
        """Bring everything to the disk and let the file go."""
        try:
            self.sync()
        finally:
            self._release()

    def abandon(self) -> None:
        """Cut off what the last append left half-written and write no more here; a new file of nothing is deleted."""
        try:
            os.ftruncate(self._file, self.size)
            if self._new and not self.size:  # a disk that is full for an hour would be full of empty files
                self.path.unlink(missing_ok=True)
        except OSError:
            _log.warning("could not cut the torn end of %s; it will be dropped on reading", self.path)
        self._release()

    def _release(self) -> None:
        with self._syncing:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_frames(path: Path, *, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Give each record from byte `start` on, where a frame must begin, with the position behind its frame.

    A torn end is dropped: it was never acknowledged, or is just being written.

    Raises:
        StoreError: A frame in the middle is damaged.
    """
    data, position, behind = b"", 0, start  # `data` is a part of the file and begins `behind` its beginning
    with path.open("rb") as file:
        file.seek(start)
        while True:
            record = _record(data, position)
            if record is not None:
                position += _HEADER.size + len(record)
                yield behind + position, record
            elif more := file.read(_READ_BYTES):
                data, behind, position = data[position:] + more, behind + position, 0
            elif position == len(data) or _is_torn(data, position):
                return
            else:
                raise StoreError(
                    f"The log {path} is damaged at byte {behind + position}: a frame there does not match its "
                    "checksum, with more behind it. What was logged there is incomplete. Restore the file from a "
                    "backup; if there is none, cut it at that byte and record the loss.",
                    path=str(path),
                    position=behind + position,
                )


def _record(data: bytes, position: int) -> bytes | None:
    """Give the record of the whole and undamaged frame at `position`, None if there is none."""
    start = position + _HEADER.size
    if start > len(data):
        return None
    length, checksum = _HEADER.unpack_from(data, position)
    if not 0 < length <= len(data) - start:
        return None
    record = data[start : start + length]
    return record if zlib.crc32(record) == checksum else None


def _is_torn(data: bytes, position: int) -> bool:
    """Tell a torn end from damage: behind a torn end lies no whole frame."""
    rest = len(data) - position
    if rest > _HEADER.size + MAX_RECORD_BYTES:
        return not any(data[position:])  # a power cut can leave zeros of any length
    return all(_record(data, start) is None for start in range(position + 1, len(data)))

"""The durable prediction log: append-only segments of checksummed frames, one folder per model and event day.

    <root>/<model>/<YYYY-MM-DD>/<writer>-<sequence>.log        of frames as in `framed_log`

A frame is in the kernel's hands when `append` returns, so killing the process loses nothing; a power cut can take the
last `fsync_interval_s`. What a crash tore off at the end of a segment was never acknowledged and is dropped on reading.
"""

import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from mlops_assets.errors import StoreError
from mlops_assets.framed_log import MAX_RECORD_BYTES, FramedFile, read_frames, sync_folder
from mlops_assets.stores._atomic import remove_folder

SEGMENT_BYTES = 64 * 2**20
OPEN_SEGMENTS = 8  # event days written at the same time; more only cost reopening

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_log = logging.getLogger(__name__)


class StoredRow(msgspec.Struct, frozen=True, gc=False):
    """What was found online for one view: the status, the row's event time, and the values used.

    `status` is ok, missing, stale, or default where declared defaults took the place of a missing or stale row.
    """

    status: str
    event_time: datetime | None
    values: dict[str, Any]


class LoggedPrediction(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One prediction as it was made. `at` is the event time of the decision, `received_at` the server's clock.

    `request_id` is the caller's, so a repeated request may be logged twice: readers keep the first. `vector` is what
    the model saw, in the order of the bundle's spec; NaN where there was no value. `decision` is None for a model
    without a threshold. Of a multiclass model `probabilities` holds one per class, and `score` the highest of them.
    """

    request_id: str
    at: datetime
    received_at: datetime
    model: str
    version: int
    bundle_sha256: str
    generation: int
    request: dict[str, Any]
    stored: dict[str, StoredRow]
    vector: list[float]
    score: float
    decision: bool | None
    latency_us: int
    probabilities: list[float] | None = None


encode_prediction = msgspec.msgpack.Encoder().encode
decode_prediction = msgspec.msgpack.Decoder(LoggedPrediction).decode


class PredictionLogWriter:
    """Appends to the log of one model; safe to share between threads, never between processes.

    Each writer has segments of its own, so several endpoint processes may log the same model.
    """

    def __init__(self, root: str | Path, model: str, *, fsync_interval_s: float = 1.0) -> None:
        """Open nothing yet; `fsync_interval_s` of 0 waits for the disk within every append."""
        self.folder = Path(root) / model
        self.fsync_interval_s = fsync_interval_s
        self._writer = f"{time.time_ns() // 1_000_000:012x}{os.urandom(4).hex()}"  # sorts by when it began
        self._sequence = 0
        self._open: dict[str, FramedFile] = {}
        self._lock = threading.Lock()
        self._sync_fault: OSError | None = None
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync_often, name=f"fsync {model}", daemon=True)
        if fsync_interval_s > 0:
            self._syncer.start()

    def append(self, day: str, *records: bytes) -> None:
        """Write `records`, all or none, to the event day `day` (YYYY-MM-DD), before returning.

        Raises:
            StoreError: The disk is full or faulty; nothing of `records` counts as written.
        """
        longest = max(map(len, records), default=0)
        if longest > MAX_RECORD_BYTES:
            raise StoreError(f"A prediction of {longest} bytes is too long to log; {MAX_RECORD_BYTES} are allowed.")
        with self._lock:
            try:
                if self._sync_fault is not None:
                    raise self._sync_fault
                segment = self._open.get(day) or self._begin(day)
                segment.append(records)
                if self.fsync_interval_s <= 0:
                    segment.sync()
                if segment.size >= SEGMENT_BYTES:
                    self._open.pop(day).close()
            except OSError as error:
                self._sync_fault = None  # told once; the next append tries the disk again
                if broken := self._open.pop(day, None):
                    broken.abandon()
                raise StoreError(
                    f"The prediction log in {self.folder / day} cannot be written: {error.strerror or error}. What is"
                    " not logged must not be acknowledged. Free disk space there or mend the disk; writing is tried"
                    " anew with the next prediction.",
                    path=str(self.folder / day),
                    errno=error.errno,
                ) from error

    def close(self) -> None:
        """Bring everything to the disk and let the files go."""
        self._closing.set()
        if self._syncer.is_alive():
            self._syncer.join()
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _begin(self, day: str) -> "FramedFile":
        if not _DAY.fullmatch(day):
            raise StoreError(f"{day!r} is no event day; give YYYY-MM-DD.", day=day)
        if len(self._open) >= OPEN_SEGMENTS:
            self._open.pop(next(iter(self._open))).close()
        path = self.folder / day / f"{self._writer}-{self._sequence:06d}.log"
        self._sequence += 1  # also where beginning it fails, or its name would be taken for ever
        segment = self._open[day] = FramedFile(path)
        return segment

    def _sync_often(self) -> None:
        while not self._closing.wait(self.fsync_interval_s):
            with self._lock:
                dirty = [segment for segment in self._open.values() if segment.dirty]
            for segment in dirty:
                try:
                    segment.sync()
                except OSError as error:
                    _log.exception("prediction log %s did not reach the disk", segment.path)
                    self._sync_fault = error


def read_predictions(root: str | Path, model: str, day: str) -> Iterator[bytes]:
    """Give the records of one event day, writer by writer in the order written; none if nothing was logged.

    A torn end of a segment is dropped: it was never acknowledged, or is just being written.

    Raises:
        StoreError: A frame in the middle of a segment is damaged.
    """
    for path in sorted((Path(root) / model / day).glob("*.log")):
        for _, record in read_frames(path):
            yield record


def days(root: str | Path, model: str) -> tuple[str, ...]:
    """Give the event days with any log, in order."""
    folder = Path(root) / model
    return tuple(sorted(path.name for path in folder.iterdir() if _DAY.fullmatch(path.name))) if folder.exists() else ()


def forget(root: str | Path, model: str, day: str) -> None:
    """Delete the log of an event day, at once for every reader; killed halfway, the files go the next time."""
    folder = Path(root) / model
    if (folder / day).exists():
        (folder / day).rename(folder / f".{day}.{os.urandom(4).hex()}")
        sync_folder(folder)
    for gone in folder.glob(".*"):
        remove_folder(gone)

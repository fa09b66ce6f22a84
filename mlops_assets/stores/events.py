"""Business events, recorded once and for good: one append-only log per table, a file per day.

    <root>/<table>/<YYYY-MM-DD>.log    frames as in `framed_log`, each an event as JSON with its `recorded_at`
    <root>/<table>/ids.sqlite          which ids are in the log; made anew from it whenever it does not fit

An event counts as recorded once it is on the disk. One writer at a time: the others wait for its lock. A process killed
at any moment leaves events that were recorded, and at most one that was not, which the next writer cuts off.
"""

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from mlops_assets.errors import StoreError
from mlops_assets.framed_log import MAX_RECORD_BYTES, FramedFile, read_frames
from mlops_assets.stores._atomic import checked_name, locked, writing

RECORDED_AT = "recorded_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event to record: the id by which it is known again, the day (YYYY-MM-DD) whose file it goes to, its fields."""

    id: str
    day: str
    fields: Mapping[str, Any]

    @property
    def digest(self) -> bytes:
        """Digest of the fields, whatever their order."""
        return hashlib.sha256(msgspec.json.encode(self.fields, order="deterministic")).digest()


class EventLog:
    """The events of one table; `id_field` names the field that holds an event's id."""

    def __init__(self, root: str | Path, table: str, *, id_field: str) -> None:
        self.folder = Path(root) / checked_name("table", table)
        self.id_field = id_field

    def record(self, events: Sequence[Event], *, at: datetime) -> int:
        """Record those of `events` that are not recorded yet, and give their number once they are on the disk.

        Raises:
            StoreError: An id is on record with other fields, and then nothing of `events` is recorded; or the disk
                refused.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / ".lock"), closing(self._index()) as index:
            ends = self._catch_up(index)
            fresh: dict[str, Event] = {}
            for event in events:
                known = fresh[event.id].digest if event.id in fresh else _digest_of(index, event.id)
                if known is None:
                    fresh[event.id] = event
                elif known != event.digest:
                    raise StoreError(
                        f"Event {event.id!r} of {self.folder.name} is on record with other fields, and what is "
                        f"recorded is never changed. Record what is true now as an event with an id of its own.",
                        id=event.id,
                    )
            by_day: dict[str, list[Event]] = defaultdict(list)
            for event in fresh.values():
                by_day[event.day].append(event)
            for day, group in sorted(by_day.items()):
                self._append(day, group, ends.get(day), at=at)
            self._catch_up(index)
        return len(fresh)

    def _append(self, day: str, events: Sequence[Event], end: int | None, *, at: datetime) -> None:
        records = [msgspec.json.encode({**event.fields, RECORDED_AT: at.isoformat()}) for event in events]
        if (longest := max(map(len, records))) > MAX_RECORD_BYTES:
            raise StoreError(f"An event of {longest} bytes is too long to record; {MAX_RECORD_BYTES} are allowed.")
        path = self.folder / f"{day}.log"
        with writing(f"The events of {day}", path):
            file = FramedFile(path, resume_at=end)
            try:
                file.append(records)
                file.close()
            except OSError:
                file.abandon()
                raise

    # --- which ids there are ----------------------------------------------------------------------

    def _index(self) -> sqlite3.Connection:
        path = self.folder / "ids.sqlite"
        try:
            return _opened(path)
        except sqlite3.DatabaseError:  # it is no more than a copy of what the log says
            path.unlink()
            path.with_name("ids.sqlite-journal").unlink(missing_ok=True)
            return _opened(path)

    def _catch_up(self, index: sqlite3.Connection) -> dict[str, int]:
        """Bring the index to what is in the log, and give the end of the last whole frame of each day."""
        ends = dict(index.execute("SELECT day, bytes FROM days"))
        sizes = {path.stem: path.stat().st_size for path in self.folder.glob("*.log")}
        if any(sizes.get(day, 0) < end for day, end in ends.items()):  # an older log was put back
            ends = {}
        with index:
            if not ends:
                index.execute("DELETE FROM ids")
                index.execute("DELETE FROM days")
            for day in sorted(sizes):
                ends.setdefault(day, 0)
                for end, record in read_frames(self.folder / f"{day}.log", start=ends[day]):
                    fields = msgspec.json.decode(record)
                    del fields[RECORDED_AT]
                    event = Event(id=str(fields[self.id_field]), day=day, fields=fields)
                    index.execute("INSERT OR IGNORE INTO ids VALUES (?, ?)", (event.id, event.digest))
                    ends[day] = end
                index.execute("INSERT OR REPLACE INTO days VALUES (?, ?)", (day, ends[day]))
        return ends


def _opened(path: Path) -> sqlite3.Connection:
    index = sqlite3.connect(path)
    index.execute("CREATE TABLE IF NOT EXISTS ids (id TEXT PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID")
    index.execute("CREATE TABLE IF NOT EXISTS days (day TEXT PRIMARY KEY, bytes INTEGER NOT NULL)")
    return index


def _digest_of(index: sqlite3.Connection, id: str) -> bytes | None:
    row = index.execute("SELECT digest FROM ids WHERE id = ?", (id,)).fetchone()
    return row and bytes(row[0])

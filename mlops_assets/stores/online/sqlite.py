"""Online features in a file: SQLite in WAL mode, one packed row per key and version; for one host.

Reading imports numpy and msgspec only and takes some ten microseconds a key, so the endpoint can do it in the request.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.errors import StoreError
from mlops_assets.records import FeatureView
from mlops_assets.stores.online.rows import (
    HISTORY,
    NAT,
    Found,
    Moments,
    PackedRows,
    Shape,
    Shapes,
    StoredColumn,
    Times,
    Values,
    micros,
    packed_keys,
    packed_rows,
    plain_keys,
    unpacked_keys,
)

if TYPE_CHECKING:
    import pyarrow as pa

BUSY_TIMEOUT_S = 30.0
MAPPED_BYTES = 2**30  # of the file, for readers: pages in memory are looked at, not copied
PAGE_BYTES = 2**14  # of a new file: a look-up passes through fewer pages than with SQLite's 4096
MOST_AT_ONCE = 256  # keys of one statement

_REFILL = "CREATE TABLE IF NOT EXISTS refill (view TEXT PRIMARY KEY, sha256 TEXT)"
_PLAIN = {"int64": "INTEGER", "timestamp": "INTEGER", "string": "TEXT"}
_DIGITS = b"-0123456789"
_NEWEST = "ORDER BY event_time DESC, known_at DESC LIMIT 1"


class SqliteOnlineStore:
    """Feature rows by key in the SQLite file `path`; see `OnlineStore`. A write is one transaction."""

    def __init__(self, path: str | Path, *, history: int = HISTORY) -> None:
        self.path = Path(path)
        self.history = history
        self._readers = threading.local()
        self._shapes = Shapes()

    def write(self, view: FeatureView, rows: "pa.Table") -> int:
        """Keep the newest rows of every key in one transaction, and give how many rows were offered."""
        return self.write_all(view, [rows])

    def write_all(self, view: FeatureView, parts: "Iterable[pa.Table]") -> int:
        """Keep the newest rows of every key in one transaction, and give how many rows were offered."""
        offered, table = 0, _table(self._shapes.of(view))
        try:
            with self._writing() as connection:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} (key {_key_type(view)}, event_time INTEGER, known_at INTEGER,"
                    " row BLOB, PRIMARY KEY (key, event_time, known_at)) WITHOUT ROWID"
                )
                plain = _keeps_plain_keys(connection, self._shapes.of(view).name)
                for rows in parts:
                    packed = packed_rows(view, rows, history=self.history)
                    self._add(connection, table, packed, [*unpacked_keys(packed.keys)] if plain else packed.keys)
                    offered += rows.num_rows
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The rows of view {view.name!r} could not be written to {self.path}: {error}. Online features stay as"
                " they were. Free disk space or mend the file's permissions, then materialize the view again.",
                view=view.name,
                path=str(self.path),
            ) from error
        return offered

    def _add(self, connection: sqlite3.Connection, table: str, packed: PackedRows, keys: Sequence[Any]) -> None:
        began = connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0]
        connection.executemany(
            f"INSERT INTO {table} VALUES (?, ?, ?, ?)"
            " ON CONFLICT (key, event_time, known_at) DO UPDATE SET row = excluded.row",
            zip(keys, packed.event_times, packed.known_ats, packed.rows, strict=True),
        )
        if began:  # else no key has more rows than were packed
            connection.executemany(
                f"DELETE FROM {table} WHERE key = ?1 AND (event_time, known_at) < (SELECT event_time, known_at"
                f" FROM {table} WHERE key = ?1 ORDER BY event_time DESC, known_at DESC LIMIT 1 OFFSET ?2)",
                ((key, self.history - 1) for key in dict.fromkeys(keys)),
            )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")  # an older file keeps its own
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            yield connection  # closed without a commit, nothing of it is kept
            connection.execute("COMMIT")

    def refilled(self) -> dict[str, str]:
        """Give what `note_refilled` was told last."""
        with self._writing() as connection:
            connection.execute(_REFILL)
            return dict(connection.execute("SELECT view, sha256 FROM refill").fetchall())

    def note_refilled(self, done: Mapping[str, str]) -> None:
        """Note how far a refill has come."""
        with self._writing() as connection:
            connection.execute(_REFILL)
            connection.execute("DELETE FROM refill")
            connection.executemany("INSERT INTO refill VALUES (?, ?)", done.items())

    def read(self, view: FeatureView, keys: Mapping[str, Values], at: Times) -> dict[str, StoredColumn]:
        """Give each feature of `view` as it was known for each of n decisions."""
        shape = self._shapes.of(view)
        moments = micros(at)
        try:
            asked = self._kept_keys(shape, keys)
            if len(asked) == 1:
                found = [self._reader().execute(_one(shape.name), (asked[0], moments.item())).fetchone()]
            else:
                found = self._looked_up(shape, asked, moments)
        except sqlite3.Error as error:
            raise self._unreadable(view, error) from error
        return shape.columns(found, moments)

    def _kept_keys(self, shape: Shape, keys: Mapping[str, Values]) -> Sequence[Any]:
        """Give keys as the table of a view has them."""
        reader = self._reader()
        plain = self._readers.plain_keys.get(shape.name)
        if plain is None:
            plain = self._readers.plain_keys[shape.name] = _keeps_plain_keys(reader, shape.name)
        return plain_keys(shape.view, keys)[0] if plain else packed_keys(shape.view, keys)

    def _looked_up(self, shape: Shape, keys: Sequence[Any], moments: Moments) -> list[Found]:
        """Find the rows of keys in one state of the view; those of one request are asked at one moment, and so in one
        statement.
        """
        one_moment = not (moments != moments[:1]).any()
        if one_moment and len(keys) <= MOST_AT_ONCE:
            return self._at_once(shape, keys, moments)
        reader = self._reader()
        reader.execute("BEGIN")
        try:
            if one_moment:
                starts = range(0, len(keys), MOST_AT_ONCE)
                parts = (slice(start, start + MOST_AT_ONCE) for start in starts)
                return [row for part in parts for row in self._at_once(shape, keys[part], moments)]
            one = _one(shape.name)
            return [reader.execute(one, asked).fetchone() for asked in zip(keys, moments.tolist(), strict=True)]
        finally:
            reader.rollback()

    def _at_once(self, shape: Shape, keys: Sequence[Any], moments: Moments) -> list[Found]:
        """Find the rows of keys by one statement, as they were known at the first of the moments."""
        found: list[Found] = [None] * len(keys)
        size = 1 << (len(keys) - 1).bit_length()  # few sizes, for each is a statement of its own
        padding = [None] * (size - len(keys))  # a null key finds nothing
        asked = (*keys, *padding, int(moments[0]))
        for place, cell in self._reader().execute(_several(shape.name, size), asked):
            if cell is not None:
                row = cell.lstrip(_DIGITS)
                found[place] = int(cell[: -len(row)]), row
        return found

    def event_time(self, view: FeatureView, keys: Mapping[str, Values]) -> Times:
        """Give the event time of the newest row of each key, NaT where there is none."""
        shape = self._shapes.of(view)
        newest = f"SELECT event_time FROM {_table(shape)} WHERE key = ? {_NEWEST}"
        try:
            execute = self._reader().execute
            found = [execute(newest, (key,)).fetchone() for key in self._kept_keys(shape, keys)]
        except sqlite3.Error as error:
            raise self._unreadable(view, error) from error
        return np.array([row[0] if row else NAT for row in found], dtype=np.int64).view("datetime64[us]")

    def holds(self, view: FeatureView) -> bool:
        """Tell whether `view` was ever written in the shape it is declared in."""
        if not self.path.exists():
            return False
        find = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
        try:
            tables: int = self._reader().execute(find, (self._shapes.of(view).name,)).fetchone()[0]
        except sqlite3.Error as error:
            raise self._unreadable(view, error) from error
        return tables == 1

    def _reader(self) -> sqlite3.Connection:
        """Give this thread's own connection: SQLite statements are cached per connection."""
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            # mode=rw: reading must not create an empty file where none was written
            address = f"{self.path.absolute().as_uri()}?mode=rw"
            connection = sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            connection.execute("PRAGMA query_only=1")
            connection.execute(f"PRAGMA mmap_size={MAPPED_BYTES}").fetchall()
            self._readers.connection, self._readers.plain_keys = connection, dict[str, bool]()
        return connection

    def _unreadable(self, view: FeatureView, cause: object) -> StoreError:
        return StoreError(
            f"Online features of view {view.name!r} cannot be read from {self.path}: {cause}. No decision that needs"
            f" them can be taken. Materialize features/{view.name}, which writes them.",
            view=view.name,
            path=str(self.path),
        )


def _table(shape: Shape) -> str:
    return f'"{shape.name}"'


def _key_type(view: FeatureView) -> str:
    """Give how keys are kept: as they are where they have one column, so that comparing them is quick; else packed."""
    return _PLAIN.get(view.keys[0].dtype, "BLOB") if len(view.keys) == 1 else "BLOB"


def _keeps_plain_keys(connection: sqlite3.Connection, table: str) -> bool:
    """Tell whether the keys of a table are kept as they are; those of older files never are.

    Raises:
        sqlite3.Error: There is no such table.
    """
    connection.execute(f'SELECT 1 FROM "{table}" LIMIT 0')
    (kept,) = connection.execute("SELECT type FROM pragma_table_info(?) WHERE name = 'key'", (table,)).fetchone()
    return bool(kept != "BLOB")


@cache
def _one(name: str) -> str:
    return f'SELECT event_time, row FROM "{name}" WHERE key = ? AND known_at <= ? {_NEWEST}'


@cache
def _several(name: str, size: int) -> str:
    # A subquery gives one value, and asking for two of a row means looking for it twice: so both come as one, the time
    # in digits and then the row, which as msgpack begins with a byte that is no digit.
    asked = ", ".join(f"({place}, ?{place + 1})" for place in range(size))
    return (
        f"WITH asked (place, wanted) AS (VALUES {asked}) SELECT place, (SELECT CAST(event_time || row AS BLOB)"
        f' FROM "{name}" WHERE key = wanted AND known_at <= ?{size + 1} {_NEWEST}) FROM asked'
    )

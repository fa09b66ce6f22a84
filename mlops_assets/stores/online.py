"""The newest feature rows of every key, for the endpoint: SQLite in WAL mode, one packed row per key and version.

Reading imports numpy and msgspec only and takes some ten microseconds a key, so the endpoint can do it in the request.
A row answers a decision at `at` when it was known then and is not older than the view's ttl, both ends included; the
rule is the one of the point-in-time join, so the last `history` rows of a key are kept and not just one: a decision
taken shortly before a new row becomes known gets the row that training would have seen.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from mlops_assets.errors import StoreError, examples
from mlops_assets.records import FeatureView, Field

if TYPE_CHECKING:
    import pyarrow as pa

Status = Literal["ok", "missing", "stale"]  # as looked up; where a default was put in, `default` is logged instead
Times = npt.NDArray[np.datetime64]
Values = npt.NDArray[Any]

HISTORY = 8  # rows kept per key: a week of daily rows and the one that is about to be superseded
BUSY_TIMEOUT_S = 30.0

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode
_NAT = int(np.iinfo(np.int64).min)


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """One stored feature for n decisions, in their order.

    `values` is float64 (numbers; NaN where there is none), object (strings; None) or datetime64[us] (NaT). `status`
    says why a value is absent: `missing`, no row of the key was known yet; `stale`, the row was older than the ttl.
    `event_time` is the found row's own (NaT if missing). Features of one view share `status` and `event_time`.
    """

    values: Values
    status: npt.NDArray[np.object_]
    event_time: Times


class OnlineStore:
    """Feature rows by key in the SQLite file `path`, written by the feature assets and read by the endpoint.

    Rows of different shapes never mix: a view whose keys or features were declared anew starts a new table, so an
    older model goes on reading the rows it was trained for.
    """

    def __init__(self, path: str | Path, *, history: int = HISTORY) -> None:
        self.path = Path(path)
        self.history = history
        self._readers = threading.local()
        self._shapes: dict[str, tuple[FeatureView, _Shape]] = {}

    def write(self, view: FeatureView, rows: "pa.Table") -> int:
        """Keep the newest rows of every key in one transaction, and give how many rows were offered.

        The order of writes does not matter: an older row never hides a newer one. A row with the event time and known
        time of a kept row replaces it, so a recomputed partition corrects what it wrote before.

        Args:
            view: What the columns mean.
            rows: Keys, features, `event_time` and `known_at` (UTC) of the view; other columns are ignored.

        Raises:
            StoreError: A column is missing, a key or time is null, a row is known before its event, or the disk fails.
        """
        packed = list(_packed_rows(view, rows))
        table = self._shape(view).table
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} (key BLOB, event_time INTEGER, known_at INTEGER, row BLOB,"
                    " PRIMARY KEY (key, event_time, known_at)) WITHOUT ROWID"
                )
                connection.executemany(
                    f"INSERT INTO {table} VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (key, event_time, known_at) DO UPDATE SET row = excluded.row",
                    packed,
                )
                connection.executemany(
                    f"DELETE FROM {table} WHERE key = ?1 AND (event_time, known_at) < (SELECT event_time, known_at"
                    f" FROM {table} WHERE key = ?1 ORDER BY event_time DESC, known_at DESC LIMIT 1 OFFSET ?2)",
                    ((key, self.history - 1) for key in {row[0] for row in packed}),
                )
                connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The rows of view {view.name!r} could not be written to {self.path}: {error}. Online features stay as"
                " they were. Free disk space or mend the file's permissions, then materialize the view again.",
                view=view.name,
                path=str(self.path),
            ) from error
        return len(packed)

    def read(self, view: FeatureView, keys: Mapping[str, Values], at: Times) -> dict[str, StoredColumn]:
        """Give each feature of `view` as it was known for each of n decisions.

        Args:
            view: What was written; the ttl obeyed is this view's.
            keys: One array of length n per key; a null key finds nothing.
            at: When each decision is taken, datetime64[us] in UTC, length n.

        Raises:
            StoreError: The view was never written in this shape, or the file cannot be read.
        """
        shape = self._shape(view)
        nothing = (None,) * len(view.features)
        status: list[Status] = []
        event_times: list[int] = []
        rows: list[Sequence[Any]] = []
        try:
            execute = self._reader().execute
            if len(at) > 1:
                execute("BEGIN")  # one look at the file for all rows: half the cost, and one state of the view
            for key, moment in zip(_packed_keys(view, keys), _micros(at), strict=True):
                found = execute(shape.known_at, (key, moment)).fetchone() if key is not None else None
                if found is None:
                    outcome: tuple[Status, int, Sequence[Any]] = ("missing", _NAT, nothing)
                elif found[0] < moment - shape.ttl_us:
                    outcome = ("stale", found[0], nothing)
                else:
                    outcome = ("ok", found[0], _decode(found[1]))
                status.append(outcome[0])
                event_times.append(outcome[1])
                rows.append(outcome[2])
        except sqlite3.Error as error:
            raise self._unreadable(view, error) from error
        finally:
            if len(at) > 1:
                self._end_read()
        statuses = np.array(status, dtype=object)
        times = np.array(event_times, dtype=np.int64).view("datetime64[us]")
        return {
            feature.name: StoredColumn(values, statuses, times)
            for feature, values in zip(view.features, _columns(view, shape.numeric, rows), strict=True)
        }

    def event_time(self, view: FeatureView, keys: Mapping[str, Values]) -> Times:
        """Give the event time of the newest row of each key, NaT where there is none."""
        newest = self._shape(view).newest
        packed = _packed_keys(view, keys)
        try:
            execute = self._reader().execute
            found = [execute(newest, (key,)).fetchone() if key is not None else None for key in packed]
        except sqlite3.Error as error:
            raise self._unreadable(view, error) from error
        return np.array([row[0] if row else _NAT for row in found], dtype=np.int64).view("datetime64[us]")

    def holds(self, view: FeatureView) -> bool:
        """Tell whether `view` was ever written in the shape it is declared in."""
        if not self.path.exists():
            return False
        find = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
        try:
            tables: int = self._reader().execute(find, (self._shape(view).table.strip('"'),)).fetchone()[0]
        except sqlite3.Error as error:
            raise self._unreadable(view, error) from error
        return tables == 1

    def _shape(self, view: FeatureView) -> "_Shape":
        """Give what is the same for all reads of `view`, worked out once."""
        known = self._shapes.get(view.name)
        if known is None or known[0] is not view:  # an older model may hold an older declaration of the same name
            known = self._shapes[view.name] = (view, _Shape.of(view))
        return known[1]

    def _reader(self) -> sqlite3.Connection:
        """Give this thread's own connection: SQLite statements are cached per connection."""
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            # mode=rw: reading must not create an empty file where none was written
            address = f"{self.path.absolute().as_uri()}?mode=rw"
            connection = sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            connection.execute("PRAGMA query_only=1")
            self._readers.connection = connection
        return connection

    def _end_read(self) -> None:
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is not None and connection.in_transaction:
            connection.rollback()

    def _unreadable(self, view: FeatureView, cause: object) -> StoreError:
        return StoreError(
            f"Online features of view {view.name!r} cannot be read from {self.path}: {cause}. No decision that needs"
            f" them can be taken. Materialize features/{view.name}, which writes them.",
            view=view.name,
            path=str(self.path),
        )


@dataclass(frozen=True, slots=True)
class _Shape:
    """The table and the statements of a view; ttl and descriptions do not make a new table."""

    table: str
    known_at: str
    newest: str
    ttl_us: int
    numeric: bool

    @classmethod
    def of(cls, view: FeatureView) -> "_Shape":
        names = [[(field.name, field.dtype) for field in fields] for fields in (view.keys, view.features)]
        table = f'"{view.name}@{blake2b(_encode(names), digest_size=6).hexdigest()}"'
        found = f"SELECT event_time, row FROM {table} WHERE key = ?"
        order = "ORDER BY event_time DESC, known_at DESC LIMIT 1"
        return cls(
            table=table,
            known_at=f"{found} AND known_at <= ? {order}",
            newest=f"{found} {order}",
            ttl_us=round(view.ttl_s * 1_000_000),
            numeric=all(field.dtype in ("float64", "int64") for field in view.features),
        )


def _packed_keys(view: FeatureView, keys: Mapping[str, Values]) -> Iterator[bytes | None]:
    """Give the bytes that stand for each key, None for a key with a null in it."""
    columns = []
    for field in view.keys:
        if field.name not in keys:
            raise StoreError(
                f"View {view.name!r} is looked up by {field.name!r}, which was not given. Given: {', '.join(keys)}.",
                view=view.name,
                key=field.name,
            )
        columns.append(_plain(field, keys[field.name]))
    for key in zip(*columns, strict=True):
        yield None if None in key else _encode(key)


def _plain(field: Field, values: Values) -> list[Any]:
    """Give the values of a key as plain Python ones, the same whether they come from a request or from a table."""
    if field.dtype == "timestamp":
        return [None if value == _NAT else value for value in _micros(values)]
    plain: list[Any] = values.tolist()
    if field.dtype == "string":
        return plain
    number = int if field.dtype == "int64" else float
    return [None if value is None or value != value else number(value) for value in plain]


def _micros(times: Times) -> list[int]:
    return times.astype("datetime64[us]", copy=False).view(np.int64).tolist()  # type: ignore[no-any-return]


def _columns(view: FeatureView, numeric: bool, rows: list[Sequence[Any]]) -> Iterable[Values]:
    """Give one array per feature from unpacked rows; None becomes the null of the feature's type."""
    if numeric and rows:
        return np.ascontiguousarray(np.array(rows, dtype=np.float64).T)
    columns = []
    for position, feature in enumerate(view.features):
        values = [row[position] for row in rows]
        if feature.dtype == "timestamp":
            micros = np.array([_NAT if value is None else value for value in values], dtype=np.int64)
            columns.append(micros.view("datetime64[us]"))
        else:
            columns.append(np.array(values, dtype=object if feature.dtype == "string" else np.float64))
    return columns


def _packed_rows(view: FeatureView, rows: "pa.Table") -> Iterator[tuple[bytes, int, int, bytes]]:
    """Give (key, event time, known at, packed features) of each row of an Arrow table."""
    import pyarrow as pa  # only writers pay for it

    arrow = {"float64": pa.float64(), "int64": pa.int64(), "string": pa.string(), "timestamp": pa.int64()}
    moment = pa.timestamp("us", "UTC")
    wanted = {field.name: field.dtype for field in (*view.keys, *view.features)}
    wanted |= {"event_time": "timestamp", "known_at": "timestamp"}
    if absent := sorted(set(wanted) - set(rows.column_names)):
        raise StoreError(
            f"Rows of view {view.name!r} lack {examples(absent)}. They have: {', '.join(rows.column_names)}.",
            view=view.name,
            absent=absent,
        )
    columns: dict[str, list[Any]] = {}
    for name, dtype in wanted.items():
        column = rows.column(name)
        column = column.cast(moment) if dtype == "timestamp" else column
        columns[name] = column.cast(arrow[dtype]).to_pylist()
    for name in (*(key.name for key in view.keys), "event_time", "known_at"):
        if rows.column(name).null_count:
            raise StoreError(
                f"View {view.name!r} has null {name!r} in some rows; such a row could never be found. Drop them in the"
                " view's SQL.",
                view=view.name,
                column=name,
            )
    keys = zip(*(columns[field.name] for field in view.keys), strict=True)
    features = zip(*(columns[field.name] for field in view.features), strict=True)
    for key, event_time, known_at, row in zip(keys, columns["event_time"], columns["known_at"], features, strict=True):
        if known_at < event_time:
            raise StoreError(
                f"View {view.name!r} has rows known before their event time, which would leak the future. Let known_at"
                " be at least event_time.",
                view=view.name,
            )
        yield _encode(key), event_time, known_at, _encode(row)

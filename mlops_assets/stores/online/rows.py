"""Rows as online stores keep them: packed with msgpack, a list of values a row, readable in a microsecond.

What every store has in common: the bytes of keys and rows, which of them to keep, and what a decision finds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from mlops_assets.errors import StoreError, examples
from mlops_assets.records import FeatureView, Field

if TYPE_CHECKING:
    import pyarrow as pa

Status = Literal["ok", "missing", "stale"]
Times = npt.NDArray[np.datetime64]
Values = npt.NDArray[Any]
Moments = npt.NDArray[np.int64]  # microseconds since 1970 in UTC
Found = tuple[int, bytes] | None  # event time and row of a key, None where nothing was known of it

HISTORY = 8  # rows kept per key: a week of daily rows and the one that is about to be superseded
NAT = int(np.iinfo(np.int64).min)

_MOMENT = np.dtype("datetime64[us]")  # reading it from its name takes as long as the view itself
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode
_ARROW = {"float64": "double", "int64": "int64", "string": "string", "timestamp": "int64"}
_FLOAT64 = 0xCB  # what msgpack puts before a float of eight bytes
_TOGETHER = 8  # rows from which on reading them in one piece is faster than one by one


class StoredColumn(NamedTuple):  # made once for each feature of a request: a tuple is made five times as fast
    """One stored feature for n decisions, in their order.

    `values` is float64 (numbers; NaN where there is none), object (strings; None) or datetime64[us] (NaT). `status`
    says why a value is absent: `missing`, no row of the key was known yet; `stale`, the row was older than the ttl.
    `event_time` is the found row's own (NaT if missing). Features of one view share `status` and `event_time`.
    """

    values: Values
    status: npt.NDArray[np.object_]
    event_time: Times


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Rows as they are written, in the order of their keys, older ones first; times are microseconds in UTC.

    `rows` are packed as they are taken, once.
    """

    keys: list[bytes]
    event_times: list[int]
    known_ats: list[int]
    rows: Iterator[bytes]

    def __iter__(self) -> Iterator[tuple[bytes, int, int, bytes]]:
        """Give key, event time, known time and bytes of each row."""
        return zip(self.keys, self.event_times, self.known_ats, self.rows, strict=True)


class Shape:
    """What is the same for all reads of a view; ttl and descriptions do not make a new one."""

    def __init__(self, view: FeatureView) -> None:
        names = [[(field.name, field.dtype) for field in fields] for fields in (view.keys, view.features)]
        self.name = f"{view.name}@{blake2b(_encode(names), digest_size=6).hexdigest()}"
        self.view = view
        self.ttl_us = min(round(view.ttl_s * 1_000_000), 2**62)  # for ever, and still a number of 64 bits
        self._names = [field.name for field in view.features]
        self._nothing = (None,) * len(view.features)
        self._numeric = all(field.dtype in ("float64", "int64") for field in view.features)
        head = 1 if len(view.features) < 16 else 3  # msgpack's, before the values of a list
        cell = np.dtype([("mark", "u1"), ("value", ">f8")])
        self._row = np.dtype([("head", "V", head), ("cells", cell, (len(view.features),))])

    def columns(self, found: Sequence[Found], moments: Moments) -> dict[str, StoredColumn]:
        """Give what decisions at `moments` find: of each, the event time and the bytes of its row, or None."""
        if self._numeric and len(found) >= _TOGETHER and (read := self._together(found, moments)):
            return read
        status: list[Status] = []
        event_times: list[int] = []
        rows: list[Sequence[Any]] = []
        nothing, ttl_us = self._nothing, self.ttl_us
        for row, moment in zip(found, moments.tolist(), strict=True):
            if row is None:
                status.append("missing")
                event_times.append(NAT)
                rows.append(nothing)
                continue
            event_time, packed = row
            event_times.append(event_time)
            if event_time < moment - ttl_us:
                status.append("stale")
                rows.append(nothing)
            else:
                status.append("ok")
                rows.append(_decode(packed))
        return self._named(self._values(rows), np.array(status, dtype=object), np.array(event_times, dtype=np.int64))

    def _together(self, found: Sequence[Found], moments: Moments) -> dict[str, StoredColumn] | None:
        """Give the same from rows of nothing but floats, all read in one piece; None where a row is not of that form.

        No value takes more than nine bytes, so rows are of that form if they are as long and every mark is a float's.
        """
        there = [row for row in found if row is not None]
        packed = b"".join([row for _, row in there])
        if len(packed) != len(there) * self._row.itemsize:
            return None
        cells = np.frombuffer(packed, self._row)["cells"]
        if (cells["mark"] != _FLOAT64).any():
            return None
        values: Values = cells["value"].T.astype(np.float64, order="C")
        times = np.array([NAT if row is None else row[0] for row in found], dtype=np.int64)
        if len(there) < len(found):
            values, read = np.full((len(values), len(found)), np.nan), values
            values[:, times != NAT] = read
        status = np.array(["ok"] * len(found), dtype=object)
        late = times < moments - self.ttl_us
        if late.any():
            status[late] = "stale"
            status[times == NAT] = "missing"
            values[:, late] = np.nan
        return self._named(values, status, times)

    def _named(
        self, values: Iterable[Values], status: npt.NDArray[np.object_], times: npt.NDArray[np.int64]
    ) -> dict[str, StoredColumn]:
        columns = map(StoredColumn, values, repeat(status), repeat(times.view(_MOMENT)))
        return dict(zip(self._names, columns, strict=True))

    def _values(self, rows: list[Sequence[Any]]) -> Iterable[Values]:
        """Give one array per feature from unpacked rows; None becomes the null of the feature's type."""
        if self._numeric and rows:
            return np.ascontiguousarray(np.array(rows, dtype=np.float64).T)
        columns = []
        for position, feature in enumerate(self.view.features):
            values = [row[position] for row in rows]
            if feature.dtype == "timestamp":
                numbers = np.array([NAT if value is None else value for value in values], dtype=np.int64)
                columns.append(numbers.view("datetime64[us]"))
            else:
                columns.append(np.array(values, dtype=object if feature.dtype == "string" else np.float64))
        return columns


class Shapes:
    """The shapes of the views read so far, each worked out once."""

    def __init__(self) -> None:
        self._known: dict[str, Shape] = {}

    def of(self, view: FeatureView) -> Shape:
        """Give the shape of `view`."""
        known = self._known.get(view.name)
        if known is None or known.view is not view:  # an older model may hold an older declaration of the same name
            known = self._known[view.name] = Shape(view)
        return known


def micros(times: Times) -> Moments:
    """Give moments as microseconds."""
    return times.astype(_MOMENT, copy=False).view(np.int64)


def packed_keys(view: FeatureView, keys: Mapping[str, Values]) -> list[bytes | None]:
    """Give the bytes that stand for each key, None for a key with a null in it."""
    return [None if None in key else _encode(key) for key in zip(*plain_keys(view, keys), strict=True)]


def unpacked_keys(packed: Iterable[bytes]) -> Iterator[Any]:
    """Give the values of keys of one column from their bytes."""
    return (key for (key,) in map(_decode, packed))


def plain_keys(view: FeatureView, keys: Mapping[str, Values]) -> list[list[Any]]:
    """Give the columns of the keys as lists of plain Python values, None for a null.

    Raises:
        StoreError: One was not given.
    """
    columns = []
    for field in view.keys:
        if field.name not in keys:
            raise StoreError(
                f"View {view.name!r} is looked up by {field.name!r}, which was not given. Given: {', '.join(keys)}.",
                view=view.name,
                key=field.name,
            )
        columns.append(_plain(field, keys[field.name]))
    return columns


def _plain(field: Field, values: Values) -> list[Any]:
    """Give the values of a key as plain Python ones, the same whether they come from a request or from a table."""
    if field.dtype == "timestamp":
        return [None if value == NAT else value for value in micros(values).tolist()]
    plain: list[Any] = values.tolist()
    if field.dtype == "string" or (field.dtype == "int64" and values.dtype.kind == "i"):
        return plain
    number = int if field.dtype == "int64" else float
    return [None if value is None or value != value else number(value) for value in plain]


def packed_rows(view: FeatureView, rows: "pa.Table", *, history: int) -> PackedRows:
    """Give the `history` newest rows of each key of an Arrow table, in the order of their keys, older ones first.

    In that order a database goes through its pages once. Of rows alike in key and both times the last one stays.

    Raises:
        StoreError: A column is missing, a key or time is null, or a row is known before its event.
    """
    import pyarrow as pa  # only writers pay for it
    import pyarrow.compute as pc

    columns = _expected(view, rows)
    event_time, known_at = columns["event_time"], columns["known_at"]
    if pc.any(pc.less(known_at, event_time)).as_py():
        raise StoreError(
            f"View {view.name!r} has rows known before their event time, which would leak the future. Let known_at"
            " be at least event_time.",
            view=view.name,
        )
    key = pa.array(map(_encode, zip(*(_listed(columns[field.name]) for field in view.keys), strict=True)), pa.binary())
    stamps = pa.table({"key": key, "event_time": event_time, "known_at": known_at})
    order = pc.sort_indices(stamps, sort_keys=[(name, "ascending") for name in stamps.column_names])
    stamps = stamps.take(order)
    kept = _kept(stamps, history=history)
    if not kept.all():
        order, stamps = order.filter(pa.array(kept)), stamps.filter(pa.array(kept))
    features = [_packable(columns[field.name].take(order), field) for field in view.features]
    return PackedRows(
        keys=stamps["key"].to_pylist(),
        event_times=_listed(stamps["event_time"]),
        known_ats=_listed(stamps["known_at"]),
        rows=map(_encode, zip(*features, strict=True)) if features else map(_encode, [()] * len(order)),
    )


def _expected(view: FeatureView, rows: "pa.Table") -> dict[str, "pa.ChunkedArray"]:
    """Give the columns that are kept in the types they are packed from, times as microseconds."""
    import pyarrow as pa

    wanted = {field.name: field.dtype for field in (*view.keys, *view.features)}
    wanted |= {"event_time": "timestamp", "known_at": "timestamp"}
    if absent := sorted(set(wanted) - set(rows.column_names)):
        raise StoreError(
            f"Rows of view {view.name!r} lack {examples(absent)}. They have: {', '.join(rows.column_names)}.",
            view=view.name,
            absent=absent,
        )
    for name in (*(key.name for key in view.keys), "event_time", "known_at"):
        if rows.column(name).null_count:
            raise StoreError(
                f"View {view.name!r} has null {name!r} in some rows; such a row could never be found. Drop them in the"
                " view's SQL.",
                view=view.name,
                column=name,
            )
    moment = pa.timestamp("us", "UTC")
    return {
        name: (rows.column(name).cast(moment) if dtype == "timestamp" else rows.column(name)).cast(_ARROW[dtype])
        for name, dtype in wanted.items()
    }


def _kept(stamps: "pa.Table", *, history: int) -> npt.NDArray[np.bool_]:
    """Tell which rows, sorted by key and times, are among the newest of their key and not there twice."""
    import pyarrow.compute as pc

    size = stamps.num_rows
    same_key: npt.NDArray[np.bool_]
    same_key = pc.equal(stamps["key"].slice(0, max(0, size - 1)), stamps["key"].slice(1)).to_numpy()
    kept = np.ones(size, dtype=bool)
    if not same_key.any():
        return kept
    times = [stamps[name].to_numpy() for name in ("event_time", "known_at")]
    kept[:-1] = ~(same_key & (times[0][:-1] == times[0][1:]) & (times[1][:-1] == times[1][1:]))
    last = np.flatnonzero(np.append(~same_key, True))  # of each key
    from_here = np.cumsum(kept[::-1])[::-1]  # how many are kept from a row to the end of all
    after_key = np.append(from_here, 0)[last + 1]
    newer = from_here - np.repeat(after_key, np.diff(last, prepend=-1))
    kept &= newer <= history
    return kept


def _packable(column: "pa.ChunkedArray", field: Field) -> list[Any]:
    """Give the values of a feature as they are packed: a number is a float, as it is read, and NaN its null."""
    if field.dtype == "int64":
        column = column.cast("double", safe=False)
    return _listed(column)


def _listed(column: "pa.ChunkedArray") -> list[Any]:
    """Give a column as a list; NumPy lists numbers ten times as fast as Arrow, and NaN says null where it fits."""
    import pyarrow as pa

    floating = pa.types.is_floating(column.type)
    if floating or (pa.types.is_integer(column.type) and not column.null_count):
        listed: list[Any] = column.to_numpy().tolist()
        return listed
    return column.to_pylist()  # type: ignore[no-any-return]

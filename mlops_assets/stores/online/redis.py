"""Online features in Redis: one string per key with its newest rows; for several hosts.

What the file keeps as rows is here one value: the rows of a key, newest first, each as event time, known time, length
and bytes. A script in the server merges what is written into what is held, so a key changes in one step whoever else
writes it. Nothing expires by itself: that a row is too old is for the view's ttl to say, as everywhere.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import redis

from mlops_assets.errors import StoreError
from mlops_assets.records import FeatureView
from mlops_assets.stores.online.rows import (
    HISTORY,
    NAT,
    Shapes,
    StoredColumn,
    Times,
    Values,
    micros,
    packed_keys,
    packed_rows,
)

if TYPE_CHECKING:
    import pyarrow as pa

TIMEOUT_S = 5.0
KEYS_PER_CALL = 1_000  # a few milliseconds in the server, in which it answers nobody else
EXACT_BELOW = 2**53  # microseconds that Lua can tell apart: until the year 2255

_REFILL = "mlops:online:refill"
_HEAD = struct.Struct(">qqI")  # event time, known time, length of the row; the script reads the same

# KEYS: one or more keys. ARGV: how many rows a key keeps, then for each key its new rows, newest first.
_MERGE = """
local most, size = tonumber(ARGV[1]), 20
local function head(rows, at)
    if at > #rows then return nil end
    local event, known, length = struct.unpack('>i8i8I4', rows, at)
    return {event = event, known = known, ends = at + size + length}
end
for place, key in ipairs(KEYS) do
    local new, held = ARGV[place + 1], redis.call('GET', key) or ''
    local kept, i, j = {}, 1, 1
    local a, b = head(new, i), head(held, j)
    while #kept < most and (a or b) do
        if a and b and a.event == b.event and a.known == b.known then
            j = b.ends
            b = head(held, j)
        elseif a and (not b or a.event > b.event or (a.event == b.event and a.known > b.known)) then
            kept[#kept + 1] = string.sub(new, i, a.ends - 1)
            i = a.ends
            a = head(new, i)
        else
            kept[#kept + 1] = string.sub(held, j, b.ends - 1)
            j = b.ends
            b = head(held, j)
        end
    end
    redis.call('SET', key, table.concat(kept))
end
"""


class RedisOnlineStore:
    """Feature rows by key in a Redis server; see `OnlineStore`. Each key changes in one step, a view key by key."""

    def __init__(self, url: str, *, history: int = HISTORY) -> None:
        self.history = history
        self._client = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        where = self._client.connection_pool.connection_kwargs
        self.address = where.get("path") or f"{where.get('host')}:{where.get('port')}/{where.get('db', 0)}"
        self._merge = self._client.register_script(_MERGE)
        self._shapes = Shapes()

    def write(self, view: FeatureView, rows: "pa.Table") -> int:
        """Keep the newest rows of every key, and give how many rows were offered."""
        return self.write_all(view, [rows])

    def write_all(self, view: FeatureView, parts: "Iterable[pa.Table]") -> int:
        """Keep the newest rows of every key, and give how many rows were offered.

        Keys are written a thousand at a time. A write that is cut off has changed some keys and not others, each of
        them whole; written again, it changes the rest. The mark by which a view is there comes last.
        """
        offered, shape = 0, self._shapes.of(view)
        with self._refusals(view, "written"):
            for rows in parts:
                values: list[tuple[bytes, bytes]] = []
                for key, versions in groupby(packed_rows(view, rows, history=self.history), key=itemgetter(0)):
                    values.append((_address(shape.name, key), _joined(list(versions))))
                    if len(values) == KEYS_PER_CALL:
                        self._write(values)
                        values = []
                if values:
                    self._write(values)
                offered += rows.num_rows
            self._client.set(_mark(shape.name), 1)
        return offered

    def _write(self, values: Sequence[tuple[bytes, bytes]]) -> None:
        self._merge(keys=[key for key, _ in values], args=[self.history, *(value for _, value in values)])

    def read(self, view: FeatureView, keys: Mapping[str, Values], at: Times) -> dict[str, StoredColumn]:
        """Give each feature of `view` as it was known for each of n decisions, in one exchange with the server."""
        shape, moments = self._shapes.of(view), micros(at)
        held = self._values(view, packed_keys(view, keys))
        found = [_known(value, moment) for value, moment in zip(held, moments.tolist(), strict=True)]
        return shape.columns(found, moments)

    def event_time(self, view: FeatureView, keys: Mapping[str, Values]) -> Times:
        """Give the event time of the newest row of each key, NaT where there is none."""
        held = self._values(view, packed_keys(view, keys))
        newest = [_HEAD.unpack_from(value)[0] if value else NAT for value in held]
        return np.array(newest, dtype=np.int64).view("datetime64[us]")

    def holds(self, view: FeatureView) -> bool:
        """Tell whether `view` was ever written in the shape it is declared in."""
        with self._refusals(view, "read"):
            return bool(self._client.exists(_mark(self._shapes.of(view).name)))

    def _values(self, view: FeatureView, keys: Sequence[bytes | None]) -> list[bytes | None]:
        """Give what is held of each key, None where nothing is."""
        name = self._shapes.of(view).name
        asked = [_address(name, key) for key in keys if key is not None]
        with self._refusals(view, "read"):
            mark, *values = self._client.mget(_mark(name), *asked)
        if mark is None:  # asked each time: a server that lost its rows would answer that nothing was ever known
            raise self._refused(view, "read", "it was never written in this shape, or the server has lost its rows")
        found: Iterator[Any] = iter(values)
        return [None if key is None else next(found) for key in keys]

    def refilled(self) -> dict[str, str]:
        """Give what `note_refilled` was told last."""
        with self._refusals_of_refill():
            done: dict[Any, Any] = self._client.hgetall(_REFILL)
            return {view.decode(): sha256.decode() for view, sha256 in done.items()}

    def note_refilled(self, done: Mapping[str, str]) -> None:
        """Note how far a refill has come."""
        with self._refusals_of_refill():
            if noted := dict[Any, Any](done):
                self._client.hset(_REFILL, mapping=noted)
            else:
                self._client.delete(_REFILL)

    @contextmanager
    def _refusals_of_refill(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise StoreError(
                f"How far a refill has come cannot be told at {self.address}: {error}. See that the server runs and is "
                "reached, then refill again.",
                address=self.address,
            ) from error

    @contextmanager
    def _refusals(self, view: FeatureView, done: str) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise self._refused(view, done, error) from error

    def _refused(self, view: FeatureView, done: str, cause: object) -> StoreError:
        consequence = (
            f"No decision that needs them can be taken. Materialize features/{view.name}, or run `mlops refill"
            f" {view.name}` if its table is there"
            if done == "read"
            else "Some keys may be newer than others, none is half written. Materialize the view again"
        )
        return StoreError(
            f"Online features of view {view.name!r} cannot be {done} at {self.address}: {cause}. {consequence}, and see"
            " that the server runs and is reached.",
            view=view.name,
            address=self.address,
        )


def _address(shape: str, key: bytes) -> bytes:
    return b"mlops:online:" + shape.encode() + b":" + key


def _mark(shape: str) -> str:
    return f"mlops:online:{shape}"


def _joined(rows: Sequence[tuple[bytes, int, int, bytes]]) -> bytes:
    """Give the rows of a key as one value, newest first."""
    parts = []
    for _, event_time, known_at, row in reversed(rows):
        if max(-event_time, known_at) >= EXACT_BELOW:
            raise StoreError("Rows dated after the year 2255 cannot be kept in Redis, whose scripts reckon in doubles.")
        parts += [_HEAD.pack(event_time, known_at, len(row)), row]
    return b"".join(parts)


def _known(value: bytes | None, moment: int) -> tuple[int, bytes] | None:
    """Give event time and bytes of the newest row that was known at `moment`."""
    at, size = 0, len(value) if value else 0
    while value and at < size:
        event_time, known_at, length = _HEAD.unpack_from(value, at)
        at += _HEAD.size
        if known_at <= moment:
            return event_time, value[at : at + length]
        at += length
    return None

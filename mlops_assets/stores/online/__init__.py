"""The newest feature rows of every key, for the endpoint: one store a file, SQLite unless a home names another.

A row answers a decision at `at` when it was known then and is not older than the view's ttl, both ends included; the
rule is the one of the point-in-time join, so the last `HISTORY` rows of a key are kept and not just one: a decision
taken shortly before a new row becomes known gets the row that training would have seen. An older write never replaces
a newer row.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlops_assets.errors import StoreError
from mlops_assets.records import FeatureView
from mlops_assets.stores.online.rows import HISTORY, Status, StoredColumn, Times, Values
from mlops_assets.stores.online.sqlite import SqliteOnlineStore

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["HISTORY", "OnlineStore", "SqliteOnlineStore", "Status", "StoredColumn", "open_online"]

URL = "MLOPS_ONLINE_URL"
FILE = "online.sqlite"


class OnlineStore(Protocol):
    """Feature rows by key, written by the feature assets and read by the endpoint.

    Rows of different shapes never mix: a view whose keys or features were declared anew starts anew, so an older model
    goes on reading the rows it was trained for. Threads and processes may share a store.
    """

    def write(self, view: FeatureView, rows: "pa.Table") -> int:
        """Keep the newest rows of every key, and give how many rows were offered.

        The order of writes does not matter: an older row never hides a newer one. A row with the event time and known
        time of a kept row replaces it, so a recomputed partition corrects what it wrote before. Writing the same rows
        again changes nothing, which is how a write that was killed is made good.

        Args:
            view: What the columns mean.
            rows: Keys, features, `event_time` and `known_at` (UTC) of the view; other columns are ignored.

        Raises:
            StoreError: A column is missing, a key or time is null, a row is known before its event, or the store
                cannot be written.
        """
        ...

    def write_all(self, view: FeatureView, parts: "Iterable[pa.Table]") -> int:
        """Write several tables of rows as `write` does one; a view that was never written is there once all of it is.

        One table after the other is asked for, so that they need not fit into memory together.
        """
        ...

    def read(self, view: FeatureView, keys: Mapping[str, Values], at: Times) -> dict[str, StoredColumn]:
        """Give each feature of `view` as it was known for each of n decisions.

        Args:
            view: What was written; the ttl obeyed is this view's.
            keys: One array of length n per key; a null key finds nothing.
            at: When each decision is taken, datetime64[us] in UTC, length n.

        Raises:
            StoreError: The view was never written in this shape, or the store cannot be read.
        """
        ...

    def event_time(self, view: FeatureView, keys: Mapping[str, Values]) -> Times:
        """Give the event time of the newest row of each key, NaT where there is none."""
        ...

    def holds(self, view: FeatureView) -> bool:
        """Tell whether `view` was ever written in the shape it is declared in."""
        ...

    def refilled(self) -> dict[str, str]:
        """Give what `note_refilled` was told last; it rests beside the rows and is lost with them."""
        ...

    def note_refilled(self, done: Mapping[str, str]) -> None:
        """Note how far a refill has come: of each view the digest of the table it was written from."""
        ...


def open_online(home: Path, settings: Mapping[str, str]) -> OnlineStore:
    """Give the online store of a home: the one that `MLOPS_ONLINE_URL` names, else a file in the home itself.

    Raises:
        StoreError: The URL names no store that is known, or its client is not installed.
    """
    url = settings.get(URL)
    if not url:
        return SqliteOnlineStore(home / FILE)
    scheme = url.partition("://")[0]
    if scheme not in ("redis", "rediss", "unix"):
        raise StoreError(
            f"{URL} names a {scheme!r} store, which is not known. Write redis://host:6379/0, rediss:// for TLS or "
            "unix:///path for a socket; leave it out to keep features in the home.",
            scheme=scheme,
        )
    try:
        from mlops_assets.stores.online.redis import RedisOnlineStore
    except ModuleNotFoundError as error:
        raise StoreError(
            f"{URL} names a Redis server, and its client is not installed. Install mlops-assets[redis]."
        ) from error
    return RedisOnlineStore(url)

"""Dagster's SQLite files, held open; its own classes open, compile and close anew for each of a run's hundred events.

Files, tables and statements stay Dagster's, so `dagster dev` reads and writes the same ones with its own classes. What
is kept is a pool of connections for each file. A commit does not wait for the disk (`synchronous=NORMAL`): a killed
process loses nothing, a machine that loses its power may lose the newest lines of this log, which is no evidence.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from dagster import AssetKey
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine

FILES_HELD_OPEN: Final = 12  # those used last: Dagster keeps the events of each run in a file of their own


class HeldOpenStorage(DagsterSqliteStorage):
    """Dagster's storage on one machine; settings name it as `storage: custom:`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        # Dagster's own classes have just made what was missing of the files and their tables.
        self._engines = _Engines()
        self._run_storage = _RunStorage(self._run_storage._conn_string, self._engines)
        self._event_log_storage = _EventLogStorage(self._event_log_storage._base_dir, self._engines)
        self._schedule_storage = _ScheduleStorage(self._schedule_storage._conn_string, self._engines)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Any) -> "HeldOpenStorage":
        """Give the storage below `base_dir`."""
        return cls.from_local(inst_data=inst_data, **config_value)

    def dispose(self) -> None:
        """Close the files."""
        super().dispose()
        self._engines.dispose()


class _Engines:
    """An engine with its pool of connections for each of the files used last; a forked process begins with none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._engines: OrderedDict[str, Engine] = OrderedDict()

    def of(self, url: str) -> Engine:
        with self._lock:
            if self._process != os.getpid():  # connections must not be used, nor closed, on both sides of a fork
                self._process, self._engines = os.getpid(), OrderedDict()
            if url not in self._engines:
                self._engines[url] = _engine(url)
            self._engines.move_to_end(url)
            if len(self._engines) > FILES_HELD_OPEN:
                self._engines.popitem(last=False)[1].dispose()
            return self._engines[url]

    def dispose(self) -> None:
        with self._lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _engine(url: str) -> Engine:
    engine = sa.create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}, max_overflow=-1)
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=NORMAL"))
    return engine


class _HeldOpen:
    """Connects to one file through an engine that is held open."""

    def __init__(self, url: str, engines: _Engines) -> None:
        super().__init__(url)  # type: ignore[call-arg]
        self._url, self._engines = url, engines

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engines.of(self._url).begin() as connection:
            yield connection


class _RunStorage(_HeldOpen, SqliteRunStorage):
    pass


class _ScheduleStorage(_HeldOpen, SqliteScheduleStorage):
    pass


@dataclass
class _Batch:
    """Events on their way into the files: one transaction for each, to be committed when `stack` closes."""

    stack: ExitStack
    connections: dict[str, Connection] = field(default_factory=dict)
    newest: dict[AssetKey, tuple[Connection, EventLogEntry, int]] = field(default_factory=dict)


class _EventLogStorage(SqliteEventLogStorage):
    """Dagster's event log; what Dagster gives as one batch is one commit in the run's file and one in the index."""

    def __init__(self, base_dir: str, engines: _Engines) -> None:
        self._engines = engines
        self._thread = threading.local()  # with the `batch` that this thread is storing, if it is storing one
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        batch: _Batch | None = getattr(self._thread, "batch", None)
        if batch is None:
            with self._engine(shard).begin() as connection:
                yield connection
            return
        if shard not in batch.connections:
            batch.connections[shard] = batch.stack.enter_context(self._engine(shard).begin())
        yield batch.connections[shard]

    def _engine(self, shard: str) -> Engine:
        engine = self._engines.of(self.conn_string_for_shard(shard))
        with self._db_lock:
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
        return engine

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event."""
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events, all of them or none; of each asset the newest is noted, as Dagster does on PostgreSQL."""
        with ExitStack() as stack:
            batch = self._thread.batch = _Batch(stack)
            try:
                for event in events:
                    super().store_event(event)
                for noted in batch.newest.values():
                    super()._store_asset_event(*noted)
            finally:
                self._thread.batch = None
        for shard in batch.connections:
            # Whoever watches a run waits for its file to change, and a commit only changes the file beside it.
            os.utime(self.path_for_shard(shard))

    def _store_asset_event(self, conn: Connection, event: EventLogEntry, event_id: int) -> None:
        batch: _Batch | None = getattr(self._thread, "batch", None)
        key = event.dagster_event.asset_key if event.dagster_event else None
        if batch is None or key is None:
            super()._store_asset_event(conn, event, event_id)
        else:
            batch.newest[key] = (conn, event, event_id)

    def wipe(self) -> None:
        """Remove everything; a file that is held open would go on being written, unseen."""
        self._engines.dispose()
        super().wipe()

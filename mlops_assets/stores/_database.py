"""One database, SQLite or PostgreSQL, in which every write holds the write lock from its first read to its commit."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from mlops_assets.errors import StoreError

LOCK_TIMEOUT_S: Final = 30.0
ADVISORY_LOCK: Final = 0x6D6C6F70  # "mlop": the write lock on PostgreSQL, shared by all who use the same database


class Database:
    """A database that processes, threads and forks may share: no connection outlives a block.

    Args:
        url: `sqlite:////folder/file.sqlite` (made on first use) or `postgresql://user@host/name`.
        holds: What rests there, for the message when it cannot be reached.
    """

    def __init__(self, url: str, *, holds: str) -> None:
        self.url = _normalised(url)
        self._holds = holds
        self._engine = _engine(self.url)
        self._block = threading.local()  # the writing block that this thread is in, if it is in one

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See the database as it is at one moment."""
        with self._refusals(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Hold the write lock to the end of the block, then commit; on an error nothing is kept.

        A block within a block is part of it.
        """
        outer: Connection | None = getattr(self._block, "connection", None)
        if outer is not None:
            yield outer
            return
        with self._refusals(), self._engine.execution_options(writes=True).begin() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
            self._block.connection = connection
            try:
                yield connection
            finally:
                self._block.connection = None

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Turn what the database refuses into a StoreError that says how to mend it."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:  # SQLAlchemy does not wrap what `_prepare_sqlite` meets
            cause = str(error.orig if isinstance(error, DBAPIError) else error).strip()
            where = self.url.render_as_string(hide_password=True)
            raise StoreError(
                f"The database {where} refused: {cause}. It holds {self._holds}, so nothing goes on without it. "
                f"{database_remedy(cause)}",
                url=where,
                cause=cause,
            ) from error


def database_remedy(cause: str) -> str:
    """Say what to do about what a database gave as its reason."""
    remedies = {
        "locked": f"Some process has held its write lock for {LOCK_TIMEOUT_S:.0f} s; find it (`fuser` on the file).",
        "lock timeout": f"Some process has held its write lock for {LOCK_TIMEOUT_S:.0f} s; see pg_stat_activity.",
        "full": "Make room on its disk, then try again; nothing was half written.",
        "disk i/o": "Its disk is full or failing (`df` tells): make room, then try again; nothing was half written.",
        "no space": "Make room on its disk, then try again; nothing was half written.",
        "readonly": "Give this user the right to write the file and its folder.",
        "unable to open": "Check that its folder exists and that this user may write there.",
        "not a database": "That file is something else, or damaged: move it away, or restore it from a backup.",
        "malformed": "The file is damaged: keep it, and restore the last backup beside it.",
        "password": "Check user and password in the URL.",
        "does not exist": "Create that database or role first (`createdb`, `createuser`).",
        "refused": "Start the server, or mend host and port in the URL.",
    }
    return next((remedy for sign, remedy in remedies.items() if sign in cause.lower()), "Mend this, then try again.")


def _normalised(url: str) -> URL:
    """Read `url`, with the driver spelled out where SQLAlchemy's own choice depends on its version."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(
            f"{url!r} does not name a database. Write sqlite:////folder/state.sqlite or postgresql://user@host/name.",
            url=url,
        ) from error
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg2")
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError(
            "What is kept here must outlive its process, so SQLite needs a file: sqlite:////folder/state.sqlite."
        )
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(
            f"State is kept in SQLite or PostgreSQL, not in {parsed.get_backend_name()!r}: locks and triggers have to "
            "be written for each database. Write sqlite:////folder/state.sqlite or postgresql://user@host/name.",
            url=parsed.render_as_string(),
        )
    return parsed


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        options = f"{url.query.get('options', '')} -c lock_timeout={int(LOCK_TIMEOUT_S * 1000)}"
        return sa.create_engine(
            url,
            poolclass=sa.NullPool,
            isolation_level="READ COMMITTED",  # what is read after waiting for the lock must be what was committed then
            connect_args={"connect_timeout": 10, "options": options},
        )
    assert url.database is not None
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"No folder for the database {url.database}: {error}. Name a place this user may write to.",
            path=url.database,
        ) from error
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"timeout": LOCK_TIMEOUT_S})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says, DDL included
    connection.execute("PRAGMA synchronous = FULL")  # a commit in WAL mode is otherwise lost with the power
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        _switch_to_wal(connection)


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL, once and for all, so that readers and the writer do not wait for each other.

    While another process is at the same switch, SQLite refuses at once, whatever the timeout: so the waiting is here.
    """
    give_up = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    """Begin a write at once with the write lock: a reader that turns writer can be refused without any waiting."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")

"""Versioned tables on Delta Lake: a write replaces whole partitions in one commit, and every version stays readable.

The digest and row count of each partition written travel in the commit's own metadata, so a table's digest is known
exactly when its rows are there, and without reading them. Files are on the disk before a commit names them. A commit
goes on top of the version it was made for or is made again, so the rows of rivals are never lost or mixed.

Old versions stay until somebody names those to keep (`keep_only`), and the log stays for ever: a model must be able to
find the very rows it was trained on. A process killed at any moment leaves the old version or the new one, and at worst
a file that no version names.
"""

import json
import os
import re
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Schema, TableFeatures
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, create_table_with_add_actions

from mlops_assets.digests import Pieces, TableDigest, sha256_parts
from mlops_assets.errors import StoreError, UnknownNameError, examples, first_line
from mlops_assets.records import Column, TableVersion
from mlops_assets.stores._atomic import checked_name, flush_file, flush_folder, remedy
from mlops_assets.stores._staging import Staging
from mlops_assets.stores._table_files import PARTITION as PARTITION
from mlops_assets.stores._table_types import aligned, cast, delta_schema, storable_schema, widened
from mlops_assets.stores._table_types import stored_digest as stored_digest

WHOLE = ""  # the ledger's key for the content of an unpartitioned table

COMMIT_ATTEMPTS = 100  # a commit goes on top of the newest version only; of writers at once one gets there at a time
REOPEN_AFTER_WRITES = 32  # a handle slows down with every commit it makes; a fresh one reads the checkpoint

_SETTINGS = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.checkpointInterval": "50",
}
NOTE = "mlops_assets"  # our entry in a commit's metadata
_CONTENT_UNTOUCHED = frozenset({"CREATE TABLE", "SET TBLPROPERTIES", "VACUUM START", "VACUUM END"})
_GRACE = timedelta(days=1)  # a file younger than this may be one that a writer has yet to commit
_OS_ERROR = re.compile(r"os error (\d+)")  # how the table engine spells an errno


class TableNotFoundError(StoreError, LookupError):
    """No such table, version or partition was ever written."""


class Content(NamedTuple):
    """What the newest write of a partition put there; `extra` is what its writer noted with it."""

    sha256: str
    rows: int
    extra: dict[str, str]


_Ledger = dict[str, Content]
Rows: TypeAlias = pa.Table | Pieces
Notes = Mapping[str, Mapping[str, str]]  # what to note of each partition, by its key


@dataclass(slots=True)
class _Handle:
    """An open table, and its ledger as of `ledger_version`."""

    delta: DeltaTable
    ledger: _Ledger = field(default_factory=dict)
    ledger_version: int = -1
    writes: int = 0


class TableStore:
    """Keeps tables under a local folder, one Delta table per name; `raw/flights` is a folder in a folder.

    Threads may share a store and processes a folder: writers of different partitions do not disturb each other, and of
    writers of the same partition the last one stays, whole.
    """

    def __init__(self, root: str | Path) -> None:
        if "://" in str(root):
            raise StoreError(
                f"Tables cannot be kept at {root}: this store writes to local folders. Give the path of one.",
                root=str(root),
            )
        self.root = Path(root)
        self._handles: dict[str, _Handle] = {}
        self._lock = threading.RLock()

    # --- writing ----------------------------------------------------------------------------------

    def write(
        self, table: str, rows: Rows, *, partition: str | None = None, extra: Mapping[str, str] | None = None
    ) -> TableVersion:
        """Replace one partition, or the whole of an unpartitioned table, and give the version that holds it.

        Writing what is already there commits nothing. A column new to a partitioned table is added to it, null in
        older partitions; a column the table has and `rows` lack is null. An unpartitioned table takes the new columns
        as they are. `extra` is kept in the commit and given back by `contents`; where it alone is new, the commit
        leaves the rows as they are.

        Raises:
            StoreError: The columns do not fit the table or cannot be kept, or the disk refused.
        """
        key = WHOLE if partition is None else partition
        return self._write(table, {key: rows}, {key: extra or {}}, partitioned=partition is not None)

    def write_partitions(self, table: str, parts: Mapping[str, Rows], *, extra: Notes | None = None) -> TableVersion:
        """Replace every partition in `parts` in one commit, also by an empty one, and give the version that holds them.

        `extra` is what to note of each partition, by its key; see `write`.

        Raises:
            StoreError: As for `write`; or `parts` is empty.
        """
        return self._write(table, parts, extra or {}, partitioned=True)

    @contextmanager
    def begin(self, table: str, columns: Iterable[pa.Schema], *, partitioned: bool) -> "Iterator[TableWrite]":
        """Begin a write that takes its rows piece by piece; `columns` are those of all of them.

        Nobody sees any of the rows before the write is committed, and without that they are dropped.

        Raises:
            StoreError: The columns do not fit the table or cannot be kept.
        """
        wanted = [storable_schema(schema, table=table) for schema in columns]
        with self._lock:
            schema = self._schema_with(table, self._fresh(table), wanted, partitioned)
            write = TableWrite(self, table, wanted, schema, partitioned)
        try:
            yield write
        finally:
            write.staging.discard()

    def _write(self, table: str, parts: Mapping[str, Rows], extra: Notes, *, partitioned: bool) -> TableVersion:
        for _ in range(COMMIT_ATTEMPTS):
            with self.begin(table, [rows.schema for rows in parts.values()], partitioned=partitioned) as write:
                for key, rows in parts.items():
                    for piece in _pieces(rows):
                        write.add(piece, partition=key if partitioned else None)
                with suppress(_WidenedMeanwhileError):
                    return self._commit(write, extra, look_first=False)
        raise _contended(table, parts)

    def _schema_with(
        self, table: str, handle: _Handle | None, columns: Sequence[pa.Schema], partitioned: bool
    ) -> pa.Schema:
        """Give the columns that `table` will have once it is written with `columns`."""
        if handle and bool(handle.delta.metadata().partition_columns) != partitioned:
            begun, asked = ("whole", "by partition") if partitioned else ("by partition", "whole")
            raise StoreError(
                f"Table {table!r} has been written {begun} so far, and was to be written {asked}. "
                f"Write it as it was begun, or under another name.",
                table=table,
            )
        return widened(_schema(handle.delta) if handle and partitioned else None, columns, table=table)

    def _commit(self, write: "TableWrite", extra: Notes, *, look_first: bool) -> TableVersion:
        """Commit on top of the newest version, or without `look_first` of the one seen when the write began."""
        table = write.table
        contents = {
            key: Content(sha256, rows, dict(extra.get(key, {})))
            for key, (sha256, rows) in write.staging.contents().items()
        }
        if not contents:
            raise StoreError(f"No partitions of table {table!r} were given, so there is nothing to write.", table=table)
        with self._lock:
            for attempt in range(COMMIT_ATTEMPTS):
                try:
                    handle = self._fresh(table) if look_first or attempt else self._handles.get(table)
                    return self._committed(write, handle, contents)
                except (CommitFailedError, _CreatedMeanwhileError):
                    time.sleep(min(0.005 * attempt, 0.1))
                except (DeltaError, OSError) as error:
                    self._handles.pop(table, None)
                    raise _refused(table, self._folder(table), error) from error
        raise _contended(table, contents)

    def _committed(self, write: "TableWrite", handle: _Handle | None, contents: _Ledger) -> TableVersion:
        if self._schema_with(write.table, handle, write.columns, write.partitioned) != write.staging.schema:
            raise _WidenedMeanwhileError(
                f"Columns were added to table {write.table!r} by another process while {examples(contents)} was being "
                f"written, so nothing of it was kept. Run it again.",
                table=write.table,
            )
        replaced = [key for key, content in contents.items() if not handle or not _holds(handle.ledger, key, content)]
        if handle is None or replaced:
            handle = self._replace(write, handle, replaced, contents)
        elif any(handle.ledger[key] != content for key, content in contents.items()):
            self._note(write.table, handle, contents)
        digests = {key: content.sha256 for key, content in contents.items()}
        return TableVersion(
            table=write.table,
            version=handle.delta.version(),
            sha256=sha256_parts(digests) if write.partitioned else digests[WHOLE],
            rows=sum(content.rows for content in contents.values()),
            columns=_columns(_schema(handle.delta)),
            partitions=digests if write.partitioned else {},
        )

    def _replace(self, write: "TableWrite", handle: _Handle | None, keys: Sequence[str], contents: _Ledger) -> _Handle:
        """Commit the files of `keys` in place of those there, and only on top of the version that was looked at."""
        table, files = write.table, write.staging.hand_over(keys)
        by = [PARTITION] if write.partitioned else []
        # With retries delta-rs would put the commit behind a rival's without looking which files that one added.
        properties = CommitProperties(custom_metadata=_as_note(contents), max_commit_retries=0)
        if handle is None:
            self._create(table, write.staging.schema, files, by, properties)
            self._flush(table, 0)
            return self._opened(table)
        schema = delta_schema(write.staging.schema, by, handle.delta if write.partitioned else None)
        self._enable(table, handle, schema)
        handle.delta.create_write_transaction(
            [*files],
            mode="overwrite",
            schema=schema,
            partition_by=by,
            partition_filters=[(PARTITION, "in", list(keys))] if write.partitioned else None,
            commit_properties=properties,
        )
        self._flush(table, handle.delta.version() + 1)
        handle.delta.update_incremental()
        handle.writes += 1
        if handle.writes >= REOPEN_AFTER_WRITES:
            return self._opened(table)
        self._read_up(table, handle)
        return handle

    def _flush(self, table: str, version: int) -> None:
        """Bring a commit to the disk, so that it outlives a power cut; the files it names are there already."""
        log = self._folder(table) / "_delta_log"
        flush_file(log / f"{version:020d}.json")
        flush_folder(log)

    def _enable(self, table: str, handle: _Handle, schema: Schema) -> None:
        """Say in the table what its readers must know before its first time without a zone."""
        zoneless = any(pa.types.is_timestamp(type) and type.tz is None for type in pa.schema(schema.to_arrow()).types)
        if zoneless and "timestampNtz" not in (handle.delta.protocol().reader_features or ()):
            handle.delta.alter.add_feature(
                TableFeatures.TimestampWithoutTimezone,
                allow_protocol_versions_increase=True,
                commit_properties=CommitProperties(custom_metadata=_as_note({}), max_commit_retries=0),
            )
            handle.delta.update_incremental()

    def _note(self, table: str, handle: _Handle, contents: _Ledger) -> None:
        """Put what is to be noted of rows that stay as they are into a commit without rows."""
        handle.delta.create_write_transaction(
            [],
            mode="append",
            schema=handle.delta.schema(),
            partition_by=handle.delta.metadata().partition_columns,
            # With retries the note would be put behind the commit of a rival, and say of its rows what is true of ours.
            commit_properties=CommitProperties(custom_metadata=_as_note(contents), max_commit_retries=0),
        )
        handle.delta.update_incremental()
        self._read_up(table, handle)

    def _create(
        self, table: str, schema: pa.Schema, files: list[AddAction], by: list[str], properties: CommitProperties
    ) -> None:
        try:
            create_table_with_add_actions(
                str(self._folder(table)),
                delta_schema(schema, by, None),
                files,
                mode="error",
                partition_by=by,
                configuration=_SETTINGS,
                commit_properties=properties,
            )
        except DeltaError as error:
            if self.exists(table):
                raise _CreatedMeanwhileError from error
            raise

    # --- reading ----------------------------------------------------------------------------------

    def read(
        self,
        table: str,
        *,
        version: int | None = None,
        partitions: Iterable[str] | None = None,
        since: str | None = None,
        until: str | None = None,
        columns: Iterable[str] | None = None,
    ) -> pa.Table:
        """Give rows in partition order, and within a partition in the order written.

        `since` and `until` bound the partition keys, both included, and take what is there; `partitions` names them,
        and each must have been written.

        Raises:
            TableNotFoundError: There is no such table, version or partition.
            UnknownNameError: There is no such column.
        """
        with self._lock:
            handle = self._at(table, version)
            ledger, schema, files = handle.ledger, _schema(handle.delta), _files(handle.delta, self._folder(table))
        keys = set(ledger) if partitions is None else _there(ledger, partitions, table=table)
        keys = {key for key in keys if (since is None or key >= since) and (until is None or key <= until)}
        wanted = [name for name in schema.names if name != PARTITION] if columns is None else list(columns)
        for name in wanted:
            if name not in schema.names:
                raise UnknownNameError(f"column of table {table!r}", name, known=schema.names)
        paths = [path for key, path in files if key in keys]
        if not paths:
            return schema.empty_table().select(wanted)
        stored = pa.schema([column for column in schema if column.name in wanted])
        try:
            # Arrow's own pool asks for huge pages, and making room for them can cost more than the reading itself.
            pool = pa.system_memory_pool()
            return ds.dataset(paths, schema=stored, format="parquet").to_table(columns=wanted, memory_pool=pool)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and version not in (None, self.version(table).version):
                raise TableNotFoundError(
                    f"Version {version} of table {table!r} is no longer there: retention has deleted files of it, "
                    f"for no protected model was trained on it. `mlops table {table}` lists the versions to be read.",
                    table=table,
                    version=version,
                ) from error
            raise StoreError(
                f"Table {table!r} names a file that cannot be read: {error}. Restore {self._folder(table)} from a "
                f"backup, or materialize {_span(keys)} again.",
                table=table,
            ) from error

    def scan(self, table: str, *, partition: str | None = None) -> ds.Dataset:
        """Give the rows of one partition, or of all, to be read piece by piece, as they are now and in their order.

        Raises:
            TableNotFoundError: There is no such table or partition.
        """
        with self._lock:
            handle = self._at(table, None)
            schema, files = _schema(handle.delta), _files(handle.delta, self._folder(table))
            keys = set(handle.ledger) if partition is None else _there(handle.ledger, [partition], table=table)
        schema = pa.schema([column for column in schema if column.name != PARTITION])
        paths = [path for key, path in files if key in keys]
        return ds.dataset(paths, schema=schema, format="parquet") if paths else ds.dataset(schema.empty_table())

    def read_partitions(self, table: str, *, since: str | None = None, until: str | None = None) -> dict[str, pa.Table]:
        """Give the rows of each partition from `since` to `until`, both included, of those that were written.

        Raises:
            TableNotFoundError: There is no such table.
        """
        with self._lock:
            ledger = dict(self._at(table, None).ledger)
            rows = self.read(table, since=since, until=until)
        parts, start = {}, 0
        for key in sorted(ledger):
            if (since is None or key >= since) and (until is None or key <= until):
                parts[key] = rows.slice(start, ledger[key].rows)
                start += ledger[key].rows
        return parts

    def version(self, table: str, version: int | None = None) -> TableVersion:
        """Give the whole table's version, the newest unless told: digest, rows, columns and every partition.

        Raises:
            TableNotFoundError: There is no such table or version.
        """
        with self._lock:
            handle = self._at(table, version)
            partitioned = bool(handle.delta.metadata().partition_columns)
            digests = {key: handle.ledger[key].sha256 for key in sorted(handle.ledger)}
            return TableVersion(
                table=table,
                version=handle.delta.version(),
                sha256=sha256_parts(digests) if partitioned else digests[WHOLE],
                rows=sum(content.rows for content in handle.ledger.values()),
                columns=_columns(_schema(handle.delta)),
                partitions=digests if partitioned else {},
            )

    def contents(self, table: str) -> dict[str, Content]:
        """Give digest, rows and notes of each partition; of an unpartitioned table under the key `WHOLE`.

        Raises:
            TableNotFoundError: There is no such table.
        """
        with self._lock:
            return dict(self._at(table, None).ledger)

    def note(self, table: str, extra: Notes) -> None:
        """Note `extra` of partitions in place of what was noted; their rows stay as they are.

        A partition that somebody else replaces meanwhile keeps what was noted with its new rows.
        """
        with self._lock:
            known = self._at(table, None).ledger
            for attempt in range(COMMIT_ATTEMPTS):
                handle = self._at(table, None)
                noted = {
                    key: known[key]._replace(extra=dict(notes))
                    for key, notes in extra.items()
                    if key in known and known[key] == handle.ledger.get(key)
                }
                if all(known[key] == content for key, content in noted.items()):
                    return
                try:
                    self._note(table, handle, noted)
                    return
                except CommitFailedError:
                    time.sleep(min(0.005 * attempt, 0.1))
        raise _contended(table, extra)

    def differing(self, table: str, parts: Mapping[str, Rows]) -> tuple[str, ...]:
        """Name those of `parts` that `write_partitions` would not find there already; writes nothing."""
        with self._lock:
            handle = self._at(table, None)
            stored = {key: storable_schema(rows.schema, table=table) for key, rows in parts.items()}
            schema = widened(_schema(handle.delta), stored.values(), table=table)
        differing = []
        for key, rows in parts.items():
            digest, count = TableDigest(schema), 0
            for piece in _pieces(rows):
                digest.update(aligned(cast(piece, stored[key], table=table), schema))
                count += piece.num_rows
            if not _holds(handle.ledger, key, Content(digest.hexdigest(), count, {})):
                differing.append(key)
        return tuple(differing)

    def exists(self, table: str) -> bool:
        """Say whether `table` was ever written."""
        return any((self._folder(table) / "_delta_log").glob("*[0-9].json"))

    def partitions(self, table: str) -> tuple[str, ...]:
        """Give the keys of all partitions ever written, also empty ones, sorted; none for an unpartitioned table."""
        return tuple(self.version(table).partitions)

    def tables(self) -> tuple[str, ...]:
        """Give the names of all tables, sorted."""
        found = []
        for folder, inner, _ in os.walk(self.root):
            name = Path(folder).relative_to(self.root).as_posix()
            if "_delta_log" in inner and self.exists(name):
                found.append(name)
            inner[:] = [sub for sub in inner if sub != "_delta_log" and not sub.startswith(f"{PARTITION}=")]
        return tuple(sorted(found))

    # --- cleaning ---------------------------------------------------------------------------------

    def keep_only(
        self, table: str, versions: Collection[int], *, dry_run: bool = False, grace: timedelta = _GRACE
    ) -> tuple[str, ...]:
        """Delete the files that neither the newest version nor one of `versions` needs, and name them.

        A version that loses a file can no longer be read; its digest and row counts stay in the log. A file that was
        written, or replaced, within `grace` stays for now. Killed halfway, the rest goes the next time.

        Raises:
            TableNotFoundError: There is no such table, or no such version.
            StoreError: The disk refused.
        """
        with self._lock:
            newest = self._at(table, None).delta
            if unknown := sorted(version for version in versions if not 0 <= version <= newest.version()):
                raise TableNotFoundError(
                    f"Table {table!r} has versions 0 to {newest.version()}, and {examples(unknown)} were to be kept, "
                    f"so nothing was deleted. `mlops table {table}` lists the versions there are.",
                    table=table,
                )
            folder, kept = self._folder(table), sorted({*versions, newest.version()})
            try:
                # What was deleted before is listed again for a while.
                listed = [unquote(file) for file in _vacuum(folder, kept, grace=grace, dry_run=True)]
                files = sorted(file for file in listed if (folder / file).exists())
                if files and not dry_run:
                    _vacuum(folder, kept, grace=grace, dry_run=False)
            except (DeltaError, OSError) as error:
                raise _refused(table, folder, error) from error
            return tuple(files)

    # --- open tables ------------------------------------------------------------------------------

    def _folder(self, table: str) -> Path:
        return self.root.joinpath(*(checked_name("table", part) for part in table.split("/")))

    def _fresh(self, table: str) -> _Handle | None:
        """Give the table's handle at its newest version, or None if it was never written."""
        handle = self._handles.get(table)
        if handle is None or not self.exists(table):
            self._handles.pop(table, None)
            return self._opened(table) if self.exists(table) else None
        handle.delta.update_incremental()
        self._read_up(table, handle)
        return handle

    def _opened(self, table: str) -> _Handle:
        known = self._handles.get(table)
        handle = _Handle(DeltaTable(self._folder(table)))
        if known:
            handle.ledger, handle.ledger_version = known.ledger, known.ledger_version
        self._read_up(table, handle)
        self._handles[table] = handle
        return handle

    def _at(self, table: str, version: int | None) -> _Handle:
        try:
            newest = self._fresh(table)
            if newest is None:
                raise TableNotFoundError(
                    f"Table {table!r} is not in {self.root}. Known: {examples(self.tables()) or 'none'}. "
                    f"Materialize the asset that writes it first.",
                    table=table,
                )
            if version is None or version == newest.delta.version():
                return newest
            if not 0 <= version <= newest.delta.version():
                raise TableNotFoundError(
                    f"Table {table!r} has versions 0 to {newest.delta.version()}, and {version} was asked for.",
                    table=table,
                    version=version,
                )
            older = _Handle(DeltaTable(self._folder(table), version=version))
            self._read_up(table, older)
            return older
        except (DeltaError, OSError) as error:
            raise StoreError(
                f"Table {table!r} in {self._folder(table)} cannot be opened: {first_line(error)}. "
                f"Restore the folder from a backup, or move it away and materialize its asset again.",
                table=table,
            ) from error

    def _read_up(self, table: str, handle: _Handle) -> None:
        """Bring the handle's ledger to its version from the commits in between, oldest first.

        Raises:
            StoreError: A commit changed rows without saying which partitions; it was made by another program.
        """
        ledger = dict(handle.ledger)
        for version in range(handle.ledger_version + 1, handle.delta.version() + 1):
            commit = _commit_info(self._folder(table), version)
            if note := commit.get(NOTE):
                ledger.update({key: Content(**content) for key, content in note["written"].items()})
            elif commit.get("operation") not in _CONTENT_UNTOUCHED:
                raise StoreError(
                    f"Version {version} of table {table!r} was written by another program ({commit.get('operation')}), "
                    f"so the digest of its rows is unknown. Restore version {version - 1} and write by TableStore.",
                    table=table,
                    version=version,
                )
        handle.ledger, handle.ledger_version = ledger, handle.delta.version()


class TableWrite:
    """A write that takes its rows piece by piece; see `TableStore.begin`."""

    def __init__(
        self, store: TableStore, table: str, columns: Sequence[pa.Schema], schema: pa.Schema, partitioned: bool
    ) -> None:
        self.table, self.columns, self.partitioned = table, columns, partitioned
        self.staging = Staging(store._folder(table), schema)
        self._store = store

    def add(self, rows: pa.Table, *, partition: str | None = None) -> None:
        """Put `rows` behind those that were added to the same partition before."""
        if self.partitioned == (not partition):
            how = "by partition" if self.partitioned else "whole"
            raise StoreError(
                f"Table {self.table!r} is being written {how}, and rows came for partition {partition!r}. "
                f"Give each piece the key of its partition, or none at all.",
                table=self.table,
            )
        schema = self.staging.schema
        if unknown := [name for name in rows.column_names if name not in schema.names]:
            raise StoreError(
                f"Columns {examples(unknown)} came for table {self.table!r}, and the write was begun without them. "
                f"Name the columns of all pieces when it begins.",
                table=self.table,
                columns=tuple(unknown),
            )
        known = pa.schema(schema.field(name) for name in rows.column_names)
        try:
            self.staging.add(partition or WHOLE, aligned(cast(rows, known, table=self.table), schema))
        except OSError as error:
            raise _refused(self.table, self._store._folder(self.table), error) from error

    def drop(self, partition: str | None = None) -> None:
        """Leave a partition out again; what the table has of it stays."""
        self.staging.drop(partition or WHOLE)

    def commit(self, *, extra: Notes | None = None) -> TableVersion:
        """Let the rows replace what is in their partitions, all in one commit, and give the version that holds them.

        Raises:
            StoreError: The disk refused, or others changed the table all the time.
        """
        return self._store._commit(self, extra or {}, look_first=True)


class _CreatedMeanwhileError(Exception):
    """Another process made the table between our look and our commit."""


class _WidenedMeanwhileError(StoreError):
    """Another process added columns to the table while rows were made ready for the ones it had."""


def _holds(ledger: _Ledger, key: str, content: Content) -> bool:
    """Tell whether the rows of `content` are there, whatever is noted of them."""
    there = ledger.get(key)
    return there is not None and there[:2] == content[:2]


def _as_note(contents: _Ledger) -> dict[str, Any]:
    return {NOTE: {"written": {key: content._asdict() for key, content in contents.items()}}}


def _commit_info(folder: Path, version: int) -> dict[str, Any]:
    """Give what a commit says of itself.

    Read from the log, since `DeltaTable.history` of an old version lists newer commits under wrong numbers (1.6.6).
    """
    for line in (folder / "_delta_log" / f"{version:020d}.json").read_bytes().splitlines():
        if b'"commitInfo"' in line and (info := json.loads(line).get("commitInfo")):
            return dict(info)
    return {}


def _vacuum(folder: Path, versions: list[int], *, grace: timedelta, dry_run: bool) -> list[str]:
    return DeltaTable(folder).vacuum(
        retention_hours=int(grace / timedelta(hours=1)),
        dry_run=dry_run,
        enforce_retention_duration=False,
        full=True,  # also what a killed writer left, and what the log's checkpoints have forgotten
        keep_versions=versions,
    )


def _schema(delta: DeltaTable) -> pa.Schema:
    return pa.schema(delta.schema().to_arrow())


def _columns(schema: pa.Schema) -> tuple[Column, ...]:
    return tuple(Column(name=column.name, dtype=str(column.type)) for column in schema if column.name != PARTITION)


def _files(delta: DeltaTable, folder: Path) -> list[tuple[str, str]]:
    """Give (partition key, path) of every data file, in the order rows are to be read back."""
    adds = pa.table(delta.get_add_actions(flatten=True))
    paths = adds["path"].to_pylist()
    labelled = f"partition.{PARTITION}"
    keys = adds[labelled].to_pylist() if labelled in adds.column_names else [WHOLE] * len(paths)
    # A write too big for one file numbers its files: part-00000-…, part-00001-…
    return [(key, str(folder / unquote(path))) for key, path in sorted(zip(keys, paths, strict=True))]


def _pieces(rows: Rows) -> Iterator[pa.Table]:
    return iter((rows,)) if isinstance(rows, pa.Table) else rows.pieces()


def _there(ledger: _Ledger, partitions: Iterable[str], *, table: str) -> set[str]:
    """Give the keys asked for, each of which must have been written."""
    asked = set(partitions)
    if missing := sorted(asked - set(ledger)):
        raise TableNotFoundError(
            f"Table {table!r} has no partition {examples(missing)}. It has {_span(ledger)}. "
            f"Materialize those first, or ask by since/until for what is there.",
            table=table,
            partitions=tuple(missing),
        )
    return asked


def _span(keys: Iterable[str]) -> str:
    ordered = sorted(keys)
    return f"{len(ordered)} partitions, {ordered[0]} to {ordered[-1]}" if ordered else "no partitions"


def _contended(table: str, partitions: Iterable[str]) -> StoreError:
    return StoreError(
        f"Table {table!r} was changed by others {COMMIT_ATTEMPTS} times while {examples(partitions)} was being "
        f"written. Let one process at a time write a partition, and run it again.",
        table=table,
        partitions=tuple(partitions),
    )


def _refused(table: str, folder: Path, error: Exception) -> StoreError:
    number = _OS_ERROR.search(str(error))
    os_error = OSError(int(number[1]), os.strerror(int(number[1]))) if number else error
    why = remedy(os_error) if isinstance(os_error, OSError) else f"{first_line(error)}. Mend that and run it again"
    return StoreError(
        f"Table {table!r} was not written to {folder}: {why}. What was there before is unchanged.",
        table=table,
        path=str(folder),
    )

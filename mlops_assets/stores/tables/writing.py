"""Rows go into a table: written aside, then named by one commit on top of the version they were made for."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import pyarrow as pa
from deltalake import CommitProperties, Schema, TableFeatures
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, create_table_with_add_actions

from mlops_assets.digests import TableDigest, sha256_parts
from mlops_assets.errors import StoreError, examples
from mlops_assets.records import TableVersion
from mlops_assets.stores._atomic import flush_file, flush_folder
from mlops_assets.stores.tables.columns import (
    Rows,
    aligned,
    cast,
    columns_of,
    delta_schema,
    pieces_of,
    schema_of,
    storable_schema,
    widened,
)
from mlops_assets.stores.tables.faults import (
    COMMIT_ATTEMPTS,
    CreatedMeanwhileError,
    WidenedMeanwhileError,
    contended,
    refused,
)
from mlops_assets.stores.tables.files import PARTITION
from mlops_assets.stores.tables.ledger import WHOLE, Content, Handle, Ledger, Notes, OpenTables, as_note, holds
from mlops_assets.stores.tables.staging import Staging

REOPEN_AFTER_WRITES = 32  # a handle slows down with every commit it makes; a fresh one reads the checkpoint

_SETTINGS = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.checkpointInterval": "50",
}


class TableWriting(OpenTables):
    """What a store of tables can be told to keep."""

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
                    for piece in pieces_of(rows):
                        write.add(piece, partition=key if partitioned else None)
                with suppress(WidenedMeanwhileError):
                    return self._commit(write, extra, look_first=False)
        raise contended(table, parts)

    def _schema_with(
        self, table: str, handle: Handle | None, columns: Sequence[pa.Schema], partitioned: bool
    ) -> pa.Schema:
        """Give the columns that `table` will have once it is written with `columns`."""
        if handle and bool(handle.delta.metadata().partition_columns) != partitioned:
            begun, asked = ("whole", "by partition") if partitioned else ("by partition", "whole")
            raise StoreError(
                f"Table {table!r} has been written {begun} so far, and was to be written {asked}. "
                f"Write it as it was begun, or under another name.",
                table=table,
            )
        return widened(schema_of(handle.delta) if handle and partitioned else None, columns, table=table)

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
                except (CommitFailedError, CreatedMeanwhileError):
                    time.sleep(min(0.005 * attempt, 0.1))
                except (DeltaError, OSError) as error:
                    self._handles.pop(table, None)
                    raise refused(table, self._folder(table), error) from error
        raise contended(table, contents)

    def _committed(self, write: "TableWrite", handle: Handle | None, contents: Ledger) -> TableVersion:
        if self._schema_with(write.table, handle, write.columns, write.partitioned) != write.staging.schema:
            raise WidenedMeanwhileError(
                f"Columns were added to table {write.table!r} by another process while {examples(contents)} was being "
                f"written, so nothing of it was kept. Run it again.",
                table=write.table,
            )
        replaced = [key for key, content in contents.items() if not handle or not holds(handle.ledger, key, content)]
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
            columns=columns_of(schema_of(handle.delta)),
            partitions=digests if write.partitioned else {},
        )

    def _replace(self, write: "TableWrite", handle: Handle | None, keys: Sequence[str], contents: Ledger) -> Handle:
        """Commit the files of `keys` in place of those there, and only on top of the version that was looked at."""
        table, files = write.table, write.staging.hand_over(keys)
        by = [PARTITION] if write.partitioned else []
        # With retries delta-rs would put the commit behind a rival's without looking which files that one added.
        properties = CommitProperties(custom_metadata=as_note(contents), max_commit_retries=0)
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

    def _enable(self, table: str, handle: Handle, schema: Schema) -> None:
        """Say in the table what its readers must know before its first time without a zone."""
        zoneless = any(pa.types.is_timestamp(type) and type.tz is None for type in pa.schema(schema.to_arrow()).types)
        if zoneless and "timestampNtz" not in (handle.delta.protocol().reader_features or ()):
            handle.delta.alter.add_feature(
                TableFeatures.TimestampWithoutTimezone,
                allow_protocol_versions_increase=True,
                commit_properties=CommitProperties(custom_metadata=as_note({}), max_commit_retries=0),
            )
            handle.delta.update_incremental()

    def _note(self, table: str, handle: Handle, contents: Ledger) -> None:
        """Put what is to be noted of rows that stay as they are into a commit without rows."""
        handle.delta.create_write_transaction(
            [],
            mode="append",
            schema=handle.delta.schema(),
            partition_by=handle.delta.metadata().partition_columns,
            # With retries the note would be put behind the commit of a rival, and say of its rows what is true of ours.
            commit_properties=CommitProperties(custom_metadata=as_note(contents), max_commit_retries=0),
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
                raise CreatedMeanwhileError from error
            raise

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
        raise contended(table, extra)

    def differing(self, table: str, parts: Mapping[str, Rows]) -> tuple[str, ...]:
        """Name those of `parts` that `write_partitions` would not find there already; writes nothing."""
        with self._lock:
            handle = self._at(table, None)
            stored = {key: storable_schema(rows.schema, table=table) for key, rows in parts.items()}
            schema = widened(schema_of(handle.delta), stored.values(), table=table)
        differing = []
        for key, rows in parts.items():
            digest, count = TableDigest(schema), 0
            for piece in pieces_of(rows):
                digest.update(aligned(cast(piece, stored[key], table=table), schema))
                count += piece.num_rows
            if not holds(handle.ledger, key, Content(digest.hexdigest(), count, {})):
                differing.append(key)
        return tuple(differing)


class TableWrite:
    """A write that takes its rows piece by piece; see `TableStore.begin`."""

    def __init__(
        self, store: TableWriting, table: str, columns: Sequence[pa.Schema], schema: pa.Schema, partitioned: bool
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
            raise refused(self.table, self._store._folder(self.table), error) from error

    def drop(self, partition: str | None = None) -> None:
        """Leave a partition out again; what the table has of it stays."""
        self.staging.drop(partition or WHOLE)

    def commit(self, *, extra: Notes | None = None) -> TableVersion:
        """Let the rows replace what is in their partitions, all in one commit, and give the version that holds them.

        Raises:
            StoreError: The disk refused, or others changed the table all the time.
        """
        return self._store._commit(self, extra or {}, look_first=True)

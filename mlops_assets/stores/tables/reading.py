"""Rows and versions come out of a table."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from mlops_assets.digests import sha256_parts
from mlops_assets.errors import StoreError, UnknownNameError
from mlops_assets.records import TableVersion
from mlops_assets.stores.tables.columns import aligned, cast, columns_of, schema_of
from mlops_assets.stores.tables.faults import TableNotFoundError
from mlops_assets.stores.tables.files import PARTITION
from mlops_assets.stores.tables.ledger import WHOLE, Content, OpenTables, files_of, span_of_keys, there_of

PIECE_ROWS = 1 << 14
BUFFER_BYTES = 1 << 16  # of each column, while a row group is decoded


class TableReading(OpenTables):
    """What a store of tables can be asked for."""

    def read(
        self,
        table: str,
        *,
        version: int | None = None,
        partitions: Iterable[str] | None = None,
        since: str | None = None,
        until: str | None = None,
        columns: Iterable[str] | None = None,
        where: ds.Expression | None = None,
    ) -> pa.Table:
        """Give rows in partition order, and within a partition in the order written.

        `since` and `until` bound the partition keys, both included, and take what is there; `partitions` names them,
        and each must have been written. `where` says which of the rows, and stretches of a file that have none of them
        are not read.

        Raises:
            TableNotFoundError: There is no such table, version or partition.
            UnknownNameError: There is no such column.
        """
        with self._lock:
            handle = self._at(table, version)
            ledger, schema, files = handle.ledger, schema_of(handle.delta), files_of(handle.delta, self._folder(table))
        keys = set(ledger) if partitions is None else there_of(ledger, partitions, table=table)
        keys = {key for key in keys if (since is None or key >= since) and (until is None or key <= until)}
        wanted = _chosen(columns, schema, table=table)
        paths = [path for key, path in files if key in keys]
        if not paths:
            return schema.empty_table().select(wanted)
        stored = pa.schema([column for column in schema if column.name in wanted or where is not None])
        with self._readable(table, version, keys):
            # Arrow's own pool asks for huge pages, and making room for them can cost more than the reading itself.
            pool = pa.system_memory_pool()
            rows = ds.dataset(paths, schema=stored, format="parquet")
            return rows.to_table(columns=wanted, filter=where, memory_pool=pool)

    def pieces(
        self, table: str, *, version: int | None = None, columns: Iterable[str] | None = None
    ) -> Iterator[pa.Table]:
        """Give all rows as `read` does, piece by piece, so that few of them are in memory.

        Raises:
            TableNotFoundError: There is no such table or version.
            UnknownNameError: There is no such column.
        """
        rows, keys = self._stored(table, version=version)
        wanted = pa.schema([rows.schema.field(name) for name in _chosen(columns, rows.schema, table=table)])
        with self._readable(table, version, keys):
            for path in rows.files:
                # The scanner of a dataset would decode a whole row group, and ahead of who reads.
                with pq.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
                    there = [name for name in wanted.names if name in file.schema_arrow.names]
                    for batch in file.iter_batches(PIECE_ROWS, columns=there, use_threads=False):
                        yield cast(aligned(pa.Table.from_batches([batch]), wanted), wanted, table=table)

    @contextmanager
    def _readable(self, table: str, version: int | None, keys: Collection[str]) -> Iterator[None]:
        """Say what has become of a file that a version names and nobody can read."""
        try:
            yield
        except (OSError, pa.ArrowInvalid) as error:  # a file that was cut off is no Parquet file
            if isinstance(error, FileNotFoundError) and version not in (None, self.version(table).version):
                raise TableNotFoundError(
                    f"Version {version} of table {table!r} is no longer there: retention has deleted files of it, "
                    f"for no protected model was trained on it. `mlops table {table}` lists the versions to be read.",
                    table=table,
                    version=version,
                ) from error
            raise StoreError(
                f"Table {table!r} names a file that cannot be read: {error}. Restore {self._folder(table)} from a "
                f"backup, or materialize {span_of_keys(keys)} again.",
                table=table,
            ) from error

    def scan(self, table: str, *, partition: str | None = None) -> ds.Dataset:
        """Give the rows of one partition, or of all, to be read piece by piece, as they are now and in their order.

        Raises:
            TableNotFoundError: There is no such table or partition.
        """
        rows, _ = self._stored(table, partitions=None if partition is None else [partition])
        return rows if rows.files else ds.dataset(rows.schema.empty_table())

    def _stored(
        self, table: str, *, version: int | None = None, partitions: Iterable[str] | None = None
    ) -> tuple[ds.FileSystemDataset, set[str]]:
        """Give the files of a version, or of some partitions of it, as rows to be read, and the keys of these."""
        with self._lock:
            handle = self._at(table, version)
            schema, files = schema_of(handle.delta), files_of(handle.delta, self._folder(table))
            keys = set(handle.ledger) if partitions is None else there_of(handle.ledger, partitions, table=table)
        schema = pa.schema([column for column in schema if column.name != PARTITION])
        return ds.dataset([path for key, path in files if key in keys], schema=schema, format="parquet"), keys

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
                columns=columns_of(schema_of(handle.delta)),
                partitions=digests if partitioned else {},
            )

    def contents(self, table: str, version: int | None = None) -> dict[str, Content]:
        """Give digest, rows and notes of each partition, now or then; of an unpartitioned table under the key `WHOLE`.

        Raises:
            TableNotFoundError: There is no such table or version.
        """
        with self._lock:
            return dict(self._at(table, version).ledger)

    def partitions(self, table: str) -> tuple[str, ...]:
        """Give the keys of all partitions ever written, also empty ones, sorted; none for an unpartitioned table."""
        return tuple(self.version(table).partitions)


def _chosen(columns: Iterable[str] | None, schema: pa.Schema, *, table: str) -> list[str]:
    """Name the columns that are asked for, all where none are named."""
    if columns is None:
        return [name for name in schema.names if name != PARTITION]
    for name in (chosen := list(columns)):
        if name not in schema.names:
            raise UnknownNameError(f"column of table {table!r}", name, known=schema.names)
    return chosen

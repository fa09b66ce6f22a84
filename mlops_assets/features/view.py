"""Computing stored features: a view's SQL or function over Arrow tables, each row stamped with when it became known."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any, TypeAlias, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.digests import sha256_table
from mlops_assets.errors import EXAMPLES_SHOWN, FeatureError, examples
from mlops_assets.features import frames
from mlops_assets.features import sql as view_sql
from mlops_assets.features.columns import UTC_MICROSECONDS, cast
from mlops_assets.features.definition import PARTITION_END, STAMPS, ViewDefinition, lineage
from mlops_assets.features.module import Dtype, nearest
from mlops_assets.records import Span

__all__ = ["PartitionedTable", "ViewDefinition", "compute", "compute_many", "lineage"]

Partition = TypeVar("Partition")
PartitionedTable: TypeAlias = "pa.Table | Mapping[str, pa.Table]"


def compute(view: ViewDefinition, tables: Mapping[str, PartitionedTable], span: Span | None = None) -> pa.Table:
    """Give the rows of one partition: keys, features, `event_time` and `known_at`, sorted by keys.

    `known_at` is the later of the event time and the moment the partition could be looked up; without a span it is
    the event time plus `available_after`.

    Args:
        view: The definition.
        tables: For each alias a whole table, or its partitions by day. Of partitions, only the `lookback_days` up to
            the span's own day are shown, so nothing can look ahead; of a whole table, everything is.
        span: The partition's time; None for a view that is computed as a whole.

    Raises:
        FeatureError: The SQL or function fails; a column is missing, not declared, of another type, or null where it
            may not be; two rows of a key are known at the same moment, so neither would be the answer; or a function
            gives something else when it is called again.
    """
    with _computation(view, tables) as computation:
        return computation.rows(span)


def compute_many(
    view: ViewDefinition, tables: Mapping[str, PartitionedTable], spans: Mapping[Partition, Span | None]
) -> dict[Partition, pa.Table]:
    """Give the rows of many partitions, each exactly as `compute` gives it, with one connection and no copies."""
    with _computation(view, tables) as computation:
        return {partition: computation.rows(span) for partition, span in spans.items()}


@contextmanager
def one_thread() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a DuckDB that computes the same bits each time, in UTC, and sees nothing but what it is shown."""
    with duckdb.connect(config={"threads": 1}) as connection:  # parallel float sums differ from run to run
        for setting in ("TimeZone = 'UTC'", "python_enable_replacements = false", "enable_external_access = false"):
            connection.execute(f"SET {setting}").fetchall()
        yield connection


@contextmanager
def _computation(view: ViewDefinition, tables: Mapping[str, PartitionedTable]) -> Iterator["_Computation"]:
    given = {alias: rows for alias, rows in tables.items() if isinstance(rows, pa.Table) or len(rows)}
    if missing := [alias for alias in view.tables if alias not in given]:
        raise FeatureError(
            f"view {view.name!r} reads {examples(missing)}, of which nothing was given. "
            f"Materialize {examples(view.tables[alias] for alias in missing)} first.",
            view=view.name,
            missing=missing,
        )
    with one_thread() as connection:
        yield _Computation(connection, view, {alias: _Shown(given[alias]) for alias in view.tables})


class _Shown:
    """A table in one piece, of which any run of partitions is a slice."""

    def __init__(self, rows: PartitionedTable) -> None:
        self._starts: list[tuple[str, int]] | None = None
        if isinstance(rows, pa.Table):
            self._whole = rows
            return
        self._starts, start = [], 0
        for partition in sorted(rows):
            self._starts.append((partition, start))
            start += rows[partition].num_rows
        self._whole = pa.concat_tables([rows[partition] for partition, _ in self._starts])

    def between(self, first: str, last: str) -> pa.Table:
        """Give the rows of the partitions from `first` to `last`, both included; everything if there are none."""
        if self._starts is None:
            return self._whole
        size = self._whole.num_rows
        begin = next((start for partition, start in self._starts if partition >= first), size)
        end = next((start for partition, start in self._starts if partition > last), size)
        return self._whole.slice(begin, max(0, end - begin))


class _Computation:
    """One view over its tables, ready for any of its partitions."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, view: ViewDefinition, tables: Mapping[str, _Shown]
    ) -> None:
        self._connection = connection
        self._view = view
        self._tables = tables
        self._parameters = (
            view.python.parameters
            if view.python
            else view_sql.parameters(view_sql.parse(view.sql or "", tables=view.tables))
        )
        self._repeated = view.python is None  # SQL that could come out otherwise is refused when it is declared

    def rows(self, span: Span | None) -> pa.Table:
        """Give the rows of a partition; a function is called twice for the first, and must give the same bits."""
        rows = self._rows(span)
        if not self._repeated and sha256_table(rows) != sha256_table(self._rows(span)):
            raise FeatureError(
                f"view {self._view.name!r} came out otherwise when its function was called again on the same tables, "
                "so nobody could tell what a decision was taken on. Let it depend on neither clock nor chance, and "
                "leave its frames as they are.",
                view=self._view.name,
            )
        self._repeated = True
        return rows

    def _rows(self, span: Span | None) -> pa.Table:
        view = self._view
        found = self._query(span)
        if span is None:
            event_time = self._column(found, view.event_time, "timestamp")
            known_at = pc.add(event_time, pa.scalar(view.available_after, pa.duration("us")))
        else:
            end = pa.scalar(span.end, UTC_MICROSECONDS)
            known_from = pa.scalar(span.end + view.available_after, UTC_MICROSECONDS)
            event_time = (
                pa.chunked_array([pa.repeat(end, found.num_rows)])
                if view.event_time == PARTITION_END
                else self._column(found, view.event_time, "timestamp")
            )
            known_at = pc.if_else(pc.greater(event_time, known_from), event_time, known_from)
        dtypes: dict[str, Dtype] = {**view.keys, **view.features}
        columns = {name: self._column(found, name, dtype) for name, dtype in dtypes.items()}
        if extra := sorted({*found.column_names} - {*view.columns}):
            raise FeatureError(
                f"view {view.name!r} also gives {examples(extra)}, which it does not declare. Declare it, or leave it "
                "out.",
                view=view.name,
                extra=extra,
            )
        rows = pa.table({**columns, STAMPS[0]: event_time, STAMPS[1]: known_at})
        self._refuse_nulls(rows)
        rows = rows.sort_by([(name, "ascending") for name in (*view.keys, STAMPS[1])]).combine_chunks()
        self._refuse_ties(rows)
        return rows

    def _query(self, span: Span | None) -> pa.Table:
        view = self._view
        if span is None:
            if self._parameters or view.event_time == PARTITION_END:
                raise FeatureError(
                    f"view {view.name!r} asks for its partition and was computed without one. "
                    "Partition its asset by day, or name a column as event_time.",
                    view=view.name,
                )
            first = last = None
        else:
            last = span.start.astimezone(UTC).date()
            first = last - timedelta(days=view.lookback_days - 1)
        shown = {alias: table.between(str(first), str(last)) for alias, table in self._tables.items()}
        moments = {"partition_start": span.start, "partition_end": span.end} if span else {}
        asked = {name: moments[name] for name in self._parameters}
        if view.python is None:
            return self._from_sql(shown, asked)
        until = (span.end - timedelta(days=view.lookback_days), span.end) if span else None
        return frames.run(view.python, shown, asked, until=until, view=view.name)

    def _from_sql(self, shown: Mapping[str, pa.Table], moments: Mapping[str, datetime]) -> pa.Table:
        view, sql = self._view, self._view.sql or ""
        for alias, table in shown.items():
            self._connection.register(alias, table)
        try:
            return self._connection.sql(sql, params=dict(moments) or None).to_arrow_table()
        except duckdb.Error as error:
            raise FeatureError(
                f"the SQL of view {view.name!r} failed on its tables: {error}", view=view.name, sql=sql
            ) from error

    def _column(self, found: pa.Table, name: str, dtype: Dtype) -> pa.ChunkedArray:
        if name not in found.column_names:
            raise FeatureError(
                f"view {self._view.name!r} gives no column {name!r}, which it declares."
                f"{nearest(name, dict.fromkeys(found.column_names))} It gives {', '.join(found.column_names)}.",
                view=self._view.name,
                column=name,
            )
        try:
            return cast(found.column(name), dtype, name=name)
        except FeatureError as error:
            raise FeatureError(f"view {self._view.name!r}: {error}", view=self._view.name, column=name) from error

    def _refuse_nulls(self, rows: pa.Table) -> None:
        for name in (*self._view.keys, STAMPS[0]):
            if rows.column(name).null_count:
                raise FeatureError(
                    f"view {self._view.name!r} has {rows.column(name).null_count} rows of {rows.num_rows} without "
                    f"{name!r}, which no decision could find. Leave such rows out: WHERE {name} IS NOT NULL.",
                    view=self._view.name,
                    column=name,
                )

    def _refuse_ties(self, rows: pa.Table) -> None:
        """Refuse two rows of a key known at the same moment; `rows` are sorted by keys and known_at."""
        earlier, later = rows.slice(0, max(0, rows.num_rows - 1)), rows.slice(1)
        names = (*self._view.keys, STAMPS[1])
        same: Any = reduce(pc.and_, (pc.equal(earlier.column(name), later.column(name)) for name in names))
        tied = later.filter(same)
        if tied.num_rows:
            shown = [
                ", ".join(f"{name}={value}" for name, value in row.items())
                for row in tied.select(names).slice(0, EXAMPLES_SHOWN).to_pylist()
            ]
            raise FeatureError(
                f"view {self._view.name!r} has {tied.num_rows} rows more than keys known at the same moment, so which "
                f"of them answers would be chance: {'; '.join(shown)}. Give one row per key, or another event_time.",
                view=self._view.name,
                ties=tied.num_rows,
            )

"""The types in which rows are kept, so that what is read back is what was digested; the columns a table grows to."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import pyarrow as pa
from deltalake import DeltaTable, Schema

from mlops_assets.digests import Pieces, sha256_table
from mlops_assets.errors import StoreError, examples, first_line
from mlops_assets.records import Column
from mlops_assets.stores.tables.files import PARTITION

Rows: TypeAlias = pa.Table | Pieces

_SIGNED = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64(), pa.uint64(): pa.int64()}


def schema_of(delta: DeltaTable) -> pa.Schema:
    """Give the columns of a table, also that of its partitions."""
    return pa.schema(delta.schema().to_arrow())


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """Give the columns of the rows, as records name them."""
    return tuple(Column(name=column.name, dtype=str(column.type)) for column in schema if column.name != PARTITION)


def storable(rows: pa.Table, *, table: str) -> pa.Table:
    """Give `rows` in the types they will be read back in, so that the digest holds for what is read."""
    return cast(rows, storable_schema(rows.schema, table=table), table=table)


def storable_schema(schema: pa.Schema, *, table: str) -> pa.Schema:
    """Give the types in which rows of `schema` will be read back."""
    if PARTITION in schema.names:
        raise StoreError(
            f"Table {table!r} cannot take a column called {PARTITION!r}: that is where it keeps the partition key. "
            f"Drop or rename the column.",
            table=table,
        )
    if untyped := [column.name for column in schema if pa.types.is_null(column.type)]:
        raise StoreError(
            f"Table {table!r} cannot take columns without a type: {examples(untyped)} hold only nulls. "
            f"Cast them to the type they would have.",
            table=table,
            columns=tuple(untyped),
        )
    try:
        settled = pa.schema((column.name, _settled(column.type)) for column in schema)
        return pa.schema(Schema.from_arrow(settled).to_arrow())
    except Exception as error:  # deltalake raises a bare Exception for a type it does not know
        raise _unkept(table, error) from error


def pieces_of(rows: Rows) -> Iterator[pa.Table]:
    """Give rows piece by piece."""
    return iter((rows,)) if isinstance(rows, pa.Table) else rows.pieces()


def cast(rows: pa.Table, schema: pa.Schema, *, table: str) -> pa.Table:
    """Give `rows` in the types of `schema`, as they are where they have them.

    Raises:
        StoreError: Something would be lost.
    """
    try:
        nested = any(pa.types.is_nested(dtype) for dtype in schema.types)  # those are equal whatever their items' names
        return rows if rows.schema == schema and not nested else rows.cast(schema)
    except pa.ArrowException as error:
        raise _unkept(table, error) from error


def _unkept(table: str, error: Exception) -> StoreError:
    return StoreError(
        f"Table {table!r} cannot keep these columns: {first_line(error)}. Cast them to numbers, text, booleans, "
        f"dates or UTC timestamps in microseconds.",
        table=table,
    )


def stored_digest(rows: pa.Table, *, table: str) -> str:
    """Give the digest that `rows` would have as the whole content of `table`, without writing them.

    Raises:
        StoreError: The columns cannot be kept.
    """
    return sha256_table(storable(rows, table=table))


def _settled(type: pa.DataType) -> pa.DataType:
    """Give the type that can hold every value of `type` and is kept as it is."""
    if pa.types.is_timestamp(type):
        return pa.timestamp("us", tz=type.tz and "UTC")
    return _SIGNED.get(type, type)


def widened(schema: pa.Schema | None, wanted: Iterable[pa.Schema], *, table: str) -> pa.Schema:
    """Give the table's columns first and in its order, then those that are new."""
    columns = {column.name: column.type for column in schema or () if column.name != PARTITION}
    for each in wanted:
        for column in each:
            if columns.setdefault(column.name, column.type) != column.type:
                raise StoreError(
                    f"Column {column.name!r} of table {table!r} is {columns[column.name]}, and {column.type} was to be "
                    f"written. Cast it, or write to a table of another name.",
                    table=table,
                    column=column.name,
                )
    return pa.schema(columns)


def delta_schema(schema: pa.Schema, by: Sequence[str], delta: DeltaTable | None) -> Schema:
    """Give `schema` as Delta has it, the columns that are in `delta` already as they are there."""
    known = delta.schema().fields if delta else []
    names = {column.name for column in known}
    new = pa.schema([*schema, *(pa.field(name, pa.string()) for name in by)])
    return Schema([*known, *(column for column in Schema.from_arrow(new).fields if column.name not in names)])


def aligned(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give `rows` with exactly the columns of `schema`, nulls for those they lack."""
    if rows.schema == schema:
        return rows
    there = dict(zip(rows.column_names, rows.columns, strict=True))
    nulls = {each.name: pa.nulls(rows.num_rows, each.type) for each in schema if each.name not in there}
    return pa.table({**nulls, **there}, schema=schema)

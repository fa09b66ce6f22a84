"""The types in which raw rows enter the house, whatever wrote them."""

from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.errors import SourceError, UnknownNameError
from mlops_assets.records import Span

TIME = pa.timestamp("us", tz="UTC")
TypeName = Literal["string", "int64", "float64", "bool", "date", "timestamp"]
TYPES: dict[TypeName, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": TIME,
}

Types = Mapping[str, TypeName]


def _settled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    dtype = column.type
    if pa.types.is_dictionary(dtype):
        return _settled(pc.cast(column, dtype.value_type))
    if pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype):
        return pc.cast(column, pa.string())
    if pa.types.is_timestamp(dtype):
        return pc.cast(column, TIME, safe=False)  # a naive time is UTC; below a microsecond is cut off
    if pa.types.is_decimal(dtype):
        return pc.cast(column, pa.float64(), safe=False)
    return column


def settle(rows: pa.Table) -> pa.Table:
    """Give `rows` with strings as `string`, times as UTC microseconds, decimals as `float64`, and no dictionaries.

    A time without a zone is taken as UTC.

    >>> settle(pa.table({"at": pa.array([0], pa.timestamp("ms"))})).schema.field("at").type
    TimestampType(timestamp[us, tz=UTC])
    """
    columns = [_settled(column) for column in rows.columns]
    fields = [pa.field(name, column.type) for name, column in zip(rows.column_names, columns, strict=True)]
    return pa.table(columns, schema=pa.schema(fields))


def joined(known: pa.Schema | None, schema: pa.Schema) -> pa.Schema:
    """Give the columns of both, those that are known first, each in the wider of its types.

    Raises:
        pa.ArrowInvalid: A column is there twice.
        pa.ArrowTypeError: A column cannot be of one type.
    """
    return (
        schema if known is None or known == schema else pa.unify_schemas([known, schema], promote_options="permissive")
    )


def whole(pieces: Sequence[pa.Table]) -> pa.Table:
    """Give the pieces of a batch as one settled table: with every column that any of them has, in the widest type.

    Raises:
        pa.ArrowInvalid: A column cannot be of one type.

    >>> whole([pa.table({"n": [1]}), pa.table({"n": [1.5], "m": ["x"]})]).to_pydict()
    {'n': [1.0, 1.5], 'm': [None, 'x']}
    """
    return settle(pa.concat_tables(pieces, promote_options="permissive"))


def times_of(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Read text as times; those without a zone are UTC.

    Raises:
        pa.ArrowInvalid: Some of it is no time, or only a part of it has a zone.

    >>> times_of(pa.chunked_array([["2013-02-08T01:00:00+01:00"]]))[0].as_py().isoformat()
    '2013-02-08T00:00:00+00:00'
    """
    try:
        return pc.cast(column, TIME)
    except pa.ArrowInvalid as error:
        if "expected a zone offset" not in str(error):
            raise
        return pc.cast(pc.cast(column, pa.timestamp("us")), TIME)


def has_zone(column: pa.ChunkedArray) -> bool | None:
    """Tell whether text that `times_of` reads has a zone; None where there is none.

    >>> has_zone(pa.chunked_array([[None, "2013-02-08T01:00:00Z"]]))
    True
    """
    first = column.drop_null().slice(0, 1)
    if not len(first):
        return None
    try:
        pc.cast(first, pa.timestamp("us"))
    except pa.ArrowInvalid:
        return True
    return False


def moments_of(rows: pa.Table, time_column: str, *, place: str) -> pa.ChunkedArray:
    """Give the times by which rows are told apart; `place` is where they are from, for messages.

    Raises:
        UnknownNameError: There is no such column.
        SourceError: It holds no times.
    """
    if time_column not in rows.column_names:
        raise UnknownNameError(f"Time column of {place}", time_column, known=rows.column_names)
    times = rows[time_column]
    if pa.types.is_date(times.type) or pa.types.is_null(times.type):
        times = pc.cast(times, TIME)
    if times.type != TIME:
        raise SourceError(
            f"Column {time_column!r} of {place} holds {times.type}, not times, so the rows of one partition cannot "
            f"be told from the others. Set `types: {{{time_column}: timestamp}}`, or name another `time_column`.",
            path=place,
            column=time_column,
            found=str(times.type),
        )
    return times


def rows_within(rows: pa.Table, time_column: str, span: Span, *, place: str) -> pa.Table:
    """Give those of `rows` whose `time_column` lies in `span`; it raises what `moments_of` does."""
    times = moments_of(rows, time_column, place=place)
    start, end = pa.scalar(span.start, TIME), pa.scalar(span.end, TIME)
    return rows.filter(pc.and_(pc.greater_equal(times, start), pc.less(times, end)))

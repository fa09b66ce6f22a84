"""The types in which raw rows enter the house, whatever wrote them."""

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


def rows_within(rows: pa.Table, time_column: str, span: Span, *, place: str) -> pa.Table:
    """Give those of `rows` whose `time_column` lies in `span`; `place` is where they are from, for messages.

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
            f"Column {time_column!r} of {place} holds {times.type}, not times, so the rows of {span.partition} cannot "
            f"be told from the others. Set `types: {{{time_column}: timestamp}}`, or name another `time_column`.",
            path=place,
            column=time_column,
            found=str(times.type),
        )
    start, end = pa.scalar(span.start, TIME), pa.scalar(span.end, TIME)
    return rows.filter(pc.and_(pc.greater_equal(times, start), pc.less(times, end)))

"""The types in which raw rows enter the house, whatever wrote them."""

import pyarrow as pa
import pyarrow.compute as pc

TIME = pa.timestamp("us", tz="UTC")


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

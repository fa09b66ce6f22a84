"""Arrow columns of declared dtypes, and the NumPy arrays that feature functions are given."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.errors import FeatureError
from mlops_assets.features.module import Array, Dtype, nearest
from mlops_assets.records import Field

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")
ARROW: dict[Dtype, pa.DataType] = {
    "float64": pa.float64(),
    "int64": pa.int64(),
    "string": pa.string(),
    "timestamp": UTC_MICROSECONDS,
}


def cast(column: pa.ChunkedArray, dtype: Dtype, *, name: str) -> pa.ChunkedArray:
    """Give a column in the Arrow type of a declared dtype, NaN as null.

    Numbers become numbers when nothing is lost; a string never becomes a number, and a time without a zone never a
    moment.

    Raises:
        FeatureError: The values are of another kind, or would lose by it.
    """
    column = _typed(column, dtype, name=name)
    if dtype == "float64":
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)
    return column


def _typed(column: pa.ChunkedArray, dtype: Dtype, *, name: str) -> pa.ChunkedArray:
    """Give a column in the Arrow type of a declared dtype, NaN as it is."""
    if column.type == ARROW[dtype]:
        return column
    if not pa.types.is_null(column.type) and not _fits(column.type, dtype):
        raise FeatureError(
            f"column {name!r} is declared {dtype} and holds {column.type}. Cast it in the SQL, or declare what it is.",
            column=name,
            declared=dtype,
            found=str(column.type),
        )
    try:
        return pc.cast(column, ARROW[dtype], safe=True)
    except pa.ArrowInvalid as error:
        if dtype == "float64" and pa.types.is_integer(column.type):
            raise FeatureError(
                f"column {name!r} holds whole numbers beyond 2**53, and features are computed with floats, to which "
                "two such numbers may be one: a customer would find the row of another. Declare it as a string.",
                column=name,
            ) from error
        raise FeatureError(
            f"column {name!r} is declared {dtype}, and some of its {column.type} values do not fit: {error}.",
            column=name,
            declared=dtype,
        ) from error


def _fits(found: pa.DataType, dtype: Dtype) -> bool:
    if dtype == "timestamp":
        return bool(pa.types.is_timestamp(found) and found.tz is not None)
    if dtype == "string":
        return bool(pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_dictionary(found))
    number = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_decimal(found)
    return bool(number or (dtype == "float64" and pa.types.is_boolean(found)))


def as_arrays(table: pa.Table, fields: Iterable[Field]) -> dict[str, Array]:
    """Give columns of `table` as feature functions want them: float64 with NaN, objects with None, datetime64[us].

    Raises:
        FeatureError: A column is missing or of another kind than declared.
    """
    arrays: dict[str, Array] = {}
    for field in fields:
        if field.name not in table.column_names:
            raise FeatureError(
                f"column {field.name!r} is missing.{nearest(field.name, dict.fromkeys(table.column_names))} "
                f"The table has {', '.join(table.column_names)}.",
                column=field.name,
            )
        dtype: Dtype = "float64" if field.dtype == "int64" else field.dtype
        arrays[field.name] = _typed(table.column(field.name), dtype, name=field.name).to_numpy()
    return arrays


def as_declared(table: pa.Table, fields: Iterable[Field]) -> pa.Table:
    """Give columns of `table` in the types of declared fields, as a request sends them: a truth value as 1 or 0.

    >>> gifts = Field(name="gift", dtype="float64", nullable=True)
    >>> as_declared(pa.table({"gift": [True, None]}), [gifts]).to_pylist()
    [{'gift': 1.0}, {'gift': None}]
    """
    return pa.table({field.name: cast(table.column(field.name), field.dtype, name=field.name) for field in fields})


def as_arrow(values: Array, field: Field) -> pa.Array:
    """Give an array of feature functions as the Arrow column of its declared dtype, NaN and None as null."""
    if field.dtype == "timestamp":
        return pa.array(values.astype("datetime64[us]"), pa.timestamp("us")).cast(UTC_MICROSECONDS)
    found: Any = pa.array(values, from_pandas=True)
    return cast(pa.chunked_array([found]), field.dtype, name=field.name).combine_chunks()

"""Ways to change a batch."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def put(rows: pa.Table, column: str, values: object) -> pa.Table:
    """Give the rows with other values in a column."""
    at = rows.column_names.index(column)
    made = (
        values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, rows.schema.field(column).type)
    )
    return rows.set_column(at, rows.schema.field(column), made.cast(rows.schema.field(column).type))


def told(rows: pa.Table, returned: npt.NDArray[np.bool_]) -> pa.Table:
    """Give the rows with another outcome, and the refund that belongs to it."""
    refund = np.where(returned, rows["amount"].to_numpy(), 0.0)
    return put(put(rows, "returned", returned.tolist()), "refund", refund.tolist())


def scaled(rows: pa.Table, column: str, factor: float) -> pa.Table:
    """Give the rows with a number in another unit."""
    return put(rows, column, pc.multiply(rows[column], factor))


def shifted(rows: pa.Table, column: str, by: timedelta) -> pa.Table:
    """Give the rows with a time moved."""
    return put(rows, column, pc.add(rows[column], pa.scalar(by, pa.duration("us"))))


def renamed(rows: pa.Table, column: str, name: Callable[[str], str]) -> pa.Table:
    """Give the rows with other texts in a column."""
    return put(rows, column, [name(value) for value in rows[column].to_pylist()])


def swapped(rows: pa.Table, one: str, other: str) -> pa.Table:
    """Give the rows with two columns under each other's name."""
    return put(put(rows, one, rows[other]), other, rows[one])

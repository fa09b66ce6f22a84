"""Small ways to change a table, of which the kinds are made."""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

SOME = (3, 50, 400)  # rows that one finds in any day


def column(rows: pa.Table, name: str, values: Any, type: pa.DataType | None = None) -> pa.Table:
    """Give `rows` with a column replaced."""
    at = rows.column_names.index(name)
    return rows.set_column(at, name, pa.array(values, type or rows.schema.field(name).type))


def every(rows: pa.Table, name: str, change: Callable[[Any], Any], type: pa.DataType | None = None) -> pa.Table:
    """Give `rows` with every value of a column changed; what is missing stays so."""
    return column(rows, name, [None if v is None else change(v) for v in rows[name].to_pylist()], type)


def some(rows: pa.Table, name: str, values: Any | Mapping[int, Any], where: tuple[int, ...] = SOME) -> pa.Table:
    """Give `rows` with some values of a column replaced; a function gets the value that was there."""
    there = rows[name].to_pylist()
    for place in where:
        there[place] = values(there[place]) if callable(values) else values
    return column(rows, name, there)


def flown(rows: pa.Table, count: int = 3) -> tuple[int, ...]:
    """Give the places of some flights that arrived."""
    return tuple(place for place, late in enumerate(rows["arr_delay"].to_pylist()) if late is not None)[:count]


def swapped(rows: pa.Table, one: str, other: str) -> pa.Table:
    """Give `rows` with two columns under each other's name."""
    names = {one: other, other: one}
    return rows.rename_columns([names.get(name, name) for name in rows.column_names]).select(rows.column_names)

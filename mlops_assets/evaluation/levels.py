"""The rows of a column by the level they hold: codes instead of a million strings."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.statistics import Array
from mlops_assets.statistics.intervals import Rows

MISSING = "(missing)"
OTHER = "(other)"
EDGES_FROM = 100_000  # rows that the edges of bins are found on


class Levels(NamedTuple):
    """The level of each row, shape (n,), as its place among `names`."""

    codes: Rows
    names: tuple[str, ...]


def levels_of(values: Any) -> Levels:
    """Give the levels of a column of any type, by name; None and NaN are one of their own.

    Args:
        values: An Arrow column, or an array of objects, strings, numbers, booleans or times, shape (n,).
    """
    if isinstance(values, pa.ChunkedArray | pa.Array):
        column = values
    elif values.dtype.kind == "O":
        try:
            column = pa.array(values, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # numbers beside strings, say
            column = pa.array([None if value is None or value != value else str(value) for value in values.tolist()])
    elif values.dtype.kind in "US":
        column = pa.array(values.astype(object))
    else:
        column = pa.array(values, from_pandas=True)
    if pa.types.is_floating(column.type) and len(column):
        column = pa.array(np.asarray(column, dtype=np.float64), from_pandas=True)  # NaN is missing there as well
    table = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_dictionary(table.type):
        table = table.dictionary_encode()
    codes = np.asarray(table.indices.fill_null(len(table.dictionary)), dtype=np.int64)
    return _named(codes, [*(str(level) for level in table.dictionary.to_pylist()), MISSING])


def coded(values: Array, names: Sequence[str]) -> Levels:
    """Give the levels of a categorical feature, whose values are places among `names`; NaN is missing."""
    gap = np.isnan(values)
    return _named(np.where(gap, len(names), values).astype(np.int64), [*map(str, names), MISSING])


def binned(values: Array, *, bins: int = 5) -> Levels:
    """Give numbers by the stretch they lie in, each with about as many rows; a few different ones stand for themselves.

    >>> binned(np.array([1.0, 2.0, 3.0, 4.0, np.nan]), bins=2).names
    ('(missing)', '1', '2', '3', '4')
    """
    gap = np.isnan(values)
    some = values[:: -(-values.size // EDGES_FROM)] if values.size else values
    some = np.sort(some[~np.isnan(some)])
    different = np.unique(some)
    if not different.size:
        return Levels(np.zeros(values.size, np.intp), (MISSING,))
    if different.size <= bins + 3 and np.isin(values[~gap], different).all():
        codes = np.searchsorted(different, values)
        return _named(np.where(gap, different.size, codes), [*(f"{value:.6g}" for value in different), MISSING])
    edges = np.unique(some[np.arange(1, bins) * some.size // bins])
    told = [f"{edge:.4g}" if len({f"{e:.4g}" for e in edges}) == edges.size else f"{edge:.9g}" for edge in edges]
    names = [f"below {told[0]}", *(f"{a} to {b}" for a, b in pairwise(told)), f"{told[-1]} or more"]
    codes = np.searchsorted(edges, values, side="right")
    return _named(np.where(gap, edges.size + 1, codes), [*names, MISSING])


def fewer(levels: Levels, *, most: int) -> Levels:
    """Give the `most` frequent levels, and all others as one."""
    if len(levels.names) <= most:
        return levels
    sizes = np.bincount(levels.codes, minlength=len(levels.names))
    kept = np.sort(np.argsort(-sizes, kind="stable")[:most])
    places = np.full(len(levels.names), most)
    places[kept] = np.arange(most)
    return Levels(places[levels.codes], (*(levels.names[place] for place in kept), OTHER))


def rows_by_level(levels: Levels) -> list[tuple[str, Rows]]:
    """Give each level with its rows, largest first, then by name."""
    sizes = np.bincount(levels.codes, minlength=len(levels.names))
    small = levels.codes.astype(np.uint16) if len(sizes) < 2**16 else levels.codes
    rows = np.split(np.argsort(small, kind="stable"), np.cumsum(sizes)[:-1])
    return [
        (levels.names[place], rows[place]) for place in np.lexsort((np.array(levels.names), -sizes)) if sizes[place]
    ]


def _named(codes: npt.NDArray[np.int64], names: Sequence[str]) -> Levels:
    """Give codes of the names that occur; names that are spelt alike become one."""
    there = np.bincount(codes, minlength=len(names)) > 0
    kept = sorted({name for name, occurs in zip(names, there, strict=True) if occurs})
    place = {name: at for at, name in enumerate(kept)}
    return Levels(np.array([place.get(name, 0) for name in names], dtype=np.intp)[codes], tuple(kept))

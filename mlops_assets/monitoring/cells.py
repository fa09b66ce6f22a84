"""Cells: the fixed bins a column is counted in, chosen once from the training rows and never moved again.

Counting into fixed cells is exact, needs one pass, and counts of two sets of rows add up to the counts of both. Every
row lands in some cell: nulls, values outside the training range and category levels never seen have cells of their own.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.errors import MonitoringError

Kind = Literal["numeric", "categorical"]
Values: TypeAlias = npt.NDArray[Any] | pa.Array | pa.ChunkedArray
Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

BLOCK_ROWS = 16_384  # a block and its places stay in the second-level cache while they are counted
DEFAULT_BINS = 250  # a multiple of GROUPS, so that the coarse groups are exact deciles of a continuous column
GROUPS = 10
RARE_SHARE = 0.01  # levels rarer than this in training are compared together, or sampling noise would drown the rest
RESOLUTION = 2**20  # steps between the fences; sums are whole numbers of steps, so adding them is exact in any order
GRID = 2**13  # stripes between the fences: more take longer to lay out, fewer crowd columns of many bins
LARGEST = 1e300  # keeps widths and sums finite; anything larger is out of range


class Cells(Protocol):
    """How one column is cut: a cell per bin or level, then the cells for what training never saw, then null."""

    @property
    def kind(self) -> Kind:
        """What the column holds."""
        ...

    @property
    def groups(self) -> Counts:
        """The coarse group of each cell, for metrics that need well-filled bins."""
        ...

    def count(self, values: Values) -> tuple[Counts, Counts]:
        """Give how many rows fall in each cell, and each cell's sum in steps between the fences (numbers only)."""
        ...

    def outside(self) -> list[int]:
        """Give the cells for what training never saw: out-of-range numbers, or an unseen level."""
        ...

    def plain(self) -> dict[str, Any]:
        """Give the cells as JSON data."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class NumericCells:
    """Cells (-inf, edge 0], (edge 0, edge 1] … (last edge, inf) and null; the first and the last are out of range.

    Edges are quantiles of the training rows, or every distinct value when there are few. A value beyond the fences is
    counted where it lies, but enters the sums as if it lay on the fence: one broken 1e6 must not outweigh a window.
    """

    kind: ClassVar[Kind] = "numeric"
    edges: Numbers
    groups: Counts
    fence_low: float
    fence_high: float
    unit: float
    """Standard deviation of the training rows within the fences: the yardstick for distances."""

    @classmethod
    def choose(cls, values: Values, *, bins: int = DEFAULT_BINS) -> "NumericCells":
        """Choose cells for a column from its training rows."""
        numbers = as_numbers(values)
        ordered = numbers[np.isfinite(numbers)]
        ordered.sort()
        ordered.clip(-LARGEST, LARGEST, out=ordered)
        ordered += 0.0  # turns -0.0 into 0.0
        if not len(ordered):
            return cls(np.empty(0), np.array([0, 1]), fence_low=0.0, fence_high=1.0, unit=1.0)
        fence_low, fence_high = _fences(ordered)
        edges = _edges(ordered, bins)
        reached = np.searchsorted(ordered, edges, side="right")
        counts = np.diff(reached, prepend=0, append=len(ordered))
        cells = cls(edges, _deciles(counts), fence_low, fence_high, unit=1.0)
        return replace(cells, unit=_spread(ordered, cells))

    def count(self, values: Values) -> tuple[Counts, Counts]:
        """Count rows per cell and sum their places between the fences."""
        numbers = as_numbers(values)
        stripes = _Stripes.of(self.edges, _stripe(self.steps(self.edges)))
        size = len(self.edges) + 1
        counts, sums = np.zeros(size + 1, np.int64), np.zeros(size, np.int64)
        for start in range(0, len(numbers), BLOCK_ROWS):
            block = np.ascontiguousarray(numbers[start : start + BLOCK_ROWS])
            null = np.isnan(block)
            if null.any():
                counts[-1] += np.count_nonzero(null)
                block = block[~null]
            steps = self.steps(block)
            cells = stripes.cells_of(block, steps)
            counts[:-1] += np.bincount(cells, minlength=size)
            sums += np.bincount(cells, weights=steps, minlength=size).astype(np.int64)
        return counts, sums

    def steps(self, numbers: Numbers) -> Numbers:
        """Give the place of each number between the fences as a whole number of steps, 0 to RESOLUTION."""
        inside = np.clip(numbers, self.fence_low, self.fence_high)
        inside -= self.fence_low
        inside *= RESOLUTION / (self.fence_high - self.fence_low)
        return np.rint(inside, out=inside)

    def outside(self) -> list[int]:
        """Give the cells below and above the training range."""
        return sorted({0, len(self.edges)})

    def plain(self) -> dict[str, Any]:
        """Give the cells as JSON data."""
        return {
            "kind": self.kind,
            "edges": self.edges.tolist(),
            "groups": self.groups.tolist(),
            "fence_low": self.fence_low,
            "fence_high": self.fence_high,
            "unit": self.unit,
        }

    @classmethod
    def from_plain(cls, data: dict[str, Any]) -> "NumericCells":
        """Give the cells back from JSON data."""
        return cls(
            np.array(data["edges"], np.float64),
            np.array(data["groups"], np.int64),
            float(data["fence_low"]),
            float(data["fence_high"]),
            float(data["unit"]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Stripes:
    """Finds the cell of a number four times faster than a search among the edges, and exactly.

    The span between the fences is cut into equal stripes. A number's stripe says how many edges lie in earlier stripes,
    which it exceeds since taking steps keeps order; only the edges in its own stripe are compared. Where more than two
    share a stripe, as under a heavy tail, the search among all edges decides.
    """

    edges: Numbers
    earlier: Counts
    first: Numbers
    second: Numbers
    crowded: npt.NDArray[np.bool_] | None

    @classmethod
    def of(cls, edges: Numbers, stripe: Counts) -> "_Stripes":
        bounds = np.searchsorted(stripe, np.arange(GRID + 2))
        earlier, within = bounds[:-1], np.diff(bounds)
        padded = np.append(edges, [np.inf, np.inf])
        crowded = within > 2
        return cls(
            edges,
            earlier,
            np.where(within > 0, padded[earlier], np.inf),
            np.where(within > 1, padded[earlier + 1], np.inf),
            crowded if crowded.any() else None,
        )

    def cells_of(self, numbers: Numbers, steps: Numbers) -> Counts:
        stripe = _stripe(steps)
        cells = self.earlier.take(stripe)
        cells += numbers > self.first.take(stripe)
        cells += numbers > self.second.take(stripe)
        if self.crowded is not None and (search := self.crowded.take(stripe)).any():
            cells[search] = np.searchsorted(self.edges, numbers[search])
        return cells


@dataclass(frozen=True, slots=True, eq=False)
class LevelCells:
    """A cell per category level in code order, then unseen, then null."""

    kind: ClassVar[Kind] = "categorical"
    levels: tuple[str, ...]
    groups: Counts

    @classmethod
    def choose(cls, values: Values, levels: tuple[str, ...]) -> "LevelCells":
        """Choose cells for a categorical column: its levels are the model's, rare ones are compared together."""
        cells = cls(levels, np.empty(0, np.int64))
        counts, _ = cells.count(values)
        rare = counts[: len(levels)] < RARE_SHARE * max(counts.sum(), 1)
        own = np.where(rare, 0, np.cumsum(~rare))
        return replace(cells, groups=np.append(own, [own.max(initial=0) + 1, own.max(initial=0) + 2]).astype(np.int64))

    def count(self, values: Values) -> tuple[Counts, Counts]:
        """Count rows per level; values are level names (Arrow or NumPy), or codes as the model sees them."""
        unseen, null = len(self.levels), len(self.levels) + 1
        if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
            codes = values.astype(np.float64)
            known = (codes >= 0) & (codes < unseen) & (codes == np.floor(codes))
            cells = np.where(known, codes, np.where(np.isnan(codes), null, unseen)).astype(np.int64)
            return np.bincount(cells, minlength=null + 1), np.empty(0, np.int64)
        encoded = _dictionary(values)
        names = encoded.dictionary.to_pylist()
        rows = np.bincount(encoded.indices.drop_null().to_numpy(), minlength=len(names)).astype(np.int64)
        places = {level: place for place, level in enumerate(self.levels)}
        counts = np.zeros(null + 1, np.int64)
        np.add.at(counts, [null if name is None else places.get(name, unseen) for name in names], rows[: len(names)])
        counts[null] += encoded.indices.null_count
        return counts, np.empty(0, np.int64)

    def outside(self) -> list[int]:
        """Give the cell for levels that training never saw."""
        return [len(self.levels)]

    def plain(self) -> dict[str, Any]:
        """Give the cells as JSON data."""
        return {"kind": self.kind, "levels": list(self.levels), "groups": self.groups.tolist()}

    @classmethod
    def from_plain(cls, data: dict[str, Any]) -> "LevelCells":
        """Give the cells back from JSON data."""
        return cls(tuple(data["levels"]), np.array(data["groups"], np.int64))


def as_numbers(values: Values) -> Numbers:
    """Give a column as float64 with NaN for null, without a copy where none is needed.

    Raises:
        MonitoringError: The column holds something else than numbers.
    """
    if isinstance(values, pa.Array | pa.ChunkedArray):
        values = values.to_numpy() if isinstance(values, pa.ChunkedArray) else values.to_numpy(zero_copy_only=False)
    values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise MonitoringError(
            f"A numeric column holds {values.dtype}, so it has no distances to measure. Give numbers, or name the "
            "column's levels to count it as categorical.",
            dtype=str(values.dtype),
        )
    return values.astype(np.float64, copy=False)


def _stripe(steps: Numbers) -> Counts:
    return (steps * (GRID / RESOLUTION)).astype(np.int64)


def _dictionary(values: Values) -> pa.DictionaryArray:
    if isinstance(values, np.ndarray):
        try:
            values = pa.array(values, pa.string(), from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise MonitoringError(
                f"A categorical column holds something else than level names ({error}), so its levels cannot be "
                "counted. Give strings, or codes as floats.",
            ) from error
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    return encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded


def _edges(ordered: Numbers, bins: int) -> Numbers:
    """Give just below the smallest value, then the upper end of each of `bins` equal shares; repeats fall together."""
    new = np.append(True, ordered[1:] != ordered[:-1])
    if np.count_nonzero(new) > bins:
        last = np.ceil(np.arange(1, bins + 1) * (len(ordered) / bins)).astype(np.int64) - 1
        upper = np.unique(ordered[last.clip(0, len(ordered) - 1)])
    else:
        upper = ordered[new]
    return np.concatenate([[np.nextafter(ordered[0], -np.inf)], upper])


def _fences(ordered: Numbers) -> tuple[float, float]:
    """Give the middle 98 % of the training rows, widened by its own width on either side."""
    low, high = ordered[int(0.01 * len(ordered))], ordered[int(0.99 * len(ordered))]
    smallest = 1e-9 * max(abs(float(low)), abs(float(high)))
    width = next(
        (width for width in (high - low, ordered[-1] - ordered[0]) if width > max(smallest, 1e-290)),
        max(abs(low), 1.0),  # a constant: measured by its own size
    )
    return float(low - width), float(high + width)


def _spread(numbers: Numbers, cells: NumericCells) -> float:
    """Give the standard deviation in whole-number arithmetic, so that it is the same on every machine."""
    total = squares = 0
    for start in range(0, len(numbers), BLOCK_ROWS):
        steps = cells.steps(numbers[start : start + BLOCK_ROWS]).astype(np.int64)
        total += int(steps.sum())
        squares += int((steps * steps).sum())
    variance = (squares * len(numbers) - total * total) / len(numbers) ** 2
    step = (cells.fence_high - cells.fence_low) / RESOLUTION
    return float(variance**0.5 * step) or max(abs(cells.fence_low + total / len(numbers) * step), 1.0)


def _deciles(values: Counts) -> Counts:
    """Put each value cell in the tenth its middle falls in; null is a group of its own."""
    middle = np.cumsum(values) - values / 2
    tenths = np.minimum(middle * GROUPS // values.sum(), GROUPS - 1).astype(np.int64)
    return np.append(tenths, GROUPS)

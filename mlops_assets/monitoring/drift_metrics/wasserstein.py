"""Wasserstein distance."""

import numpy as np

from mlops_assets.monitoring.cells import RESOLUTION, Numbers, NumericCells
from mlops_assets.monitoring.drift_metrics.metric import NUMERIC, comparable
from mlops_assets.monitoring.profile import ColumnProfile


class WassersteinDistance:
    """How far the average row has moved, in standard deviations of the training rows.

    The area between the two cumulative distributions F and G. Over a cell it follows from the cell's count and sum
    alone, because the integral of F from a to b is b F(b) - a F(a) - (sum of the rows in between) / n; it is too small
    only where F and G cross inside a cell. Rows beyond the fences lie on them, and a null lies in the middle of the
    training rows, so that values turning into nulls show as movement.
    """

    name = "wasserstein"
    effect = "wasserstein"
    floor = 0.15
    kinds = NUMERIC

    def measure(self, reference: ColumnProfile, current: ColumnProfile) -> dict[str, float]:
        """Give `wasserstein`."""
        comparable(reference, current)
        assert isinstance(reference.cells, NumericCells)
        cells = reference.cells
        step = (cells.fence_high - cells.fence_low) / RESOLUTION
        area = np.abs(_areas(reference, cells) - _areas(current, cells)).sum() * step
        return {"wasserstein": float(area / cells.unit)}


def _areas(column: ColumnProfile, cells: NumericCells) -> Numbers:
    """Give the integral of the cumulative distribution over each cell, in steps."""
    places = cells.steps(cells.edges)
    counts, sums = column.counts[:-1].copy(), column.sums.astype(np.float64)
    middle = len(cells.edges) // 2  # nulls join the cell that ends at the middle edge, at its end
    counts[middle] += column.counts[-1]
    sums[middle] += column.counts[-1] * (places[middle] if len(places) else 0.0)
    bounds = np.concatenate([[0.0], places, [float(RESOLUTION)]])
    below = np.concatenate([[0.0], np.cumsum(counts) / column.rows])
    areas: Numbers = np.diff(bounds * below) - sums / column.rows
    return areas

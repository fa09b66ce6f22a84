"""What every drift metric is, and the sums they share."""

from typing import Protocol

import numpy as np

from mlops_assets.errors import MonitoringError
from mlops_assets.monitoring.cells import Kind, Numbers
from mlops_assets.monitoring.profile import ColumnProfile

EVERY_KIND: frozenset[Kind] = frozenset({"numeric", "categorical"})
NUMERIC: frozenset[Kind] = frozenset({"numeric"})


class DriftMetric(Protocol):
    """One way to say how far a column has moved. Joining the family takes a file and a line in this folder's init."""

    name: str
    effect: str
    """Which of the measured values is judged against the floor: 0 when nothing moved, larger when more did."""
    floor: float
    """The effect below which nobody should be woken, unless a policy says otherwise."""
    kinds: frozenset[Kind]

    def measure(self, reference: ColumnProfile, current: ColumnProfile) -> dict[str, float]:
        """Give the effect, and what helps to read it, by name.

        Raises:
            MonitoringError: One side has no rows, or they were counted in different cells.
        """
        ...


def comparable(reference: ColumnProfile, current: ColumnProfile) -> None:
    """Refuse a comparison that would have no meaning.

    Raises:
        MonitoringError: One side has no rows, or they were counted in different cells.
    """
    if not reference.rows or not current.rows:
        side = "training" if not reference.rows else "window"
        raise MonitoringError(
            f"The {side} has no rows of column {reference.name!r}, so nothing can be compared. Widen the window, or "
            "check that predictions are logged.",
            column=reference.name,
        )
    if not reference.same_cells(current):
        raise MonitoringError(
            f"Column {reference.name!r} was counted in other cells than its training profile, so the counts cannot be "
            "compared. Count the window with `count` of that profile.",
            column=reference.name,
        )


def group_counts(reference: ColumnProfile, current: ColumnProfile) -> tuple[Numbers, Numbers]:
    """Give the counts of the coarse groups that hold a row on either side, shape (groups,) each."""
    comparable(reference, current)
    before, after = reference.grouped(), current.grouped()
    held = (before + after) > 0
    return before[held].astype(np.float64), after[held].astype(np.float64)


def group_shares(reference: ColumnProfile, current: ColumnProfile) -> tuple[Numbers, Numbers]:
    """Give the shares of the coarse groups that hold a row on either side; each side sums to 1."""
    before, after = group_counts(reference, current)
    return before / before.sum(), after / after.sum()

"""Kolmogorov-Smirnov distance."""

import numpy as np

from mlops_assets.monitoring.cells import Counts, Numbers
from mlops_assets.monitoring.drift_metrics.metric import NUMERIC, comparable
from mlops_assets.monitoring.profile import ColumnProfile


class KolmogorovSmirnovDistance:
    """Largest gap between the two cumulative distributions, 0 to 1; nulls count as lying below every number.

    Taken at the cell edges: exact for columns of few values, else too small by at most the share of one cell.
    """

    name = "ks"
    effect = "ks"
    floor = 0.1
    kinds = NUMERIC

    def measure(self, reference: ColumnProfile, current: ColumnProfile) -> dict[str, float]:
        """Give `ks`."""
        comparable(reference, current)
        gaps = _cumulative(reference.counts) - _cumulative(current.counts)
        return {"ks": float(np.abs(gaps).max())}


def _cumulative(counts: Counts) -> Numbers:
    nulls_first = np.roll(counts, 1)
    cumulative: Numbers = np.cumsum(nulls_first) / nulls_first.sum()
    return cumulative

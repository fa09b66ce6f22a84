"""Jensen-Shannon distance."""

import numpy as np

from mlops_assets.monitoring.cells import Numbers
from mlops_assets.monitoring.drift_metrics.metric import EVERY_KIND, group_shares
from mlops_assets.monitoring.profile import ColumnProfile


class JensenShannonDistance:
    """Square root of the Jensen-Shannon divergence in bits, over tenths of training or category levels; 0 to 1.

    Source: Endres and Schindelin, A new metric for probability distributions (2003).
    """

    name = "js"
    effect = "js"
    floor = 0.1
    kinds = EVERY_KIND

    def measure(self, reference: ColumnProfile, current: ColumnProfile) -> dict[str, float]:
        """Give `js`."""
        then, now = group_shares(reference, current)
        middle = (then + now) / 2
        divergence = (_bits(then, middle) + _bits(now, middle)) / 2
        return {"js": float(np.sqrt(np.clip(divergence, 0.0, 1.0)))}


def _bits(shares: Numbers, middle: Numbers) -> float:
    """Give the Kullback-Leibler divergence of `shares` from `middle`; a group without rows adds nothing."""
    held = shares > 0
    return float(np.sum(shares[held] * np.log2(shares[held] / middle[held])))

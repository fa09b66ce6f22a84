"""Population stability index."""

import numpy as np

from mlops_assets.monitoring.drift_metrics.metric import EVERY_KIND, group_counts
from mlops_assets.monitoring.profile import ColumnProfile

SMOOTHING = 0.5  # rows added to every group, so that an empty one keeps the logarithm finite


class PopulationStabilityIndex:
    """Sum of (share now - share then) x ln(share now / share then) over tenths of training, or category levels.

    Unmoved data do not give 0 but about (groups - 1) (1/n + 1/m): 0.1 is noise for a window of 100 rows. The effect
    judged is therefore `psi_excess`, what is left after that expectation.

    Source: Siddiqi, Credit Risk Scorecards (2006); expectation: Yurdakul, Statistical Properties of PSI (2018).
    """

    name = "psi"
    effect = "psi_excess"
    floor = 0.1
    kinds = EVERY_KIND

    def measure(self, reference: ColumnProfile, current: ColumnProfile) -> dict[str, float]:
        """Give `psi` and `psi_excess`."""
        before, after = group_counts(reference, current)
        n, m = before.sum(), after.sum()
        then = (before + SMOOTHING) / (n + SMOOTHING * len(before))
        now = (after + SMOOTHING) / (m + SMOOTHING * len(after))
        psi = float(np.sum((now - then) * np.log(now / then)))
        expected = (len(before) - 1) * (1 / n + 1 / m)
        return {"psi": psi, "psi_excess": max(0.0, psi - float(expected))}

"""Chi-square test of homogeneity, and the effect behind it."""

import numpy as np

from mlops_assets.monitoring.drift_metrics.metric import EVERY_KIND, group_counts
from mlops_assets.monitoring.profile import ColumnProfile


class ChiSquare:
    """Pearson's two-sample test over tenths of training or category levels, with its effect size.

    With a million rows every difference is significant, so the effect judged is `cramers_v`, 0 to 1: Cramér's V as it
    would be had both sides as many rows, which neither the size of the window nor that of the training set changes.
    """

    name = "chi_square"
    effect = "cramers_v"
    floor = 0.1
    kinds = EVERY_KIND

    def measure(self, reference: ColumnProfile, current: ColumnProfile) -> dict[str, float]:
        """Give `cramers_v`, the statistic `chi_square` and its p-value `chi_square_p`."""
        from scipy.special import chdtrc  # scipy.stats would cost a second of import

        before, after = group_counts(reference, current)
        n, m = before.sum(), after.sum()
        then, now = before / n, after / m
        effect = np.sqrt(np.sum((then - now) ** 2 / (then + now)) / 2)
        statistic = float(np.sum((then - now) ** 2 / (before + after)) * n * m)
        return {
            "cramers_v": float(effect),
            "chi_square": statistic,
            "chi_square_p": float(chdtrc(len(before) - 1, statistic)) if len(before) > 1 else 1.0,
        }

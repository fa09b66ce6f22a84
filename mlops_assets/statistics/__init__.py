"""What several stages reckon with: metrics, intervals, paired tests and multiplicity, in plain NumPy.

Evaluation, monitoring, deployment and retraining use the same sums, so a number promised at the gate and a number
measured in production mean the same thing. Every function is pure, and refuses a sample that has no answer instead of
giving a plausible wrong one.
"""

from mlops_assets.statistics.classification import (
    ReliabilityBin,
    TopScores,
    auc,
    auc_interval,
    brier,
    brier_losses,
    delong_paired,
    ece,
    log_loss,
    log_losses,
    precision_at,
    recall_at,
    reliability,
    top_counter,
    top_scores,
)
from mlops_assets.statistics.inputs import Array, StatisticsInputError
from mlops_assets.statistics.intervals import (
    Difference,
    Interval,
    bootstrap_difference,
    bootstrap_interval,
    mean_difference,
    mean_interval,
    wilson,
)
from mlops_assets.statistics.multiplicity import benjamini_hochberg, holm
from mlops_assets.statistics.power import smallest_detectable
from mlops_assets.statistics.regression import bias, mae, r2, rmse

__all__ = [
    "Array",
    "Difference",
    "Interval",
    "ReliabilityBin",
    "StatisticsInputError",
    "TopScores",
    "auc",
    "auc_interval",
    "benjamini_hochberg",
    "bias",
    "bootstrap_difference",
    "bootstrap_interval",
    "brier",
    "brier_losses",
    "delong_paired",
    "ece",
    "holm",
    "log_loss",
    "log_losses",
    "mae",
    "mean_difference",
    "mean_interval",
    "precision_at",
    "r2",
    "recall_at",
    "reliability",
    "rmse",
    "smallest_detectable",
    "top_counter",
    "top_scores",
    "wilson",
]

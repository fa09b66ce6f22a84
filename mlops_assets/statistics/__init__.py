"""What several stages reckon with: metrics, intervals, paired tests and multiplicity, in plain NumPy.

Evaluation, monitoring, deployment and retraining use the same sums, so a number promised at the gate and a number
measured in production mean the same thing. Every function is pure, and refuses a sample that has no answer instead of
giving a plausible wrong one.
"""

from mlops_assets.statistics.class_reliability import (
    classwise_ece,
    classwise_ece_interval,
    top_label,
    top_label_ece,
    top_label_ece_interval,
)
from mlops_assets.statistics.classification import (
    TopScores,
    auc,
    auc_interval,
    brier,
    brier_losses,
    delong,
    log_loss,
    log_losses,
    placements,
    precision_at,
    recall_at,
    top_scores,
)
from mlops_assets.statistics.decisions import rate, rate_interval
from mlops_assets.statistics.inputs import Array, StatisticsInputError
from mlops_assets.statistics.intervals import (
    Difference,
    Interval,
    mean_difference,
    mean_interval,
    wald,
    wilson,
)
from mlops_assets.statistics.multiclass import class_hits, class_log_losses, class_probabilities, macro_auc
from mlops_assets.statistics.multiplicity import holm
from mlops_assets.statistics.power import smallest_detectable
from mlops_assets.statistics.precision_recall import average_precision_adds
from mlops_assets.statistics.regression import bias, mae, pinball_losses, r2, rmse
from mlops_assets.statistics.reliability import ReliabilityBin, ece, ece_interval, reliability
from mlops_assets.statistics.resampling import (
    TopDraws,
    drawn_difference,
    drawn_interval,
    draws,
    of_sums,
    percentiles,
    units_of,
)

__all__ = [
    "Array",
    "Difference",
    "Interval",
    "ReliabilityBin",
    "StatisticsInputError",
    "TopDraws",
    "TopScores",
    "auc",
    "auc_interval",
    "average_precision_adds",
    "bias",
    "brier",
    "brier_losses",
    "class_hits",
    "class_log_losses",
    "class_probabilities",
    "classwise_ece",
    "classwise_ece_interval",
    "delong",
    "drawn_difference",
    "drawn_interval",
    "draws",
    "ece",
    "ece_interval",
    "holm",
    "log_loss",
    "log_losses",
    "macro_auc",
    "mae",
    "mean_difference",
    "mean_interval",
    "of_sums",
    "percentiles",
    "pinball_losses",
    "placements",
    "precision_at",
    "r2",
    "rate",
    "rate_interval",
    "recall_at",
    "reliability",
    "rmse",
    "smallest_detectable",
    "top_label",
    "top_label_ece",
    "top_label_ece_interval",
    "top_scores",
    "units_of",
    "wald",
    "wilson",
]

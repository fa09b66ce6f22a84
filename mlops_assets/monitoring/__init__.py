"""Watching a live model: what comes in, how far it has moved from training, and how well the model still does.

Everything here is a pure function of profiles, labels and a policy; orchestration keeps the reports and tells people.
"""

from mlops_assets.monitoring.cells import Values
from mlops_assets.monitoring.drift import AlertState, DriftAlert, MonitorPolicy, alerts, compare, measure_all
from mlops_assets.monitoring.drift_metrics import DRIFT_METRICS, DriftMetric
from mlops_assets.monitoring.payload import PayloadColumn, PayloadPolicy, PayloadReport, inspect
from mlops_assets.monitoring.performance import PerformancePolicy, measure
from mlops_assets.monitoring.profile import (
    SCORE,
    ColumnProfile,
    Profile,
    feature_columns,
    matrix_columns,
    score_columns,
)

__all__ = [
    "DRIFT_METRICS",
    "SCORE",
    "AlertState",
    "ColumnProfile",
    "DriftAlert",
    "DriftMetric",
    "MonitorPolicy",
    "PayloadColumn",
    "PayloadPolicy",
    "PayloadReport",
    "PerformancePolicy",
    "Profile",
    "Values",
    "alerts",
    "compare",
    "feature_columns",
    "inspect",
    "matrix_columns",
    "measure",
    "measure_all",
    "score_columns",
]

"""Drift metrics: each says, in its own way, how far one column has moved from its training rows.

To add one, write its file beside the others and its line below; the policy and the contract test find it here.
"""

from mlops_assets.monitoring.drift_metrics.chi_square import ChiSquare
from mlops_assets.monitoring.drift_metrics.js import JensenShannonDistance
from mlops_assets.monitoring.drift_metrics.ks import KolmogorovSmirnovDistance
from mlops_assets.monitoring.drift_metrics.metric import DriftMetric
from mlops_assets.monitoring.drift_metrics.psi import PopulationStabilityIndex
from mlops_assets.monitoring.drift_metrics.wasserstein import WassersteinDistance

_MEMBERS: tuple[DriftMetric, ...] = (
    PopulationStabilityIndex(),
    JensenShannonDistance(),
    KolmogorovSmirnovDistance(),
    WassersteinDistance(),
    ChiSquare(),
)

DRIFT_METRICS: dict[str, DriftMetric] = {metric.name: metric for metric in _MEMBERS}

__all__ = ["DRIFT_METRICS", "DriftMetric"]

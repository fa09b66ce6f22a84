"""Turns the parts of a bundle into scores with NumPy alone, in training and in the endpoint by the same sums.

A library adds up a matrix product in another order for one row than for a thousand, and the last bits differ. Here a
row is added up column by column, tree by tree, layer by layer, whatever other rows come with it. So the endpoint needs
neither scikit-learn nor PyTorch, and answers what training saw, in every bit.
"""

from mlops_assets.scoring.calibration import (
    CALIBRATION_PART,
    CalibratedScorer,
    Calibrator,
    calibrated,
    calibrator_of,
)
from mlops_assets.scoring.class_calibration import ClassCalibrator, Knots
from mlops_assets.scoring.estimators import ESTIMATOR_PART, estimator_scorer
from mlops_assets.scoring.links import sigmoid, softmax
from mlops_assets.scoring.network import NETWORK_PART, network_scorer
from mlops_assets.scoring.own import OWN_PART, own_scorer, row_by_row
from mlops_assets.scoring.scorer import Scorer

__all__ = [
    "CALIBRATION_PART",
    "ESTIMATOR_PART",
    "NETWORK_PART",
    "OWN_PART",
    "CalibratedScorer",
    "Calibrator",
    "ClassCalibrator",
    "Knots",
    "Scorer",
    "calibrated",
    "calibrator_of",
    "estimator_scorer",
    "network_scorer",
    "own_scorer",
    "row_by_row",
    "sigmoid",
    "softmax",
]

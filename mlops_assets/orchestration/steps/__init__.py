"""The steps of a model's life, as plain functions over the stores; the assets are shells around them.

Nothing here knows Dagster or asks for the time: what is decided is decided from what is passed in and what is stored.
"""

from mlops_assets.orchestration.steps.judging import evaluate
from mlops_assets.orchestration.steps.learning import fit_model, unrepeatable
from mlops_assets.orchestration.steps.noting import PIPELINE
from mlops_assets.orchestration.steps.proving import check_parity
from mlops_assets.orchestration.steps.releasing import (
    decide_approval,
    deploy,
    roll_back,
    write_dossier,
)
from mlops_assets.orchestration.steps.reporting import judged
from mlops_assets.orchestration.steps.reproducing import reproduce
from mlops_assets.orchestration.steps.training_sets import build_training_set, rebuild_training_set
from mlops_assets.orchestration.steps.watching import (
    labels_of,
    measure_drift,
    measure_performance,
    seal_predictions,
    sealed_predictions,
    standing_alerts,
)

__all__ = [
    "PIPELINE",
    "build_training_set",
    "check_parity",
    "decide_approval",
    "deploy",
    "evaluate",
    "fit_model",
    "judged",
    "labels_of",
    "measure_drift",
    "measure_performance",
    "rebuild_training_set",
    "reproduce",
    "roll_back",
    "seal_predictions",
    "sealed_predictions",
    "standing_alerts",
    "unrepeatable",
    "write_dossier",
]

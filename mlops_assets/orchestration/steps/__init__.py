"""The steps of a model's life, as plain functions over the stores; the assets are shells around them.

Nothing here knows Dagster or asks for the time: what is decided is decided from what is passed in and what is stored.
A room for each stretch of the life, in this order; a stretch imports those before it, never those after.
"""

from mlops_assets.orchestration.steps.archive.reproducing import reproduce
from mlops_assets.orchestration.steps.datasets.training_sets import build_training_set, rebuild_training_set
from mlops_assets.orchestration.steps.fitting.learning import fit_model, unrepeatable
from mlops_assets.orchestration.steps.fitting.noting import PIPELINE
from mlops_assets.orchestration.steps.gate.judging import evaluate
from mlops_assets.orchestration.steps.gate.reporting import judged
from mlops_assets.orchestration.steps.live.proving import check_parity
from mlops_assets.orchestration.steps.live.releasing import (
    decide_approval,
    deploy,
    roll_back,
    write_dossier,
)
from mlops_assets.orchestration.steps.live.watching import (
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

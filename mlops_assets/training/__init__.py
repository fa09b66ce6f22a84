"""Turns a training set into a model that anybody can fit again, bit for bit.

Windows say which time to learn from and which to be judged on; trainers fit; the bundle is everything an endpoint needs
to answer as in training, in bytes that depend on nothing else; the reproducibility record says what it took.
"""

from mlops_assets.training.baseline import Baseline, fit_baseline
from mlops_assets.training.bundle import Golden, assemble_bundle
from mlops_assets.training.checkpoint import Checkpoint
from mlops_assets.training.fitting import TrainingPolicy, fit, recency_weights, score, tune
from mlops_assets.training.repeating import fits_alike, tried_rows
from mlops_assets.training.reproducibility import (
    FACTS,
    distributions_of,
    library_versions,
    missing_facts,
    platform_facts,
    recipe_sha256,
    reproducibility_record,
    why_not_again,
)
from mlops_assets.training.trainer import Fitted, Trainer, TrainingData
from mlops_assets.training.trainers import OWN, TRAINERS, trainer_named, trainer_of
from mlops_assets.training.tuning import Among, TuningPolicy
from mlops_assets.training.windows import Cut, TrainingWindow, inside

__all__ = [
    "FACTS",
    "OWN",
    "TRAINERS",
    "Among",
    "Baseline",
    "Checkpoint",
    "Cut",
    "Fitted",
    "Golden",
    "Trainer",
    "TrainingData",
    "TrainingPolicy",
    "TrainingWindow",
    "TuningPolicy",
    "assemble_bundle",
    "distributions_of",
    "fit",
    "fit_baseline",
    "fits_alike",
    "inside",
    "library_versions",
    "missing_facts",
    "platform_facts",
    "recency_weights",
    "recipe_sha256",
    "reproducibility_record",
    "score",
    "trainer_named",
    "trainer_of",
    "tried_rows",
    "tune",
    "why_not_again",
]

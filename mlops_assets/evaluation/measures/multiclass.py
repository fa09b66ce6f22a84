"""Measures of one of several classes."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from mlops_assets import statistics
from mlops_assets.evaluation.measures.measure import (
    Measure,
    mean,
    mean_gain,
    needed,
    plain,
    seeded,
    share_gain,
    share_of,
)
from mlops_assets.evaluation.measures.terms import Terms
from mlops_assets.statistics import Array


def _macro(y: Array, score: Array, terms: Terms) -> tuple[float, Array]:
    return terms.once("macro", lambda: statistics.macro_auc(y, score), y, score)


def _misses(y: Array, score: Array) -> Array:
    return 1.0 - statistics.class_hits(y, score)


def _worths(y: Array, score: Array, terms: Terms) -> Array:
    """Give, per row, what 1,000 answers like it bring, by the declared worth of each answer to what came."""
    worth = needed(terms.worth)
    return np.asarray(1000 * worth[y.astype(np.intp), score.argmax(axis=1)])


MULTICLASS: Final[Mapping[str, Measure]] = {
    "macro_auc": Measure(
        task="multiclass",
        value=lambda y, score, terms: _macro(y, score, terms)[0],
        interval=share_of(_macro),
        gain=share_gain(_macro),
        margin=0.01,
    ),
    "multiclass_log_loss": Measure(
        task="multiclass",
        value=lambda y, score, terms: float(statistics.class_log_losses(y, score).mean()),
        interval=mean(statistics.class_log_losses),
        gain=mean_gain(statistics.class_log_losses),
        higher_is_better=False,
        margin=0.01,
    ),
    "multiclass_accuracy": Measure(
        task="multiclass",
        value=lambda y, score, terms: float(statistics.class_hits(y, score).mean()),
        interval=mean(statistics.class_hits),
        gain=mean_gain(_misses),
        margin=0.01,
    ),
    "top_label_ece": Measure(
        task="multiclass",
        value=plain(statistics.top_label_ece),
        interval=seeded(statistics.top_label_ece_interval),
        higher_is_better=False,
    ),
    "classwise_ece": Measure(
        task="multiclass",
        value=plain(statistics.classwise_ece),
        interval=seeded(statistics.classwise_ece_interval),
        higher_is_better=False,
    ),
    "answers_per_1000": Measure(
        task="multiclass",
        value=lambda y, score, terms: float(_worths(y, score, terms).mean()),
        interval=lambda y, score, terms: statistics.mean_interval(
            _worths(y, score, terms), confidence=terms.confidence, clusters=terms.clusters
        ),
        gain=lambda y, first, second, terms: statistics.mean_difference(
            _worths(y, first, terms),
            _worths(y, second, terms),
            confidence=terms.confidence,
            clusters=terms.clusters,
        ),
        needs="worth",
    ),
}

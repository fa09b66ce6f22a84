"""Measures of one of several classes."""

from collections.abc import Mapping
from typing import Final

from mlops_assets import statistics
from mlops_assets.evaluation.measures.measure import Measure, mean, mean_gain, share_gain, share_of
from mlops_assets.evaluation.measures.terms import Terms
from mlops_assets.statistics import Array


def _macro(y: Array, score: Array, terms: Terms) -> tuple[float, Array]:
    return terms.once("macro", lambda: statistics.macro_auc(y, score), y, score)


def _misses(y: Array, score: Array) -> Array:
    return 1.0 - statistics.class_hits(y, score)


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
}

"""Measures of yes or no."""

from collections.abc import Mapping
from typing import Final

from mlops_assets import statistics
from mlops_assets.evaluation.measures.capacity import ends_of_top, of_top, precision_of, recall_of, wilson, worth_of
from mlops_assets.evaluation.measures.measure import (
    Measure,
    mean,
    mean_gain,
    needed,
    plain,
    resampled_gain,
    seeded,
    share_gain,
    share_of,
)
from mlops_assets.evaluation.measures.terms import Terms
from mlops_assets.statistics import Array, Difference, Interval


def _placed(y: Array, score: Array, terms: Terms) -> Array:
    return terms.once("placed", lambda: statistics.placements(y, score), y, score)


def _auc_interval(y: Array, score: Array, terms: Terms) -> Interval:
    found = statistics.delong(y, _placed(y, score, terms), confidence=terms.confidence, clusters=terms.clusters)
    return Interval(max(0.0, found.low), min(1.0, found.high))


def _auc_gain(y: Array, first: Array, second: Array, terms: Terms) -> Difference:
    gap = _placed(y, first, terms) - _placed(y, second, terms)
    return statistics.delong(y, gap, confidence=terms.confidence, clusters=terms.clusters)


def _precise(y: Array, score: Array, terms: Terms) -> tuple[float, Array]:
    return terms.once("precise", lambda: statistics.average_precision_adds(y, score), y, score)


def _decided(name: str) -> Measure:
    """Give a measure of the decisions that the threshold makes."""

    def ends(y: Array, score: Array, terms: Terms) -> Interval:
        decided = score >= needed(terms.threshold)
        return statistics.rate_interval(name, y, decided, confidence=terms.confidence, clusters=terms.clusters)

    return Measure(
        task="binary",
        value=lambda y, score, terms: statistics.rate(name, y, score >= needed(terms.threshold)),
        interval=ends,
        needs="threshold",
    )


BINARY: Final[Mapping[str, Measure]] = {
    "auc": Measure(
        task="binary",
        value=lambda y, score, terms: float(_placed(y, score, terms)[y > 0].mean()),
        interval=_auc_interval,
        gain=_auc_gain,
        margin=0.01,
    ),
    "average_precision": Measure(
        task="binary",
        value=lambda y, score, terms: _precise(y, score, terms)[0],
        interval=share_of(_precise),
        gain=share_gain(_precise),
        margin=0.02,
    ),
    "log_loss": Measure(
        task="binary",
        value=plain(statistics.log_loss),
        interval=mean(statistics.log_losses),
        gain=mean_gain(statistics.log_losses),
        higher_is_better=False,
        margin=0.005,
    ),
    "brier": Measure(
        task="binary",
        value=plain(statistics.brier),
        interval=mean(statistics.brier_losses),
        gain=mean_gain(statistics.brier_losses),
        higher_is_better=False,
        margin=0.002,
    ),
    "ece": Measure(
        task="binary",
        value=plain(statistics.ece),
        interval=seeded(statistics.ece_interval),
        higher_is_better=False,
    ),
    "precision_at_capacity": Measure(
        task="binary",
        value=lambda y, score, terms: statistics.precision_at(y, score, share=terms.value.capacity_share),
        interval=wilson(precision_of, of_positives=False),
        gain=resampled_gain(of_top(precision_of)),
        margin=0.02,
    ),
    "recall_at_capacity": Measure(
        task="binary",
        value=lambda y, score, terms: statistics.recall_at(y, score, share=terms.value.capacity_share),
        interval=wilson(recall_of, of_positives=True),
        gain=resampled_gain(of_top(recall_of)),
        margin=0.02,
    ),
    "value_per_1000": Measure(
        task="binary",
        value=lambda y, score, terms: terms.value.per_1000(y, score),
        interval=ends_of_top(worth_of, where_it_pays=True),
        gain=resampled_gain(of_top(worth_of, where_it_pays=True)),
    ),
    "accuracy": _decided("accuracy"),
    "balanced_accuracy": _decided("balanced_accuracy"),
    "f1": _decided("f1"),
    "precision": _decided("precision"),
    "true_positive_rate": _decided("true_positive_rate"),
    "true_negative_rate": _decided("true_negative_rate"),
    "selection_rate": _decided("selection_rate"),
}

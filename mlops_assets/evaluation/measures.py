"""The measures a model may be judged by: each with its value, its interval and its paired comparison."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from mlops_assets import statistics
from mlops_assets.evaluation.value import BusinessValue
from mlops_assets.records import Task
from mlops_assets.statistics import Array, Difference, Interval, TopScores
from mlops_assets.statistics.inputs import Clusters
from mlops_assets.statistics.intervals import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms all are measured: the business value, the confidence, the seed, and which rows hang together.

    `clusters` names what rows of like fate share, say their day; without it every row counts as a draw of its own.
    """

    value: BusinessValue = field(default_factory=BusinessValue)
    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 7
    clusters: Clusters = None

    def on(self, rows: npt.NDArray[np.bool_]) -> "Terms":
        """Give the same terms for some of the rows."""
        return self if self.clusters is None else replace(self, clusters=self.clusters[rows])


Value = Callable[[Array, Array, Terms], float]
Prepared = Callable[[Array, Array, Terms], Callable[[Rows], float]]  # what can be done once for all draws of rows
Ends = Callable[[Array, Array, Terms], Interval | None]
Gain = Callable[[Array, Array, Array, Terms], Difference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure of scores against labels.

    `gain` compares a first score with a second on the same rows, in favour of the first when positive; None where the
    measure is told but nobody is judged by it. `margin` is the loss that a gate forgives unless told otherwise; None
    where it depends on the unit of the label, so that only a person can say it.
    """

    task: Task
    value: Value
    interval: Ends
    gain: Gain | None = None
    higher_is_better: bool = True
    margin: float | None = None


def _plain(value: Callable[[Array, Array], float]) -> Value:
    return lambda y, score, terms: value(y, score)


def _on_rows(value: Callable[[Array, Array], float]) -> Prepared:
    return lambda y, score, terms: lambda rows: value(y[rows], score[rows])


def _of_top(number: Callable[[TopScores, int, Terms], float]) -> Prepared:
    """Give a number that depends only on the cases within the capacity and on how many rows there are."""

    def prepare(y: Array, score: Array, terms: Terms) -> Callable[[Rows], float]:
        count = statistics.top_counter(y, score, share=terms.value.capacity_share)
        return lambda rows: number(count(rows), len(rows), terms)

    return prepare


def _on_all(prepared: Prepared) -> Value:
    return lambda y, score, terms: prepared(y, score, terms)(np.arange(len(y)))


def _auc_interval(y: Array, score: Array, terms: Terms) -> Interval:
    return statistics.auc_interval(y, score, confidence=terms.confidence, clusters=terms.clusters)


def _auc_gain(y: Array, first: Array, second: Array, terms: Terms) -> Difference:
    return statistics.delong_paired(y, first, second, confidence=terms.confidence, clusters=terms.clusters)


def _none_known(y: Array, score: Array, terms: Terms) -> None:
    return None


def _resampled(prepared: Prepared) -> Ends:
    """Give the bootstrap's interval of any value."""
    return lambda y, score, terms: statistics.bootstrap_interval(
        prepared(y, score, terms),
        len(y),
        seed=terms.seed,
        resamples=terms.resamples,
        confidence=terms.confidence,
        clusters=terms.clusters,
    )


def _resampled_gain(prepared: Prepared, *, sign: int = 1) -> Gain:
    """Give the bootstrap's paired comparison of any value; `sign` is -1 where lower is better."""

    def gain(y: Array, first: Array, second: Array, terms: Terms) -> Difference:
        of_first, of_second = prepared(y, first, terms), prepared(y, second, terms)
        return statistics.bootstrap_difference(
            lambda rows: sign * (of_first(rows) - of_second(rows)),
            len(y),
            seed=terms.seed,
            resamples=terms.resamples,
            confidence=terms.confidence,
            clusters=terms.clusters,
        )

    return gain


def _wilson(prepared: Prepared, *, of_positives: bool) -> Ends:
    """Give Wilson's interval of a share at capacity, or the bootstrap's where rows hang together."""

    def ends(y: Array, score: Array, terms: Terms) -> Interval | None:
        if terms.clusters is not None:
            return _resampled(prepared)(y, score, terms)
        top = statistics.top_scores(y, score, share=terms.value.capacity_share)
        return statistics.wilson(top.hits, top.positives if of_positives else top.rows, confidence=terms.confidence)

    return ends


def _mean(losses: Callable[[Array, Array], Array]) -> Ends:
    """Give the interval of a mean of one loss per row."""
    return lambda y, score, terms: statistics.mean_interval(
        losses(y, score), confidence=terms.confidence, clusters=terms.clusters
    )


def _mean_gain(losses: Callable[[Array, Array], Array]) -> Gain:
    """Give the paired comparison of a mean of one loss per row: what the second loses more than the first."""
    return lambda y, first, second, terms: statistics.mean_difference(
        losses(y, second), losses(y, first), confidence=terms.confidence, clusters=terms.clusters
    )


def _absolute_errors(y: Array, score: Array) -> Array:
    return np.abs(score - y)


def _errors(y: Array, score: Array) -> Array:
    return score - y


_precision = _of_top(lambda top, n, terms: top.precision)
_recall = _of_top(lambda top, n, terms: top.recall)
_worth = _of_top(lambda top, n, terms: terms.value.of(top) * 1000 / n)
_rmse = _on_rows(statistics.rmse)
_r2 = _on_rows(statistics.r2)

MEASURES: dict[str, Measure] = {
    "auc": Measure(task="binary", value=_plain(statistics.auc), interval=_auc_interval, gain=_auc_gain, margin=0.01),
    "log_loss": Measure(
        task="binary",
        value=_plain(statistics.log_loss),
        interval=_mean(statistics.log_losses),
        gain=_mean_gain(statistics.log_losses),
        higher_is_better=False,
        margin=0.005,
    ),
    "brier": Measure(
        task="binary",
        value=_plain(statistics.brier),
        interval=_mean(statistics.brier_losses),
        gain=_mean_gain(statistics.brier_losses),
        higher_is_better=False,
        margin=0.002,
    ),
    "ece": Measure(
        task="binary",
        value=_plain(statistics.ece),
        interval=_none_known,  # resampling adds noise, and this measure counts noise as error
        higher_is_better=False,
    ),
    "precision_at_capacity": Measure(
        task="binary",
        value=_on_all(_precision),
        interval=_wilson(_precision, of_positives=False),
        gain=_resampled_gain(_precision),
        margin=0.02,
    ),
    "recall_at_capacity": Measure(
        task="binary",
        value=_on_all(_recall),
        interval=_wilson(_recall, of_positives=True),
        gain=_resampled_gain(_recall),
        margin=0.02,
    ),
    "value_per_1000": Measure(
        task="binary", value=_on_all(_worth), interval=_resampled(_worth), gain=_resampled_gain(_worth)
    ),
    "rmse": Measure(
        task="regression",
        value=_on_all(_rmse),
        interval=_resampled(_rmse),
        gain=_resampled_gain(_rmse, sign=-1),
        higher_is_better=False,
    ),
    "mae": Measure(
        task="regression",
        value=_plain(statistics.mae),
        interval=_mean(_absolute_errors),
        gain=_mean_gain(_absolute_errors),
        higher_is_better=False,
    ),
    "bias": Measure(task="regression", value=_plain(statistics.bias), interval=_mean(_errors)),
    "r2": Measure(
        task="regression",
        value=_on_all(_r2),
        interval=_resampled(_r2),
        gain=_resampled_gain(_r2),
        margin=0.01,
    ),
}

"""The measures a model may be judged by: each with its value, its interval and its paired comparison."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from mlops_assets import statistics
from mlops_assets.evaluation.value import BusinessValue
from mlops_assets.records import Task
from mlops_assets.statistics import Array, Difference, Interval, StatisticsInputError
from mlops_assets.statistics.inputs import Clusters
from mlops_assets.statistics.intervals import Rows
from mlops_assets.statistics.resampling import Statistic, Units

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms all are measured: the business value, the confidence, the seed, and which rows hang together.

    `clusters` names what rows of like fate share, say their day; without it every row counts as a draw of its own.
    `threshold` is the score from which the model decides yes, `quantile` what a model of quantiles forecasts; measures
    that need one are left out without it.
    """

    value: BusinessValue = field(default_factory=BusinessValue)
    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 7
    clusters: Clusters = None
    threshold: float | None = None
    quantile: float | None = None
    kept: dict[tuple[object, ...], tuple[object, ...]] = field(default_factory=dict, compare=False, repr=False)

    def once(self, what: str, make: Callable[[], Kept], *of: Array) -> Kept:
        """Give what `make` gives, made once for the same arrays: several measures of a score need it sorted."""
        of_clusters = (*of, self.clusters)
        key = (what, self.seed, *map(id, of_clusters))
        if key not in self.kept:
            self.kept[key] = (make(), of_clusters)  # holding the arrays keeps their ids theirs
        return self.kept[key][0]  # type: ignore[return-value]

    def on(self, rows: npt.NDArray[np.bool_] | Rows) -> "Terms":
        """Give the same terms for some of the rows."""
        return replace(self, clusters=None if self.clusters is None else self.clusters[rows], kept={})


Value = Callable[[Array, Array, Terms], float]
Drawn = Callable[[Array, Array, Terms, Units], Statistic]  # the value on drawn rows, from their weights
Ends = Callable[[Array, Array, Terms], Interval | None]
TopNumber = Callable[[Array, Array, Array, Array, Terms], Array]
Gain = Callable[[Array, Array, Array, Terms], Difference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure of scores against labels.

    `gain` compares a first score with a second on the same rows, in favour of the first when positive; None where the
    measure is told but nobody is judged by it. `margin` is the loss that a gate forgives unless told otherwise; None
    where it depends on the unit of the label, so that only a person can say it. `needs` names the term without which
    it does not exist.
    """

    task: Task
    value: Value
    interval: Ends
    gain: Gain | None = None
    higher_is_better: bool = True
    margin: float | None = None
    needs: Literal["threshold", "quantile"] | None = None

    def exists(self, terms: Terms) -> bool:
        """Whether what it needs is among the terms."""
        return self.needs is None or getattr(terms, self.needs) is not None


def _plain(value: Callable[[Array, Array], float]) -> Value:
    return lambda y, score, terms: value(y, score)


def _units(y: Array, terms: Terms) -> Units:
    return statistics.units_of(len(y), terms.clusters, seed=terms.seed)


def _of_top(number: TopNumber, *, where_it_pays: bool = False) -> Drawn:
    """Give a number of the rows acted on, the hits among them, all hits and all rows."""

    def drawn(y: Array, score: Array, terms: Terms, units: Units) -> Statistic:
        count = _ranked(y, score, terms, units, where_it_pays=where_it_pays)
        return lambda weights: number(*count(weights, share=terms.value.capacity_share), terms)

    return drawn


def _ends_of_top(number: TopNumber, *, where_it_pays: bool = False) -> Ends:
    """Give the bootstrap's interval of such a number; several are taken from the same draws."""

    def ends(y: Array, score: Array, terms: Terms) -> Interval:
        units = _units(y, terms)

        def counted() -> list[Array]:
            count = _ranked(y, score, terms, units, where_it_pays=where_it_pays)
            found = [
                count(weights, share=terms.value.capacity_share)
                for weights in statistics.draws(units, seed=terms.seed, resamples=terms.resamples)
            ]
            return [np.concatenate(each) for each in zip(*found, strict=True)]

        what = f"counted {terms.resamples} of {terms.value.capacity_share!r} {_least(terms, where_it_pays)!r}"
        acted, hits, positives, rows = terms.once(what, counted, y, score)
        return statistics.percentiles(number(acted, hits, positives, rows, terms), confidence=terms.confidence)

    return ends


def _least(terms: Terms, where_it_pays: bool) -> float | None:
    return terms.value.pays_from if where_it_pays else None


def _ranked(y: Array, score: Array, terms: Terms, units: Units, *, where_it_pays: bool) -> statistics.TopDraws:
    at_least = _least(terms, where_it_pays)
    return terms.once(
        f"ranked from {at_least!r}", lambda: statistics.TopDraws(y, score, units, at_least=at_least), y, score
    )


def _precision_of(acted: Array, hits: Array, positives: Array, rows: Array, terms: Terms) -> Array:
    return hits / acted


def _recall_of(acted: Array, hits: Array, positives: Array, rows: Array, terms: Terms) -> Array:
    if not positives.all():
        raise StatisticsInputError(
            "Without a positive row there is nothing to find and no recall, and so few are positive here that a draw "
            "of rows may hold none. Widen the window."
        )
    return hits / positives


def _worth_of(acted: Array, hits: Array, positives: Array, rows: Array, terms: Terms) -> Array:
    trade = terms.value
    return (hits * trade.value_of_hit - (acted - hits) * trade.cost_of_false_alarm) * 1000 / rows


def _rmse_drawn(y: Array, score: Array, terms: Terms, units: Units) -> Statistic:
    def number(sums: Array) -> Array:
        return np.asarray(np.sqrt(sums[0] / sums[1]))

    return statistics.of_sums(number, (score - y) ** 2, np.ones_like(y), units=units)


def _r2_drawn(y: Array, score: Array, terms: Terms, units: Units) -> Statistic:
    statistics.r2(y, score)  # refuses rows of one value
    away = y - y.mean()

    def number(sums: Array) -> Array:
        return np.asarray(1 - sums[0] / (sums[1] - sums[2] ** 2 / sums[3]))

    return statistics.of_sums(number, (score - y) ** 2, away**2, away, np.ones_like(y), units=units)


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


def _ap_interval(y: Array, score: Array, terms: Terms) -> Interval:
    value, adds = _precise(y, score, terms)
    found = statistics.wald(value, influence=adds, confidence=terms.confidence, clusters=terms.clusters)
    return Interval(max(0.0, found.low), min(1.0, found.high))


def _ap_gain(y: Array, first: Array, second: Array, terms: Terms) -> Difference:
    (value, adds), (other, adds_other) = _precise(y, first, terms), _precise(y, second, terms)
    return statistics.wald(
        value - other, influence=adds - adds_other, confidence=terms.confidence, clusters=terms.clusters
    )


def _ece_interval(y: Array, score: Array, terms: Terms) -> Interval:
    return statistics.ece_interval(
        y, score, seed=terms.seed, resamples=terms.resamples, confidence=terms.confidence, clusters=terms.clusters
    )


def _decided(name: str) -> Measure:
    """Give a measure of the decisions that the threshold makes."""

    def ends(y: Array, score: Array, terms: Terms) -> Interval:
        decided = score >= _term(terms.threshold)
        return statistics.rate_interval(name, y, decided, confidence=terms.confidence, clusters=terms.clusters)

    return Measure(
        task="binary",
        value=lambda y, score, terms: statistics.rate(name, y, score >= _term(terms.threshold)),
        interval=ends,
        needs="threshold",
    )


def _pinball_losses(y: Array, score: Array, terms: Terms) -> Array:
    return statistics.pinball_losses(y, score, quantile=_term(terms.quantile))


def _term(value: float | None) -> float:
    assert value is not None  # `evaluate` leaves out the measures that need it
    return value


def _resampled(drawn: Drawn) -> Ends:
    """Give the bootstrap's interval of any value."""

    def ends(y: Array, score: Array, terms: Terms) -> Interval:
        units = _units(y, terms)
        return statistics.drawn_interval(
            drawn(y, score, terms, units),
            units,
            seed=terms.seed,
            resamples=terms.resamples,
            confidence=terms.confidence,
        )

    return ends


def _resampled_gain(drawn: Drawn, *, sign: int = 1) -> Gain:
    """Give the bootstrap's paired comparison of any value; `sign` is -1 where lower is better."""

    def gain(y: Array, first: Array, second: Array, terms: Terms) -> Difference:
        units = _units(y, terms)
        of_first, of_second = drawn(y, first, terms, units), drawn(y, second, terms, units)
        return statistics.drawn_difference(
            lambda weights: sign * (of_first(weights) - of_second(weights)),
            units,
            seed=terms.seed,
            resamples=terms.resamples,
            confidence=terms.confidence,
        )

    return gain


def _wilson(number: TopNumber, *, of_positives: bool) -> Ends:
    """Give Wilson's interval of a share at capacity, or the bootstrap's where rows hang together."""

    def ends(y: Array, score: Array, terms: Terms) -> Interval | None:
        if terms.clusters is not None:
            return _ends_of_top(number)(y, score, terms)
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


def _macro(y: Array, score: Array, terms: Terms) -> tuple[float, Array]:
    return terms.once("macro", lambda: statistics.macro_auc(y, score), y, score)


def _macro_interval(y: Array, score: Array, terms: Terms) -> Interval:
    value, adds = _macro(y, score, terms)
    found = statistics.wald(value, influence=adds, confidence=terms.confidence, clusters=terms.clusters)
    return Interval(max(0.0, found.low), min(1.0, found.high))


def _macro_gain(y: Array, first: Array, second: Array, terms: Terms) -> Difference:
    (value, adds), (other, adds_other) = _macro(y, first, terms), _macro(y, second, terms)
    return statistics.wald(
        value - other, influence=adds - adds_other, confidence=terms.confidence, clusters=terms.clusters
    )


def _misses(y: Array, score: Array) -> Array:
    return 1.0 - statistics.class_hits(y, score)


_precision = _of_top(_precision_of)
_recall = _of_top(_recall_of)
_worth = _of_top(_worth_of, where_it_pays=True)

MEASURES: dict[str, Measure] = {
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
        interval=_ap_interval,
        gain=_ap_gain,
        margin=0.02,
    ),
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
        interval=_ece_interval,
        higher_is_better=False,
    ),
    "precision_at_capacity": Measure(
        task="binary",
        value=lambda y, score, terms: statistics.precision_at(y, score, share=terms.value.capacity_share),
        interval=_wilson(_precision_of, of_positives=False),
        gain=_resampled_gain(_precision),
        margin=0.02,
    ),
    "recall_at_capacity": Measure(
        task="binary",
        value=lambda y, score, terms: statistics.recall_at(y, score, share=terms.value.capacity_share),
        interval=_wilson(_recall_of, of_positives=True),
        gain=_resampled_gain(_recall),
        margin=0.02,
    ),
    "value_per_1000": Measure(
        task="binary",
        value=lambda y, score, terms: terms.value.per_1000(y, score),
        interval=_ends_of_top(_worth_of, where_it_pays=True),
        gain=_resampled_gain(_worth),
    ),
    "accuracy": _decided("accuracy"),
    "balanced_accuracy": _decided("balanced_accuracy"),
    "f1": _decided("f1"),
    "precision": _decided("precision"),
    "true_positive_rate": _decided("true_positive_rate"),
    "true_negative_rate": _decided("true_negative_rate"),
    "selection_rate": _decided("selection_rate"),
    "macro_auc": Measure(
        task="multiclass",
        value=lambda y, score, terms: _macro(y, score, terms)[0],
        interval=_macro_interval,
        gain=_macro_gain,
        margin=0.01,
    ),
    "multiclass_log_loss": Measure(
        task="multiclass",
        value=lambda y, score, terms: float(statistics.class_log_losses(y, score).mean()),
        interval=_mean(statistics.class_log_losses),
        gain=_mean_gain(statistics.class_log_losses),
        higher_is_better=False,
        margin=0.01,
    ),
    "multiclass_accuracy": Measure(
        task="multiclass",
        value=lambda y, score, terms: float(statistics.class_hits(y, score).mean()),
        interval=_mean(statistics.class_hits),
        gain=_mean_gain(_misses),
        margin=0.01,
    ),
    "rmse": Measure(
        task="regression",
        value=_plain(statistics.rmse),
        interval=_resampled(_rmse_drawn),
        gain=_resampled_gain(_rmse_drawn, sign=-1),
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
        value=_plain(statistics.r2),
        interval=_resampled(_r2_drawn),
        gain=_resampled_gain(_r2_drawn),
        margin=0.01,
    ),
    "pinball": Measure(
        task="regression",
        value=lambda y, score, terms: float(_pinball_losses(y, score, terms).mean()),
        interval=lambda y, score, terms: statistics.mean_interval(
            _pinball_losses(y, score, terms), confidence=terms.confidence, clusters=terms.clusters
        ),
        higher_is_better=False,
        needs="quantile",
    ),
    "coverage": Measure(
        task="regression",
        value=lambda y, score, terms: statistics.rate("selection_rate", np.ones_like(y), y <= score),
        interval=lambda y, score, terms: statistics.rate_interval(
            "selection_rate", np.ones_like(y), y <= score, confidence=terms.confidence, clusters=terms.clusters
        ),
        needs="quantile",
    ),
}

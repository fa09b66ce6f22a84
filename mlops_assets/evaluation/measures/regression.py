"""Measures of forecast numbers."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from mlops_assets import statistics
from mlops_assets.evaluation.measures.measure import Measure, mean, mean_gain, needed, plain, resampled, resampled_gain
from mlops_assets.evaluation.measures.terms import Terms
from mlops_assets.statistics import Array, Difference
from mlops_assets.statistics.resampling import Statistic, Units


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


def _absolute_errors(y: Array, score: Array) -> Array:
    return np.abs(score - y)


def _errors(y: Array, score: Array) -> Array:
    return score - y


def _pinball_losses(y: Array, score: Array, terms: Terms) -> Array:
    return statistics.pinball_losses(y, score, quantile=needed(terms.quantile))


def _pinball_gain(y: Array, first: Array, second: Array, terms: Terms) -> Difference:
    return mean_gain(lambda y, score: _pinball_losses(y, score, terms))(y, first, second, terms)


REGRESSION: Final[Mapping[str, Measure]] = {
    "rmse": Measure(
        task="regression",
        value=plain(statistics.rmse),
        interval=resampled(_rmse_drawn),
        gain=resampled_gain(_rmse_drawn, sign=-1),
        higher_is_better=False,
    ),
    "mae": Measure(
        task="regression",
        value=plain(statistics.mae),
        interval=mean(_absolute_errors),
        gain=mean_gain(_absolute_errors),
        higher_is_better=False,
    ),
    "bias": Measure(task="regression", value=plain(statistics.bias), interval=mean(_errors)),
    "r2": Measure(
        task="regression",
        value=plain(statistics.r2),
        interval=resampled(_r2_drawn),
        gain=resampled_gain(_r2_drawn),
        margin=0.01,
    ),
    "pinball": Measure(
        task="regression",
        value=lambda y, score, terms: float(_pinball_losses(y, score, terms).mean()),
        interval=lambda y, score, terms: statistics.mean_interval(
            _pinball_losses(y, score, terms), confidence=terms.confidence, clusters=terms.clusters
        ),
        gain=_pinball_gain,
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

"""The curves a judged version is drawn by, and its gains in what a business owner counts in.

Nothing here decides: a curve says by eye what the gate has found in numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import numpy as np

from mlops_assets.evaluation.measures import MEASURES, Terms
from mlops_assets.evaluation.metrics import compare
from mlops_assets.records import Comparison, Curve, Task
from mlops_assets.statistics import Array, StatisticsInputError, reliability

POINTS: Final = 120  # of a curve: as many as a picture can tell apart
STEPS: Final = 10  # of forecasts that are averaged over like ones

Who = Literal["challenger", "champion", "baseline"]

GAINS: Final[Mapping[str, tuple[str, ...]]] = {
    "binary": ("value_per_1000", "precision_at_capacity"),
    "multiclass": ("answers_per_1000", "multiclass_accuracy"),
    "regression": ("mae",),
}


def curves(
    task: Task, y: Array, scores: Mapping[Who, Array], terms: Terms, *, classes: Sequence[str] = ()
) -> dict[str, dict[str, Curve]]:
    """Give each curve that exists for the task, of each whose scores are given, shape (n,), or of k classes (n, k).

    Of several classes each has curves of its own against the rest, named by it: `roc of late`. Where all rows are of
    one kind, nothing is drawn.

    >>> found = curves("binary", np.array([1.0, 0, 1, 0]), {"challenger": np.array([0.9, 0.8, 0.3, 0.1])}, Terms())
    >>> found["found"]["challenger"].y
    (0.0, 0.5, 0.5, 1.0, 1.0)
    """
    if task == "multiclass":
        codes = y.astype(np.intp)
        return {
            f"{name} of {called}": {
                who: draw((codes == place).astype(np.float64), score[:, place], terms) for who, score in scores.items()
            }
            for place, called in enumerate(classes)
            if 0 < np.count_nonzero(codes == place) < len(codes)
            for name, draw in _ONE_AGAINST_THE_REST.items()
        }
    if task == "binary" and np.ptp(y) == 0:
        return {}
    drawers = _BINARY if task == "binary" else _REGRESSION
    return {name: {who: draw(y, score, terms) for who, score in scores.items()} for name, draw in drawers.items()}


def gains(
    task: Task, y: Array, scores: Mapping[Who, Array], terms: Terms, *, other: Literal["champion", "baseline"]
) -> tuple[Comparison, ...]:
    """Give what the challenger gains over `other` on the same rows, in each measure a business owner counts in."""
    found = []
    for name in GAINS[task]:
        if not MEASURES[name].exists(terms):
            continue
        try:
            gain = compare(name, y, scores["challenger"], scores[other], terms)
        except StatisticsInputError:  # all rows are of one day, say; the gate tells it
            continue
        found.append(
            Comparison(
                other=other,
                metric=name,
                difference=gain.value,
                low=gain.low,
                high=gain.high,
                p_value=gain.p_value,
                n=len(y),
            )
        )
    return tuple(found)


def _counted(y: Array, score: Array) -> tuple[Array, Array]:
    """Give, from the highest score down to each level, how many rows there are and how many hits among them."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(y) - 1)
    hits = np.concatenate([[0.0], np.cumsum(y[order])[ends]])
    rows = np.concatenate([[0.0], ends + 1.0])
    wanted = np.unique(np.searchsorted(rows, np.linspace(0, len(y), POINTS)))
    return rows[wanted], hits[wanted]


def _roc(y: Array, score: Array, terms: Terms) -> Curve:
    rows, hits = _counted(y, score)
    return _curve((rows - hits) / max(1.0, len(y) - y.sum()), hits / max(1.0, y.sum()))


def _precision_recall(y: Array, score: Array, terms: Terms) -> Curve:
    rows, hits = _counted(y, score)
    return _curve(hits[1:] / max(1.0, y.sum()), hits[1:] / rows[1:])


def _reliability(y: Array, score: Array, terms: Terms) -> Curve:
    """Draw the share that came true by the probability stated, over stretches with as many rows each."""
    bins = reliability(y, score, confidence=terms.confidence, clusters=terms.clusters)
    points = [(each.mean_score, each.rate, *each.rate_interval) for each in bins]
    return _curve(*np.array(points).T)


def _found(y: Array, score: Array, terms: Terms) -> Curve:
    """Draw the share of all hits that are among the highest scores, by how many of them are acted on."""
    rows, hits = _counted(y, score)
    return _curve(rows / len(y), hits / max(1.0, y.sum()))


def _value(y: Array, score: Array, terms: Terms) -> Curve:
    """Draw the value of 1,000 decisions, by how many of them are acted on."""
    rows, hits = _counted(y, score)
    worth = hits * terms.value.value_of_hit - (rows - hits) * terms.value.cost_of_false_alarm
    return _curve(rows / len(y), worth * 1000 / len(y))


def _forecasts(y: Array, score: Array, terms: Terms) -> Curve:
    """Draw what came by what was forecast, over tenths of the rows by forecast; ends hold four rows of five."""
    parts = np.array_split(np.argsort(score, kind="stable"), min(STEPS, len(y)))
    low, high = (np.array([np.quantile(y[part], end) for part in parts]) for end in (0.1, 0.9))
    forecast, came = (np.array([values[part].mean() for part in parts]) for values in (score, y))
    return _curve(forecast, came, low, high)


def _residuals(y: Array, score: Array, terms: Terms) -> Curve:
    """Draw forecast minus truth by forecast, over tenths of the rows; ends hold four rows of five."""
    parts = np.array_split(np.argsort(score, kind="stable"), min(STEPS, len(y)))
    off = score - y
    low, high = (np.array([np.quantile(off[part], end) for part in parts]) for end in (0.1, 0.9))
    forecast, mean = (np.array([values[part].mean() for part in parts]) for values in (score, off))
    return _curve(forecast, mean, low, high)


def _within(y: Array, score: Array, terms: Terms) -> Curve:
    """Draw how far off forecasts are at most, by the share of them; the last twentieth is left out."""
    shares = np.linspace(0, 0.95, POINTS)
    return _curve(shares, np.quantile(np.abs(score - y), shares))


def _curve(x: Array, y: Array, low: Array | None = None, high: Array | None = None) -> Curve:
    def numbers(values: Array | None) -> tuple[float, ...]:
        return () if values is None else tuple(float(f"{value:.6g}") for value in values)

    return Curve(x=numbers(x), y=numbers(y), low=numbers(low), high=numbers(high))


_Draw = Callable[[Array, Array, Terms], Curve]
_BINARY: Final[Mapping[str, _Draw]] = {
    "found": _found,
    "value": _value,
    "roc": _roc,
    "precision_recall": _precision_recall,
}
_ONE_AGAINST_THE_REST: Final[Mapping[str, _Draw]] = {
    "roc": _roc,
    "precision_recall": _precision_recall,
    "reliability": _reliability,
}
_REGRESSION: Final[Mapping[str, _Draw]] = {"within": _within, "forecasts": _forecasts, "residuals": _residuals}

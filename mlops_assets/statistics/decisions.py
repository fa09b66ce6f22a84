"""How good yes-or-no decisions are: shares of the four ways a decision can come out, with their intervals."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_assets.statistics.inputs import Array, Clusters, Mask, StatisticsInputError, labels, same_length
from mlops_assets.statistics.intervals import Interval, wald, wilson

Part = Callable[[Mask, Mask], npt.NDArray[np.generic]]  # of what happened and what was decided


class _Ratio(NamedTuple):
    """A share of rows: those in `part` among those in `whole`."""

    part: Part
    whole: Part


RATIOS: dict[str, _Ratio] = {
    "accuracy": _Ratio(lambda y, d: y == d, lambda y, d: np.ones_like(y)),
    "selection_rate": _Ratio(lambda y, d: d, lambda y, d: np.ones_like(y)),
    "precision": _Ratio(lambda y, d: y & d, lambda y, d: d),
    "true_positive_rate": _Ratio(lambda y, d: y & d, lambda y, d: y),
    "true_negative_rate": _Ratio(lambda y, d: ~y & ~d, lambda y, d: ~y),
    "false_positive_rate": _Ratio(lambda y, d: ~y & d, lambda y, d: ~y),
    "f1": _Ratio(lambda y, d: 2.0 * (y & d), lambda y, d: 1.0 * y + d),
}


def rate(name: str, y: npt.ArrayLike, decided: npt.ArrayLike) -> float:
    """Give one of `RATIOS`, or `balanced_accuracy`, the mean of true positive and true negative rate.

    Raises:
        StatisticsInputError: There is no row it could be a share of.

    >>> rate("precision", [1, 0, 1, 0], [1, 1, 0, 0])
    0.5
    """
    return _measured(name, y, decided)[0]


def rate_interval(
    name: str, y: npt.ArrayLike, decided: npt.ArrayLike, *, confidence: float = 0.95, clusters: Clusters = None
) -> Interval:
    """Give its interval: Wilson's, or, for `f1`, `balanced_accuracy` and rows in clusters, that of a ratio of sums.

    Source: for ratios of sums, Cochran, Sampling Techniques (1977), chapter 6.
    """
    if clusters is None and name not in ("f1", "balanced_accuracy"):
        happened, flagged = _both(y, decided)
        part, whole = (int(np.count_nonzero(count(happened, flagged))) for count in RATIOS[name])
        _require(name, whole)
        return wilson(part, whole, confidence=confidence)
    value, influence = _measured(name, y, decided)
    found = wald(value, influence=influence, confidence=confidence, clusters=clusters)
    return Interval(max(0.0, found.low), min(1.0, found.high))


def _measured(name: str, y: npt.ArrayLike, decided: npt.ArrayLike) -> tuple[float, Array]:
    """Give a rate and what each row adds to it."""
    if name == "balanced_accuracy":
        (found, adds), (left, adds_left) = (
            _measured(side, y, decided) for side in ("true_positive_rate", "true_negative_rate")
        )
        return (found + left) / 2, (adds + adds_left) / 2
    happened, flagged = _both(y, decided)
    part, whole = (count(happened, flagged).astype(np.float64) for count in RATIOS[name])
    total = float(whole.sum())
    _require(name, total)
    value = float(part.sum()) / total
    return value, (part - value * whole) / total


def _both(y: npt.ArrayLike, decided: npt.ArrayLike) -> tuple[Mask, Mask]:
    happened, flagged = labels(y), labels(decided, name="decided")
    same_length(y=happened, decided=flagged)
    return happened, flagged


def _require(name: str, whole: float) -> None:
    if not whole:
        raise StatisticsInputError(
            f"No row is left to take the {name.replace('_', ' ')} of: no case of that kind, or none decided so. "
            "Widen the window, or look at the threshold.",
            rate=name,
        )

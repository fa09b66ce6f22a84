"""Lines from scores to probabilities, found on rows that the scores were not learnt from."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from mlops_assets.statistics.inputs import Array, StatisticsInputError, labels, probabilities, same_length, two_of_each

DIGITS = 12  # kept of each knot, so that two processors with other last bits keep the same
STEEPEST = 16.0  # log-odds between which the logistic line has knots
STEP = 1 / 16
NEARLY_CERTAIN = 1e-12
EDGE = 1e-3


class Line(NamedTuple):
    """Knots: rising scores and the probabilities they stand for."""

    scores: Array
    probabilities: Array


def isotonic_line(y: npt.ArrayLike, p: npt.ArrayLike) -> Line:
    """Give the rising line closest to what came true, through the middles of its flat steps.

    Steps would make many scores equal, and rankings with them; through their middles the line keeps rising, beyond the
    outer ones by a thousandth of what is left. A step without a hit, or of hits only, counts as one of n + 2 rows short
    of certain.

    Raises:
        StatisticsInputError: A class has fewer than two rows, or a forecast is none.

    Sources: Zadrozny and Elkan, KDD (2002) 694; through the middles: Oron and Flournoy, Statistics in
    Biopharmaceutical Research 9 (2017) 258.

    >>> line = isotonic_line([0, 0, 1, 1], [0.2, 0.4, 0.6, 0.8])
    >>> line.scores.tolist(), line.probabilities.round(4).tolist()
    ([0.0, 0.3, 0.7, 1.0], [0.1665, 0.1667, 0.8333, 0.8335])
    """
    from scipy.optimize import isotonic_regression  # a third of a second of import, and few fits need it

    happened, forecast = _both(y, p)
    scores, place, sizes = np.unique(forecast, return_inverse=True, return_counts=True)
    rates = np.bincount(place, weights=happened) / sizes
    fitted = isotonic_regression(rates, weights=sizes)
    starts = fitted.blocks[:-1]
    middles = np.add.reduceat(scores * sizes, starts) / np.add.reduceat(sizes, starts)
    short = 1 / (happened.size + 2)
    heights = np.clip(fitted.x[starts], short, 1 - short)
    return line_of(
        np.r_[0.0, middles, 1.0],
        np.r_[heights[0] * (1 - EDGE), heights, heights[-1] + (1 - heights[-1]) * EDGE],
    )


def platt_line(y: npt.ArrayLike, p: npt.ArrayLike) -> Line:
    """Give the logistic line of the log-odds of the scores, as knots a sixteenth of log-odds apart.

    Raises:
        StatisticsInputError: A class has fewer than two rows, a forecast is none, or hits do not score higher.

    Sources: Platt, Advances in Large Margin Classifiers (1999) 61; fitted by Newton's steps, halved where they
    overshoot, as Lin, Lin and Weng, Machine Learning 68 (2007) 267.
    """
    happened, forecast = _both(y, p)
    hits = int(np.count_nonzero(happened))
    target = np.where(happened, (hits + 1) / (hits + 2), 1 / (happened.size - hits + 2))
    odds = logit(np.clip(forecast, NEARLY_CERTAIN, 1 - NEARLY_CERTAIN))
    design = np.stack([odds, np.ones_like(odds)])
    line = np.array([1.0, 0.0])
    loss = _loss(line @ design, target)
    for _ in range(100):
        chance = expit(line @ design)
        slope = np.einsum("ij,j->i", design, chance - target)
        bend = np.einsum("ij,kj,j->ik", design, design, chance * (1 - chance)) + 1e-12 * np.eye(2)
        step = np.linalg.solve(bend, slope)
        while (next_loss := _loss((line - step) @ design, target)) > loss + 1e-12 * abs(loss):
            step = step / 2
        line, gained, loss = line - step, loss - next_loss, next_loss
        if gained <= 1e-12 * abs(loss):
            break
    if line[0] <= 0:
        raise StatisticsInputError(
            "On the validation days hits score no higher than misses, so there is no rising line from scores to "
            "probabilities. The model has learnt nothing that lasts: look at its features, or validate on more days.",
            slope=float(line[0]),
        )
    knots = np.arange(-STEEPEST, STEEPEST + STEP / 2, STEP)
    chances = np.clip(expit(line[0] * knots + line[1]), NEARLY_CERTAIN, 1 - NEARLY_CERTAIN)
    return line_of(expit(knots), chances)


def drawn(line: Line, p: npt.ArrayLike) -> Array:
    """Give what the line makes of scores."""
    return np.interp(probabilities(p), *line)


def _both(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[npt.NDArray[np.bool_], Array]:
    happened, forecast = labels(y), probabilities(p)
    same_length(y=happened, score=forecast)
    two_of_each(happened, why="a calibration")
    return happened, forecast


def _loss(raw: Array, target: Array) -> float:
    return float(np.sum(np.logaddexp(0, raw) - target * raw))


def line_of(scores: Array, chances: Array) -> Line:
    """Give knots of so many digits, of equal scores the last, never falling."""
    rounded = np.array([[float(f"{value:.{DIGITS}g}") for value in values] for values in (scores, chances)])
    last = np.r_[rounded[0, 1:] > rounded[0, :-1], True]
    return Line(rounded[0, last], np.maximum.accumulate(rounded[1, last]))

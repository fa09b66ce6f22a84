"""How well scores rank and forecast a yes-or-no outcome, with DeLong's variance for the AUC."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_assets.statistics.inputs import (
    Array,
    Clusters,
    Mask,
    StatisticsInputError,
    finite,
    labels,
    probabilities,
    same_length,
    two_of_each,
)
from mlops_assets.statistics.intervals import Difference, Interval, wald

SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)  # a forecast of 0 or 1 counts as this far from certain


class TopScores(NamedTuple):
    """The rows that fit a capacity, best scores first: how many, and how many of them are expected to be hits."""

    rows: int
    hits: float
    positives: int

    @property
    def precision(self) -> float:
        """The share of hits among these rows."""
        return self.hits / self.rows

    @property
    def recall(self) -> float:
        """The share of all hits that is among these rows.

        Raises:
            StatisticsInputError: There is no hit to find.
        """
        if not self.positives:
            raise StatisticsInputError(
                "No row is positive, so there is nothing to find and no recall. Widen the window.", positives=0
            )
        return self.hits / self.positives


def auc(y: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Give the chance that a positive row scores above a negative one; a tie counts half.

    Raises:
        StatisticsInputError: A class is missing, or a sample is empty, holds NaN or has another length.

    Source: Hanley and McNeil, Radiology 143 (1982) 29.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    positive, values = _ranked(y, score)
    positives = int(np.count_nonzero(positive))
    negatives = positive.size - positives
    if not positives or not negatives:
        raise StatisticsInputError(
            f"All {positive.size} rows have the same label, so there is no pair to rank and no AUC. "
            "Widen the window until both classes are in it.",
            positives=positives,
            negatives=negatives,
        )
    return float(_placements(positive, values)[positive].mean())


def auc_interval(
    y: npt.ArrayLike, score: npt.ArrayLike, *, confidence: float = 0.95, clusters: Clusters = None
) -> Interval:
    """Give DeLong's interval of the AUC, cut at 0 and 1; with `clusters`, Obuchowski's for rows that hang together.

    A perfect ranking has no variance, so its interval has no width: read it with the number of rows beside it.

    Raises:
        StatisticsInputError: A class has fewer than two rows, or a sample is empty, holds NaN or has another length.

    Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837; the fast algorithm by Sun and Xu, IEEE Signal
    Processing Letters 21 (2014) 1389; clusters by Obuchowski, Biometrics 53 (1997) 567.
    """
    found = delong(y, placements(y, score), confidence=confidence, clusters=clusters)
    return Interval(max(0.0, found.low), min(1.0, found.high))


def placements(y: npt.ArrayLike, score: npt.ArrayLike) -> Array:
    """Give, for a positive row, the share of negatives that score below it, and for a negative one, of positives above.

    Ties count half. The mean over either class is the AUC, so whoever needs several numbers of it sorts only once.

    Raises:
        StatisticsInputError: A class has fewer than two rows, or a sample is empty, holds NaN or has another length.
    """
    positive, values = _ranked(y, score)
    two_of_each(positive, why="the variance of an AUC")
    return _placements(positive, values)


def delong(y: npt.ArrayLike, placed: Array, *, confidence: float = 0.95, clusters: Clusters = None) -> Difference:
    """Give the AUC that placements are of, or the difference of two AUCs for that of their placements, with interval.

    Raises:
        StatisticsInputError: A class has fewer than two rows.

    Sources: as for `auc_interval`.

    >>> y, a, b = [0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6], [1, 5, 3, 2, 4, 6]
    >>> found = delong(y, placements(y, a) - placements(y, b))
    >>> round(found.value, 4), round(found.p_value, 4)
    (0.2222, 0.3711)
    """
    positive = labels(y)
    two_of_each(positive, why="the variance of an AUC")
    influence, variance = np.empty(positive.size), 0.0
    for side in (positive, ~positive):
        shares = placed[side]
        influence[side] = (shares - shares.mean()) / shares.size
        variance += float(shares.var(ddof=1)) / shares.size
    value = float(placed[positive].mean())
    return wald(value, influence=influence, confidence=confidence, clusters=clusters, variance=variance)


def log_losses(y: npt.ArrayLike, p: npt.ArrayLike) -> Array:
    """Give, per row, minus the logarithm of the probability that was given to what happened.

    Forecasts of exactly 0 or 1 count as one machine epsilon short of certain, so that one row cannot make it infinite.
    """
    happened, forecast = labels(y), probabilities(p)
    same_length(y=happened, score=forecast)
    forecast = np.clip(forecast, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return -np.log(np.where(happened, forecast, 1 - forecast))


def log_loss(y: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """Give the mean logarithmic loss; 0 is perfect, lower is better.

    Source: Good, Journal of the Royal Statistical Society B 14 (1952) 107.

    >>> round(log_loss([1, 0], [0.8, 0.4]), 4)
    0.367
    """
    return float(log_losses(y, p).mean())


def brier_losses(y: npt.ArrayLike, p: npt.ArrayLike) -> Array:
    """Give, per row, the squared distance of the forecast from what happened."""
    happened, forecast = labels(y), probabilities(p)
    same_length(y=happened, score=forecast)
    return (forecast - happened) ** 2


def brier(y: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """Give the mean squared error of probabilities; 0 is perfect, lower is better.

    Source: Brier, Monthly Weather Review 78 (1950) 1.

    >>> round(brier([1, 0], [0.8, 0.4]), 4)
    0.1
    """
    return float(brier_losses(y, p).mean())


def top_scores(y: npt.ArrayLike, score: npt.ArrayLike, *, share: float) -> TopScores:
    """Count the rows that fit into `share` of all (rounded down, at least one), and the hits to expect among them.

    Where equal scores straddle the limit, their hits count in proportion, as if the rows were drawn at random, so the
    answer does not depend on the order of rows, and a constant score gets the base rate.

    >>> top_scores([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1], share=0.5)
    TopScores(rows=2, hits=1.5, positives=2)
    """
    positive, values = _ranked(y, score)
    if not 0 < share <= 1:
        raise StatisticsInputError(f"A share of {share} is none; it must lie above 0 and at most at 1.", share=share)
    limit = max(1, int(share * values.size + 1e-9))  # 0.29 * 100 is a hair below 29
    last = np.partition(values, values.size - limit)[values.size - limit]
    above, level = values > last, values == last
    room = limit - np.count_nonzero(above)
    hits = np.count_nonzero(positive & above) + room * np.count_nonzero(positive & level) / np.count_nonzero(level)
    return TopScores(limit, float(hits), int(np.count_nonzero(positive)))


def precision_at(y: npt.ArrayLike, score: npt.ArrayLike, *, share: float) -> float:
    """Give the share of hits among the `share` of rows with the highest scores.

    >>> precision_at([1, 0, 1, 0], [0.9, 0.8, 0.5, 0.1], share=0.5)
    0.5
    """
    return top_scores(y, score, share=share).precision


def recall_at(y: npt.ArrayLike, score: npt.ArrayLike, *, share: float) -> float:
    """Give the share of all hits that are found among the `share` of rows with the highest scores.

    Raises:
        StatisticsInputError: There is no hit to find.
    """
    return top_scores(y, score, share=share).recall


def _ranked(y: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Mask, Array]:
    """Give labels and scores that belong together."""
    positive, values = labels(y), finite(score, name="score")
    same_length(y=positive, score=values)
    return positive, values


def _placements(positive: Mask, values: Array) -> Array:
    """Give, for a positive row, the share of negatives below it, and for a negative one, of positives above it."""
    order = np.argsort(values)
    ranked, hits = values[order], positive[order].astype(np.float64)
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])  # of each level of equal scores
    sizes = np.diff(np.r_[starts, ranked.size])
    positives = np.add.reduceat(hits, starts)
    negatives = sizes - positives
    below = (np.cumsum(negatives) - negatives / 2) / negatives.sum()
    above = 1 - (np.cumsum(positives) - positives / 2) / positives.sum()
    found = np.empty(ranked.size)
    found[order] = np.where(hits > 0, np.repeat(below, sizes), np.repeat(above, sizes))
    return found

"""The bootstrap for numbers that follow from sums over units: whole units are drawn, and no row is ever copied.

A draw is a weight per unit: how often it was drawn. What a thousand draws cost then depends on how many units there
are, and hardly on how many rows. Where rows hang together, their cluster is the unit. Rows that do not are dealt at
random to `BLOCKS` units once there are many of them: groups of independent rows are independent too.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_assets.statistics.inputs import Array, Clusters, StatisticsInputError, finite, labels, same_length, share
from mlops_assets.statistics.intervals import Difference, Interval, Rows, cluster_codes

BLOCKS = 1000
MANY_ROWS = 10_000  # below, every row is a unit of its own
CELLS = 2_000_000  # numbers held at a time while drawing
COUNTED = 1 << 14  # draws times units that are counted together: more would not stay in the cache
STEPS = 1024  # into how many stretches of like size ranked rows are counted

Weights = Array  # shape (draws, units)
Statistic = Callable[[Weights], Array]  # one number per draw


class Units(NamedTuple):
    """The unit each row belongs to, shape (n,), counted from 0, and how many units there are."""

    of_row: Rows
    number: int


def units_of(n: int, clusters: Clusters, *, seed: int) -> Units:
    """Give the units in which `n` rows are drawn.

    Raises:
        StatisticsInputError: There are fewer than two.
    """
    if clusters is not None:
        same_length(rows=np.empty(n), clusters=clusters)
        found = Units(*cluster_codes(clusters))
    elif n > MANY_ROWS:
        found = Units(np.random.default_rng([seed, n]).permutation(np.arange(n) % BLOCKS), BLOCKS)
    else:
        found = Units(np.arange(n), n)
    if found.number < 2:
        raise StatisticsInputError(
            "There is one row or cluster only, so every draw is the same and the interval would have no width. "
            "Widen the window.",
            units=found.number,
        )
    return found


def drawn_interval(
    statistic: Statistic, units: Units, *, seed: int, resamples: int = 1000, confidence: float = 0.95
) -> Interval:
    """Give the percentile bootstrap interval of a statistic of weights.

    Raises:
        StatisticsInputError: Fewer than 100 resamples, or the statistic does not exist on a draw.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    return percentiles(_drawn(statistic, units, seed=seed, resamples=resamples), confidence=confidence)


def drawn_difference(
    statistic: Statistic, units: Units, *, seed: int, resamples: int = 1000, confidence: float = 0.95
) -> Difference:
    """Give a paired difference with its percentile interval; `statistic` compares both models on the same draws.

    What makes rows hard cancels then. The p-value is twice the smaller share of draws on either side of zero, with one
    added to both counts so that it is never 0.

    Raises:
        StatisticsInputError: Fewer than 100 resamples, or the statistic does not exist on a draw.

    Source: Davison and Hinkley, Bootstrap Methods and their Application (1997), section 4.2.
    """
    drawn = _drawn(statistic, units, seed=seed, resamples=resamples)
    fewer = int(min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0)))
    value = float(statistic(np.ones((1, units.number)))[0])
    return Difference(value, *percentiles(drawn, confidence=confidence), min(1.0, 2 * (fewer + 1) / (resamples + 1)))


def of_sums(number: Callable[[Array], Array], *columns: Array, units: Units) -> Statistic:
    """Give `number` of the sums of columns, each of shape (n,), over the rows drawn.

    `number` takes sums of shape (columns, draws) and gives one number per draw.
    """
    sums = np.stack([np.bincount(units.of_row, weights=column, minlength=units.number) for column in columns])
    return lambda weights: number(np.einsum("du,cu->cd", weights, sums))  # no BLAS: its order of addition varies


class TopDraws:
    """Counts, for each draw, the rows that fit a capacity and the hits among them, exactly as `top_scores` does.

    Rows are ranked once and counted per unit in stretches of the ranking. A draw adds up stretches and looks at single
    rows only within the one that its limit falls into.

    Args:
        y: Labels, shape (n,).
        score: Scores, shape (n,).
        units: What is drawn.
        at_least: Rows with lower scores never count, even where capacity is left.
    """

    def __init__(self, y: npt.ArrayLike, score: npt.ArrayLike, units: Units, *, at_least: float | None = None) -> None:
        positive, values = labels(y), finite(score, name="score")
        same_length(y=positive, score=values, units=units.of_row)
        self._rows = np.bincount(units.of_row, minlength=units.number).astype(np.float64)
        self._positives = np.bincount(units.of_row, weights=positive, minlength=units.number)
        order = np.argsort(-values)
        if at_least is not None:
            order = order[: int(np.count_nonzero(values >= at_least))]
        self._unit, self._hit, ranked = units.of_row[order], positive[order].astype(np.float64), values[order]
        self._starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if ranked.size else np.empty(0, np.intp)
        steps = max(8, min(STEPS, CELLS // units.number, values.size // 64))
        step = self._starts * steps // max(ranked.size, 1)  # of each level: a stretch holds whole levels
        first = np.flatnonzero(np.r_[True, step[1:] != step[:-1]]) if step.size else np.empty(0, np.intp)
        self._edges = np.r_[self._starts[first], ranked.size].astype(np.intp)
        stretch = np.repeat(np.arange(first.size), np.diff(self._edges))
        cell, cells = self._unit * first.size + stretch, units.number * first.size
        shape = (units.number, first.size)
        self._table = np.bincount(cell, minlength=cells).reshape(shape).astype(np.float64)
        self._hits = np.bincount(cell, weights=self._hit, minlength=cells).reshape(shape)

    def __call__(self, weights: Weights, *, share: float) -> tuple[Array, Array, Array, Array]:
        """Give, per draw, the rows within capacity, the expected hits among them, all positives and all rows.

        The capacity is `share` of the rows drawn, rounded down, at least one row.

        Raises:
            StatisticsInputError: `share` is not above 0 and at most 1.
        """
        if not 0 < share <= 1:
            raise StatisticsInputError(
                f"A share of {share} is none; it must lie above 0 and at most at 1.", share=share
            )
        rows, positives = weights @ self._rows, weights @ self._positives  # whole numbers: exact in any order
        limit = np.maximum(1.0, np.floor(share * rows + 1e-9))  # 0.29 * 100 is a hair below 29
        reached, found = np.cumsum(weights @ self._table, axis=1), np.cumsum(weights @ self._hits, axis=1)
        if not reached.shape[1]:
            return np.zeros_like(limit), np.zeros_like(limit), positives, rows
        limit = np.minimum(limit, reached[:, -1])
        hits = np.empty_like(limit)
        for draw, stretch in enumerate((reached < limit[:, None]).sum(axis=1)):
            before = stretch - 1
            room = limit[draw] - (reached[draw, before] if stretch else 0.0)
            hits[draw] = (found[draw, before] if stretch else 0.0) + self._within(weights[draw], int(stretch), room)
        return limit, hits, positives, rows

    def along(self, weights: Weights, shares: Array) -> tuple[Array, Array, Array]:
        """Give, per draw, the rows within each capacity, the hits among them and all rows, the first two per share.

        Between stretches of the ranking hits are interpolated: enough for a curve, and done in no time.
        """
        rows = weights @ self._rows
        reached, found = np.cumsum(weights @ self._table, axis=1), np.cumsum(weights @ self._hits, axis=1)
        limits = np.maximum(1.0, np.floor(shares * rows[:, None] + 1e-9))
        hits = [
            np.interp(limit, np.r_[0.0, size], np.r_[0.0, hit])
            for limit, size, hit in zip(limits, reached, found, strict=True)
        ]
        return limits, np.array(hits), rows

    def _within(self, weights: Array, stretch: int, room: float) -> float:
        """Give the hits among the best `room` rows of one stretch; of a level that does not fit whole, in part."""
        begin, end = self._edges[stretch], self._edges[stretch + 1]
        weight = weights[self._unit[begin:end]]
        levels = self._starts[np.searchsorted(self._starts, begin) : np.searchsorted(self._starts, end)] - begin
        sizes = np.add.reduceat(weight, levels)
        hits = np.add.reduceat(weight * self._hit[begin:end], levels)
        reached = np.cumsum(sizes)
        last = int(np.searchsorted(reached, room))
        if not sizes[last]:
            return float(hits[:last].sum())
        return float(hits[:last].sum() + (room - reached[last] + sizes[last]) * hits[last] / sizes[last])


def draws(units: Units, *, seed: int, resamples: int) -> Iterator[Weights]:
    """Give the weights of `resamples` seeded draws of as many units as there are, a few draws at a time.

    Raises:
        StatisticsInputError: Fewer than 100 resamples.
    """
    if resamples < 100:
        raise StatisticsInputError(
            f"{resamples} resamples cannot show where the outer 2.5 % begin. Use 1000, or at least 100.",
            resamples=resamples,
        )
    generator = np.random.default_rng(seed)
    at_once = max(1, min(resamples, CELLS // units.number))
    for begin in range(0, resamples, at_once):
        end, few = min(begin + at_once, resamples), max(1, COUNTED // units.number)
        yield np.concatenate([_counted(generator, min(few, end - at), units.number) for at in range(begin, end, few)])


def _counted(generator: np.random.Generator, rows: int, units: int) -> Weights:
    """Draw `rows` times as many units as there are, and count how often each was drawn, shape (rows, units)."""
    drawn = generator.integers(0, units, (rows, units)) + np.arange(rows)[:, None] * units
    return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)


def _drawn(statistic: Statistic, units: Units, *, seed: int, resamples: int) -> Array:
    return np.concatenate([statistic(weights) for weights in draws(units, seed=seed, resamples=resamples)])


def percentiles(drawn: Array, *, confidence: float = 0.95) -> Interval:
    """Give the interval that leaves out as many draws on either side as `confidence` allows."""
    tail = (1 - share(confidence, name="confidence")) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(low), float(high))

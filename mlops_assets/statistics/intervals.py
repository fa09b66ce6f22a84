"""Intervals for shares, means and anything else, with rows or whole clusters of rows as the unit of chance.

Rows of one day share its weather, so a thousand flights of one day tell less than a thousand flights of a hundred
days. Where `clusters` names the day of each row, the spread is taken between clusters, and Student's t with one
degree of freedom less than there are clusters replaces the normal distribution.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from mlops_assets.statistics.inputs import Array, Clusters, StatisticsInputError, finite, same_length, share

Rows = npt.NDArray[np.intp]


class Interval(NamedTuple):
    """Both ends of a confidence interval."""

    low: float
    high: float


class Difference(NamedTuple):
    """A paired difference with its confidence interval and the two-sided p-value of no difference."""

    value: float
    low: float
    high: float
    p_value: float


def wilson(hits: float, n: int, *, confidence: float = 0.95) -> Interval:
    """Give the Wilson score interval of the share `hits / n`; it stays inside 0 to 1 and holds up at 0 and at n.

    `hits` need not be whole: tied scores at a capacity limit count by their expected hits.

    Raises:
        StatisticsInputError: `n` is below 1, or `hits` is not between 0 and `n`.

    Source: Wilson, Journal of the American Statistical Association 22 (1927) 209.

    >>> [round(end, 4) for end in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    if n < 1 or not 0 <= hits <= n:
        raise StatisticsInputError(
            f"{hits} hits of {n} rows make no share. Count hits among at least one row.", hits=hits, n=n
        )
    z = float(ndtri((1 + share(confidence, name="confidence")) / 2))
    rate = hits / n
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)))
    return Interval(0.0 if hits == 0 else max(0.0, middle - half), 1.0 if hits == n else min(1.0, middle + half))


def mean_interval(values: npt.ArrayLike, *, confidence: float = 0.95, clusters: Clusters = None) -> Interval:
    """Give the large-sample interval of the mean of `values`.

    Raises:
        StatisticsInputError: Fewer than two rows or clusters, or NaN among the values.

    >>> [round(end, 3) for end in mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])]
    [1.614, 4.386]
    """
    found = mean_difference(values, np.zeros(len(np.asarray(values))), confidence=confidence, clusters=clusters)
    return Interval(found.low, found.high)


def mean_difference(
    a: npt.ArrayLike, b: npt.ArrayLike, *, confidence: float = 0.95, clusters: Clusters = None
) -> Difference:
    """Give the mean of `a - b`, row by row, with its large-sample interval.

    Raises:
        StatisticsInputError: Lengths differ, fewer than two rows or clusters, or NaN among the values.
    """
    left, right = finite(a, name="a"), finite(b, name="b")
    n = same_length(a=left, b=right)
    gap = left - right
    mean = float(gap.mean())
    return wald(mean, influence=(gap - mean) / n, confidence=confidence, clusters=clusters)


def wald(
    value: float,
    *,
    influence: Array,
    confidence: float,
    clusters: Clusters = None,
    variance: float | None = None,
) -> Difference:
    """Give `value` with the interval and p-value that follow from what each row adds to it.

    `influence` holds, per row, the share of the estimate's error that the row brings; they sum to zero. Its variance is
    the sum of their squares, first summed within each cluster, times g / (g - 1) for g rows or clusters. A `variance`
    known more exactly is used instead when there are no clusters.
    """
    units = influence
    if clusters is not None:
        same_length(rows=influence, clusters=clusters)
        member, count = cluster_codes(clusters)
        units = np.bincount(member, weights=influence, minlength=count).astype(np.float64)
    if units.size < 2:
        what = "row" if clusters is None else "cluster"
        raise StatisticsInputError(
            f"There is one {what} only, so nothing tells how much the number would vary. Widen the window.",
            units=units.size,
        )
    if variance is None or clusters is not None:
        variance = float(np.sum(units**2)) * units.size / (units.size - 1)
    error = float(np.sqrt(variance))
    tail = (1 + share(confidence, name="confidence")) / 2
    freedom = units.size - 1
    reach = error * float(ndtri(tail) if clusters is None else stdtrit(freedom, tail))
    if error == 0:
        p_value = 1.0 if value == 0 else 0.0
    else:
        away = -abs(value) / error
        p_value = 2 * float(ndtr(away) if clusters is None else stdtr(freedom, away))
    return Difference(value, value - reach, value + reach, p_value)


def cluster_codes(clusters: npt.NDArray[Any]) -> tuple[Rows, int]:
    """Give each row's cluster, counted from 0 in order of their names, and how many clusters there are.

    Whole numbers and times that lie close together, as days do, are counted without sorting them.
    """
    if clusters.dtype.kind in "iuM" and clusters.size:
        numbers = clusters.astype(np.int64)
        first = int(numbers.min())
        if int(numbers.max()) - first < 2 * numbers.size + 1000:
            numbers = numbers - first
            there = np.bincount(numbers) > 0
            return (np.cumsum(there) - 1)[numbers], int(there.sum())
    names, member = np.unique(clusters, return_inverse=True)
    return member, len(names)

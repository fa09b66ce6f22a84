"""Intervals for shares, means and anything else, with rows or whole clusters of rows as the unit of chance.

Rows of one day share its weather, so a thousand flights of one day tell less than a thousand flights of a hundred
days. Where `clusters` names the day of each row, the spread is taken between clusters, and Student's t replaces the
normal distribution. Few days of unlike size are what makes such intervals too narrow: a large day pulls the estimate
towards itself and so looks quieter than it is. The spread is therefore the jackknife's, and the degrees of freedom are
those that this spread has.

Sources: the jackknife and its degrees of freedom, Bell and McCaffrey, Survey Methodology 28 (2002) 169; how well it
does, MacKinnon, Nielsen and Webb, Journal of Applied Econometrics 38 (2023) 671.
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
    the sum of their squares times n / (n - 1), or a `variance` known more exactly. With clusters it is that of the
    jackknife: what would change if one cluster were left out.
    """
    freedom = None
    if clusters is not None:
        same_length(rows=influence, clusters=clusters)
        member, count = cluster_codes(clusters)
        _require_two(count, "cluster")
        sizes = np.bincount(member, minlength=count)
        freedom = degrees_of_freedom(sizes)
        left_out = np.bincount(member, weights=influence, minlength=count) / (1 - sizes / influence.size)
        variance = float(np.sum(left_out**2)) * (count - 1) / count
    elif variance is None:
        _require_two(influence.size, "row")
        variance = float(np.sum(influence**2)) * influence.size / (influence.size - 1)
    error = float(np.sqrt(variance))
    tail = (1 + share(confidence, name="confidence")) / 2
    reach = error * float(ndtri(tail) if freedom is None else stdtrit(freedom, tail))
    if error == 0:
        p_value = 1.0 if value == 0 else 0.0
    else:
        away = -abs(value) / error
        p_value = 2 * float(ndtr(away) if freedom is None else stdtr(freedom, away))
    return Difference(value, value - reach, value + reach, p_value)


def degrees_of_freedom(sizes: npt.ArrayLike) -> float:
    """Give how many degrees of freedom the jackknife's spread over clusters of these sizes has, after Satterthwaite.

    Of equal clusters it is one less than there are, and less where a few hold most rows. It is reckoned as if all rows
    were alike: how much those of a cluster hang together is what few clusters do not tell.

    >>> round(degrees_of_freedom([50, 50, 50, 50]), 9)
    3.0
    >>> round(degrees_of_freedom([20, 20, 20, 140]), 2)
    1.21
    """
    rows = np.asarray(sizes, dtype=np.float64)
    odds = rows / (rows.sum() - rows)
    squares = float(np.sum(odds**2))
    return float(np.sum(odds)) ** 2 / (squares + squares**2 - float(np.sum(odds**4)))


def _require_two(units: int, what: str) -> None:
    if units < 2:
        raise StatisticsInputError(
            f"There is one {what} only, so nothing tells how much the number would vary. Widen the window.", units=units
        )


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

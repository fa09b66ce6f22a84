"""Whether a forecast of 30 % comes true in 30 of 100 cases."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_assets.statistics.inputs import (
    Array,
    Clusters,
    StatisticsInputError,
    labels,
    probabilities,
    same_length,
    share,
)
from mlops_assets.statistics.intervals import Interval, Rows, mean_interval, wilson
from mlops_assets.statistics.resampling import Units, draws, units_of


class ReliabilityBin(NamedTuple):
    """Rows whose forecasts lie together: how many, what was forecast on average, and the share that came true."""

    rows: int
    mean_score: float
    rate: float
    rate_interval: Interval


def reliability(
    y: npt.ArrayLike, p: npt.ArrayLike, *, bins: int = 10, confidence: float = 0.95, clusters: Clusters = None
) -> tuple[ReliabilityBin, ...]:
    """Give what was forecast beside what came true in `bins` stretches of the forecasts with about as many rows each.

    Equal forecasts stay together, so a constant forecast has one bin. The interval of each rate is Wilson's; with
    `clusters`, that of a mean over clusters, cut at 0 and 1, where the bin holds rows of two or more.
    """
    happened, forecast, bin_of_row, count = binned(y, p, bins=bins)
    found = []
    for place in range(count):
        rows = np.flatnonzero(bin_of_row == place)
        hits, n = int(np.count_nonzero(happened[rows])), rows.size
        ends = wilson(hits, n, confidence=confidence)
        if clusters is not None and np.unique(clusters[rows]).size > 1 and 0 < hits < n:
            low, high = mean_interval(happened[rows], confidence=confidence, clusters=clusters[rows])
            ends = Interval(max(0.0, low), min(1.0, high))
        found.append(ReliabilityBin(n, float(forecast[rows].mean()), hits / n, ends))
    return tuple(found)


def ece(y: npt.ArrayLike, p: npt.ArrayLike, *, bins: int = 10) -> float:
    """Give the expected calibration error: how far forecasts lie from what came true, averaged over rows.

    The sum over bins of |mean forecast - rate|, each weighed by its share of the rows; bins as in `reliability`. It
    grows with noise when rows are few, so compare it only between samples of like size.

    Sources: Naeini, Cooper and Hauskrecht, AAAI (2015) 2901; bins of equal mass for their smaller bias: Roelofs, Cain,
    Shlens and Mozer, AISTATS (2022).

    >>> round(ece([0, 1, 1, 1], [0.2, 0.2, 0.9, 0.9]), 4)
    0.2
    """
    happened, forecast, bin_of_row, count = binned(y, p, bins=bins)
    return float(np.abs(np.bincount(bin_of_row, weights=forecast - happened, minlength=count)).sum() / happened.size)


def ece_interval(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    *,
    seed: int,
    bins: int = 10,
    resamples: int = 1000,
    confidence: float = 0.95,
    clusters: Clusters = None,
) -> Interval:
    """Give an interval of the calibration error over these bins that holds it at least as often as `confidence` says.

    The error is a sum of absolute values, which noise makes larger, so its own bootstrap would lie too high. But by the
    triangle inequality it is never further from the true one than the gaps of the bins are from their true ones, in
    sum; the bootstrap says how far that is. An interval that begins at 0 is one in which noise may explain everything.
    """
    happened, forecast, bin_of_row, count = binned(y, p, bins=bins)
    units = units_of(happened.size, clusters, seed=seed)
    gaps = summed(units, forecast - happened, bin_of_row, count)
    return gaps_interval(gaps, units, seed=seed, resamples=resamples, confidence=confidence)


def gaps_interval(gaps: Array, units: Units, *, seed: int, resamples: int, confidence: float) -> Interval:
    """Give the interval of the sum of absolute gaps per row, of sums of forecast less truth by unit and cell."""
    sizes = np.bincount(units.of_row, minlength=units.number).astype(np.float64)
    mean = gaps.sum(axis=0) / sizes.sum()
    off = [
        np.abs(np.einsum("du,ub->db", weights, gaps) / np.einsum("du,u->d", weights, sizes)[:, None] - mean).sum(axis=1)
        for weights in draws(units, seed=seed, resamples=resamples)
    ]
    reach = float(np.quantile(np.concatenate(off), share(confidence, name="confidence")))
    found = float(np.abs(mean).sum())
    return Interval(max(0.0, found - reach), min(1.0, found + reach))


def summed(units: Units, values: Array, cell: Rows, cells: int) -> Array:
    """Give the sums of values over rows by unit and cell, shape (units, cells)."""
    table = np.bincount(units.of_row * cells + cell, weights=values, minlength=units.number * cells)
    return table.astype(np.float64).reshape(units.number, cells)


def binned(y: npt.ArrayLike, p: npt.ArrayLike, *, bins: int) -> tuple[npt.NDArray[np.bool_], Array, Rows, int]:
    """Give labels, forecasts, the bin of each row and how many bins of like mass there are."""
    happened, forecast = labels(y), probabilities(p)
    same_length(y=happened, score=forecast)
    if bins < 1:
        raise StatisticsInputError(f"{bins} bins hold nothing. Use 10, or at least 1.", bins=bins)
    first = np.arange(1, bins) * forecast.size // bins  # the place of the first row of each bin but the lowest
    edges = np.unique(np.partition(forecast, first)[first]) if first.size else np.empty(0)
    place = np.searchsorted(edges, forecast, side="right")
    there = np.bincount(place) > 0
    return happened, forecast, (np.cumsum(there) - 1)[place], int(there.sum())

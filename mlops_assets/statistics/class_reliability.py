"""Whether probabilities of several classes come true as often as they say."""

import numpy as np
import numpy.typing as npt

from mlops_assets.statistics.inputs import Array, Clusters
from mlops_assets.statistics.intervals import Interval
from mlops_assets.statistics.multiclass import class_pairs
from mlops_assets.statistics.reliability import binned, ece, ece_interval, gaps_interval, summed
from mlops_assets.statistics.resampling import units_of


def top_label(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[Array, Array]:
    """Give, per row, whether the most probable class happened, and its probability; of equal ones the first counts."""
    codes, forecast = class_pairs(y, p)
    return np.asarray(forecast.argmax(axis=1) == codes, dtype=np.float64), forecast.max(axis=1)


def top_label_ece(y: npt.ArrayLike, p: npt.ArrayLike, *, bins: int = 10) -> float:
    """Give the calibration error of the probability that stands beside the answer, the most probable class.

    Source: Guo, Pleiss, Sun and Weinberger, ICML (2017) 1321, who call it confidence; bins as in `ece`.
    """
    return ece(*top_label(y, p), bins=bins)


def top_label_ece_interval(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    *,
    seed: int,
    resamples: int = 1000,
    confidence: float = 0.95,
    clusters: Clusters = None,
) -> Interval:
    """Give its interval, as `ece_interval` does."""
    return ece_interval(*top_label(y, p), seed=seed, resamples=resamples, confidence=confidence, clusters=clusters)


def classwise_ece(y: npt.ArrayLike, p: npt.ArrayLike, *, bins: int = 10) -> float:
    """Give the calibration error of each class against the rest, averaged over classes.

    A model may be right in the probability of its answer and wrong in those of the others, which decisions that weigh
    costs rest on as well.

    Source: Kull, Perello-Nieto, Kängsepp, Silva Filho, Song and Flach, NeurIPS (2019) 12316.

    >>> round(classwise_ece([0, 1, 2, 2], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.1, 0.1, 0.8]]), 4)
    0.1333
    """
    codes, forecast = class_pairs(y, p)
    each = [ece(codes == place, forecast[:, place], bins=bins) for place in range(forecast.shape[1])]
    return float(np.mean(each))


def classwise_ece_interval(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    *,
    seed: int,
    bins: int = 10,
    resamples: int = 1000,
    confidence: float = 0.95,
    clusters: Clusters = None,
) -> Interval:
    """Give its interval, by the same bound as `ece_interval`, over the bins of all classes together."""
    codes, forecast = class_pairs(y, p)
    classes = forecast.shape[1]
    units = units_of(codes.size, clusters, seed=seed)
    gaps = []
    for place in range(classes):
        happened, stated, bin_of_row, count = binned(codes == place, forecast[:, place], bins=bins)
        gaps.append(summed(units, stated - happened, bin_of_row, count) / classes)
    return gaps_interval(np.concatenate(gaps, axis=1), units, seed=seed, resamples=resamples, confidence=confidence)

"""How well probabilities of several classes rank and forecast what happened.

`y` holds class codes from 0 to k - 1, `p` one row of k probabilities for each.
"""

import numpy as np
import numpy.typing as npt

from mlops_assets.errors import examples
from mlops_assets.statistics.classification import SMALLEST_PROBABILITY, placements
from mlops_assets.statistics.inputs import Array, StatisticsInputError, finite, same_length

SUM_TOLERANCE = 1e-6


def class_probabilities(values: npt.ArrayLike, *, name: str = "score") -> Array:
    """Give probabilities of k >= 2 classes, shape (n, k), as float64.

    Raises:
        StatisticsInputError: The shape is another, or a row holds NaN, no probability, or does not sum to one.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 2:
        raise StatisticsInputError(
            f"{name} has shape {array.shape}; a probability for each of two or more classes is needed in every row.",
            name=name,
            shape=array.shape,
        )
    with np.errstate(invalid="ignore"):
        right = (array >= 0).all(axis=1) & (np.abs(array.sum(axis=1) - 1) <= SUM_TOLERANCE)
    if not right.all():
        raise StatisticsInputError(
            f"{name} holds no probabilities in {np.count_nonzero(~right)} of {len(array)} rows (rows "
            f"{examples(np.flatnonzero(~right))}): each must be 0 or more and a row must sum to one.",
            name=name,
            rows=np.flatnonzero(~right).tolist(),
        )
    return array


def class_codes(y: npt.ArrayLike, *, classes: int) -> npt.NDArray[np.intp]:
    """Give class codes as integers.

    Raises:
        StatisticsInputError: Something other than 0 to `classes` - 1 is among them, or `finite` refuses them.
    """
    array = finite(y, name="y")
    other = array[~np.isin(array, np.arange(classes))]
    if other.size:
        raise StatisticsInputError(
            f"y must hold the codes 0 to {classes - 1} of {classes} classes, but holds {examples(np.unique(other))}. "
            "Mend the label, or name all classes.",
            classes=classes,
        )
    return array.astype(np.intp)


def class_log_losses(y: npt.ArrayLike, p: npt.ArrayLike) -> Array:
    """Give, per row, minus the logarithm of the probability that was given to the class that happened.

    >>> class_log_losses([0, 1], [[0.5, 0.5], [0.75, 0.25]]).round(4).tolist()
    [0.6931, 1.3863]
    """
    codes, forecast = class_pairs(y, p)
    given = forecast[np.arange(len(codes)), codes]
    return np.asarray(-np.log(np.maximum(given, SMALLEST_PROBABILITY)))


def class_hits(y: npt.ArrayLike, p: npt.ArrayLike) -> Array:
    """Give, per row, 1 where the most probable class happened and 0 elsewhere; of equal ones the first counts."""
    codes, forecast = class_pairs(y, p)
    return np.asarray(forecast.argmax(axis=1) == codes, dtype=np.float64)


def macro_auc(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[float, Array]:
    """Give the mean over classes of the AUC of one against the rest, and what each row adds to it, shape (n,).

    Every class counts alike, however rare. What rows add sums to zero; its variance is the estimate's, so two of the
    same rows may be compared by their difference.

    Raises:
        StatisticsInputError: A class has fewer than two rows, or `p` holds no probabilities.
    """
    codes, forecast = class_pairs(y, p)
    total, adds = 0.0, np.zeros(len(codes))
    for place in range(forecast.shape[1]):
        positive = codes == place
        placed = placements(positive, forecast[:, place])
        total += float(placed[positive].mean())
        for side in (positive, ~positive):
            adds[side] += (placed[side] - placed[side].mean()) / np.count_nonzero(side)
    return total / forecast.shape[1], adds / forecast.shape[1]


def class_pairs(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[npt.NDArray[np.intp], Array]:
    """Give class codes and probabilities that belong together.

    Raises:
        StatisticsInputError: They do not, or `p` holds no probabilities.
    """
    forecast = class_probabilities(p)
    codes = class_codes(y, classes=forecast.shape[1])
    same_length(y=codes, score=forecast)
    return codes, forecast

"""Refuses samples that have no answer, before a formula turns them into a plausible wrong one."""

from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_assets.errors import MlopsError, examples

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Clusters = npt.NDArray[Any] | None  # one value per row, say its day; rows that share one are not independent


class StatisticsInputError(MlopsError, ValueError):
    """A sample for which the statistic asked for does not exist."""


def finite(values: npt.ArrayLike, *, name: str) -> Array:
    """Give `values` as a one-dimensional float64 array that is not empty and holds only finite numbers.

    Raises:
        StatisticsInputError: The sample is empty, has another shape, or holds NaN or infinity.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise StatisticsInputError(
            f"{name} has shape {array.shape}; one number per row is needed. Pass a one-dimensional array.",
            name=name,
            shape=array.shape,
        )
    if not array.size:
        raise StatisticsInputError(
            f"{name} is empty, and a statistic over no rows would be an invention. "
            "Widen the window, or wait until labelled rows are in.",
            name=name,
        )
    broken = np.flatnonzero(~np.isfinite(array))
    if broken.size:
        raise StatisticsInputError(
            f"{name} holds NaN or infinity in {broken.size} of {array.size} rows (rows {examples(broken)}). "
            "Dropping them here would measure other rows than were asked about: "
            "leave out unlabelled rows before, or mend what produced the value.",
            name=name,
            rows=broken.tolist(),
        )
    return array


def labels(values: npt.ArrayLike, *, name: str = "y") -> Mask:
    """Give binary labels as booleans.

    Raises:
        StatisticsInputError: Something other than 0 and 1 is among them, or `finite` refuses them.
    """
    array = finite(values, name=name)
    other = array[(array != 0) & (array != 1)]
    if other.size:
        raise StatisticsInputError(
            f"{name} must hold 0 and 1 only, but holds {examples(np.unique(other))}. "
            "A binary metric over other values has no meaning: map the label first.",
            name=name,
        )
    positive: Mask = array == 1
    return positive


def probabilities(values: npt.ArrayLike, *, name: str = "score") -> Array:
    """Give probabilities as float64.

    Raises:
        StatisticsInputError: A value lies outside 0 to 1, or `finite` refuses them.
    """
    array = finite(values, name=name)
    if array.min() < 0 or array.max() > 1:
        raise StatisticsInputError(
            f"{name} ranges from {array.min():.6g} to {array.max():.6g}, so these are not probabilities, "
            "and a calibration metric over raw scores says nothing. Pass probabilities between 0 and 1.",
            name=name,
        )
    return array


def same_length(**samples: npt.NDArray[Any]) -> int:
    """Give the length that all `samples` share.

    Raises:
        StatisticsInputError: They differ, so rows cannot belong together.
    """
    lengths = {name: len(sample) for name, sample in samples.items()}
    if len(set(lengths.values())) != 1:
        raise StatisticsInputError(
            f"These must have one value per row, but their lengths differ: {lengths}. "
            "Pairing them would compare rows that do not belong together.",
            lengths=lengths,
        )
    return next(iter(lengths.values()))


def two_of_each(positive: Mask, *, why: str) -> tuple[int, int]:
    """Give the numbers of positive and of negative rows, each at least two.

    Raises:
        StatisticsInputError: A class has fewer than two rows.
    """
    positives = int(np.count_nonzero(positive))
    negatives = positive.size - positives
    if min(positives, negatives) < 2:
        raise StatisticsInputError(
            f"Of {positive.size} rows {positives} are positive and {negatives} negative, and {why} "
            "needs at least two of each. Widen the window until both classes are in it.",
            positives=positives,
            negatives=negatives,
        )
    return positives, negatives


def share(value: float, *, name: str) -> float:
    """Give `value` if it lies strictly between 0 and 1.

    Raises:
        StatisticsInputError: It does not.
    """
    if not 0 < value < 1:
        raise StatisticsInputError(
            f"{name} is {value}; it must lie between 0 and 1, for example 0.95.", name=name, value=value
        )
    return value

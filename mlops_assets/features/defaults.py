"""What a feature is taken to be where no row answers: one rule for the training set and for the endpoint.

A null in a row that was found stays null: nothing known of a key is one thing, a value known to be absent another.
"""

import numpy as np
import numpy.typing as npt

from mlops_assets.features.module import Array

DEFAULT = "default"  # the status of a value that was put in

Statuses = npt.NDArray[np.object_]


def filled(values: Array, status: Statuses, default: float | str) -> tuple[Array, Statuses]:
    """Give the values with `default` where the row was missing or stale, and the statuses with `default` there.

    >>> values, status = np.array([1.5, np.nan]), np.array(["ok", "stale"], dtype=object)
    >>> [part.tolist() for part in filled(values, status, 0.5)]
    [[1.5, 0.5], ['ok', 'default']]
    """
    absent = status != "ok"
    if not absent.any():
        return values, status
    return np.where(absent, np.array(default, values.dtype), values), np.where(absent, DEFAULT, status)

"""From raw scores to probabilities, one row at a time as among many."""

import numpy as np

from mlops_assets.scoring.scorer import Array


def sigmoid(raw: Array) -> Array:
    """Give the probability of the positive class, shape (n,).

    >>> sigmoid(np.array([0.0, -1000.0, 1000.0])).tolist()
    [0.5, 0.0, 1.0]
    """
    with np.errstate(over="ignore"):  # exp of a thousand is infinite, and one over it is 0, as it should be
        return np.asarray(1.0 / (1.0 + np.exp(-np.ascontiguousarray(raw))), dtype=np.float64)


def softmax(raw: Array) -> Array:
    """Give the probability of each class, shape (n, k), from raw scores of shape (k, n).

    Classes are added up in their order: NumPy's own sum takes another one for a single row.

    >>> softmax(np.log([[1.0], [3.0]])).round(9).tolist()
    [[0.25, 0.75]]
    """
    spread = np.exp(np.ascontiguousarray(raw - raw.max(axis=0)))
    total = np.zeros(raw.shape[1])
    for each in spread:
        total += each
    return np.ascontiguousarray((spread / total).T)

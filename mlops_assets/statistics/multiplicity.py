"""Many tests at once: p-values adjusted so that looking often does not find by luck."""

import numpy as np
import numpy.typing as npt

from mlops_assets.statistics.inputs import Array, probabilities


def holm(p_values: npt.ArrayLike) -> Array:
    """Adjust p-values so that the chance of even one false finding stays below the level compared with.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979) 65.

    >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    p = probabilities(p_values, name="p_values")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _restored(np.minimum(stepped, 1), order)


def benjamini_hochberg(p_values: npt.ArrayLike) -> Array:
    """Adjust p-values so that the expected share of false findings stays below the level compared with.

    Holds for independent tests and for those that depend positively on each other.

    Source: Benjamini and Hochberg, Journal of the Royal Statistical Society B 57 (1995) 289.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.04, 0.04]
    """
    p = probabilities(p_values, name="p_values")
    order = np.argsort(p, kind="stable")
    scaled = p[order] * p.size / np.arange(1, p.size + 1)
    return _restored(np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1), order)


def _restored(adjusted: Array, order: npt.NDArray[np.intp]) -> Array:
    """Give values that were sorted by `order` back in their first order."""
    restored = np.empty_like(adjusted)
    restored[order] = adjusted
    return restored

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
    adjusted = np.empty_like(stepped)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted

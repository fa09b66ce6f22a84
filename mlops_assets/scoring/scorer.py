"""What every scorer gives."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from mlops_assets.errors import BundleError

Array = npt.NDArray[np.float64]


class Scorer(Protocol):
    """A model taken out of its bundle, ready to score feature vectors."""

    @property
    def features(self) -> int:
        """Say how many features a row has."""
        ...

    def score(self, vectors: Array) -> Array:
        """Give a probability or a number per row, shape (n,), or one probability per row and class, shape (n, k).

        Raises:
            BundleError: The rows have another width than the model.
        """
        ...


def require_width(vectors: Array, features: int) -> None:
    """Refuse rows that are not as wide as the model.

    Raises:
        BundleError: They are not.
    """
    if vectors.ndim != 2 or vectors.shape[1] != features:
        raise BundleError(
            f"The model takes {features} features per row, but was given an array of shape {vectors.shape}; columns "
            "would be read as others. Build the rows with the model's own feature vector.",
            shape=vectors.shape,
            features=features,
        )

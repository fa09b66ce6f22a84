"""The feature vector: one row of float64 per decision, by the same code in training and in the endpoint."""

from collections.abc import Iterator, Mapping
from itertools import repeat
from math import nan

import numpy as np
import numpy.typing as npt

from mlops_assets.errors import FeatureError
from mlops_assets.features.module import Array, FeatureModule
from mlops_assets.features.plan import FeaturePlan
from mlops_assets.records import FeatureVectorSpec


class Vectorizer:
    """Computes a model's vectors from its frozen spec and the module that travels beside it.

    A category becomes the index of its level; a level not seen in training, and a null, become NaN.

    Raises:
        FeatureError: The module is not the one the spec was built with.
    """

    def __init__(self, spec: FeatureVectorSpec, module: FeatureModule) -> None:
        if module.code_sha256 != spec.code_sha256:
            raise FeatureError(
                f"features of {module.name}: the module has digest {module.code_sha256[:12]}, the spec was built with "
                f"{spec.code_sha256[:12]}, so the vectors would not be those the model was trained on. "
                "Load the features.py of the same bundle.",
                model=module.name,
                module_sha256=module.code_sha256,
                spec_sha256=spec.code_sha256,
            )
        self.spec = spec
        self.module = module
        self.plan = FeaturePlan(module, spec.views)
        self.names = tuple(feature.name for feature in spec.features)
        if self.names != module.features:
            raise FeatureError(
                f"features of {module.name}: the spec lists {', '.join(self.names)}, the module "
                f"{', '.join(module.features)}. Load both from the same bundle.",
                model=module.name,
            )
        self.categorical = tuple(i for i, feature in enumerate(spec.features) if feature.levels is not None)
        self._codes = [
            None if feature.levels is None else {level: float(code) for code, level in enumerate(feature.levels)}
            for feature in spec.features
        ]

    def keys(self, request: Mapping[str, Array]) -> dict[str, Array]:
        """Give the request with the columns added that find the rows of the views, such as `departure_hour`."""
        return self.plan.keys(request)

    def vector(self, inputs: Mapping[str, Array]) -> npt.NDArray[np.float64]:
        """Give the vectors, shape (n, features), C-ordered; the result for a row never depends on the other rows.

        Args:
            inputs: Request columns and stored features by name, shape (n,) each; others are ignored.

        Raises:
            FeatureError: An input is missing or wrong, a function fails, or a feature is not of the kind it had in
                training.
        """
        columns = self.plan.values(inputs)
        for position, codes in enumerate(self._codes):
            if codes is not None or columns[position].dtype.kind not in "fbiu":
                columns[position] = self._coded(position, columns[position], codes)
        rows = columns[0].shape[0]
        vectors = np.empty((rows, len(columns)))
        if rows == 1:  # the same bits by way of Python's floats, in a quarter of the time
            vectors[0] = [column.item() for column in columns]
            return vectors
        for position, column in enumerate(columns):
            vectors[:, position] = column
        return vectors

    def _coded(self, position: int, column: Array, codes: dict[str, float] | None) -> Array:
        """Give the codes of the levels of a category."""
        if codes is not None and column.dtype.kind in "OU":
            return np.fromiter(map(codes.get, column.tolist(), repeat(nan)), np.float64, column.size)
        raise FeatureError(
            f"feature {self.names[position]!r} came out as {column.dtype}; in training it was "
            f"{'a number' if codes is None else 'a category'}. Let the function give one kind always.",
            feature=self.names[position],
        )


def rows_of(inputs: Mapping[str, Array], rows: npt.NDArray[np.intp]) -> Iterator[dict[str, Array]]:
    """Give one row of the inputs at a time, as a request for a single prediction would bring it."""
    for row in rows.tolist():
        yield {name: column[row : row + 1].copy() for name, column in inputs.items()}

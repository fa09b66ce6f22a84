"""On what terms scores are measured."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mlops_assets.evaluation.value import BusinessValue
from mlops_assets.statistics import Array, units_of
from mlops_assets.statistics.inputs import Clusters
from mlops_assets.statistics.intervals import Rows
from mlops_assets.statistics.resampling import Units

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms all are measured: the business value, the confidence, the seed, and which rows hang together.

    `clusters` names what rows of like fate share, say their day; without it every row counts as a draw of its own.
    `threshold` is the score from which the model decides yes, `quantile` what a model of quantiles forecasts; measures
    that need one are left out without it. `worth` is what an answer brings, shape (k, k): of each class that came, by
    the class answered.
    """

    value: BusinessValue = field(default_factory=BusinessValue)
    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 7
    clusters: Clusters = None
    threshold: float | None = None
    quantile: float | None = None
    worth: Array | None = None
    kept: dict[tuple[object, ...], tuple[object, ...]] = field(default_factory=dict, compare=False, repr=False)

    def once(self, what: str, make: Callable[[], Kept], *of: Array) -> Kept:
        """Give what `make` gives, made once for the same arrays: several measures of a score need it sorted."""
        of_clusters = (*of, self.clusters)
        key = (what, self.seed, *map(id, of_clusters))
        if key not in self.kept:
            self.kept[key] = (make(), of_clusters)  # holding the arrays keeps their ids theirs
        return self.kept[key][0]  # type: ignore[return-value]

    def on(self, rows: npt.NDArray[np.bool_] | Rows) -> "Terms":
        """Give the same terms for some of the rows."""
        return replace(self, clusters=None if self.clusters is None else self.clusters[rows], kept={})

    def units(self, n: int) -> Units:
        """Give the units in which `n` rows are drawn by the bootstrap."""
        return units_of(n, self.clusters, seed=self.seed)

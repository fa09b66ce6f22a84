"""Whether the endpoint saw what training would have seen: served vectors against recomputed ones, bit for bit."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.errors import FeatureError
from mlops_assets.features.columns import as_arrays
from mlops_assets.features.join import DECISION_TIME
from mlops_assets.features.vector import Vectorizer
from mlops_assets.records import Field

DECIDED = Field(name=DECISION_TIME, dtype="timestamp")

Vectors = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One value that was served otherwise than it is recomputed."""

    feature: str
    key: str
    time: str
    served: float
    recomputed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """How many of `n` vectors are equal in every bit; `differing` counts the others by feature."""

    n: int
    equal: int
    differing: dict[str, int] = field(default_factory=dict)
    first: Difference | None = None

    @property
    def identical(self) -> bool:
        """Whether vectors were compared and all are equal."""
        return 0 < self.n == self.equal


def compare(
    served: Vectors,
    recomputed: Vectors,
    *,
    names: Sequence[str],
    keys: Sequence[str],
    times: npt.NDArray[np.datetime64],
) -> ParityReport:
    """Give the report on two matrices of vectors, shape (n, features); two NaN are equal, 0.0 and -0.0 are not.

    Args:
        served: The vectors as logged by the endpoint.
        recomputed: The vectors of the same rows, computed again.
        names: The features, one per column.
        keys: What a person finds each row by, such as its request id.
        times: The decision time of each row.

    Raises:
        FeatureError: The shapes do not match, so rows would be compared with others.
    """
    shape = (len(keys), len(names))
    if served.shape != shape or recomputed.shape != shape or len(times) != len(keys):
        raise FeatureError(
            f"served vectors have shape {served.shape}, recomputed ones {recomputed.shape}, for {len(keys)} keys, "
            f"{len(times)} times and {len(names)} features. Compare the same rows of one model version."
        )
    bits_differ = _bits(served) != _bits(recomputed)
    differ = bits_differ & ~(np.isnan(served) & np.isnan(recomputed))
    counts = {name: int(count) for name, count in zip(names, differ.sum(axis=0), strict=True) if count}
    first = None
    if counts:
        row, column = (int(index) for index in np.argwhere(differ)[0])
        first = Difference(
            feature=names[column],
            key=keys[row],
            time=str(times[row]),
            served=float(served[row, column]),
            recomputed=float(recomputed[row, column]),
        )
    return ParityReport(n=len(keys), equal=int((~differ.any(axis=1)).sum()), differing=counts, first=first)


def compare_served(vectorizer: Vectorizer, offline: pa.Table, *, served: Vectors, ids: Sequence[str]) -> ParityReport:
    """Give the report on logged vectors against those the offline tables give at the same decision times.

    Args:
        vectorizer: The model version that served them.
        offline: The logged requests joined as of their decision times, as `training_rows` gives them.
        served: The vectors as logged, in the same order.
        ids: The request id of each.
    """
    return compare(
        served,
        vectorizer.vector(as_arrays(offline, vectorizer.plan.inputs)),
        names=vectorizer.names,
        keys=ids,
        times=as_arrays(offline, [DECIDED])[DECISION_TIME],
    )


def _bits(vectors: Vectors) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(vectors, dtype=np.float64).view(np.uint64)

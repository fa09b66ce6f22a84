"""Whether the endpoint saw what training would have seen: served vectors against recomputed ones, bit for bit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.errors import FeatureError
from mlops_assets.features.columns import as_arrays
from mlops_assets.features.join import DECISION_TIME
from mlops_assets.features.vector import Vectorizer
from mlops_assets.records import FeatureView, Field, ParityDifference, ParityReport

DECIDED = Field(name=DECISION_TIME, dtype="timestamp")

Vectors = npt.NDArray[np.float64]


class Found(Protocol):
    """What the online store answered for one view, as the endpoint logged it."""

    @property
    def status(self) -> str:
        """`ok`, `missing`, `stale` or `default`."""
        ...

    @property
    def event_time(self) -> Any:
        """The found row's own time, UTC; None if there was no row."""
        ...

    @property
    def values(self) -> Mapping[str, Any]:
        """The stored features used, by name."""
        ...


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
        first = ParityDifference(
            feature=names[column],
            key=keys[row],
            time=str(times[row]),
            served=_value(served[row, column]),
            recomputed=_value(recomputed[row, column]),
        )
    return ParityReport(n=len(keys), equal=int((~differ.any(axis=1)).sum()), differing=counts, first=first)


def compare_served(
    vectorizer: Vectorizer,
    offline: pa.Table,
    *,
    served: Vectors,
    ids: Sequence[str],
    found: Sequence[Mapping[str, Found]],
) -> ParityReport:
    """Give the report on logged vectors against those the offline tables give at the same decision times.

    Args:
        vectorizer: The model version that served them.
        offline: The logged requests joined as of their decision times, as `training_rows` gives them.
        served: The vectors as logged, in the same order.
        ids: The request id of each.
        found: What the online store answered to each, by view; the first difference is traced to its cause by it.
    """
    report = compare(
        served,
        vectorizer.vector(as_arrays(offline, vectorizer.plan.inputs)),
        names=vectorizer.names,
        keys=ids,
        times=as_arrays(offline, [DECIDED])[DECISION_TIME],
    )
    if report.first is None:
        return report
    row = ids.index(report.first.key)
    looked_up = vectorizer.plan.looked_up(report.first.feature)
    causes = (_cause(view, field, found[row].get(view.name), offline.slice(row, 1)) for field, view in looked_up)
    cause = next(filter(None, causes), "code: other code, libraries or hardware made another number of the same inputs")
    return replace(report, first=replace(report.first, cause=cause))


def _cause(view: FeatureView, field: Field, served: Found | None, offline: pa.Table) -> str | None:
    """Say how the row that was served differs from the row the table holds as known by then; None if it does not."""
    status, event_time, value = (
        offline.column(name)[0].as_py() for name in (f"{view.name}__status", f"{view.name}__event_time", field.name)
    )
    if served is None:
        return f"log: nothing of view {view.name} was logged"
    if served.status != status and served.event_time == event_time:
        return f"ttl: the row of {view.name} of {event_time} was {served.status} when served, and is {status} now"
    if served.event_time != event_time:
        return (
            f"late data: {view.name} was served with the row of {served.event_time}, and the table holds that of "
            f"{event_time} as known by then"
        )
    was = served.values.get(field.name)
    if was == value or (was is None and value != value):
        return None
    if type(was) is not type(value) and str(was) == str(value):
        return f"dtype: {field.name} was served as {type(was).__name__}, and is {type(value).__name__} in the table"
    return f"late data: the row of {view.name} of {event_time} was computed again since it was served"


def _value(number: np.float64) -> float | None:
    return None if np.isnan(number) else float(number)


def _bits(vectors: Vectors) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(vectors, dtype=np.float64).view(np.uint64)

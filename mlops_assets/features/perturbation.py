"""Another future: what became known after a moment is replaced, and no vector decided on by then may move in a bit."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.errors import examples
from mlops_assets.features.columns import UTC_MICROSECONDS, as_arrays
from mlops_assets.features.join import DECISION_TIME, training_rows
from mlops_assets.features.vector import Vectorizer
from mlops_assets.records import FeatureView

DECISIONS_TRIED = 5_000  # the newest before each moment: the rows that came just too late for them are the nearest
INSTANT = timedelta(microseconds=1)
ABSURD = -1.2345e9


def moved_by_the_future(
    vectorizer: Vectorizer,
    labels: pa.Table,
    rows: Mapping[str, pa.Table],
    *,
    vectors: npt.NDArray[np.float64],
    moments: Sequence[datetime],
) -> Iterator[str]:
    """Give a sentence for each moment after which another future moves vectors that were decided on before.

    After each moment all rows of the views are taken away, and every key is given one of absurd values that became
    known an instant later, though it was true when half of the decisions before were taken: what looks at event times
    instead of known times falls for it.

    Args:
        vectorizer: The model's vector.
        labels: The decisions in order of decision time, with the request's columns.
        rows: The rows of each view by its name.
        vectors: What the decisions were computed to, shape (n, d).
        moments: When the futures begin.
    """
    for moment in moments:
        at = pa.scalar(moment, UTC_MICROSECONDS)
        until = pc.sum(pc.less_equal(labels[DECISION_TIME], at)).as_py() or 0
        first = max(0, until - DECISIONS_TRIED)
        if first == until:
            continue
        middle = labels[DECISION_TIME][(first + until) // 2]
        others = {
            view.name: _another_future(view, rows[view.name], moment, true_at=middle) for view in vectorizer.plan.views
        }
        joined = training_rows(vectorizer.plan, labels.slice(first, until - first), others)
        again = vectorizer.vector(as_arrays(joined, vectorizer.plan.inputs))
        before = vectors[first:until]
        moved = ((again != before) & ~(np.isnan(again) & np.isnan(before))).any(axis=0)
        if moved.any():
            names = [name for name, differs in zip(vectorizer.names, moved.tolist(), strict=True) if differs]
            yield (
                f"{examples(names)} would have been otherwise for decisions until {moment:%Y-%m-%d %H:%M} if what "
                "became known later had been otherwise: they know the future."
            )


def _another_future(view: FeatureView, rows: pa.Table, moment: datetime, *, true_at: pa.Scalar) -> pa.Table:
    keys = [key.name for key in view.keys]
    names = [*keys, *(feature.name for feature in view.features), "event_time", "known_at"]
    rows = rows.select(names)
    past = rows.filter(pc.less_equal(rows["known_at"], pa.scalar(moment, UTC_MICROSECONDS)))
    there = rows.select(keys).group_by(keys).aggregate([])
    absurd = {feature.name: f"{ABSURD}" if feature.dtype == "string" else ABSURD for feature in view.features}
    values = absurd | {"event_time": true_at.as_py(), "known_at": moment + INSTANT}
    for name, value in values.items():
        there = there.append_column(name, pa.repeat(pa.scalar(value, rows.schema.field(name).type), there.num_rows))
    return pa.concat_tables([past, there.select(names).cast(rows.schema)])

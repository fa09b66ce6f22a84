"""Signs that a training set knows what no decision could have known. A finding is a reason to look, stated in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.errors import FeatureError
from mlops_assets.features.join import DECISION_TIME
from mlops_assets.records import Task
from mlops_assets.statistics.classification import auc

IMPLAUSIBLE_AUC = 0.98  # one feature alone that ranks this well was most likely written after the outcome
IMPLAUSIBLE_R2 = 0.999
SMALLEST_SAMPLE = 100  # fewer known values of a feature say nothing

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """One sign of a leak; `feature` is None where it concerns whole rows."""

    kind: Literal["target_copy", "implausible", "future", "overlap"]
    feature: str | None
    reason: str


def leaking_features(
    X: Numbers, y: Numbers, *, names: Sequence[str], categorical: Sequence[int] = (), task: Task
) -> tuple[Leak, ...]:
    """Give the features that tell the target too well on their own.

    A category is judged by the target's mean per level, learned on every other row and tried on the rest, so that
    many rare levels do not look like knowledge.

    Args:
        X: Feature vectors, shape (n, features).
        y: The target, shape (n,); 0 or 1 for a binary task.
        names: The features, one per column.
        categorical: The columns that hold codes of categories.
        task: What is predicted; a feature is implausible beyond an AUC of 0.98, or a squared correlation of 0.999.
    """
    found = []
    for position, name in enumerate(names):
        column, target = X[:, position], y
        known = ~np.isnan(column)
        if known.sum() < SMALLEST_SAMPLE:
            continue
        column, target = column[known], target[known]
        if np.array_equal(column, target):
            found.append(Leak(kind="target_copy", feature=name, reason=f"{name} is the target itself."))
            continue
        if position in categorical:
            column, target = _level_means(column, target)
        if task == "binary":
            strength, measure, limit = _separation(target, column), "AUC", IMPLAUSIBLE_AUC
        else:
            strength, measure, limit = _correlation(target, column) ** 2, "squared correlation", IMPLAUSIBLE_R2
        if strength > limit:
            reason = f"{name} alone reaches {measure} {strength:.4f}, above {limit}: was it known at the decision?"
            found.append(Leak(kind="implausible", feature=name, reason=reason))
    return tuple(found)


def leaking_rows(
    table: pa.Table, *, row_key: str, train: pa.ChunkedArray, holdout: pa.ChunkedArray
) -> tuple[Leak, ...]:
    """Give the signs in the rows: a feature from after its decision, or a row trained on and judged by alike.

    Args:
        table: Joined rows, as `point_in_time` gives them.
        row_key: The column that tells rows apart, such as `flight_id`.
        train: Row keys trained on.
        holdout: Row keys held out.

    Raises:
        FeatureError: `table` has no `decision_time` or no `row_key`.
    """
    for name in (DECISION_TIME, row_key):
        if name not in table.column_names:
            raise FeatureError(
                f"the training set has no column {name!r}, so leaks in rows cannot be seen.", column=name
            )
    found = []
    for name in (name for name in table.column_names if name.endswith("__event_time")):
        late = pc.sum(pc.greater(table.column(name), table.column(DECISION_TIME))).as_py() or 0
        if late:
            view = name.removesuffix("__event_time")
            reason = f"{late} of {table.num_rows} rows hold features of view {view} from after their decision."
            found.append(Leak(kind="future", feature=None, reason=reason))
    twice = table.num_rows - pc.count_distinct(table.column(row_key)).as_py()
    if twice:
        found.append(Leak(kind="overlap", feature=None, reason=f"{twice} rows repeat the {row_key} of another."))
    both = pc.sum(pc.is_in(holdout, value_set=train)).as_py() or 0
    if both:
        found.append(Leak(kind="overlap", feature=None, reason=f"{both} held-out rows were also trained on."))
    return tuple(found)


def _level_means(codes: Numbers, target: Numbers) -> tuple[Numbers, Numbers]:
    """Give, for every second row, the mean target of its level among the other rows, and the row's own target."""
    _, level = np.unique(codes, return_inverse=True)
    rows = np.bincount(level[::2], minlength=level.max() + 1)
    sums = np.bincount(level[::2], weights=target[::2], minlength=level.max() + 1)
    means = np.where(rows > 0, sums / np.maximum(rows, 1), target[::2].mean())
    return means[level[1::2]], target[1::2]


def _separation(target: Numbers, column: Numbers) -> float:
    """Give the AUC of the better direction; 0.5 where only one class is there."""
    positives = int(np.count_nonzero(target))
    if positives in (0, target.size):
        return 0.5
    area = auc(target, column)
    return max(area, 1.0 - area)


def _correlation(target: Numbers, column: Numbers) -> float:
    if np.ptp(target) == 0 or np.ptp(column) == 0:
        return 0.0
    return float(np.corrcoef(target, column)[0, 1])

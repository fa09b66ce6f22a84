"""How a model does on parts of the rows, and where it lost against the champion.

Twenty slices hold a twentieth bad one by luck. A drop counts when it is larger than allowed and too large to be chance
after Holm's correction for all slices looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_assets.evaluation.levels import levels_of, rows_by_level
from mlops_assets.evaluation.measures import Terms
from mlops_assets.evaluation.metrics import compare, measure
from mlops_assets.records import SliceResult
from mlops_assets.statistics import Array, StatisticsInputError, holm

EXPECTED = 20  # rows with another label; where so many are expected, none is no chance


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceDrop:
    """A slice on which the challenger fell behind the champion by `drop`; `p_value` is Holm's over all slices."""

    column: str
    level: str
    drop: float
    p_value: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFindings:
    """The slices that could be measured, the drops among them, and those on which the metric does not exist.

    `bereft` are those of the last that cannot have lost all labels but one by chance.
    """

    results: tuple[SliceResult, ...]
    drops: tuple[SliceDrop, ...]
    unmeasured: tuple[str, ...]
    bereft: tuple[str, ...] = ()


def look_into_slices(
    metric: str,
    y: Array,
    challenger: Array,
    champion: Array | None,
    *,
    columns: Mapping[str, Any],
    minimum_rows: int,
    terms: Terms,
) -> SliceFindings:
    """Measure every level of every column, largest first, and compare with the champion where rows suffice.

    Args:
        metric: What to measure.
        y: Labels, shape (n,).
        challenger: Its scores, shape (n,).
        champion: Its scores, if there is one.
        columns: The values to slice by, arrays or Arrow columns of n; None and NaN make a level of their own.
        minimum_rows: Below it a slice is marked small and not compared.
        terms: On what terms.
    """
    results, drops, unmeasured, bereft = [], [], [], []
    seldom = _share_of_others(y)
    for column, values in columns.items():
        for level, rows in rows_by_level(levels_of(values)):
            n = len(rows)
            try:
                found = measure(metric, y[rows], challenger[rows], terms.on(rows))
                if champion is not None and n >= minimum_rows:
                    gain = compare(metric, y[rows], challenger[rows], champion[rows], terms.on(rows))
                    drops.append(SliceDrop(column=column, level=level, drop=-gain.value, p_value=gain.p_value, n=n))
            except StatisticsInputError:  # one class only, say: told, not guessed
                unmeasured.append(f"{column}={level} ({n} rows)")
                if np.ptp(y[rows]) == 0 and n * seldom >= EXPECTED:
                    bereft.append(unmeasured[-1])
                continue
            results.append(SliceResult(column=column, level=level, metric=found, small=n < minimum_rows))
    if drops:
        adjusted = holm([drop.p_value for drop in drops])
        drops = [
            SliceDrop(column=drop.column, level=drop.level, drop=drop.drop, p_value=float(p), n=drop.n)
            for drop, p in zip(drops, adjusted, strict=True)
        ]
    return SliceFindings(results=tuple(results), drops=tuple(drops), unmeasured=tuple(unmeasured), bereft=tuple(bereft))


def _share_of_others(y: Array) -> float:
    """Give the share of labels that are not the commonest one."""
    _, counts = np.unique(y, return_counts=True)
    return float(1 - counts.max() / len(y))

"""What a report shows beyond the verdict: calibration, the value curve, the worst slices found, and groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mlops_assets.evaluation.discovery import worst_slices
from mlops_assets.evaluation.fairness import look_into_groups
from mlops_assets.evaluation.levels import Levels
from mlops_assets.evaluation.measures import Terms
from mlops_assets.evaluation.metrics import measure
from mlops_assets.evaluation.policy import GatePolicy
from mlops_assets.evaluation.value_curve import value_curve
from mlops_assets.records import Calibration, CalibrationBin, DiscoveredSlice, Fairness, ModelVersion, ValuePoint
from mlops_assets.statistics import Array, reliability
from mlops_assets.statistics.inputs import Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is known of the models and rows judged beside labels and scores.

    Args:
        searched: Columns among whose levels the worst slices are sought; none are without it.
        threshold: The score from which the challenger decides yes, if it decides.
        champion_threshold: The same of the champion.
        calibration: How the challenger's scores were calibrated.
    """

    searched: Mapping[str, Levels] = field(default_factory=dict)
    threshold: float | None = None
    champion_threshold: float | None = None
    calibration: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloserLook:
    """The findings, as the report has them."""

    calibration: Calibration | None
    value_curve: tuple[ValuePoint, ...]
    discovered: tuple[DiscoveredSlice, ...]
    fairness: Fairness | None


def look_closer(
    policy: GatePolicy,
    challenger: ModelVersion,
    y: Array,
    score: Array,
    champion: Array | None,
    *,
    columns: Mapping[str, Any],
    details: Details,
    terms: Terms,
) -> CloserLook:
    """Give what there is to show of a challenger; all but the slices is of yes-or-no outcomes only.

    Args:
        policy: What was declared of groups, and below how many rows a slice is small.
        challenger: The version judged.
        y: Labels, shape (n,).
        score: Its scores, shape (n,).
        champion: The champion's scores, if there is one.
        columns: The values of the columns that groups are told apart by.
        details: What else is known.
        terms: On what terms.
    """
    binary = challenger.task == "binary"
    return CloserLook(
        calibration=calibration_of(y, score, terms, method=details.calibration) if binary else None,
        value_curve=value_curve(y, score, terms) if binary else (),
        discovered=worst_slices(
            challenger.task,
            y,
            score,
            champion,
            columns=details.searched,
            minimum_rows=policy.slice_minimum_rows,
            terms=terms,
        ),
        fairness=look_into_groups(
            policy.fairness,
            y,
            _decided(score, details.threshold, terms),
            columns=columns,
            minimum_rows=policy.slice_minimum_rows,
            terms=terms,
        )
        if binary
        else None,
    )


def calibration_of(y: Array, score: Array, terms: Terms, *, method: str = "none", bins: int = 10) -> Calibration:
    """Give the reliability table of scores with the interval of each rate, and their expected calibration error."""
    found = reliability(y, score, bins=bins, confidence=terms.confidence, clusters=terms.clusters)
    table = tuple(
        CalibrationBin(
            rows=bin.rows,
            mean_score=bin.mean_score,
            rate=bin.rate,
            low=bin.rate_interval.low,
            high=bin.rate_interval.high,
        )
        for bin in found
    )
    return Calibration(bins=table, ece=measure("ece", y, score, terms), method=method)


def with_what_it_decides(terms: Terms, challenger: ModelVersion, threshold: float | None) -> Terms:
    """Give the terms with the threshold of a model and the quantile that it forecasts, if it forecasts one."""
    quantile = None
    if challenger.params.get("objective") == "quantile":
        quantile = float(challenger.params.get("alpha", 0.9))
    return replace(terms, threshold=threshold, quantile=quantile)


def _decided(score: Array, threshold: float | None, terms: Terms) -> Mask:
    """Give the decisions; of a model without a threshold, the highest scores up to the capacity are decided yes."""
    if threshold is None:
        threshold = float(np.quantile(score, 1 - terms.value.capacity_share))
    decided: Mask = score >= threshold
    return decided

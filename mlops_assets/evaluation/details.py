"""What a report shows beyond the verdict: calibration, the value curve, the worst slices, groups and classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_assets.evaluation.classes import look_into_classes
from mlops_assets.evaluation.discovery import worst_slices
from mlops_assets.evaluation.fairness import look_into_groups, outcomes_of
from mlops_assets.evaluation.levels import Levels
from mlops_assets.evaluation.measures import Terms
from mlops_assets.evaluation.metrics import measure
from mlops_assets.evaluation.policy import GatePolicy
from mlops_assets.evaluation.value_curve import value_curve
from mlops_assets.records import (
    Calibration,
    CalibrationBin,
    Classes,
    DiscoveredSlice,
    Fairness,
    ModelVersion,
    Task,
    ValuePoint,
)
from mlops_assets.statistics import Array, reliability, top_label


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is known of the models and rows judged beside labels and scores.

    Args:
        searched: Columns among whose levels the worst slices are sought; none are without it.
        threshold: The score from which the challenger decides yes, if it decides.
        champion_threshold: The same of the champion.
        calibration: How the challenger's scores were calibrated.
        classes: Names of the classes in the order of their codes.
    """

    searched: Mapping[str, Levels] = field(default_factory=dict)
    threshold: float | None = None
    champion_threshold: float | None = None
    calibration: str = "none"
    classes: tuple[str, ...] = ()

    def names(self, score: Array) -> tuple[str, ...]:
        """Give the names of the classes that scores of shape (n, k) are of; by their codes where none are known."""
        return self.classes or tuple(map(str, range(score.shape[1])))


@dataclass(frozen=True, slots=True, kw_only=True)
class CloserLook:
    """The findings, as the report has them."""

    calibration: Calibration | None = None
    value_curve: tuple[ValuePoint, ...] = ()
    discovered: tuple[DiscoveredSlice, ...] = ()
    fairness: Fairness | None = None
    classes: Classes | None = None


def look_closer(
    policy: GatePolicy,
    challenger: ModelVersion,
    y: Array,
    score: Array,
    champion: Array | None,
    baseline: Array,
    *,
    columns: Mapping[str, Any],
    details: Details,
    terms: Terms,
) -> CloserLook:
    """Give what there is to show of a challenger beside its measures.

    Args:
        policy: What was declared of groups, and below how many rows a slice is small.
        challenger: The version judged.
        y: Labels, shape (n,).
        score: Its scores, shape (n,), or of k classes (n, k).
        champion: The champion's scores, if there is one.
        baseline: Those of the simple model.
        columns: The values of the columns that groups are told apart by.
        details: What else is known.
        terms: On what terms.
    """
    task = challenger.task
    classes = details.names(score) if task == "multiclass" else ()
    return CloserLook(
        calibration=None
        if task == "regression"
        else calibration_of(y, score, terms, task=task, method=details.calibration),
        value_curve=value_curve(y, score, terms) if task == "binary" else (),
        discovered=worst_slices(
            task,
            y,
            score,
            champion,
            columns=details.searched,
            minimum_rows=policy.slice_minimum_rows,
            terms=terms,
        ),
        fairness=look_into_groups(
            policy.fairness,
            outcomes_of(task, y, score, classes=classes, threshold=details.threshold, terms=terms),
            columns=columns,
            minimum_rows=policy.slice_minimum_rows,
            terms=terms,
        ),
        classes=look_into_classes(
            y,
            score,
            baseline if champion is None else champion,
            against="baseline" if champion is None else "champion",
            names=classes,
            terms=terms,
        )
        if classes
        else None,
    )


def calibration_of(
    y: Array, score: Array, terms: Terms, *, task: Task = "binary", method: str = "none", bins: int = 10
) -> Calibration:
    """Give the reliability table of scores with the interval of each rate, and their expected calibration error.

    Of several classes both are of the probability that stands beside the answer.
    """
    happened, stated = top_label(y, score) if task == "multiclass" else (y, score)
    found = reliability(happened, stated, bins=bins, confidence=terms.confidence, clusters=terms.clusters)
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
    return Calibration(bins=table, ece=measure("ece", happened, stated, terms), method=method)

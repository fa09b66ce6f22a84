"""Realised performance of a window of predictions, once its labels are in."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from mlops_assets import statistics
from mlops_assets.digests import sha256_json
from mlops_assets.errors import MonitoringError, UnknownNameError
from mlops_assets.records import Metric, PerformanceReport, Task
from mlops_assets.statistics import Array, Interval

Clusters = npt.NDArray[Any] | None


class PerformancePolicy(BaseModel, frozen=True, extra="forbid"):
    """When a window says enough about the model, and how far below its promise it may fall."""

    minimum_labelled_rows: int = Field(500, ge=2, description="Labelled predictions below which nothing is concluded.")
    minimum_coverage: float = Field(
        0.9, gt=0, le=1, description="Share of predictions whose label must be in; bad outcomes often come in last."
    )
    tolerance: float = Field(
        0.02, ge=0, lt=1, description="How far the metric may lie from what evaluation promised, as a share of it."
    )


class _Measure(NamedTuple):
    higher_is_better: bool
    value: Callable[[Array, Array], float]
    interval: Callable[[Array, Array, Clusters], Interval]


def _auc_interval(y: Array, score: Array, clusters: Clusters) -> Interval:
    return statistics.auc_interval(y, score, clusters=clusters)


def _mean_of(losses: Callable[[Array, Array], Array]) -> Callable[[Array, Array, Clusters], Interval]:
    return lambda y, score, clusters: statistics.mean_interval(losses(y, score), clusters=clusters)


def _rmse_interval(y: Array, score: Array, clusters: Clusters) -> Interval:
    squared = statistics.mean_interval((score - y) ** 2, clusters=clusters)
    return Interval(max(squared.low, 0.0) ** 0.5, squared.high**0.5)


_MEASURES: dict[Task, dict[str, _Measure]] = {
    "binary": {
        "auc": _Measure(True, statistics.auc, _auc_interval),
        "log_loss": _Measure(False, statistics.log_loss, _mean_of(statistics.log_losses)),
        "brier": _Measure(False, statistics.brier, _mean_of(statistics.brier_losses)),
    },
    "regression": {
        "rmse": _Measure(False, statistics.rmse, _rmse_interval),
        "mae": _Measure(False, statistics.mae, _mean_of(lambda y, score: np.abs(score - y))),
    },
}


def measure(
    policy: PerformancePolicy,
    *,
    task: Task,
    scores: Array,
    labels: Array,
    expected: Metric | None,
    model: str,
    bundle_sha256: str,
    start: datetime,
    end: datetime,
    clusters: Clusters = None,
) -> PerformanceReport:
    """Measure a window of predictions against the labels known so far, and against what evaluation promised.

    `degraded` is a verdict: the whole interval of the promised metric lies beyond the promise and its tolerance. Where
    labels are too few or cover too little of the window there is no verdict, and `sufficient` is false.

    Args:
        policy: When to conclude, and what to forgive.
        task: `binary` (labels 0 and 1, scores probabilities) or `regression`.
        scores: One per prediction made, shape (n,).
        labels: What came true, shape (n,); NaN where it is not known yet.
        expected: The metric promised at evaluation; None promises nothing, so nothing can be degraded.
        model: The model's name.
        bundle_sha256: What made the predictions.
        start: First decision time of the window.
        end: End of the window, not included.
        clusters: What rows of like fate share, say their day, shape (n,); intervals are then honest about it.

    Raises:
        UnknownNameError: The promised metric is not one measured here.
        MonitoringError: Scores and labels differ in length.
    """
    if len(scores) != len(labels):
        raise MonitoringError(
            f"There are {len(scores)} scores but {len(labels)} labels, so they cannot belong together. Join labels to "
            "predictions by their identifier, with NaN where none is known.",
            scores=len(scores),
            labels=len(labels),
        )
    if expected and expected.name not in _MEASURES[task]:
        raise UnknownNameError(f"{task} metric", expected.name, known=_MEASURES[task])
    known = ~np.isnan(labels)
    y, score = labels[known], scores[known]
    coverage = float(known.mean()) if len(known) else 0.0
    metrics = _metrics(task, y, score, None if clusters is None else clusters[known])
    enough = len(y) >= policy.minimum_labelled_rows and coverage >= policy.minimum_coverage
    promised = next((metric for metric in metrics if expected and metric.name == expected.name), None)
    sufficient = bool(enough and metrics and (promised or not expected))
    report = PerformanceReport(
        model=model,
        sha256="",
        bundle_sha256=bundle_sha256,
        start=start,
        end=end,
        rows=len(scores),
        coverage=coverage,
        metrics=metrics,
        expected=expected,
        degraded=bool(sufficient and promised and expected and _beyond(task, promised, expected, policy.tolerance)),
        sufficient=sufficient,
    )
    return replace(report, sha256=sha256_json(report))


def _metrics(task: Task, y: Array, score: Array, clusters: Clusters) -> tuple[Metric, ...]:
    """Give the metrics that exist for these rows: none for fewer than two, or two of either class."""
    units = len(y) if clusters is None else len(np.unique(clusters))
    if units < 2 or (task == "binary" and min(np.sum(y == 1), np.sum(y == 0)) < 2):
        return ()
    return tuple(
        Metric(name=name, value=found.value(y, score), n=len(y), low=interval.low, high=interval.high)
        for name, found in _MEASURES[task].items()
        for interval in (found.interval(y, score, clusters),)
    )


def _beyond(task: Task, found: Metric, expected: Metric, tolerance: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    if _MEASURES[task][expected.name].higher_is_better:
        return found.high < expected.value * (1 - tolerance)
    return found.low > expected.value * (1 + tolerance)

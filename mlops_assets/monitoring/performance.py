"""Realised performance of a window of predictions, once its labels are in."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, field_validator

from mlops_assets import statistics
from mlops_assets.digests import sha256_json
from mlops_assets.errors import MonitoringError, UnknownNameError
from mlops_assets.records import Metric, PerformanceReport, Task
from mlops_assets.statistics import Array, Interval

Clusters = npt.NDArray[Any] | None


class PerformancePolicy(BaseModel, frozen=True, extra="forbid"):
    """When a window says enough about the model, and how far below its promise it may fall."""

    metric: str | None = Field(
        default=None,
        description="Metric held against what evaluation promised; default: auc, macro_auc or rmse, and "
        "pinball of a model that forecasts a quantile.",
    )
    tolerance: float = Field(
        default=0.02,
        ge=0,
        lt=1,
        description="How far the metric may lie from what evaluation promised, as a share of it.",
    )
    minimum_labelled_rows: int = Field(
        default=500, ge=2, description="Labelled predictions below which nothing is concluded."
    )
    minimum_coverage: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="Share of predictions whose label must be in; bad outcomes often come in last.",
    )

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        known = [metric for measures in _MEASURES.values() for metric in measures]
        if name is not None and name not in known:
            raise UnknownNameError("performance metric", name, known=known)
        return name

    def watched(self, task: Task, *, quantile: float | None = None) -> str:
        """Give the name of the metric whose promise is watched, of a model that forecasts `quantile` or none."""
        return self.metric or ("pinball" if quantile is not None else next(iter(_MEASURES[task])))


class _Terms(NamedTuple):
    clusters: Clusters
    capacity_share: float
    quantile: float | None


class _Measure(NamedTuple):
    higher_is_better: bool
    value: Callable[[Array, Array, _Terms], float]
    interval: Callable[[Array, Array, _Terms], Interval]
    of_quantile: bool = False


def _plain(value: Callable[[Array, Array], float]) -> Callable[[Array, Array, _Terms], float]:
    return lambda y, score, terms: value(y, score)


def _auc_interval(y: Array, score: Array, terms: _Terms) -> Interval:
    return statistics.auc_interval(y, score, clusters=terms.clusters)


def _macro_interval(y: Array, score: Array, terms: _Terms) -> Interval:
    value, adds = statistics.macro_auc(y, score)
    found = statistics.wald(value, influence=adds, confidence=0.95, clusters=terms.clusters)
    return Interval(max(found.low, 0.0), min(found.high, 1.0))


def _mean(values: Array) -> float:
    return float(values.mean())


def _mean_of(losses: Callable[[Array, Array], Array]) -> Callable[[Array, Array, _Terms], Interval]:
    return lambda y, score, terms: statistics.mean_interval(losses(y, score), clusters=terms.clusters)


def _rmse_interval(y: Array, score: Array, terms: _Terms) -> Interval:
    squared = statistics.mean_interval((score - y) ** 2, clusters=terms.clusters)
    return Interval(max(squared.low, 0.0) ** 0.5, squared.high**0.5)


def _at_capacity(share_of: Callable[..., float], *, of_hits: bool) -> _Measure:
    """Measure precision (or, with `of_hits`, recall) among the highest scores that can be acted on."""

    def value(y: Array, score: Array, terms: _Terms) -> float:
        return share_of(y, score, share=terms.capacity_share)

    def interval(y: Array, score: Array, terms: _Terms) -> Interval:
        top = statistics.top_scores(y, score, share=terms.capacity_share)
        base = top.positives if of_hits else top.rows
        if terms.clusters is None:
            return statistics.wilson(top.hits, base)
        # A share is a mean of what each row adds to it, taken over all rows; ties at the limit are acted on in part.
        limit = np.partition(score, len(score) - top.rows)[len(score) - top.rows]
        above, level = score > limit, score == limit
        acted = above + level * (top.rows - above.sum()) / level.sum()
        rate = top.hits / base
        adds = rate + len(y) / base * (y * (acted - rate) if of_hits else acted * (y - rate))
        low, high = statistics.mean_interval(adds, clusters=terms.clusters)
        return Interval(max(low, 0.0), min(high, 1.0))

    return _Measure(True, value, interval)


def _pinball_losses(y: Array, score: Array, terms: _Terms) -> Array:
    assert terms.quantile is not None  # `_metrics` leaves it out without one
    return statistics.pinball_losses(y, score, quantile=terms.quantile)


# The first of each task is watched unless the policy names another.
_MEASURES: dict[Task, dict[str, _Measure]] = {
    "binary": {
        "auc": _Measure(True, _plain(statistics.auc), _auc_interval),
        "log_loss": _Measure(False, _plain(statistics.log_loss), _mean_of(statistics.log_losses)),
        "brier": _Measure(False, _plain(statistics.brier), _mean_of(statistics.brier_losses)),
        "precision_at_capacity": _at_capacity(statistics.precision_at, of_hits=False),
        "recall_at_capacity": _at_capacity(statistics.recall_at, of_hits=True),
    },
    "multiclass": {
        "macro_auc": _Measure(True, lambda y, score, terms: statistics.macro_auc(y, score)[0], _macro_interval),
        "multiclass_log_loss": _Measure(
            False,
            lambda y, score, terms: _mean(statistics.class_log_losses(y, score)),
            _mean_of(statistics.class_log_losses),
        ),
        "multiclass_accuracy": _Measure(
            True, lambda y, score, terms: _mean(statistics.class_hits(y, score)), _mean_of(statistics.class_hits)
        ),
    },
    "regression": {
        "rmse": _Measure(False, _plain(statistics.rmse), _rmse_interval),
        "mae": _Measure(False, _plain(statistics.mae), _mean_of(lambda y, score: np.abs(score - y))),
        "pinball": _Measure(
            False,
            lambda y, score, terms: _mean(_pinball_losses(y, score, terms)),
            lambda y, score, terms: statistics.mean_interval(_pinball_losses(y, score, terms), clusters=terms.clusters),
            of_quantile=True,
        ),
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
    capacity_share: float = 0.10,
    quantile: float | None = None,
) -> PerformanceReport:
    """Measure a window of predictions against the labels known so far, and against what evaluation promised.

    `degraded` is a verdict: the whole interval of the promised metric lies beyond the promise and its tolerance. Where
    labels are too few or cover too little of the window there is no verdict, and `sufficient` is false.

    Args:
        policy: When to conclude, and what to forgive.
        task: `binary` (labels 0 and 1, scores probabilities), `multiclass` (labels codes of classes) or `regression`.
        scores: One per prediction made, shape (n,); of k classes shape (n, k).
        labels: What came true, shape (n,); NaN where it is not known yet.
        expected: The metric promised at evaluation; None promises nothing, so nothing can be degraded.
        model: The model's name.
        bundle_sha256: What made the predictions.
        start: First decision time of the window.
        end: End of the window, not included.
        clusters: What rows of like fate share, say their day, shape (n,); intervals are then honest about it.
        capacity_share: Share of the predictions that can be acted on, for precision and recall at capacity.
        quantile: What the model forecasts, if it is a quantile; without one there is no pinball loss.

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
    terms = _Terms(None if clusters is None else clusters[known], capacity_share, quantile)
    metrics = _metrics(task, y, score, terms)
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


def _metrics(task: Task, y: Array, score: Array, terms: _Terms) -> tuple[Metric, ...]:
    """Give the metrics that exist for these rows: none for fewer than two, or two of each class."""
    units = len(y) if terms.clusters is None else len(np.unique(terms.clusters))
    if units < 2 or (task == "binary" and min(np.sum(y == 1), np.sum(y == 0)) < 2):
        return ()
    if task == "multiclass" and (np.bincount(y.astype(np.intp), minlength=score.shape[1]) < 2).any():
        return ()
    return tuple(
        Metric(name=name, value=found.value(y, score, terms), n=len(y), low=interval.low, high=interval.high)
        for name, found in _MEASURES[task].items()
        if terms.quantile is not None or not found.of_quantile
        for interval in (found.interval(y, score, terms),)
    )


def _beyond(task: Task, found: Metric, expected: Metric, tolerance: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    if _MEASURES[task][expected.name].higher_is_better:
        return found.high < expected.value * (1 - tolerance)
    return found.low > expected.value * (1 + tolerance)

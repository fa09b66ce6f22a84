"""Realised performance: right numbers, honest intervals, and no verdict on too little."""

from datetime import UTC, datetime

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import softmax
from sklearn.metrics import (
    brier_score_loss,
    log_loss,
    mean_absolute_error,
    mean_pinball_loss,
    roc_auc_score,
    root_mean_squared_error,
)

from mlops_assets.errors import MonitoringError, UnknownNameError
from mlops_assets.monitoring import PerformancePolicy, measure
from mlops_assets.records import Metric
from mlops_assets.statistics import precision_at, recall_at
from mlops_assets_tests.statistics._bootstrap import bootstrap_interval

START, END = datetime(2013, 4, 1, tzinfo=UTC), datetime(2013, 4, 8, tzinfo=UTC)
POLICY = PerformancePolicy()


def _predictions(size=4_000, skill=1.0, seed=0):
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1, size=size)
    labels = (rng.uniform(size=size) < 1 / (1 + np.exp(-skill * logit))).astype(float)
    return 1 / (1 + np.exp(-logit)), labels


def _measure(scores, labels, *, expected=None, policy=POLICY, task="binary", clusters=None, quantile=None):
    return measure(
        policy,
        task=task,
        scores=scores,
        labels=labels,
        expected=expected,
        model="m",
        bundle_sha256="b",
        start=START,
        end=END,
        clusters=clusters,
        quantile=quantile,
    )


def _promise(value, name="auc"):
    return Metric(name=name, value=value, n=1_000)


def test_metrics_of_a_binary_model_agree_with_scikit_learn():
    """AUC, log loss and Brier score, each inside its interval."""
    scores, labels = _predictions()

    report = _measure(scores, labels)

    found = {metric.name: metric for metric in report.metrics}
    assert found["auc"].value == pytest.approx(roc_auc_score(labels, scores))
    assert found["log_loss"].value == pytest.approx(log_loss(labels, scores))
    assert found["brier"].value == pytest.approx(brier_score_loss(labels, scores))
    assert all(metric.low < metric.value < metric.high for metric in report.metrics)


def test_metrics_of_a_regression_agree_with_scikit_learn():
    """Root mean squared and mean absolute error, each inside its interval."""
    rng = np.random.default_rng(1)
    truth = rng.normal(100, 20, size=2_000)
    scores = truth + rng.normal(1, 5, size=2_000)

    report = _measure(scores, truth, task="regression")

    found = {metric.name: metric for metric in report.metrics}
    assert found["rmse"].value == pytest.approx(root_mean_squared_error(truth, scores))
    assert found["mae"].value == pytest.approx(mean_absolute_error(truth, scores))
    assert all(metric.low < metric.value < metric.high for metric in report.metrics)


def test_precision_and_recall_are_those_of_the_scores_that_can_be_acted_on():
    """Of the tenth with the highest scores: how many were hits, and how many of all hits they are."""
    scores, labels = _predictions(size=1_000)
    acted = labels[np.argsort(-scores)[:100]]

    found = {metric.name: metric for metric in _measure(scores, labels).metrics}

    assert found["precision_at_capacity"].value == pytest.approx(acted.mean())
    assert found["recall_at_capacity"].value == pytest.approx(acted.sum() / labels.sum())


@pytest.mark.parametrize("name", ["precision_at_capacity", "recall_at_capacity"])
def test_intervals_at_capacity_agree_with_resampling_whole_days(name):
    """The closed form over clusters is as wide as the bootstrap that draws days, within a fifth."""
    rng = np.random.default_rng(5)
    day = np.arange(12_000) // 300
    scores, labels = _predictions(size=12_000, seed=6)
    bad_day = rng.uniform(size=40)[day] < 0.3
    labels = np.maximum(labels, bad_day * (rng.uniform(size=12_000) < 0.5))
    share_of = {"precision_at_capacity": precision_at, "recall_at_capacity": recall_at}[name]

    closed = next(metric for metric in _measure(scores, labels, clusters=day).metrics if metric.name == name)

    low, high = bootstrap_interval(
        lambda rows: share_of(labels[rows], scores[rows], share=0.1), 12_000, seed=1, resamples=300, clusters=day
    )
    assert closed.high - closed.low == pytest.approx(high - low, rel=0.2)


def test_the_interval_of_the_rmse_holds_the_truth_as_often_as_it_says():
    """Of 400 windows of noise with standard deviation 5, about 95 % have 5 inside."""
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(400):
        report = _measure(rng.normal(0, 5, size=600), np.zeros(600), task="regression")
        held += report.metrics[0].low <= 5 <= report.metrics[0].high

    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize(("promised", "degraded"), [(0.70, False), (0.75, False), (0.90, True)])
def test_a_window_is_degraded_when_its_whole_interval_lies_below_the_promise(promised, degraded):
    """Being a little worse is chance; being worse beyond interval and tolerance is a finding."""
    scores, labels = _predictions()

    report = _measure(scores, labels, expected=_promise(promised))

    assert report.sufficient
    assert report.degraded is degraded


@pytest.mark.parametrize(("beyond", "degraded"), [(0.999, False), (1.001, True)])
def test_the_upper_end_of_the_interval_is_held_against_the_promise_less_its_tolerance(beyond, degraded):
    """Just inside is forgiven, just outside is not."""
    scores, labels = _predictions()
    highest = _measure(scores, labels).metrics[0].high

    report = _measure(scores, labels, expected=_promise(beyond * highest / (1 - POLICY.tolerance)))

    assert report.degraded is degraded


@pytest.mark.parametrize(("promised", "degraded"), [(4.0, True), (5.2, False), (9.0, False)])
def test_an_error_is_degraded_when_it_is_larger_than_promised(promised, degraded):
    """For errors, lower is better, so a window below its promise is good news."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=2_000)

    report = _measure(truth + rng.normal(0, 5, 2_000), truth, task="regression", expected=_promise(promised, "rmse"))

    assert report.degraded is degraded


@pytest.mark.parametrize(
    ("labelled", "of"), [(400, 400), (3_000, 4_000)], ids=["too few labels", "too many labels still missing"]
)
def test_there_is_no_verdict_on_too_little(labelled, of):
    """A hopeless model is not called degraded while labels are few or a quarter of them is still out."""
    scores, labels = _predictions(size=of, skill=-1.0)
    labels[labelled:] = np.nan

    report = _measure(scores, labels, expected=_promise(0.8))

    assert report.metrics[0].value < 0.5
    assert not report.sufficient
    assert not report.degraded
    assert report.coverage == labelled / of


@pytest.mark.parametrize("labels", [np.zeros(1_000), np.full(1_000, np.nan), np.empty(0)])
def test_where_no_metric_exists_none_is_given(labels):
    """One class only, no label at all, no prediction at all: no number, and no verdict."""
    report = _measure(np.linspace(0, 1, len(labels)), labels, expected=_promise(0.7))

    assert report.metrics == ()
    assert not report.sufficient
    assert not report.degraded


def test_without_a_promise_nothing_can_be_broken():
    """A model whose evaluation promised nothing is measured and never degraded."""
    scores, labels = _predictions(skill=-1.0)

    report = _measure(scores, labels)

    assert report.sufficient
    assert not report.degraded


def test_days_as_clusters_widen_the_interval_where_rows_of_a_day_share_their_fate():
    """Four thousand flights of seven days say less than four thousand flights."""
    rng = np.random.default_rng(4)
    day = np.arange(4_200) // 600
    truth = rng.normal(size=4_200)
    scores = truth + rng.normal(0, 1, size=4_200) + rng.normal(0, 1, size=7)[day]

    alone = _measure(scores, truth, task="regression").metrics[0]
    by_day = _measure(scores, truth, task="regression", clusters=day).metrics[0]

    assert by_day.value == alone.value
    assert by_day.high - by_day.low > 3 * (alone.high - alone.low)


def test_a_promised_metric_that_is_not_measured_is_refused():
    """A promise nobody can check would never be broken."""
    with pytest.raises(UnknownNameError, match="Known: auc, brier, log_loss, precision"):
        _measure(*_predictions(), expected=_promise(0.7, "auuc"))


def test_the_policy_says_which_promise_is_watched():
    """Whatever a gate decides by, production is held against a metric that can be measured there."""
    assert PerformancePolicy().watched("binary") == "auc"
    assert PerformancePolicy().watched("regression") == "rmse"
    assert PerformancePolicy(metric="recall_at_capacity").watched("binary") == "recall_at_capacity"
    with pytest.raises(ValidationError, match="Did you mean 'log_loss'"):
        PerformancePolicy(metric="logloss")


def test_labels_that_do_not_line_up_with_scores_are_refused():
    """Numbers of different rows must not be paired."""
    scores, labels = _predictions()

    with pytest.raises(MonitoringError, match="4000 scores but 3999 labels"):
        _measure(scores, labels[1:])


def test_the_report_is_named_by_its_findings():
    """More labels give another digest, the same labels the same."""
    scores, labels = _predictions()
    fewer = np.where(np.arange(4_000) < 10, np.nan, labels)

    assert _measure(scores, labels).sha256 == _measure(scores, labels).sha256
    assert _measure(scores, labels).sha256 != _measure(scores, fewer).sha256


def test_windows_of_several_classes_are_held_against_their_promise():
    """What was promised is kept by probabilities that know, and not by ones that do not."""
    chance = np.random.default_rng(3)
    y = chance.integers(0, 3, 900).astype(float)
    knowing, guessing = (softmax(s * np.eye(3)[y.astype(int)] + chance.normal(size=(900, 3)), axis=1) for s in (2, 0))
    expected = Metric(name="macro_auc", value=0.9, n=900, low=0.88, high=0.92)
    given = {"model": "kind", "bundle_sha256": "b", "start": START, "end": END}

    kept, broken = (
        measure(PerformancePolicy(), task="multiclass", scores=scores, labels=y, expected=expected, **given)
        for scores in (knowing, guessing)
    )

    assert (kept.degraded, broken.degraded) == (False, True)
    assert [metric.name for metric in kept.metrics] == ["macro_auc", "multiclass_log_loss", "multiclass_accuracy"]
    assert PerformancePolicy().watched("multiclass") == "macro_auc"


def test_a_window_that_lacks_a_class_is_not_judged():
    """No AUC exists without it."""
    scores = np.full((600, 3), 1 / 3)
    given = {"model": "kind", "bundle_sha256": "b", "start": START, "end": END, "expected": None}

    found = measure(PerformancePolicy(), task="multiclass", scores=scores, labels=np.arange(600) % 2 * 1.0, **given)

    assert (found.metrics, found.sufficient) == ((), False)


def test_a_forecast_quantile_is_watched_by_its_pinball_loss():
    """That of scikit-learn; of a model that forecasts none there is no such loss."""
    chance = np.random.default_rng(5)
    truth = chance.exponential(size=2_000)
    scores = np.quantile(truth, 0.9) + chance.normal(0, 0.1, 2_000)

    report = _measure(scores, truth, task="regression", quantile=0.9)

    found = {metric.name: metric for metric in report.metrics}["pinball"]
    assert found.value == pytest.approx(mean_pinball_loss(truth, scores, alpha=0.9))
    assert found.low < found.value < found.high
    assert POLICY.watched("regression", quantile=0.9) == "pinball"
    assert POLICY.watched("regression") == "rmse"
    assert "pinball" not in {metric.name for metric in _measure(scores, truth, task="regression").metrics}

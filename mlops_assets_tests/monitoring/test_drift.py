"""Comparing a window with training, and turning repeated drift into an alert."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import ValidationError

from mlops_assets.digests import sha256_json
from mlops_assets.errors import UnknownNameError
from mlops_assets.monitoring import DRIFT_METRICS, SCORE, MonitorPolicy, Profile, alerts, compare
from mlops_assets.records import ColumnDrift, DriftReport

START = datetime(2013, 4, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
LEVELS = {"carrier": ["AA", "UA"]}
POLICY = MonitorPolicy()


def _rows(shift=0.0, size=2_000, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "temp": rng.normal(shift, size=size),
        "wind": rng.normal(size=size),
        "carrier": rng.choice(np.array(["AA", "UA"], object), size=size),
        SCORE: rng.uniform(size=size),
    }


@pytest.fixture(scope="module")
def reference():
    return Profile.of(_rows(size=10_000, seed=1), levels=LEVELS)


def _compare(reference, rows, policy=POLICY):
    return compare(
        policy, reference, reference.count(rows), model="m", bundle_sha256="b", start=START, end=START + WEEK
    )


def test_only_what_moved_is_reported_as_drifted(reference):
    """A shifted feature drifts; its neighbours and the score, all measured with every metric, do not."""
    report = _compare(reference, _rows(shift=1.0))

    assert [column.column for column in report.columns if column.drifted] == ["temp"]
    assert [column.column for column in report.columns] == ["temp", "wind", "carrier"]
    assert report.score is not None
    assert not report.score.drifted
    assert {"psi", "psi_excess", "js", "ks", "wasserstein", "cramers_v"} <= report.columns[0].values.keys()
    assert "ks" not in report.columns[2].values
    assert report.sufficient
    assert report.rows == 2_000


def test_a_window_of_few_rows_is_measured_but_not_judged(reference):
    """Ninety rows far away from training are no verdict, and the report says so."""
    report = _compare(reference, _rows(shift=5.0, size=90))

    assert not report.sufficient
    assert report.columns[0].values["psi"] > 1
    assert not any(column.drifted for column in report.columns)


def test_a_window_without_rows_measures_nothing(reference):
    """No rows is an insufficient report without numbers, never a drift of zero."""
    report = _compare(reference, _rows(size=0))

    assert (report.rows, report.columns, report.score, report.sufficient) == (0, (), None, False)


def test_the_report_is_named_by_its_findings(reference):
    """The same window gives the same digest, another window another."""
    report = _compare(reference, _rows())

    assert report.sha256 == _compare(reference, _rows()).sha256
    assert report.sha256 != _compare(reference, _rows(seed=2)).sha256
    assert report.sha256 == sha256_json(replace(report, sha256=""))


def test_the_policy_says_which_columns_are_watched(reference):
    """Watched features only, ignored ones never, and always the score."""
    report = _compare(reference, _rows(), MonitorPolicy(watch=("temp", "wind"), ignore=("wind",)))

    assert [column.column for column in report.columns] == ["temp"]
    assert report.score is not None


@pytest.mark.parametrize("metric", DRIFT_METRICS)
def test_any_metric_of_the_family_may_judge(reference, metric):
    """Every member sees a clear shift; a metric for numbers leaves categories to `categorical_metric`."""
    report = _compare(reference, _rows(shift=1.0), MonitorPolicy(metric=metric))

    assert [column.column for column in report.columns if column.drifted] == ["temp"]


def test_a_floor_of_the_policy_replaces_that_of_the_metric(reference):
    """What is drift to one model may be a calm week to another."""
    report = _compare(reference, _rows(shift=1.0), MonitorPolicy(floors={"psi": 50.0}))

    assert not any(column.drifted for column in report.columns)


def test_a_watched_column_that_does_not_exist_is_refused_with_the_nearest_name(reference):
    """A misspelt column would otherwise never be watched."""
    with pytest.raises(UnknownNameError, match="Did you mean 'temp'"):
        _compare(reference, _rows(), MonitorPolicy(watch=("tmep",)))


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ({"metric": "pis"}, "Did you mean 'psi'"),
        ({"floors": {"kss": 0.1}}, "Did you mean 'ks'"),
        ({"floors": {"ks": 0.0}}, "more than 0"),
        ({"categorical_metric": "ks"}, "categories have no order"),
        ({"raise_after": 6}, "no alert could ever be raised"),
        ({"metrc": "psi"}, "Extra inputs"),
    ],
)
def test_a_policy_that_cannot_be_obeyed_is_refused(declared, complaint):
    """The message names what is wrong and how to mend it."""
    with pytest.raises(ValidationError, match=complaint):
        MonitorPolicy(**declared)


# --- persistence ----------------------------------------------------------------------------------


def _reports(strengths, bundle="b", first=0):
    """One weekly report per strength, in multiples of the PSI floor."""
    return [
        DriftReport(
            model="m",
            sha256=f"{bundle}{week}",
            bundle_sha256=bundle,
            start=START + week * WEEK,
            end=START + (week + 1) * WEEK,
            rows=1_000,
            columns=(
                ColumnDrift(column="temp", n=1_000, values={"psi_excess": 0.1 * strength}, drifted=strength >= 1),
            ),
            score=None,
            sufficient=True,
        )
        for week, strength in enumerate(strengths, start=first)
    ]


@pytest.mark.parametrize(
    ("strengths", "raised"),
    [
        ([9, 0, 9, 0], False),
        ([9, 0, 9, 0, 9], True),
        ([9, 9, 0, 0, 0, 9], False),
        ([2, 2, 2], True),
        ([2, 2, 2, 0.7, 0.7, 0.7, 0.7, 0.7], True),
        ([2, 2, 2, 0.4, 0.4, 0.4, 0.4], True),
        ([2, 2, 2, 0.4, 0.4, 0.4, 0.4, 0.4], False),
    ],
)
def test_an_alert_needs_three_of_five_windows_and_clears_after_five_calm_ones(strengths, raised):
    """Two bad windows are chance; a column hovering just below its floor does not clear the alert."""
    standing = alerts(MonitorPolicy(), _reports(strengths))

    assert [alert.column for alert in standing] == (["temp"] if raised else [])


def test_an_alert_says_since_when_and_how_strong():
    """It keeps the window that raised it, counts on, and is severe from five times the floor."""
    (alert,) = alerts(MonitorPolicy(), _reports([2, 2, 2, 3, 8]))

    assert alert.since == START + 3 * WEEK
    assert alert.windows == 5
    assert alert.strength == pytest.approx(8)
    assert alert.severe


def test_a_new_model_starts_with_no_alerts():
    """Its reference has moved, so what the old one found does not count against it."""
    reports = [*_reports([2, 2, 2]), *_reports([2, 2], bundle="new", first=3)]

    assert alerts(MonitorPolicy(), reports) == ()


def test_windows_that_are_too_small_or_overlap_do_not_count():
    """Neither ninety rows nor the same days twice make an alert."""
    one, two, three = _reports([2, 2, 2])

    small = alerts(MonitorPolicy(), [one, two, replace(three, sufficient=False)])
    overlapping = alerts(MonitorPolicy(), [one, two, replace(three, start=two.end - timedelta(days=1))])

    assert small == ()
    assert overlapping == ()

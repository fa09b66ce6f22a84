"""Claim: a model is retrained when it fails or its data are old, never because features drift, nor in storms.

On the weather of New York in 2013: against winter, its features drift all summer.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import mlops_assets
from mlops_assets.monitoring import MonitorPolicy, Profile, compare
from mlops_assets.records import Metric, ModelVersion, PerformanceReport
from mlops_assets.retraining import RetrainingPolicy
from mlops_assets_tests.retraining._life import lived, requests

DATA = Path(mlops_assets.__file__).parent / "defs/flights/data"
YEAR = datetime(2013, 1, 1, tzinfo=UTC)
LIVE = datetime(2013, 4, 1, tzinfo=UTC)
END = datetime(2013, 12, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
WEEKS = [LIVE + week * WEEK for week in range(39)]
CHAMPION = ModelVersion(
    model="flight_delay",
    version=1,
    sha256="champion",
    task="binary",
    training_set_sha256="t",
    params={},
    cut_off=LIVE,
    reproducibility={},
)


@pytest.fixture(scope="module")
def weekly_drift():
    """Thirty-nine weeks of weather against January to March, as the monitor reports them."""
    columns = ("temp", "dewp", "humid", "wind_speed", "pressure", "visib")
    rows = pl.read_parquet(DATA / "weather.parquet", columns=["valid_hour", *columns])
    day = (rows["valid_hour"].dt.convert_time_zone("UTC") - YEAR).dt.total_days().to_numpy()
    values = {name: rows[name].cast(pl.Float64).to_numpy() for name in columns}

    def between(start, end):
        chosen = (day >= (start - YEAR).days) & (day < (end - YEAR).days)
        return {name: column[chosen] for name, column in values.items()}

    winter = Profile.of(between(YEAR, LIVE))
    return [
        compare(
            MonitorPolicy(minimum_rows=400),
            winter,
            winter.count(between(start, start + WEEK)),
            model="flight_delay",
            bundle_sha256="champion",
            start=start,
            end=start + WEEK,
        )
        for start in WEEKS
    ]


def _performance(degraded):
    """Weekly windows with labels; `degraded` says which of them fell short."""
    return [
        PerformanceReport(
            model="flight_delay",
            sha256=f"{start:%Y-%m-%d}",
            bundle_sha256="champion",
            start=start,
            end=start + WEEK,
            rows=6_000,
            coverage=1.0,
            metrics=(Metric(name="auc", value=0.65 if bad else 0.71, n=6_000),),
            expected=Metric(name="auc", value=0.71, n=6_000),
            degraded=bool(bad),
            sufficient=True,
        )
        for start, bad in zip(WEEKS, degraded, strict=True)
    ]


def _lived(policy, performance, drift):
    return lived(policy, CHAMPION, performance, drift, start=LIVE, end=END)


def test_weather_that_drifts_all_summer_retrains_nothing(weekly_drift):
    """PSI beyond 5 for months: every week is told as an alert, none as a reason."""
    hottest = max(column.values["psi"] for report in weekly_drift for column in report.columns)

    decisions = _lived(RetrainingPolicy(cadence_days=None), _performance([False] * 39), weekly_drift)

    assert hottest > 5
    assert requests(decisions) == []
    assert sum("Feature drift is an alert only: " in decision.reason for decision in decisions) >= 38


def test_drift_changes_no_decision_at_all(weekly_drift):
    """With and without it the same days ask for the same retrainings, whatever the labels say."""
    degraded = np.random.default_rng(1).uniform(size=39) < 0.4
    policy = RetrainingPolicy()

    with_drift, without = (requests(_lived(policy, _performance(degraded), drift)) for drift in (weekly_drift, []))

    asked = [(request.decided_at, request.trigger) for request in without]
    assert asked
    assert [(request.decided_at, request.trigger) for request in with_drift] == asked


@pytest.mark.parametrize("share_bad", [0.2, 0.6, 1.0])
def test_no_year_of_labels_makes_more_than_two_retrainings_in_thirty_days(weekly_drift, share_bad):
    """However bad the weeks, the budget and the cooldown hold on every day of the year."""
    degraded = np.random.default_rng(2).uniform(size=39) < share_bad

    decisions = _lived(RetrainingPolicy(), _performance(degraded), weekly_drift)

    times = [request.decided_at for request in requests(decisions)]
    assert times
    assert all(later - earlier >= timedelta(days=7) for earlier, later in pairwise(times))
    assert all(later - earlier >= timedelta(days=30) for earlier, later in zip(times, times[2:], strict=False))


def test_a_model_that_fails_is_retrained_within_three_weeks_of_failing(weekly_drift):
    """Good until week 20 and bad from there: the second bad window asks, in words that name it."""
    degraded = [week >= 20 for week in range(39)]

    first, *_ = requests(_lived(RetrainingPolicy(cadence_days=None), _performance(degraded), weekly_drift))

    assert first.trigger == "performance"
    assert first.decided_at == WEEKS[22]
    assert "2 of the last 3 windows" in first.reason

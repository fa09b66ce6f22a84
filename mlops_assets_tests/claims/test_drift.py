"""Claim: drift is seen when it is there, at any size of window, and noise is not taken for drift.

On the flights and the weather of New York in 2013 as shipped with the example, and on draws whose truth is known.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp, wasserstein_distance

import mlops_assets
from mlops_assets.monitoring import DRIFT_METRICS, MonitorPolicy, Profile, alerts, compare, measure_all

DATA = Path(mlops_assets.__file__).parent / "defs/flights/data"
START = datetime(2013, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
COLUMNS = ("temp", "dewp", "humid", "wind_speed", "pressure", "visib")


@pytest.fixture(scope="module")
def weather():
    rows = pl.read_parquet(DATA / "weather.parquet", columns=["valid_hour", *COLUMNS])
    day = (rows["valid_hour"].dt.convert_time_zone("UTC") - START).dt.total_days().to_numpy()
    return day, {name: rows[name].cast(pl.Float64).to_numpy() for name in COLUMNS}


def _between(weather, first, last):
    day, columns = weather
    chosen = (day >= first) & (day < last)
    return {name: values[chosen] for name, values in columns.items()}


def test_the_temperature_of_july_is_far_from_that_of_winter(weather):
    """PSI over tenths of January to March is about 8; the research notes found the same by other means."""
    winter = Profile.of(_between(weather, 0, 90))

    july = winter.count(_between(weather, 181, 212))

    values = measure_all(winter.columns["temp"], july.columns["temp"])
    assert 7.5 < values["psi"] < 8.5
    assert values["ks"] > 0.98
    assert july.columns["temp"].outside_share > 0.9


@pytest.mark.parametrize("name", COLUMNS)
def test_distances_from_counts_are_those_of_the_rows(weather, name):
    """KS within a cell's share and Wasserstein within half a per cent of scipy's, from sound rows.

    One February hour has a wind of 1048 miles an hour. It more than doubles scipy's standard deviation, and not ours.
    """
    before, after = (_between(weather, *days)[name] for days in ((0, 90), (181, 212)))
    before, after = before[~np.isnan(before)], after[~np.isnan(after)]
    reference = Profile.of({name: before})

    values = measure_all(reference.columns[name], reference.count({name: after}).columns[name])

    assert values["ks"] == pytest.approx(ks_2samp(before, after).statistic, abs=1 / 250)
    sound = before[before < 1045]
    assert values["wasserstein"] == pytest.approx(wasserstein_distance(sound, after) / sound.std(), rel=5e-3)


def test_a_week_is_the_sum_of_its_days(weather):
    """Days are counted once; any window is an addition and equals a count of its rows, to the bit."""
    winter = Profile.of(_between(weather, 0, 90))

    week = sum((winter.count(_between(weather, day, day + 1)) for day in range(181, 188)), start=winter.empty())

    assert week.to_json() == winter.count(_between(weather, 181, 188)).to_json()


def _report(reference, rows, *, first, days):
    return compare(
        MonitorPolicy(),
        reference,
        reference.count(rows),
        model="weather",
        bundle_sha256="b",
        start=START + first * DAY,
        end=START + (first + days) * DAY,
    )


def test_summer_raises_an_alert_against_winter(weather):
    """By the end of July the temperature has drifted for months, and severely."""
    winter = Profile.of(_between(weather, 0, 90))
    months = [
        _report(winter, _between(weather, first, first + 30), first=first, days=30) for first in range(90, 210, 30)
    ]

    standing = {alert.column: alert for alert in alerts(MonitorPolicy(), months)}

    assert standing["temp"].severe
    assert standing["temp"].since == START + 180 * DAY


def test_a_reference_that_covers_the_seasons_raises_nothing(weather):
    """Against the even days of the year its odd days have not drifted, in any column."""
    day, columns = weather
    even, odd = ({name: values[day % 2 == rest] for name, values in columns.items()} for rest in (0, 1))

    report = _report(Profile.of(even), odd, first=0, days=365)

    assert report.sufficient
    assert not [column.column for column in report.columns if column.drifted]


@pytest.mark.parametrize("metric", DRIFT_METRICS.values(), ids=list(DRIFT_METRICS))
@pytest.mark.parametrize("rows", [500, 5_000])
def test_noise_is_not_drift_and_half_a_deviation_is(metric, rows):
    """Of 200 windows like training at most one is called drifted; shifted by half a deviation, nearly all are."""
    rng = np.random.default_rng(rows)
    reference = Profile.of({"x": rng.normal(size=50_000)})

    def drifted(shift):
        windows = (reference.count({"x": rng.normal(shift, size=rows)}).columns["x"] for _ in range(200))
        return sum(metric.measure(reference.columns["x"], window)[metric.effect] >= metric.floor for window in windows)

    assert drifted(0.0) <= 1
    assert drifted(0.5) >= 195

"""Local time agrees with zoneinfo to the microsecond, also in the hours that clocks skip or repeat."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from mlops_assets.errors import FeatureError
from mlops_assets.features import day_of_week, day_of_year, hour_of_day, local_time

# Half and quarter hours, both hemispheres, a move across the date line, and daylight saving that pauses for Ramadan.
ZONES = ("America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca", "UTC")


def as_utc(moments):
    return np.array([moment.replace(tzinfo=None) for moment in moments], dtype="datetime64[us]")


@pytest.mark.parametrize("zone", ZONES)
def test_local_time_is_what_zoneinfo_says_all_year_round(zone):
    """Every 40 minutes of three years, one of them the year Samoa skipped a day."""
    moments = [datetime(2011, 1, 1, tzinfo=UTC) + timedelta(minutes=40 * n) for n in range(39_420)]

    local = local_time(as_utc(moments), zone)

    expected = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in moments]
    assert local.tolist() == expected


@pytest.mark.parametrize(
    ("utc", "wall_clock"),
    [
        ("2013-03-10T06:59:59.999999", "2013-03-10T01:59:59.999999"),
        ("2013-03-10T07:00:00.000000", "2013-03-10T03:00:00.000000"),
        ("2013-11-03T05:59:59.999999", "2013-11-03T01:59:59.999999"),
        ("2013-11-03T06:00:00.000000", "2013-11-03T01:00:00.000000"),
    ],
)
def test_new_york_changes_its_clocks_at_the_very_microsecond(utc, wall_clock):
    """The hour that is skipped in March, and the one that comes twice in November."""
    local = local_time(np.array([utc], dtype="datetime64[us]"), "America/New_York")

    assert local == np.array([wall_clock], dtype="datetime64[us]")


def test_times_outside_the_table_are_null_not_guessed():
    """Nobody knows the clocks of 2100; a NaT stays one."""
    times = np.array(
        ["1969-12-31T23:59", "1970-01-01", "2099-12-31T23:59", "2100-01-01", "NaT"], dtype="datetime64[us]"
    )

    local = local_time(times, "America/New_York")

    assert np.isnat(local).tolist() == [True, False, False, True, True]


def test_an_unknown_zone_is_refused_by_name():
    """A misspelt zone does not become UTC."""
    with pytest.raises(FeatureError, match="America/NewYork"):
        local_time(np.array(["2013-01-01"], dtype="datetime64[us]"), "America/NewYork")


def test_another_resolution_is_refused():
    """Nanoseconds read as microseconds would be another millennium."""
    with pytest.raises(FeatureError, match=r"datetime64\[ns\]"):
        local_time(np.array(["2013-01-01"], dtype="datetime64[ns]"), "UTC")


def test_parts_of_a_time_agree_with_datetime():
    """Hour, weekday and day of the year, before 1970 and in leap years too."""
    moments = [datetime(1963, 2, 28, 5, tzinfo=UTC) + timedelta(hours=1_234 * n) for n in range(500)]
    times = as_utc(moments)

    parts = hour_of_day(times), day_of_week(times), day_of_year(times)

    assert parts[0].tolist() == [moment.hour for moment in moments]
    assert parts[1].tolist() == [moment.weekday() for moment in moments]
    assert parts[2].tolist() == [moment.timetuple().tm_yday for moment in moments]


@pytest.mark.parametrize("part", [hour_of_day, day_of_week, day_of_year])
def test_parts_of_no_time_are_null(part):
    """A NaT has no hour."""
    assert np.isnan(part(np.array(["NaT"], dtype="datetime64[us]"))).all()

"""Days and weeks: where they begin, and when they are over."""

from datetime import UTC, date, datetime, timedelta

import pytest

from mlops_assets.orchestration.partitions import DAY, DailyPartitions, Windows, days_of, due, span_of

WEEK = timedelta(days=7)


@pytest.mark.parametrize(("start", "first"), [("2013-01-07", "2013-01-07"), ("2013-01-08", "2013-01-14")])
def test_weeks_begin_on_monday(start, first):
    """A start in the middle of a week leaves that week out."""
    windows = Windows(every="week", start=date.fromisoformat(start), end=date(2013, 2, 4))

    keys = windows.definition().get_partition_keys()

    assert keys[0] == first
    assert {datetime.fromisoformat(key).isoweekday() for key in keys} == {1}
    assert windows.length == WEEK


def test_the_end_is_the_first_day_without():
    """Of days and of weeks; a week that would reach beyond the end is none."""
    daily = DailyPartitions(start=date(2013, 1, 1), end=date(2013, 1, 4)).definition()
    weekly = Windows(every="week", start=date(2013, 1, 7), end=date(2013, 1, 23)).definition()

    assert daily.get_partition_keys() == ["2013-01-01", "2013-01-02", "2013-01-03"]
    assert weekly.get_partition_keys() == ["2013-01-07", "2013-01-14"]


def test_data_that_keep_coming_have_every_day_that_is_over():
    """Today is not: its batch has not all arrived."""
    partitions = DailyPartitions(start=date(2013, 1, 1)).definition()

    keys = partitions.get_partition_keys(current_time=datetime(2013, 1, 4, 23, 59, tzinfo=UTC))

    assert keys == ["2013-01-01", "2013-01-02", "2013-01-03"]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2013, 1, 15, 23, 59, 59, tzinfo=UTC), []),
        (datetime(2013, 1, 16, tzinfo=UTC), ["2013-01-07"]),
        (datetime(2013, 1, 23, tzinfo=UTC), ["2013-01-07", "2013-01-14"]),
    ],
)
def test_a_window_is_due_once_it_has_ended_and_its_labels_had_their_time(now, expected):
    """To the second: 14 January is the end of the first week, two days are waited."""
    keys = ["2013-01-07", "2013-01-14", "2013-01-21"]

    assert due(keys, length=WEEK, wait=2 * DAY, now=now) == expected


def test_a_span_is_the_days_it_covers():
    """Across the end of a month, in UTC."""
    span = span_of("2013-01-28", length=WEEK)

    assert days_of(span) == [f"2013-01-{day}" for day in (28, 29, 30, 31)] + [f"2013-02-0{day}" for day in (1, 2, 3)]
    assert span.start == datetime(2013, 1, 28, tzinfo=UTC)

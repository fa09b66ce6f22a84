"""Volume: what is too few and too many, told from declared bounds and from the days before."""

from datetime import date, timedelta

import numpy as np
import pytest
from pydantic import ValidationError

from mlops_assets.validation import VolumePolicy, odd_day, odd_whole

MONDAY = date(2024, 3, 4)
POLICY = VolumePolicy()


def before(weeks: int, *, weekday: int = 900, weekend: int = 300, spread: float = 20.0) -> dict[str, int]:
    """Give the rows of each day of the weeks before a Monday."""
    chance = np.random.default_rng(1)
    days = [MONDAY - timedelta(days=n) for n in range(1, 7 * weeks + 1)]
    usual = {day: weekend if day.weekday() > 4 else weekday for day in days}
    return {day.isoformat(): round(chance.normal(rows, spread)) for day, rows in usual.items()}


def on(day: date, rows: int, *, weeks: int = 8, policy: VolumePolicy = POLICY, **shape) -> str | None:
    return odd_day(policy, rows, day=day.isoformat(), earlier=before(weeks, **shape))


@pytest.mark.parametrize("rows", [0, 1, 450, 9000], ids=["none", "one", "half", "ten times"])
@pytest.mark.parametrize("weeks", [2, 3, 8], ids=["two weeks", "three weeks", "two months"])
def test_what_is_far_off_is_caught(rows, weeks):
    """With as little as two weeks behind, if weekends are no different."""
    assert on(MONDAY, rows, weeks=weeks, weekend=900)


@pytest.mark.parametrize("rows", [700, 850, 900, 950, 1100])
def test_what_is_usual_is_not(rows):
    """Within 30 % of the Mondays before."""
    assert on(MONDAY, rows) is None


def test_a_weekday_is_compared_with_its_like():
    """900 rows are a usual Monday and three times a usual Sunday."""
    sunday = MONDAY - timedelta(days=1)

    assert on(MONDAY, 900) is None
    assert on(MONDAY, 300)
    assert on(sunday, 300) is None
    assert "the 7 days before of the same weekday had 3" in on(sunday, 900)


def test_a_weekend_is_no_fault_in_the_first_weeks():
    """Until there are three Sundays, the smaller days of the weeks before count."""
    sunday = MONDAY - timedelta(days=1)

    assert on(sunday, 300, weeks=2) is None
    assert on(sunday, 150, weeks=2)


def test_the_band_is_as_wide_as_the_days_before_were_apart():
    """Where Mondays are wide apart, 40 % off is nothing; but half is always too few."""
    assert on(MONDAY, 560, spread=20)
    assert on(MONDAY, 560, spread=150) is None
    assert on(MONDAY, 400, spread=150)


def test_one_odd_day_before_does_not_widen_the_band():
    """Median and median deviation pass over it."""
    earlier = before(8) | {(MONDAY - timedelta(weeks=1)).isoformat(): 9000}

    assert odd_day(POLICY, 9000, day=MONDAY.isoformat(), earlier=earlier)
    assert odd_day(POLICY, 900, day=MONDAY.isoformat(), earlier=earlier) is None


def test_later_days_do_not_count():
    """A day that is brought in again is held against what came before it."""
    later = {(MONDAY + timedelta(days=n)).isoformat(): 9000 for n in range(1, 60)}

    assert odd_day(POLICY, 9000, day=MONDAY.isoformat(), earlier=later) is None


def test_days_of_few_rows_are_not_compared():
    """Five instead of ten is chance."""
    assert on(MONDAY, 5, weekday=10, weekend=10, spread=1) is None


@pytest.mark.parametrize(
    ("policy", "rows", "says"),
    [
        (VolumePolicy(min_rows=100), 99, "fewer than the 100 declared"),
        (VolumePolicy(max_rows=1000), 1001, "more than the 1000 declared"),
        (VolumePolicy(comparable=0), 0, "0 rows came"),
    ],
)
def test_declared_bounds_hold_from_the_first_batch(policy, rows, says):
    """Without any day before."""
    assert says in odd_day(policy, rows, day="2024-03-04", earlier={})


def test_nothing_is_compared_where_that_is_declared():
    """Ten times as many are then as good as any."""
    assert on(MONDAY, 9000, policy=VolumePolicy(comparable=0)) is None


def test_a_table_that_is_read_whole_is_compared_with_what_it_was():
    """Half, or double, is odd; the first time nothing is known."""
    assert odd_whole(POLICY, 100, before=None) is None
    assert odd_whole(POLICY, 120, before=100) is None
    assert "the table had 100" in odd_whole(POLICY, 50, before=100)
    assert odd_whole(POLICY, 1000, before=100)
    assert odd_whole(POLICY, 0, before=None)


def test_bounds_that_leave_no_room_are_refused():
    """No batch could ever be right."""
    with pytest.raises(ValidationError, match="no batch could be right"):
        VolumePolicy(min_rows=10, max_rows=5)

"""Freshness: old is what is older than promised, and data that are over grow no older."""

from datetime import UTC, datetime, timedelta

import pytest

from mlops_assets.validation import Promise, staleness

DAY = timedelta(days=1)
NEWEST = datetime(2024, 2, 1, tzinfo=UTC)
ORDERS = Promise(table="raw/orders", stale_after=2 * DAY, by_day=True)


@pytest.mark.parametrize(
    ("age", "stale"), [(timedelta(hours=1), False), (2 * DAY, False), (2 * DAY + timedelta(seconds=1), True)]
)
def test_old_is_older_than_promised(age, stale):
    """To the second."""
    assert bool(staleness(ORDERS, NEWEST, now=NEWEST + age)) == stale


def test_the_words_say_which_and_how_old():
    """By the newest day that is in, or by when the table was last read."""
    whole = Promise(table="raw/branches", stale_after=7 * DAY, by_day=False)

    assert staleness(ORDERS, NEWEST, now=NEWEST + 3 * DAY) == (
        "raw/orders ends with 2024-01-31, 3.0 days ago; it is to be no older than 2 days"
    )
    assert staleness(whole, NEWEST, now=NEWEST + 8 * DAY) == (
        "raw/branches was last read 2024-02-01 00:00, 8.0 days ago; it is to be no older than 7 days"
    )
    assert "was never brought in" in staleness(ORDERS, None, now=NEWEST)


def test_data_that_are_over_grow_no_older():
    """Once the last day is in; until then they are as late as any."""
    over = Promise(table="raw/orders", stale_after=2 * DAY, by_day=True, over=NEWEST)

    assert staleness(over, NEWEST, now=NEWEST + 400 * DAY) is None
    assert staleness(over, NEWEST - DAY, now=NEWEST + 400 * DAY)

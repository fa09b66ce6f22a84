"""A span is a stretch of moments, never of clock readings."""

from datetime import UTC, datetime

import pytest

from mlops_assets.errors import DeclarationError
from mlops_assets.records import Span


def test_a_day_lasts_24_hours_in_utc():
    """Summer time does not lengthen a partition."""
    day = Span.day("2013-03-10")

    assert (day.end - day.start).total_seconds() == 86_400
    assert day.partition == "2013-03-10"


def test_a_naive_end_is_refused():
    """A clock reading without a zone names no moment."""
    with pytest.raises(DeclarationError, match="no time zone"):
        Span(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2))  # noqa: DTZ001


def test_a_span_that_ends_before_it_starts_is_refused():
    """An empty span is a mistake, not an empty table."""
    with pytest.raises(DeclarationError, match="must end after it starts"):
        Span(datetime(2013, 1, 2, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC))

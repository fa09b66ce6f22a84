"""Partitions as people declare them, and the spans of time they stand for."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import dagster as dg
from pydantic import BaseModel, Field

from mlops_assets.records import Span

DAY = timedelta(days=1)
REFRESH_WAIT = timedelta(
    hours=1
)  # a day's batch is complete this long after the day; views count on it (available_after)


class DailyPartitions(BaseModel, frozen=True, extra="forbid"):
    """One partition per UTC day on which rows arrive, from `start` on; `end` only for data that is over."""

    start: date = Field(description="First day with data.")
    end: date | None = Field(default=None, description="First day without; leave out for data that keeps coming.")

    def definition(self) -> dg.DailyPartitionsDefinition:
        """Give Dagster's form of these partitions."""
        return dg.DailyPartitionsDefinition(
            start_date=_midnight(self.start), end_date=_midnight(self.end) if self.end else None
        )


class Windows(BaseModel, frozen=True, extra="forbid"):
    """The windows a model is watched in: days or weeks from Monday, UTC."""

    every: Literal["day", "week"] = "week"
    start: date = Field(description="First day of the first window.")
    end: date | None = None

    @property
    def length(self) -> timedelta:
        """How long a window lasts."""
        return DAY if self.every == "day" else 7 * DAY

    def definition(self) -> dg.TimeWindowPartitionsDefinition:
        """Give Dagster's form of these windows."""
        start, end = _midnight(self.start), _midnight(self.end) if self.end else None
        if self.every == "day":
            return dg.DailyPartitionsDefinition(start_date=start, end_date=end)
        return dg.WeeklyPartitionsDefinition(start_date=start, end_date=end, day_offset=1)


def span_of(key: str, *, length: timedelta = DAY) -> Span:
    """Give the span of time of a partition key.

    >>> span_of("2013-04-01").end
    datetime.datetime(2013, 4, 2, 0, 0, tzinfo=datetime.timezone.utc)
    """
    start = datetime.fromisoformat(key).replace(tzinfo=UTC)
    return Span(start=start, end=start + length)


def days_of(span: Span) -> list[str]:
    """Name the day partitions that a span of whole days covers."""
    days = (span.end - span.start) // DAY
    return [(span.start + n * DAY).date().isoformat() for n in range(days)]


def last_complete(now: datetime) -> str:
    """Name the newest day whose batch is complete at `now`.

    >>> last_complete(datetime(2013, 4, 2, 0, 59, tzinfo=UTC)), last_complete(datetime(2013, 4, 2, 1, tzinfo=UTC))
    ('2013-03-31', '2013-04-01')
    """
    return ((now - REFRESH_WAIT).astimezone(UTC).date() - DAY).isoformat()


def due(keys: Sequence[str], *, length: timedelta, wait: timedelta, now: datetime) -> list[str]:
    """Name the partitions that ended at least `wait` before `now`."""
    return [key for key in keys if span_of(key, length=length).end + wait <= now]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def freshness_policy(stale_after: timedelta | None, partitions: DailyPartitions | None) -> dg.FreshnessPolicy | None:
    """Give Dagster's form of a promised freshness; none where nothing is promised, or where the data end one day.

    Dagster counts by the wall clock from the last materialization, so data that are over would fail for ever.
    """
    if stale_after is None or (partitions and partitions.end):
        return None
    return dg.FreshnessPolicy.time_window(fail_window=stale_after)

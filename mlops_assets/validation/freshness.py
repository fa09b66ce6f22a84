"""How old data may become before what is learnt from them would be out of date."""

from dataclasses import dataclass
from datetime import datetime, timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """How fresh a stored table is promised to be.

    `over` is when its data end, if they do: nothing is expected after that.
    """

    table: str
    stale_after: timedelta
    by_day: bool
    over: datetime | None = None


def staleness(promise: Promise, newest: datetime | None, *, now: datetime) -> str | None:
    """Say how old a table is if that is older than promised, None if it is not.

    Args:
        promise: What was declared.
        newest: The end of the newest day that is in, or when the table was last read whole; None if it never was.
        now: The time to count back from.

    >>> from datetime import UTC
    >>> promise = Promise(table="raw/orders", stale_after=2 * DAY, by_day=True)
    >>> staleness(promise, datetime(2024, 2, 1, tzinfo=UTC), now=datetime(2024, 2, 4, 12, tzinfo=UTC))
    'raw/orders ends with 2024-01-31, 3.5 days ago; it is to be no older than 2 days'
    """
    allowed = f"it is to be no older than {promise.stale_after / DAY:g} days"
    if newest is None:
        return f"{promise.table} was never brought in; {allowed}"
    if promise.over is not None and newest >= promise.over:
        return None
    age = now - newest
    if age <= promise.stale_after:
        return None
    since = f"ends with {newest - DAY:%Y-%m-%d}" if promise.by_day else f"was last read {newest:%Y-%m-%d %H:%M}"
    return f"{promise.table} {since}, {age / DAY:.1f} days ago; {allowed}"

"""Times in another zone, dates that cannot be, and rows on the wrong day."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from mlops_assets_tests.claims.bad_data._changing import every, flown, some, swapped
from mlops_assets_tests.claims.bad_data._world import Kind

TIMES = ("scheduled_departure", "reported_at")


def moved(rows: pa.Table, by: timedelta, *names: str) -> pa.Table:
    for name in names:
        rows = every(rows, name, lambda at: at + by)
    return rows


def shuffled(rows: pa.Table) -> pa.Table:
    return rows.take(np.random.default_rng(0).permutation(rows.num_rows))


OF_TIME = [
    Kind(
        "wrong time zone",
        "New York's time, said to be UTC",
        "blocked",
        rows=lambda day, _: moved(day, -timedelta(hours=4), *TIMES),
    ),
    Kind(
        "wrong time zone of one column",
        "only the departures in New York's time",
        "blocked",
        rows=lambda day, _: moved(day, -timedelta(hours=4), "scheduled_departure"),
    ),
    Kind(
        "an hour off",
        "as after a change of the clocks that one side forgot",
        "blocked",
        rows=lambda day, _: moved(day, timedelta(hours=1), "scheduled_departure"),
    ),
    Kind(
        "a day off",
        "departures on the day after",
        "blocked",
        rows=lambda day, _: moved(day, timedelta(days=1), "scheduled_departure"),
    ),
    Kind(
        "future timestamps",
        "a few reports from next year",
        "quarantined",
        rows=lambda day, _: some(day, "reported_at", lambda at: at + timedelta(days=365)),
    ),
    Kind(
        "the year 1970",
        "a few times that began as nought",
        "quarantined",
        rows=lambda day, _: some(day, "scheduled_departure", datetime.fromisoformat("1970-01-01T00:00:00+00:00")),
    ),
    Kind(
        "known too early",
        "reports from before the departure",
        "quarantined",
        rows=lambda day, _: some(day, "scheduled_departure", lambda at: at + timedelta(hours=20), flown(day)),
    ),
    Kind(
        "impossible dates",
        "the 31st of a month that has none, and a month 13",
        "quarantined",
        rows=lambda day, _: some(some(day, "day", 31), "month", 13, (5,)),
    ),
    Kind("day and month swapped", "10 July as 7 October", "blocked", rows=lambda day, _: swapped(day, "day", "month")),
    Kind(
        "times as text",
        "a column of times that came as text",
        "blocked",
        rows=lambda day, _: every(day, "reported_at", str, pa.string()),
    ),
    Kind(
        "times as numbers",
        "seconds since 1970",
        "blocked",
        rows=lambda day, _: every(day, "reported_at", lambda at: int(at.timestamp()), pa.int64()),
    ),
    Kind(
        "out-of-order events",
        "the rows in no order",
        "accepted",
        rows=lambda day, _: shuffled(day),
        accepted="every row carries its time, and joins go by it; rows stay in the order they came",
        right=lambda day, _: shuffled(day),
    ),
    Kind(
        "rows of another day",
        "a few of yesterday's reports among today's",
        "quarantined",
        rows=lambda day, before: pa.concat_tables([day, before.slice(100, 10)]),
    ),
    Kind(
        "rows swapped between days",
        "ten of today's reports are with yesterday's, and the other way round",
        "quarantined",
        rows=lambda day, before: pa.concat_tables([day.slice(10), before.slice(100, 10)]),
    ),
]

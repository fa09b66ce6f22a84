"""Batches that are too big, too small, sent again, or of which a part is missing."""

import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets_tests.claims.bad_data._changing import column
from mlops_assets_tests.claims.bad_data._world import Kind


def tenfold(rows: pa.Table) -> pa.Table:
    """Give ten times the rows, each a flight of its own that keeps every rule."""
    parts = []
    for times in range(10):
        flights = [(flight + times * 997 - 1) % 9999 + 1 for flight in rows["flight"].to_pylist()]
        ids = [
            f"{at:%Y-%m-%dT%H:%M}Z-{carrier}-{flight}-{origin}"
            for at, carrier, flight, origin in zip(
                rows["scheduled_departure"].to_pylist(),
                rows["carrier"].to_pylist(),
                flights,
                rows["origin"].to_pylist(),
                strict=True,
            )
        ]
        parts.append(column(column(rows, "flight", flights), "flight_id", ids))
    return pa.concat_tables(parts)


OF_VOLUME = [
    Kind("duplicated batch", "every row twice", "blocked", rows=lambda day, _: pa.concat_tables([day, day])),
    Kind(
        "duplicated rows",
        "ten rows twice",
        "quarantined",
        rows=lambda day, _: pa.concat_tables([day, day.slice(20, 10)]),
    ),
    Kind("stale batch sent again", "yesterday's batch as today's", "blocked", rows=lambda _, before: before),
    Kind("no rows", "an honest file without a row", "blocked", rows=lambda day, _: day.slice(0, 0)),
    Kind(
        "half a batch", "every other row", "blocked", rows=lambda day, _: day.take(pa.array(range(0, day.num_rows, 2)))
    ),
    Kind(
        "batch cut off early",
        "the reports until noon",
        "blocked",
        rows=lambda day, _: day.filter(pc.less(pc.hour(day["reported_at"]), 12)),
    ),
    Kind("tenfold volume", "ten times the flights, each right by itself", "blocked", rows=lambda day, _: tenfold(day)),
    Kind(
        "a part that fell silent",
        "no flight from one of the three airports",
        "blocked",
        rows=lambda day, _: day.filter(pc.not_equal(day["origin"], "LGA")),
    ),
    Kind(
        "missing not at random",
        "the cancelled flights were left out",
        "accepted",
        rows=lambda day, _: day.filter(pc.invert(day["cancelled"])),
        accepted="nothing in the rows tells it from a calm day; only a count from the sender could",
        right=lambda day, _: day.filter(pc.invert(day["cancelled"])),
    ),
]

"""The shipped views of delays are declared as aggregates; they give the numbers of the SQL they once were."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import mlops_assets.defs
from mlops_assets.digests import sha256_table
from mlops_assets.features.view import compute_many
from mlops_assets.orchestration import project
from mlops_assets.records import Span

FOLDER = Path(mlops_assets.defs.__file__).parent / "flights"
DAYS = [str(np.datetime64("2013-01-01") + day) for day in range(365)]
COMPUTED = [*DAYS[:32], *DAYS[58:62], *DAYS[-2:]]  # the first weeks, when windows fill up, and days of later months

# As they stood when they were written in SQL. These are the reference, and are never to be changed.
SQL = {
    "carrier_delays": """
        SELECT
          carrier,
          avg(late) FILTER (reported_at >= $partition_end - INTERVAL 1 DAY) AS carrier_late_rate_1d,
          avg(late) FILTER (reported_at >= $partition_end - INTERVAL 7 DAY) AS carrier_late_rate_7d,
          avg(late) AS carrier_late_rate_28d,
          avg(arr_delay) FILTER (reported_at >= $partition_end - INTERVAL 1 DAY) AS carrier_arr_delay_1d,
          avg(arr_delay) FILTER (reported_at >= $partition_end - INTERVAL 7 DAY) AS carrier_arr_delay_7d
        FROM (
          SELECT *, CAST(cancelled OR diverted OR coalesce(arr_delay > 15, false) AS DOUBLE) AS late FROM flights
        )
        WHERE reported_at >= $partition_end - INTERVAL 28 DAY AND reported_at < $partition_end
        GROUP BY carrier
    """,
    "origin_delays": """
        SELECT
          origin,
          avg(late) FILTER (reported_at >= $partition_end - INTERVAL 1 DAY) AS origin_late_rate_1d,
          avg(late) FILTER (reported_at >= $partition_end - INTERVAL 7 DAY) AS origin_late_rate_7d,
          avg(late) AS origin_late_rate_28d,
          avg(arr_delay) FILTER (reported_at >= $partition_end - INTERVAL 1 DAY) AS origin_arr_delay_1d,
          avg(arr_delay) FILTER (reported_at >= $partition_end - INTERVAL 7 DAY) AS origin_arr_delay_7d
        FROM (
          SELECT *, CAST(cancelled OR diverted OR coalesce(arr_delay > 15, false) AS DOUBLE) AS late FROM flights
        )
        WHERE reported_at >= $partition_end - INTERVAL 28 DAY AND reported_at < $partition_end
        GROUP BY origin
    """,
    "dest_delays": """
        SELECT
          dest,
          avg(late) FILTER (reported_at >= $partition_end - INTERVAL 1 DAY) AS dest_late_rate_1d,
          avg(late) FILTER (reported_at >= $partition_end - INTERVAL 7 DAY) AS dest_late_rate_7d,
          avg(late) AS dest_late_rate_28d,
          avg(arr_delay) FILTER (reported_at >= $partition_end - INTERVAL 7 DAY) AS dest_arr_delay_7d
        FROM (
          SELECT *, CAST(cancelled OR diverted OR coalesce(arr_delay > 15, false) AS DOUBLE) AS late FROM flights
        )
        WHERE reported_at >= $partition_end - INTERVAL 28 DAY AND reported_at < $partition_end
        GROUP BY dest
    """,
}


@pytest.fixture(scope="module")
def by_day():
    """The shipped flights, by the day they were reported on."""
    flights = pq.read_table(FOLDER / "data" / "flights.parquet")
    flights = flights.append_column("_day", pc.strftime(flights["reported_at"], "%Y-%m-%d")).sort_by("_day")
    days, starts = np.unique(flights["_day"].to_numpy(zero_copy_only=False), return_index=True)
    flights, ends = flights.drop_columns("_day"), [*starts[1:].tolist(), flights.num_rows]
    return {
        str(day): flights.slice(start, end - start)
        for day, start, end in zip(days, starts.tolist(), ends, strict=True)
        if str(day) in DAYS
    }


@pytest.fixture(scope="module")
def declared():
    """The views as the project loads them."""
    return project.declared_views(project.project_definitions(mlops_assets.defs.__file__))


@pytest.mark.parametrize("name", SQL)
def test_the_aggregates_are_bit_for_bit_what_their_sql_gave(by_day, declared, name):
    """Every feature of every key, on days when the windows are still filling up and when they are full."""
    view = declared[name][1]
    as_it_stood = type(view).model_validate(view.model_dump(exclude={"aggregates", "sql"}) | {"sql": SQL[name]})
    spans = {day: Span.day(day) for day in COMPUTED}

    rows = pa.concat_tables(compute_many(view, {"flights": by_day}, spans).values())

    expected = pa.concat_tables(compute_many(as_it_stood, {"flights": by_day}, spans).values())
    assert sha256_table(rows) == sha256_table(expected)
    assert rows.num_rows == expected.num_rows > 3 * len(COMPUTED) - 3


def test_the_view_in_python_is_what_numpy_makes_of_the_same_flights(by_day, declared):
    """For each destination, the median of what a flight of the last day took beyond its route's median of 28."""
    day = DAYS[58]
    flights = pa.concat_tables([by_day[each] for each in DAYS[31:59]]).filter(pc.field("air_time").is_valid())

    rows = compute_many(declared["headwinds"][1], {"flights": by_day}, {day: Span.day(day)})[day].to_pylist()

    dest = np.array(flights["dest"].to_pylist())
    route = np.char.add(np.array(flights["origin"].to_pylist()), dest)
    minutes = flights["air_time"].to_numpy().astype(float)
    usual = {name: np.median(minutes[route == name]) for name in np.unique(route)}
    longer = minutes - np.array([usual[name] for name in route])
    newest = flights["reported_at"].to_numpy() >= np.datetime64(day)
    assert {row["dest"]: row["longer_than_usual_1d"] for row in rows} == {
        str(name): float(np.median(longer[newest & (dest == name)])) for name in np.unique(dest[newest])
    }

"""The shipped tables are what their provenance page says."""

import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import mlops_assets

DATA = Path(mlops_assets.__file__).parent / "defs" / "flights" / "data"


@pytest.fixture(scope="module")
def flights():
    return pl.read_parquet(DATA / "flights.parquet")


@pytest.fixture(scope="module")
def weather():
    return pl.read_parquet(DATA / "weather.parquet")


@pytest.fixture(scope="module")
def reference():
    connection = sqlite3.connect(f"file:{DATA / 'reference.sqlite'}?mode=ro", uri=True)
    yield connection
    connection.close()


def test_no_flight_was_lost_or_doubled(flights):
    """Every flight of 2013 is there once."""
    assert flights.height == 336_776
    assert flights["flight_id"].n_unique() == 336_776
    assert flights["flight_id"].null_count() == 0


def test_cancelled_and_diverted_flights_are_told_apart(flights):
    """A flight that never left, one that left and did not arrive as planned, and all others."""
    counts = flights.select(
        pl.col("cancelled", "diverted").sum(), both=(pl.col("cancelled") & pl.col("diverted")).sum()
    )

    assert counts.row(0) == (8_255, 1_175, 0)
    assert round(flights["cancelled"].mean(), 4) == 0.0245
    assert (flights["cancelled"] == flights["dep_time"].is_null()).all()


def test_a_flight_worked_out_by_hand(flights):
    """UA 1545 left Newark for Houston at 5:15 EST and landed at 8:30 CST, 11 minutes late."""
    flight = flights.row(by_predicate=pl.col("flight_id") == "2013-01-01T10:15Z-UA-1545-EWR", named=True)

    assert flight["scheduled_departure"] == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    assert flight["reported_at"] == datetime(2013, 1, 1, 14, 30, tzinfo=UTC)


def test_summer_time_moves_the_departure(flights):
    """6:00 in New York is 11:00 UTC on 9 March and 10:00 UTC on 10 March."""
    hours = {
        day: flights.filter(pl.col("month") == 3, pl.col("day") == day, pl.col("sched_dep_time") == 600)[
            "scheduled_departure"
        ]
        .dt.hour()
        .unique()
        .to_list()
        for day in (9, 10)
    }

    assert hours == {9: [11], 10: [10]}


def test_a_landing_is_reported_after_departure_delay_and_air_time(flights):
    """What remains is taxiing: minutes, never negative and never hours."""
    landed = flights.filter(~pl.col("cancelled") & ~pl.col("diverted"))
    off_and_on = pl.duration(minutes=pl.col("dep_delay") + pl.col("air_time"))

    taxi = landed.select(
        (pl.col("reported_at") - pl.col("scheduled_departure") - off_and_on).dt.total_minutes().alias("taxi")
    )["taxi"]

    assert (taxi.min(), taxi.max()) == (5, 235)
    assert taxi.median() == 28


def test_a_landing_shows_the_published_time_on_local_clocks(flights, reference):
    """Independent of how it was derived; the one exception lies in the hour that summer time skipped."""
    zones = dict(reference.execute("SELECT faa, tzone FROM airports"))
    landed = flights.filter(~pl.col("cancelled") & ~pl.col("diverted"))

    wrong = []
    for (dest,), group in landed.group_by("dest"):
        local = group["reported_at"].dt.convert_time_zone(zones.get(dest) or "America/Puerto_Rico")
        shown = local.dt.hour().cast(pl.Int64) * 100 + local.dt.minute()
        wrong += group.filter(shown != pl.Series(group["arr_time"] % 2400))["flight_id"].to_list()

    assert wrong == ["2013-03-10T02:45Z-B6-35-JFK"]


def test_a_cancelled_flight_is_reported_at_its_departure(flights):
    """When the airline said so is not recorded."""
    cancelled = flights.filter("cancelled")

    assert (cancelled["reported_at"] == cancelled["scheduled_departure"]).all()


def test_no_report_comes_before_the_flight_took_off(flights):
    """A report that precedes its flight would be a leak."""
    left = flights.filter(~pl.col("cancelled"))
    took_off = left["scheduled_departure"] + pl.duration(minutes=left["dep_delay"])

    early = left.filter(pl.col("reported_at") <= pl.select(took_off).to_series())

    assert early.height == 0


def test_rows_lie_in_the_order_of_the_days_on_which_they_arrived(flights):
    """So that one day is a slice of the file."""
    days = flights["reported_at"].dt.date()

    assert days.is_sorted()
    assert (days.min(), days.max(), days.n_unique()) == (date(2013, 1, 1), date(2014, 1, 1), 366)


def test_weather_is_issued_two_days_ahead(weather):
    """One row per hour and airport, known 48 hours before."""
    assert weather.height == 26_115
    assert weather.select("origin", "valid_hour").n_unique() == 26_115
    assert (weather["valid_hour"] - weather["issued_at"]).unique().to_list() == [timedelta(hours=48)]


def test_nearly_every_flight_finds_its_weather(flights, weather):
    """99.5 %, as in the package."""
    joined = flights.with_columns(valid_hour=pl.col("scheduled_departure").dt.truncate("1h")).join(
        weather, on=["origin", "valid_hour"], how="semi"
    )

    assert joined.height / flights.height == pytest.approx(0.9954, abs=1e-4)


def test_the_reference_tables_are_complete(reference):
    """Aircraft, airlines and airports, each once."""
    counts = {
        table: reference.execute(f"SELECT COUNT(*), COUNT(DISTINCT {key}) FROM {table}").fetchone()
        for table, key in (("planes", "tailnum"), ("airlines", "carrier"), ("airports", "faa"))
    }

    assert counts == {"planes": (3_322, 3_322), "airlines": (16, 16), "airports": (1_458, 1_458)}


def test_times_are_utc_microseconds(flights, weather):
    """The house's one way to say when."""
    kept = pl.Datetime("us", "UTC")

    assert flights.schema["scheduled_departure"] == flights.schema["reported_at"] == kept
    assert weather.schema["valid_hour"] == weather.schema["issued_at"] == kept


def test_the_example_stays_small():
    """It travels with the package."""
    size = sum(path.stat().st_size for path in DATA.iterdir())

    assert size < 7_000_000

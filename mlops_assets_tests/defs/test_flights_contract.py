"""The contracts and the suite of the shipped tables pass what is real and catch what is not."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from pydantic import TypeAdapter

import mlops_assets
from mlops_assets.records import Span
from mlops_assets.sources import AnySource
from mlops_assets.validation import Contract, QualitySuite, check, validate

HERE = Path(mlops_assets.__file__).parent / "defs" / "flights"
DECLARED: dict[str, dict[str, Any]] = {
    document["attributes"]["table"]: document["attributes"]
    for document in yaml.safe_load_all((HERE / "defs.yaml").read_text(encoding="utf-8"))
    if document["type"].endswith("RawTable")
}
SUITE = QualitySuite.load(HERE / "flights_suite.json")
LAST_DAY = date(2013, 12, 31)  # the reports of 1 January 2014 are only stragglers


def contract_of(table: str) -> Contract:
    return Contract.model_validate(DECLARED[table]["contract"])


def rows_of(table: str, day: str | None) -> pa.Table:
    source = TypeAdapter(AnySource).validate_python(DECLARED[table]["source"])
    places = {"here": str(HERE), "landing": str(HERE / "nothing-landed")}
    return source.read(Span.day(day) if day else None, variables=places)


@pytest.fixture(scope="module")
def flights():
    return rows_of("flights", None)


@pytest.fixture(scope="module")
def a_day():
    return rows_of("flights", "2013-07-10")


def changed(rows: pa.Table, column: str, values: dict[int, object]) -> pa.Table:
    """Give `rows` with some values of one column replaced, by row number."""
    old = rows[column].to_pylist()
    new = pa.array([values.get(place, value) for place, value in enumerate(old)], rows.schema.field(column).type)
    return rows.set_column(rows.column_names.index(column), column, new)


def test_every_real_flight_keeps_the_contract(flights):
    """No good row is lost: blizzards, red-eyes, odd registrations and all."""
    result = validate(flights, contract_of("flights"), table="flights")

    assert result.structural == ()
    assert result.counts == {}
    assert result.good.num_rows == 336_776


def test_the_one_impossible_wind_is_caught():
    """The source's known fault, 1,048 mph at Newark, and nothing else."""
    result = validate(rows_of("weather", None), contract_of("weather"), table="weather")

    assert result.counts == {"wind_speed.max": 1}
    assert result.quarantined["origin"].to_pylist() == ["EWR"]
    assert result.quarantined["valid_hour"].to_pylist() == [datetime(2013, 2, 12, 8, tzinfo=UTC)]
    assert not result.blocked


def test_every_aircraft_keeps_the_contract():
    """The register comes from a query, typed by SQLite."""
    result = validate(rows_of("planes", None), contract_of("planes"), table="planes")

    assert result.structural == ()
    assert result.counts == {}
    assert result.good.num_rows == 3_322


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("origin", "LHR", "origin.isin"),
        ("origin", None, "origin.nullable"),
        ("carrier", "united", "carrier.regex"),
        ("dest", "", "dest.regex"),
        ("tailnum", "?", "tailnum.regex"),
        ("flight_id", "UA-1545", "flight_id.regex"),
        ("distance", -1, "distance.min"),
        ("dep_delay", 99_999, "dep_delay.max"),
        ("arr_delay", -9_999, "arr_delay.min"),
        ("air_time", 0, "air_time.min"),
        ("sched_dep_time", 2_500, "sched_dep_time.max"),
        ("month", 13, "month.max"),
        ("reported_at", None, "reported_at.nullable"),
        ("cancelled", None, "cancelled.nullable"),
    ],
)
def test_one_planted_fault_sends_one_row_to_quarantine(a_day, column, value, rule):
    """Its 999 neighbours pass."""
    result = validate(changed(a_day, column, {7: value}), contract_of("flights"), table="flights")

    (rules,) = result.quarantined["_rule"].to_pylist()
    assert rules.split("; ")[0] == rule  # rules over several columns come after those of one
    assert result.good.num_rows == a_day.num_rows - 1
    assert not result.blocked


def test_a_batch_sent_twice_is_blocked_and_a_row_sent_twice_is_not(a_day):
    """One copy is noise, half a batch of copies is a broken feed."""
    contract = contract_of("flights")

    row, batch = (
        validate(pa.concat_tables([a_day, a_day.slice(0, n)]), contract, table="flights") for n in (1, a_day.num_rows)
    )

    assert row.good.equals(batch.good)
    assert row.counts == {"flight_id.unique": 1}
    assert (row.blocked, batch.blocked) == (False, True)


def test_a_batch_of_another_structure_is_blocked(a_day):
    """A renamed column and a number that became text, both told at once."""
    delays_as_text = a_day["dep_delay"].cast(pa.string())
    rows = a_day.set_column(a_day.column_names.index("dep_delay"), "dep_delay", delays_as_text)
    rows = rows.rename_columns({"origin": "orig"})

    result = validate(rows, contract_of("flights"), table="flights")

    assert result.blocked
    assert set(result.structural) == {
        "column 'origin' is missing, expected string",
        "column 'orig' of type string is not in the contract",
        "column 'dep_delay' is string, expected int64",
    }


@pytest.mark.parametrize("day", ["2013-01-01", "2013-02-09", "2013-07-01", "2013-11-29", "2013-12-25"])
def test_the_hardest_real_days_pass_the_suite(day):
    """The first day, the blizzard, the worst storm, the day after Thanksgiving, Christmas."""
    result = check(rows_of("flights", day), SUITE)

    assert [found for found in result.results if found.blocks] == []


@pytest.mark.slow
def test_every_day_of_the_year_passes_the_suite(flights):
    """365 of 365; the bounds are for faults, not for weather."""
    by_day = pl.from_arrow(flights).group_by(pl.col("reported_at").dt.date(), maintain_order=True)

    failed = [day for (day,), rows in by_day if day <= LAST_DAY and not check(rows.to_arrow(), SUITE).passed]

    assert failed == []


def scaled(rows: pa.Table, column: str, factor: float) -> pa.Table:
    """Give `rows` with a column in another unit."""
    values = [None if value is None else round(value * factor) for value in rows[column].to_pylist()]
    return rows.set_column(rows.column_names.index(column), column, pa.array(values, pa.int64()))


WRONG_AS_A_WHOLE = {
    "cut short": (lambda day: day.slice(0, 300), "expect_table_row_count_to_be_between"),
    "an airport silent": (
        lambda day: day.filter(pc.not_equal(day["origin"], "JFK")),
        "expect_column_distinct_values_to_equal_set",
    ),
    "delays in seconds": (lambda day: scaled(day, "dep_delay", 60), "expect_column_mean_to_be_between"),
    "distances in km": (lambda day: scaled(day, "distance", 1.609), "expect_column_mean_to_be_between"),
    "no registrations": (
        lambda day: changed(day, "tailnum", dict.fromkeys(range(900))),
        "expect_column_values_to_not_be_null",
    ),
    "one destination": (
        lambda day: changed(day, "dest", dict.fromkeys(range(2_000), "ATL")),
        "expect_column_unique_value_count_to_be_between",
    ),
}


@pytest.mark.parametrize(("plant", "failing"), WRONG_AS_A_WHOLE.values(), ids=list(WRONG_AS_A_WHOLE))
def test_a_batch_of_possible_rows_that_is_wrong_as_a_whole_fails_the_suite(a_day, plant, failing):
    """What no rule on rows can see."""
    result = check(plant(a_day), SUITE)

    assert failing in [found.name for found in result.results if not found.success]


def test_the_suite_says_why_its_bounds_are_where_they_are():
    """A bound nobody can explain is one nobody dares to change."""
    said = json.loads((HERE / "flights_suite.json").read_text(encoding="utf-8"))

    assert all(line["meta"] for line in said["expectations"])

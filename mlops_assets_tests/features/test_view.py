"""Views are refused at declaration where they can be, and their rows are typed, stamped, sorted and repeatable."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from pydantic import ValidationError

from mlops_assets.digests import sha256_table
from mlops_assets.errors import FeatureError
from mlops_assets.features.view import ViewDefinition, compute, compute_many, lineage
from mlops_assets_tests.features._world import Day

MOMENT = pa.timestamp("us", tz="UTC")
DECLARED = {
    "name": "carrier_delays",
    "keys": {"carrier": "string"},
    "features": {"late_rate": "float64", "flights": "float64"},
    "tables": {"flights": "flights"},
    "lookback_days": 2,
    "available_after": "PT1H",
    "ttl": "P3D",
    "sql": """
        SELECT carrier, avg(CAST(delay > 15 AS DOUBLE)) AS late_rate, count(*) AS flights
        FROM flights WHERE carrier IS NOT NULL GROUP BY carrier
    """,
}
ISSUED = DECLARED | {
    "keys": {"origin": "string"},
    "features": {"temp": "float64"},
    "event_time": "issued_at",
    "sql": "SELECT origin, temp, issued_at FROM flights",
}


def view_of(declared=DECLARED, **changed):
    return ViewDefinition.model_validate(declared | changed)


def flights(*rows):
    carriers, delays = zip(*rows, strict=True) if rows else ((), ())
    return pa.table({"carrier": pa.array(carriers, pa.string()), "delay": pa.array(delays, pa.float64())})


def forecasts(*rows):
    origins, temps, issued = zip(*rows, strict=True)
    return pa.table({"origin": origins, "temp": temps, "issued_at": pa.array(issued, MOMENT)})


BY_DAY = {
    "2013-01-01": flights(("UA", 20.0), ("UA", 0.0)),
    "2013-01-02": flights(("UA", 0.0), ("B6", 30.0), (None, 5.0)),
    "2013-01-03": flights(("UA", 99.0), ("UA", 99.0)),
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sql": "SELEC carrier FROM flights WHERE ("}, "cannot be read"),
        ({"sql": "SELECT 'carrier FROM flights"}, "cannot be read"),
        ({"sql": "SELECT 1; SELECT 2"}, "exactly one SELECT"),
        ({"sql": "DROP TABLE flights"}, "exactly one SELECT"),
        ({"sql": "SELECT carrier, 1.0 AS late_rate, 2.0 AS flights FROM fligths"}, "Did you mean 'flights'"),
        ({"sql": "SELECT carrier, 1.0 AS late_rat, 2.0 AS flights FROM flights"}, "Did you mean 'late_rat'"),
        ({"sql": "SELECT carrier, day, 1.0 AS late_rate, 2.0 AS flights FROM flights"}, "also gives day"),
        (
            {"sql": DECLARED["sql"].replace("NOT NULL", "NOT NULL AND t < $partition_stop")},
            "Did you mean '$partition_st",
        ),
        ({"sql": DECLARED["sql"].replace("NOT NULL", "NOT NULL AND t < now()")}, "computing it again"),
        ({"sql": DECLARED["sql"].replace("NOT NULL", "NOT NULL AND t < current_date")}, "computing it again"),
        ({"sql": DECLARED["sql"].replace("NOT NULL", "NOT NULL AND random() < 0.5")}, "computing it again"),
        ({"event_time": "reported_at"}, "'reported_at' is not known"),
        ({"ttl": "-P1D"}, "cannot be negative"),
        ({"features": {"late_rate": "int64"}}, "'float64' or 'string'"),
        ({"features": {"carrier": "string"}}, "key and feature at once"),
        ({"features": {"known_at": "float64"}}, "a name the join needs"),
        ({"describe": {"late_rat": "Share."}}, "Did you mean 'late_rate'"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_view_that_cannot_be_obeyed_is_refused_at_declaration(changed, said):
    """Before any data is there: typos, the clock, chance, and columns that do not fit."""
    with pytest.raises(ValidationError) as refused:
        view_of(**changed)

    assert said in str(refused.value)


def test_rows_are_typed_sorted_and_stamped():
    """Counts become float64 as declared; a partition is known an hour after it ends."""
    rows = compute(view_of(), {"flights": BY_DAY}, Day("2013-01-02"))

    assert rows.to_pylist() == [
        {"carrier": "B6", "late_rate": 1.0, "flights": 1.0, "event_time": _at(3), "known_at": _at(3, 1)},
        {"carrier": "UA", "late_rate": 1 / 3, "flights": 3.0, "event_time": _at(3), "known_at": _at(3, 1)},
    ]
    assert [str(kind) for kind in rows.schema.types] == ["string", "double", "double", str(MOMENT), str(MOMENT)]


def test_a_partition_sees_its_look_back_and_never_the_days_after():
    """Two days, its own included: the first sees one, the second two, and the third nothing of the first."""
    rows = compute_many(view_of(), {"flights": BY_DAY}, {day: Day(day) for day in BY_DAY})

    counts = {
        day: dict(zip(*[table.column(n).to_pylist() for n in ("carrier", "flights")], strict=True))
        for day, table in rows.items()
    }
    assert counts == {"2013-01-01": {"UA": 2.0}, "2013-01-02": {"UA": 3.0, "B6": 1.0},
                      "2013-01-03": {"UA": 3.0, "B6": 1.0}}  # fmt: skip


def test_a_backfill_gives_the_bits_of_each_partition_alone():
    """History computed at once is the history that would have been computed day by day."""
    many = compute_many(view_of(), {"flights": BY_DAY}, {day: Day(day) for day in BY_DAY})

    for day, rows in many.items():
        until = {known: table for known, table in BY_DAY.items() if known <= day}
        assert sha256_table(rows) == sha256_table(compute(view_of(), {"flights": until}, Day(day)))


def test_a_day_without_rows_gives_an_empty_table_of_the_declared_types():
    """An empty partition is a fact, not a fault."""
    rows = compute(view_of(), {"flights": {"2013-01-01": flights()}}, Day("2013-01-01"))

    assert rows.num_rows == 0
    assert str(rows.schema.field("late_rate").type) == "double"


def test_a_row_is_not_known_before_its_partition_nor_before_its_event():
    """`known_at` is the later of the two."""
    rows = forecasts(("EWR", 30.0, _at(2, 7)), ("JFK", 31.0, _at(5)))

    known = compute(view_of(ISSUED), {"flights": rows}, Day("2013-01-02"))

    assert known.column("known_at").to_pylist() == [_at(3, 1), _at(5)]


def test_an_unpartitioned_view_is_known_when_its_events_are():
    """Plus the time it takes to be looked up."""
    known = compute(view_of(ISSUED), {"flights": forecasts(("EWR", 30.0, _at(2, 7)))})

    assert known.column("known_at").to_pylist() == [_at(2, 8)]


def test_a_view_of_partitions_cannot_be_computed_without_one():
    """There would be no event time to give."""
    with pytest.raises(FeatureError, match="without one"):
        compute(view_of(), {"flights": BY_DAY})


def test_two_rows_of_a_key_known_at_once_are_refused_with_the_key():
    """Which of them answers would be chance."""
    rows = forecasts(("EWR", 30.0, _at(2, 7)), ("EWR", 31.0, _at(2, 8)), ("JFK", 31.0, _at(2, 8)))

    with pytest.raises(FeatureError, match="origin=EWR, known_at=2013-01-03 01:00:00") as refused:
        compute(view_of(ISSUED), {"flights": rows}, Day("2013-01-02"))

    assert refused.value.ties == 1


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("SELECT carrier, 'many' AS late_rate, 1.0 AS flights FROM flights", "late_rate"),
        ("SELECT 5 AS carrier, 0.5 AS late_rate, 1.0 AS flights FROM flights", "carrier"),
        ("SELECT carrier, 0.5 AS late_rate, 9007199254740993 AS flights FROM flights", "flights"),
        ("SELECT carrier, 0.5 AS late_rate, 1.0 AS flights FROM flights", "carrier"),  # a null key
        ("SELECT * FROM flights", "late_rate"),
    ],
)
def test_a_column_of_the_wrong_kind_is_refused_by_name(sql, column):
    """Strings are not parsed, numbers not rounded, and a row without its key not kept."""
    with pytest.raises(FeatureError) as refused:
        compute(view_of(sql=sql), {"flights": BY_DAY}, Day("2013-01-02"))

    assert refused.value.column == column
    assert "carrier_delays" in str(refused.value)


def test_nan_is_null():
    """A table has one null; otherwise the same rows would have two digests."""
    rows = compute(
        view_of(
            sql="SELECT carrier, 'NaN'::DOUBLE AS late_rate, count(*) AS flights FROM flights "
            "WHERE carrier IS NOT NULL GROUP BY ALL"
        ),
        {"flights": BY_DAY},
        Day("2013-01-02"),
    )

    assert rows.column("late_rate").null_count == rows.num_rows == 2


def test_sql_sees_the_tables_it_was_shown_and_nothing_else(tmp_path):
    """No file of the machine, and no variable of the program."""
    (tmp_path / "secret.csv").write_text("carrier\nUA\n")
    for source in (f"read_csv('{tmp_path}/secret.csv')", "read_text('/etc/hostname')"):
        view = view_of(sql=f"SELECT 'UA' AS carrier, 0.5 AS late_rate, count(*) AS flights FROM {source}")

        with pytest.raises(FeatureError, match="failed on its tables"):
            compute(view, {"flights": BY_DAY}, Day("2013-01-01"))


def test_a_table_that_was_not_given_is_named_with_what_to_do():
    """The alias, and the table behind it."""
    with pytest.raises(FeatureError, match="Materialize flights first"):
        compute(view_of(), {"flights": {}}, Day("2013-01-01"))


def test_lineage_names_the_columns_behind_each_feature():
    """Through subqueries, filters and stars; a count reads no column."""
    sql = """
        SELECT carrier, avg(late) FILTER (reported_at < $partition_end) AS late_rate, count(*) AS flights
        FROM (SELECT *, CAST(delay > 15 AS DOUBLE) AS late FROM flights) GROUP BY carrier
    """

    found = lineage(view_of(sql=sql), {"flights": ["carrier", "delay", "reported_at"]})

    assert found == {
        "carrier": (("flights", "carrier"),),
        "late_rate": (("flights", "delay"), ("flights", "reported_at")),
        "flights": (),
    }


@pytest.mark.parametrize(
    "window",
    [
        "avg(delay) OVER (PARTITION BY carrier ORDER BY reported_at) AS late_rate FROM flights",
        "avg(delay) OVER w AS late_rate FROM flights WINDOW w AS (PARTITION BY carrier ORDER BY reported_at)",
    ],
)
def test_what_a_window_parts_and_orders_by_counts_however_it_is_written(window):
    """Spelt out in place, or named in a WINDOW clause."""
    found = lineage(view_of(sql=f"SELECT carrier, 1.0 AS flights, {window}"), {"flights": ["carrier", "delay"]})

    assert found["late_rate"] == (("flights", "carrier"), ("flights", "delay"), ("flights", "reported_at"))


def test_the_record_that_travels_holds_what_a_look_up_needs():
    """Keys, features that may be missing, and the ttl in seconds."""
    record = view_of(describe={"late_rate": "Share of late flights."}).record()

    assert record.ttl_s == timedelta(days=3).total_seconds()
    assert [key.nullable for key in record.keys] == [False]
    assert record.features[0].nullable
    assert record.features[0].description == "Share of late flights."


def _at(day, hour=0):
    return datetime(2013, 1, day, hour, tzinfo=UTC)

"""What every kind of view keeps to: the same rows, nothing but the partitions it may see, the same refusals."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from mlops_assets.digests import sha256_table
from mlops_assets.errors import FeatureError
from mlops_assets.features.view import ViewDefinition, compute, compute_many, lineage
from mlops_assets_tests.features._world import Day

MOMENT = pa.timestamp("us", tz="UTC")
DAYS = [f"2013-01-{day:02}" for day in range(1, 8)]
COMMON = {"name": "delays", "keys": {"carrier": "string"}, "lookback_days": 3, "available_after": "PT1H", "ttl": "P3D"}
WRITTEN = COMMON | {
    "features": {"late_1d": "float64", "late_3d": "float64", "flights_3d": "float64", "dest_3d": "string"},
    "tables": {"flights": "flights"},
}
SQL = """
    SELECT carrier, avg(CAST(delay > 15 AS DOUBLE)) FILTER (seen >= $partition_end - INTERVAL 1 DAY) AS late_1d,
        avg(CAST(delay > 15 AS DOUBLE)) AS late_3d, count(*) AS flights_3d, arg_max(dest, (seen, dest)) AS dest_3d
    FROM flights WHERE seen >= $partition_end - INTERVAL 3 DAY AND seen < $partition_end GROUP BY carrier
"""
AGGREGATES = {
    "table": "flights",
    "time": "seen",
    "windows": ["3d"],
    "values": {
        "late": {"rate": "delay > 15", "windows": ["1d", "3d"]},
        "flights": {"count": "*"},
        "dest": {"last": "dest", "type": "string"},
    },
}
POLARS = """
from datetime import timedelta
import polars as pl

def delays(flights, partition_end):
    late, at = (pl.col("delay") > 15).cast(pl.Float64), pl.col("seen")
    newest = flights.filter(at >= partition_end - timedelta(days=3), at < partition_end).sort("seen", "dest")
    return newest.group_by("carrier").agg(
        late.filter(at >= partition_end - timedelta(days=1)).mean().alias("late_1d"),
        late.mean().alias("late_3d"),
        pl.len().alias("flights_3d"),
        pl.col("dest").last().alias("dest_3d"),
    )
"""
PANDAS = """
from datetime import timedelta

def delays(flights, partition_end):
    flights = flights[(flights["seen"] >= partition_end - timedelta(days=3)) & (flights["seen"] < partition_end)]
    flights = flights.assign(late=(flights["delay"] > 15).astype(float)).sort_values(["seen", "dest"])
    groups = flights.groupby("carrier", dropna=False)
    found = groups.agg(late_3d=("late", "mean"), flights_3d=("late", "size"), dest_3d=("dest", "last"))
    newest = flights[flights["seen"] >= partition_end - timedelta(days=1)]
    found["late_1d"] = newest.groupby("carrier")["late"].mean()
    return found.reset_index()
"""
READS = {"flights": ["carrier", "dest", "delay", "seen"]}


def in_python(source, frames="polars", /, **changed):
    code = {"file": "views.py", "function": "delays", "frames": frames, "reads": READS, "source": source}
    return WRITTEN | {"python": code | changed}


KINDS = {
    "sql": WRITTEN | {"sql": SQL},
    "aggregates": COMMON | {"aggregates": AGGREGATES},
    "polars": in_python(POLARS),
    "pandas": in_python(PANDAS, "pandas"),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def view_of(kind, **changed):
    return ViewDefinition.model_validate(KINDS[kind] | changed)


def flights(day, *, seed=0, carriers=("UA", "B6", "DL")):
    chance = np.random.default_rng([seed, int(day[-2:])])
    start = np.datetime64(day, "us")
    return pa.table({
        "carrier": pa.array(chance.choice(carriers, 30).tolist(), pa.string()),
        "dest": chance.choice(["ORD", "LAX", "BOS"], 30).tolist(),
        "delay": chance.normal(10, 20, 30),
        "seen": pa.array(start + chance.integers(0, 24, 30).astype("timedelta64[h]"), MOMENT),
        "secret": chance.normal(size=30),
    })  # fmt: skip


BY_DAY = {day: flights(day) for day in DAYS}
OTHERS = {day: flights(day, seed=1) for day in DAYS}


@every_kind
def test_every_kind_gives_the_same_rows(kind):
    """Bit for bit those of the SQL, for each partition."""
    spans = {day: Day(day) for day in DAYS}
    expected = compute_many(view_of("sql"), {"flights": BY_DAY}, spans)

    rows = compute_many(view_of(kind), {"flights": BY_DAY}, spans)

    assert {day: sha256_table(found) for day, found in rows.items()} == {
        day: sha256_table(found) for day, found in expected.items()
    }
    assert rows[DAYS[3]].num_rows == 3


@every_kind
def test_no_kind_sees_a_partition_outside_its_look_back(kind):
    """Other days before and after leave the rows as they are; another day inside does not."""
    view, day = view_of(kind), DAYS[4]
    rows = compute(view, {"flights": BY_DAY}, Day(day))

    outside = {each: (BY_DAY if each in DAYS[2:5] else OTHERS)[each] for each in DAYS}
    inside = BY_DAY | {DAYS[2]: OTHERS[DAYS[2]]}

    assert sha256_table(compute(view, {"flights": outside}, Day(day))) == sha256_table(rows)
    assert sha256_table(compute(view, {"flights": inside}, Day(day))) != sha256_table(rows)


@every_kind
def test_of_a_whole_table_every_kind_sees_what_it_would_see_of_its_partitions(kind):
    """SQL and functions cut it themselves; aggregates, and a function over `times`, cannot but do so."""
    whole, spans = pa.concat_tables(BY_DAY.values()), {day: Day(day) for day in DAYS}
    expected = compute_many(view_of("sql"), {"flights": BY_DAY}, spans)
    cut_for_it = POLARS.replace("at >= partition_end - timedelta(days=3), at < partition_end", "pl.lit(True)")
    view = view_of(kind) if kind != "polars" else view_of(kind, **in_python(cut_for_it, times={"flights": "seen"}))

    rows = compute_many(view, {"flights": whole}, spans)

    assert {day: sha256_table(found) for day, found in rows.items()} == {
        day: sha256_table(found) for day, found in expected.items()
    }


@every_kind
def test_every_kind_is_stamped_alike(kind):
    """True at the end of the partition, known when it can be looked up."""
    day = Day(DAYS[4])

    rows = compute(view_of(kind), {"flights": BY_DAY}, day)

    assert set(rows["event_time"].to_pylist()) == {day.end}
    assert set(rows["known_at"].to_pylist()) == {day.end + timedelta(hours=1)}


@every_kind
def test_no_kind_gives_a_row_without_its_key(kind):
    """No decision could find it, and the message says how to leave it out."""
    keyless = {day: flights(day, carriers=["UA", None]) for day in DAYS}

    with pytest.raises(FeatureError, match=r"without 'carrier', which no decision could find\. Leave such rows out"):
        compute(view_of(kind), {"flights": keyless}, Day(DAYS[4]))


@every_kind
def test_no_kind_gives_two_rows_for_a_key(kind):
    """SQL and Python are refused; aggregates cannot."""
    in_pandas = "import pandas\n" + PANDAS + AGAIN.format("pandas.concat([rows, rows])")
    doubled = {
        "sql": {"sql": f"SELECT * FROM ({SQL}) CROSS JOIN (VALUES (1), (2)) AS twice(n)".replace("*", NAMES, 1)},
        "aggregates": {},
        "polars": {"python": in_python(POLARS + AGAIN.format("pl.concat([rows, rows])"))["python"]},
        "pandas": {"python": in_python(in_pandas, "pandas")["python"]},
    }
    view = view_of(kind, **doubled[kind])

    if kind == "aggregates":
        carriers = compute(view, {"flights": BY_DAY}, Day(DAYS[4]))["carrier"].to_pylist()
        assert len(carriers) == len(set(carriers))
        return

    with pytest.raises(FeatureError, match="3 rows more than keys known at the same moment") as refused:
        compute(view, {"flights": BY_DAY}, Day(DAYS[4]))
    assert refused.value.ties == 3


NAMES = "carrier, late_1d, late_3d, flights_3d, dest_3d"
AGAIN = """
once = delays
def delays(flights, partition_end):
    rows = once(flights, partition_end)
    return {}
"""


def with_one_more(kind):
    if kind == "sql":  # a star hides it until the rows are there
        return {"sql": f"SELECT * FROM ({SQL.replace('arg_max', 'min(secret) AS secret, arg_max')})"}
    extra = "rows.assign(secret=1.0)" if kind == "pandas" else "rows.with_columns(secret=pl.lit(1.0))"
    frames, source = ("pandas", PANDAS) if kind == "pandas" else ("polars", POLARS)
    return {"python": in_python(source + AGAIN.format(extra), frames)["python"]}


@pytest.mark.parametrize("kind", ["sql", "polars", "pandas"])
def test_no_kind_gives_a_column_it_does_not_declare(kind):
    """Aggregates derive theirs; the others are refused."""
    with pytest.raises(FeatureError, match="also gives secret, which it does not declare"):
        compute(view_of(kind, **with_one_more(kind)), {"flights": BY_DAY}, Day(DAYS[4]))


@pytest.mark.parametrize("kind", ["sql", "polars", "pandas"])
def test_every_kind_gives_all_it_declares(kind):
    """A star in the SQL hides what is missing until the rows are there."""
    features = WRITTEN["features"] | {"wind": "float64"}
    sql = {"sql": f"SELECT * FROM ({SQL})"} if kind == "sql" else {}

    with pytest.raises(FeatureError, match="gives no column 'wind', which it declares"):
        compute(view_of(kind, features=features, **sql), {"flights": BY_DAY}, Day(DAYS[4]))


@pytest.mark.parametrize("kind", ["sql", "polars", "pandas"])
def test_every_kind_gives_what_it_declares_as_declared(kind):
    """A string never becomes a number."""
    features = WRITTEN["features"] | {"dest_3d": "float64"}

    with pytest.raises(FeatureError, match="column 'dest_3d' is declared float64"):
        compute(view_of(kind, features=features), {"flights": BY_DAY}, Day(DAYS[4]))


@every_kind
def test_the_lineage_of_every_kind_holds_what_it_reads(kind):
    """A column the view never sees is in none; the key comes from the key."""
    found = lineage(view_of(kind), {"flights": BY_DAY[DAYS[0]].column_names})

    assert ("flights", "delay") in found["late_3d"]
    assert ("flights", "carrier") in found["carrier"]
    assert not any(("flights", "secret") in columns for columns in found.values())


@every_kind
def test_a_declaration_is_the_same_after_it_was_written_down(kind):
    """It is read back from the metadata of its asset."""
    view = view_of(kind)

    assert ViewDefinition.model_validate_json(view.model_dump_json()) == view


def test_a_function_is_shown_the_columns_it_reads_and_no_others():
    """What is not in `reads` cannot leak, and is in no lineage."""
    source = POLARS.replace('"carrier").agg(', '"carrier").agg(pl.col("secret").max(),')

    with pytest.raises(FeatureError, match=r"delays\(\) of view 'delays' failed .* ColumnNotFoundError: .*secret"):
        compute(ViewDefinition.model_validate(in_python(source)), {"flights": BY_DAY}, Day(DAYS[4]))


def test_a_function_that_comes_out_otherwise_when_called_again_is_refused():
    """Nobody could tell afterwards what a decision was taken on."""
    chance = AGAIN.format("rows.with_columns(late_3d=pl.lit(numpy.random.default_rng().normal()))")
    source = "import numpy\n" + POLARS + chance

    with pytest.raises(FeatureError, match="came out otherwise when its function was called again"):
        compute(ViewDefinition.model_validate(in_python(source)), {"flights": BY_DAY}, Day(DAYS[4]))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"function": "delay"}, "Did you mean 'delays'"),
        ({"source": POLARS.replace("(flights,", "(fligts,")}, "Did you mean 'flights'"),
        ({"source": POLARS.replace("(flights, partition_end)", "(flights, partition_ed)")}, "mean 'partition_end'"),
        ({"source": POLARS.replace("def ", "df ")}, "line 5 of views.py is not Python"),
        ({"source": POLARS + "\nimport time\nbegun = time.time_ns()"}, "calls time_ns(), so computing the view again"),
        (
            {"source": POLARS.replace("(flights, partition_end)", "(partition_end)")},
            "not both in `reads` and an argument",
        ),
        ({"reads": READS | {"weather": ["temp"]}}, "table alias 'weather' is not known"),
        ({"frames": "dask"}, "'polars' or 'pandas'"),
    ],
)
def test_a_function_that_cannot_be_obeyed_is_refused_at_load(changed, said):
    """A typo in an argument is told when the project is loaded, not at night."""
    with pytest.raises(ValidationError) as refused:
        ViewDefinition.model_validate(in_python(POLARS, **changed))

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("result", "said"),
    [("rows.to_dicts()", "gave list, not a polars frame"), ("1 / 0", "failed on its tables: ZeroDivisionError")],
)
def test_a_function_that_gives_no_frame_is_told_so(result, said):
    """With the name of function and view."""
    with pytest.raises(FeatureError, match=said):
        compute(
            ViewDefinition.model_validate(in_python(POLARS + AGAIN.format(result))), {"flights": BY_DAY}, Day(DAYS[4])
        )


def test_a_lazy_frame_is_collected():
    """Polars people often give one."""
    lazy = ViewDefinition.model_validate(in_python(POLARS + AGAIN.format("rows.lazy()")))

    rows = compute(lazy, {"flights": BY_DAY}, Day(DAYS[4]))

    assert sha256_table(rows) == sha256_table(compute(view_of("sql"), {"flights": BY_DAY}, Day(DAYS[4])))


def test_whole_numbers_stay_whole_in_a_pandas_frame_with_nulls():
    """The declaration decides the dtype, never whether a null happens to be there."""
    table = pa.table({"carrier": ["UA", "B6"], "seats": pa.array([2**53 + 1, None], pa.int64())})
    source = "def delays(flights):\n    return flights.assign(seats=(flights['seats'] - 2**53).astype('Float64'))"
    view = ViewDefinition.model_validate(
        in_python(source, "pandas", reads={"flights": ["carrier", "seats"]}) | {"features": {"seats": "float64"}}
    )

    rows = compute(view, {"flights": table}, Day(DAYS[4]))

    assert rows.select(["carrier", "seats"]).to_pylist() == [
        {"carrier": "B6", "seats": None},
        {"carrier": "UA", "seats": 1.0},
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"python": in_python(POLARS)["python"]}, "exactly one of sql, aggregates and python"),
        ({"sql": None}, "exactly one of sql, aggregates and python"),
        ({"keys": {}}, "keys is missing"),
        ({"features": {}}, "features is missing"),
        ({"tables": {}}, "tables is missing"),
    ],
)
def test_a_view_says_once_how_it_is_computed(changed, said):
    """And what of."""
    with pytest.raises(ValidationError, match=said):
        view_of("sql", **changed)

"""Each label finds what its decision could have known: no more, no less, and every label exactly once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.errors import FeatureError
from mlops_assets.features import FeaturePlan, Vectorizer, build_spec
from mlops_assets.features.columns import as_arrays, as_arrow
from mlops_assets.features.join import point_in_time, training_rows
from mlops_assets.records import FeatureView, Field
from mlops_assets.stores.online import SqliteOnlineStore
from mlops_assets_tests.features._world import VIEWS, inputs_of

MOMENT = pa.timestamp("us", tz="UTC")
START = datetime(2013, 1, 1, tzinfo=UTC)
TTL = timedelta(hours=10)
VIEW = FeatureView(
    name="delays",
    keys=(Field(name="carrier", dtype="string"), Field(name="gate", dtype="int64")),
    features=(Field(name="rate", dtype="float64"), Field(name="cause", dtype="string")),
    ttl_s=TTL.total_seconds(),
)

hours = st.integers(0, 30)
carriers = st.sampled_from(["UA", "B6", None])
gates = st.sampled_from([1, 2, None])
label_lists = st.lists(st.tuples(carriers, gates, st.none() | hours), max_size=15)
# (carrier, gate, event hour, how late it became known, value); late rows overtake each other
row_lists = st.lists(
    st.tuples(carriers, gates, hours, st.integers(0, 20), st.none() | st.floats(-1, 1)),
    max_size=25,
    unique_by=lambda row: (row[0], row[1], row[2] + row[3]),
)


def at(hour):
    return None if hour is None else START + timedelta(hours=hour)


def labels_of(*labels):
    carrier, gate, decided = zip(*labels, strict=True) if labels else ((), (), ())
    return pa.table(
        {
            "carrier": pa.array(carrier, pa.string()),
            "gate": pa.array(gate, pa.int64()),
            "decision_time": pa.array([at(hour) for hour in decided], MOMENT),
            "label": pa.array(range(len(labels)), pa.int64()),
        }
    )


def rows_of(*rows):
    columns = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    carrier, gate, event, delay, rate = columns
    return pa.table(
        {
            "carrier": pa.array(carrier, pa.string()),
            "gate": pa.array(gate, pa.int64()),
            "rate": pa.array(rate, pa.float64()),
            "cause": pa.array([f"cause {value}" for value in rate], pa.string()),
            "event_time": pa.array([at(hour) for hour in event], MOMENT),
            "known_at": pa.array([at(e + d) for e, d in zip(event, delay, strict=True)], MOMENT),
        }
    )


def by_hand(label, rows):
    """Apply the rule to one label as the words say it: of the rows known, the newest; of these, the one known last."""
    carrier, gate, decided = label
    known = [
        row
        for row in rows
        if None not in (carrier, gate, decided) and row[:2] == (carrier, gate) and row[2] + row[3] <= decided
    ]
    if not known:
        return None, "missing", None
    newest = max(known, key=lambda row: (row[2], row[2] + row[3]))
    fresh = decided - newest[2] <= TTL / timedelta(hours=1)
    return (newest[4] if fresh else None), ("ok" if fresh else "stale"), at(newest[2])


@settings(max_examples=150, deadline=None)
@given(label_lists, row_lists)
def test_join_is_the_rule_applied_to_every_label_by_hand(labels, rows):
    """Late rows, nulls, boundaries and stale rows included; labels in are labels out, in their order."""
    joined = point_in_time(labels_of(*labels), [(VIEW, rows_of(*rows))])

    expected = [by_hand(label, rows) for label in labels]
    assert joined.column("label").to_pylist() == list(range(len(labels)))
    found = zip(
        *(joined.column(name).to_pylist() for name in ("rate", "delays__status", "delays__event_time")), strict=True
    )
    assert list(found) == expected


FLIGHT_KEYS = {"carrier": "string", "gate": "int64", "hour": "timestamp"}


def drawn(rows, *, seed, keys=40, days=30):
    """Give rows of three key columns at random times of some days, a few keys null."""
    chance = np.random.default_rng(seed)
    times = np.datetime64("2013-01-01", "us") + chance.integers(0, days * 86_400 * 10**6, rows)
    return pa.table(
        {
            "carrier": pa.array(chance.choice(np.array(["UA", "B6", "DL", None], dtype=object), rows), pa.string()),
            "gate": pa.array(chance.integers(0, keys // 3, rows), mask=chance.random(rows) < 0.02),
            "hour": pa.array(np.datetime64("2013-01-01", "us") + chance.integers(0, 3, rows) * 3_600_000_000).cast(
                MOMENT
            ),
            "time": pa.array(times).cast(MOMENT),
        }
    )


@pytest.mark.parametrize(("keys", "days"), [(40, 30), (12_000, 150_000)], ids=["packed", "too wide to be packed"])
def test_join_is_the_asof_join_of_duckdb(keys, days):
    """Where nothing is late and nothing is stale: 20,000 decisions over three key columns, rows in no order."""
    labels = drawn(20_000, seed=1, keys=keys, days=days).rename_columns([*FLIGHT_KEYS, "decision_time"])
    rows = drawn(60_000, seed=2, keys=keys, days=days).rename_columns([*FLIGHT_KEYS, "event_time"])
    rows = rows.append_column("known_at", rows["event_time"])
    rows = rows.append_column("value", pa.array(np.random.default_rng(3).normal(size=rows.num_rows)))
    view = FeatureView(
        name="view",
        keys=tuple(Field(name=name, dtype=dtype) for name, dtype in FLIGHT_KEYS.items()),
        features=(Field(name="value", dtype="float64"),),
        ttl_s=1e12,
    )

    joined = point_in_time(labels, [(view, rows)])

    with duckdb.connect(config={"threads": 4}) as connection:
        connection.execute("SET TimeZone = 'UTC'").fetchall()
        numbered = labels.append_column("n", pa.array(range(labels.num_rows)))
        connection.register("labels", numbered)
        connection.register("held", rows)
        expected = connection.sql("""
            SELECT value, held.event_time FROM labels ASOF LEFT JOIN held
            ON labels.carrier = held.carrier AND labels.gate = held.gate AND labels.hour = held.hour
            AND labels.decision_time >= held.event_time ORDER BY n
        """).to_arrow_table()
    assert joined.column("value").to_pylist() == expected["value"].to_pylist()
    assert joined.column("view__event_time").to_pylist() == expected["event_time"].to_pylist()
    assert 0.1 < joined.column("value").null_count / labels.num_rows < 0.95


@settings(max_examples=60, deadline=None)
@given(label_lists, row_lists, st.randoms())
def test_order_of_rows_and_labels_is_no_matter(labels, rows, chance):
    """The same bits, however the rows lie in their files, in how many pieces, and in whatever order one asks."""
    places = chance.sample(range(len(labels)), len(labels))
    shuffled = rows_of(*chance.sample(rows, len(rows)))
    cut = chance.randint(0, len(rows))
    pieces = pa.concat_tables([shuffled.slice(0, cut), shuffled.slice(cut)])

    joined = point_in_time(labels_of(*labels), [(VIEW, rows_of(*rows))])
    other = point_in_time(labels_of(*(labels[place] for place in places)), [(VIEW, pieces)])

    assert joined.drop_columns(["label"]).take(pa.array(places, pa.int64())).equals(other.drop_columns(["label"]))


@settings(max_examples=60, deadline=None)
@given(label_lists, row_lists, row_lists)
def test_each_view_is_joined_as_if_it_were_alone(labels, rows, others):
    """Several views, with keys and ttl of their own."""
    second = FeatureView(
        name="causes",
        keys=(Field(name="gate", dtype="int64"),),
        features=(Field(name="mean", dtype="float64"),),
        ttl_s=3 * 3600.0,
    )
    unique = {(row[1], row[2], row[2] + row[3]): row for row in others}.values()
    held = rows_of(*unique).rename_columns({"rate": "mean"})

    together = point_in_time(labels_of(*labels), [(VIEW, rows_of(*rows)), (second, held)])

    alone = point_in_time(labels_of(*labels), [(second, held)])
    first = point_in_time(labels_of(*labels), [(VIEW, rows_of(*rows))])
    assert together.select(first.column_names).equals(first)
    assert together.select(alone.column_names).equals(alone)


@pytest.mark.parametrize("kind", [pa.timestamp("us", "America/New_York"), pa.timestamp("ms", "Asia/Tokyo")])
def test_moments_are_compared_whatever_zone_they_are_written_in(kind):
    """A row of another zone or resolution is known at the same moment; one without a zone is known at none."""
    rows = rows_of(("UA", 1, 8, 2, 0.5))
    for name in ("event_time", "known_at"):
        rows = rows.set_column(rows.column_names.index(name), name, rows[name].cast(kind))
    naive = rows.set_column(5, "known_at", rows["known_at"].cast(pa.timestamp("us")))

    joined = point_in_time(labels_of(("UA", 1, 9), ("UA", 1, 10)), [(VIEW, rows)])

    assert joined.column("delays__status").to_pylist() == ["missing", "ok"]
    assert joined.column("delays__event_time").to_pylist() == [None, at(8)]
    with pytest.raises(FeatureError, match="'known_at' is declared timestamp"):
        point_in_time(labels_of(("UA", 1, 9)), [(VIEW, naive)])


def test_ties_are_found_among_rows_that_become_known_together():
    """Also where the two do not lie side by side, and no decision is late enough to find them."""
    rows = rows_of(("UA", 1, 5, 1, 0.1), ("UA", 1, 4, 2, 0.3), ("UA", 1, 5, 1, 0.2))

    with pytest.raises(FeatureError, match=r"1 rows that share .*carrier=UA, gate=1"):
        point_in_time(labels_of(("UA", 1, 2)), [(VIEW, rows)])


@settings(max_examples=60, deadline=None)
@given(label_lists, row_lists, row_lists)
def test_whatever_happens_after_the_decisions_changes_nothing(labels, rows, future):
    """Every row not yet known is replaced by another world's, and no feature, status or time moves."""
    last = max((decided for *_, decided in labels if decided is not None), default=0)
    past = [row for row in rows if row[2] + row[3] <= last]
    other = [row for row in future if row[2] + row[3] > last]

    joined = point_in_time(labels_of(*labels), [(VIEW, rows_of(*rows))])
    perturbed = point_in_time(labels_of(*labels), [(VIEW, rows_of(*past, *other))])

    assert joined.equals(perturbed)


@pytest.mark.parametrize(("hour", "status"), [(9, "missing"), (10, "ok"), (18, "ok"), (18.000_001, "stale")])
def test_both_ends_of_the_time_a_row_answers_are_included(hour, status):
    """An event of 8 o'clock, known at 10, with a ttl of 10 hours answers from 10 to 18, to the microsecond."""
    joined = point_in_time(labels_of(("UA", 1, hour)), [(VIEW, rows_of(("UA", 1, 8, 2, 0.5)))])

    assert joined.column("delays__status").to_pylist() == [status]
    assert joined.column("rate").to_pylist() == [0.5 if status == "ok" else None]


def test_a_correction_replaces_what_it_corrects_once_it_is_known():
    """Two rows of one event: the second is the truth from the moment it is known."""
    rows = rows_of(("UA", 1, 5, 0, 0.1), ("UA", 1, 5, 3, 0.2))

    joined = point_in_time(labels_of(("UA", 1, 7), ("UA", 1, 8)), [(VIEW, rows)])

    assert joined.column("rate").to_pylist() == [0.1, 0.2]


def test_a_late_row_does_not_hide_a_newer_one():
    """What became known last is not what is true last."""
    rows = rows_of(("UA", 1, 6, 0, 0.6), ("UA", 1, 2, 5, 0.2))

    joined = point_in_time(labels_of(("UA", 1, 8)), [(VIEW, rows)])

    assert joined.column("rate").to_pylist() == [0.6]


def test_whole_numbers_that_floats_cannot_tell_apart_are_refused():
    """As request fields they would be another's key: 2**53 + 1 is 2**53 as a float."""
    ids = pa.table({"customer": pa.array([2**53 + 1], pa.int64())})

    with pytest.raises(FeatureError, match=r"'customer' holds whole numbers beyond 2\*\*53.*Declare it as a string"):
        as_arrays(ids, [Field(name="customer", dtype="int64")])


def test_ties_are_refused_with_the_rows():
    """Otherwise DuckDB would answer with either."""
    with pytest.raises(FeatureError, match=r"carrier=UA, gate=1, .*known_at=2013-01-01 06:00:00"):
        point_in_time(labels_of(("UA", 1, 8)), [(VIEW, rows_of(("UA", 1, 5, 1, 0.1), ("UA", 1, 5, 1, 0.2)))])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_of_rows_that_become_known_together_the_newest_answers(order):
    """A late batch comes in with the next one."""
    rows = [("UA", 1, 4, 2, 0.1), ("UA", 1, 6, 0, 0.3), ("UA", 1, 5, 1, 0.2)]

    joined = point_in_time(labels_of(("UA", 1, 8)), [(VIEW, rows_of(*(rows[n] for n in order)))])

    assert joined.column("rate").to_pylist() == [0.3]


def test_a_row_known_before_it_was_true_is_refused():
    """It would answer decisions of its own past."""
    with pytest.raises(FeatureError, match="before their event time"):
        point_in_time(labels_of(("UA", 1, 8)), [(VIEW, rows_of(("UA", 1, 5, -1, 0.1)))])


@pytest.mark.parametrize(
    ("labels", "rows", "said"),
    [
        (labels_of().drop_columns(["decision_time"]), rows_of(), "decision_time"),
        (labels_of().drop_columns(["gate"]), rows_of(), "gate"),
        (labels_of(), rows_of().drop_columns(["known_at"]), "known_at"),
        (labels_of().append_column("rate", pa.array([], pa.float64())), rows_of(), "'rate', and a column of that name"),
        (labels_of().cast(pa.schema([("carrier", pa.string()), ("gate", pa.int64()),
                                     ("decision_time", pa.timestamp("us")), ("label", pa.int64())])), rows_of(),
         "comparing times in two zones"),
        (labels_of().set_column(1, "gate", pa.array([], pa.string())), rows_of(), "'gate' is declared int64"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(labels, rows, said):
    """A missing column, a name twice, a time without a zone, a key of another kind."""
    with pytest.raises(FeatureError) as refused:
        point_in_time(labels, [(VIEW, rows)])

    assert said in str(refused.value)


@pytest.fixture
def world(module):
    """Labels of the small world and the rows of its views, some late, some old, some absent."""
    inputs, chance = inputs_of(400, seed=3), np.random.default_rng(5)
    request = {field.name: as_arrow(inputs[field.name], field) for field in module.request}
    start = np.datetime64("2013-03-01", "us")
    departs = start + chance.integers(0, 20 * 86_400, 400) * np.timedelta64(1, "s")
    request["scheduled_departure"] = as_arrow(departs, Field(name="scheduled_departure", dtype="timestamp"))
    decided = as_arrow(departs - np.timedelta64(2, "h"), Field(name="decision_time", dtype="timestamp"))
    days = [datetime(2013, 3, 1, tzinfo=UTC) + timedelta(days=n) for n in range(20)]
    delays = [(c, d) for c in ("UA", "DL") for d in days if (c, d.day % 7) != ("DL", 0)]
    spells = [(o, d + timedelta(hours=h)) for o in ("EWR", "JFK") for d in days for h in range(0, 24, 2)]
    rows = {
        "carrier_delays": pa.table(
            {
                "carrier": [c for c, _ in delays],
                "late_rate_7d": chance.random(len(delays)),
                "late_rate_28d": chance.random(len(delays)),
                "event_time": pa.array([d for _, d in delays], MOMENT),
                "known_at": pa.array([d + timedelta(hours=1 + 30 * (d.day % 5 == 0)) for _, d in delays], MOMENT),
            }
        ),
        "weather": pa.table(
            {
                "origin": [o for o, _ in spells],
                "departure_hour": pa.array([h for _, h in spells], MOMENT),
                "temp": pa.array([None if n % 9 == 0 else float(n) for n in range(len(spells))], pa.float64()),
                "event_time": pa.array([h - timedelta(hours=48) for _, h in spells], MOMENT),
                "known_at": pa.array([h - timedelta(hours=40) for _, h in spells], MOMENT),
            }
        ),
    }
    return pa.table({**request, "decision_time": decided}), rows


def test_training_rows_bring_derived_keys_and_all_the_vector_needs(module, world):
    """The hour of departure is computed, the weather found by it, and the result is ready for the vector."""
    labels, rows = world
    plan = FeaturePlan(module, VIEWS)

    joined = training_rows(plan, labels, rows)

    assert set(joined.column("weather__status").to_pylist()) == {"ok", "missing"}
    assert set(joined.column("carrier_delays__status").to_pylist()) == {"ok", "missing"}
    inputs = as_arrays(joined, plan.inputs)
    assert Vectorizer(build_spec(module, VIEWS, inputs), module).vector(inputs).shape == (400, len(module.features))


def test_training_rows_name_the_view_that_was_not_given(module, world):
    """With what to do about it."""
    labels, rows = world

    with pytest.raises(FeatureError, match="'weather' were not given"):
        training_rows(FeaturePlan(module, VIEWS), labels, {"carrier_delays": rows["carrier_delays"]})


def test_endpoint_and_training_see_the_same_bits(module, world, tmp_path: Path):
    """Each decision asked of the online store, one by one, gives the vector of the training set."""
    labels, rows = world
    plan = FeaturePlan(module, VIEWS)
    inputs = as_arrays(training_rows(plan, labels, rows), plan.inputs)
    vectorizer = Vectorizer(build_spec(module, VIEWS, inputs), module)
    store = SqliteOnlineStore(tmp_path / "online.sqlite", history=1_000)
    for view in plan.views:
        store.write(view, rows[view.name])
    request = as_arrays(labels, [*module.request, Field(name="decision_time", dtype="timestamp")])

    served = []
    for n in range(labels.num_rows):
        one = vectorizer.keys({name: column[n : n + 1] for name, column in request.items()})
        for view in plan.views:
            found = store.read(view, one, one["decision_time"])
            one |= {name: column.values for name, column in found.items()}
        served.append(vectorizer.vector(one))

    assert np.array_equal(np.concatenate(served).view(np.uint64), vectorizer.vector(inputs).view(np.uint64))

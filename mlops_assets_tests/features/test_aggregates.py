"""Aggregates are what a loop over the rows gives, for every measure and window, and refuse what they cannot be."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mlops_assets.features.definition import ViewDefinition
from mlops_assets.features.view import compute
from mlops_assets.records import Span

END = datetime(2013, 1, 9, tzinfo=UTC)
WINDOWS = {"6h": timedelta(hours=6), "1d": timedelta(days=1), "7d": timedelta(days=7)}
VALUES = {
    "rows": {"count": "*"},
    "known": {"count": "delay"},
    "late": {"rate": "delay > 15"},
    "delay": {"mean": "delay"},
    "total": {"sum": "delay"},
    "least": {"min": "delay"},
    "most": {"max": "delay"},
    "newest": {"last": "delay"},
    "dests": {"distinct": "dest"},
    "last_dest": {"last": "dest", "type": "string"},
    "long": {"count": "*", "where": "delay > 60", "windows": ["7d"]},
}
AGGREGATES = {"table": "flights", "time": "at", "windows": [*WINDOWS], "values": VALUES}
DECLARED = {"name": "delays", "keys": {"carrier": "string"}, "ttl": "P3D", "aggregates": AGGREGATES}

rows_of_a_table = st.lists(
    st.fixed_dictionaries({
        "carrier": st.sampled_from(["UA", "B6"]),
        "dest": st.sampled_from(["ORD", "LAX", "BOS", None]),
        "delay": st.none() | st.integers(-30, 120),
        "at": st.integers(0, 9 * 24).map(lambda hours: datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=hours)),
    }),
    min_size=1,
    max_size=40,
)  # fmt: skip
SCHEMA = pa.schema([
    ("carrier", pa.string()), ("dest", pa.string()), ("delay", pa.int64()), ("at", pa.timestamp("us", tz="UTC")),
])  # fmt: skip


def by_hand(rows):
    """Every feature of one carrier, in a plain loop."""
    found = {}
    for window, length in WINDOWS.items():
        inside = [row for row in rows if END - length <= row["at"] < END]
        delays = [row["delay"] for row in inside if row["delay"] is not None]
        dests = [row["dest"] for row in inside if row["dest"] is not None]
        found |= {
            f"rows_{window}": len(inside),
            f"known_{window}": len(delays),
            f"late_{window}": sum(delay > 15 for delay in delays) / len(delays) if delays else None,
            f"delay_{window}": sum(delays) / len(delays) if delays else None,
            f"total_{window}": sum(delays) if delays else None,
            f"least_{window}": min(delays, default=None),
            f"most_{window}": max(delays, default=None),
            f"newest_{window}": max(
                ((row["at"], row["delay"]) for row in inside if row["delay"] is not None), default=(None, None)
            )[1],
            f"dests_{window}": len(set(dests)),
            f"last_dest_{window}": max(
                ((row["at"], row["dest"]) for row in inside if row["dest"] is not None), default=(None, None)
            )[1],
        }
    return found | {"long_7d": sum(row["delay"] is not None and row["delay"] > 60 for row in rows if in_week(row))}


def in_week(row):
    return END - WINDOWS["7d"] <= row["at"] < END


@settings(max_examples=60, deadline=None)
@given(rows_of_a_table)
def test_every_measure_over_every_window_is_what_a_loop_gives(rows):
    """Nulls, empty windows and rows of one moment among them; a key without rows in the longest window has none."""
    view = ViewDefinition.model_validate(DECLARED)

    found = compute(view, {"flights": pa.Table.from_pylist(rows, schema=SCHEMA)}, Span(END - timedelta(days=1), END))

    stamps = {"carrier", "event_time", "known_at"}
    assert {row["carrier"]: {k: v for k, v in row.items() if k not in stamps} for row in found.to_pylist()} == {
        carrier: by_hand([row for row in rows if row["carrier"] == carrier])
        for carrier in sorted({row["carrier"] for row in rows if in_week(row)})
    }


def test_names_sentences_and_look_back_are_derived():
    """A feature is its value and its window, in the order declared; what is described by hand prevails."""
    view = ViewDefinition.model_validate(DECLARED | {"describe": {"late_1d": "By hand."}})

    assert list(view.features)[:4] == ["rows_6h", "rows_1d", "rows_7d", "known_6h"]
    assert view.features["last_dest_7d"] == "string"
    assert (view.tables, view.lookback_days) == ({"flights": "flights"}, 7)
    assert view.describe["rows_6h"] == "Number of rows, over the last 6 hours."
    assert view.describe["late_7d"] == "Share of rows with delay > 15, over the last 7 days."
    assert view.describe["late_1d"] == "By hand."


def test_one_may_look_back_further_than_the_windows():
    """Where rows arrive before their time, such as timetables."""
    assert ViewDefinition.model_validate(DECLARED | {"lookback_days": 30}).lookback_days == 30


def value(**changed):
    return {"aggregates": AGGREGATES | {"values": {"late": changed}}}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (value(), "measure exactly one of count, mean"),
        (value(mean="delay", rate="delay > 15"), "this has mean, rate"),
        (value(median="delay"), "Extra inputs"),
        (value(mean="avg(delay)"), "more than one expression"),
        (value(mean="delay, dest"), "more than one expression"),
        (value(mean="(SELECT 1)"), "more than one expression"),
        (value(mean="delay AS late"), "more than one expression"),
        (value(mean="delay FROM weather"), "more than one expression"),
        (value(mean="delay -- of all"), "more than one expression"),
        (value(mean="row_number() OVER ()"), "more than one expression"),
        (value(rate="delay >"), "cannot be read"),
        (value(rate="at > now()"), "computing it again"),
        (value(mean="delay", type="string"), "mean gives a number"),
        (value(mean="delay", windows=["7w"]), "should match pattern"),
        ({"aggregates": AGGREGATES | {"windows": []}}, "at least 1 item"),
        ({"aggregates": AGGREGATES | {"values": {"Late": {"count": "*"}}}}, "Late cannot begin the name of a feature"),
        ({"features": {"late_1d": "float64"}}, "features is derived from the aggregates"),
        ({"sql": "SELECT 1"}, "sql is derived from the aggregates"),
        ({"lookback_days": 3}, "the longest window needs 7"),
        ({"describe": {"late_1dd": "Share."}}, "Did you mean 'late_1d'"),
    ],
)
def test_what_cannot_be_computed_is_refused_when_it_is_declared(changed, said):
    """With the key that is wrong, and what may stand there."""
    with pytest.raises(ValidationError) as refused:
        ViewDefinition.model_validate(DECLARED | changed)

    assert said in str(refused.value)

"""A declared default stands where no row answers, and only there, in training and online alike."""

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mlops_assets.features import FeatureModule, FeaturePlan, Vectorizer, build_spec
from mlops_assets.features.columns import as_arrays
from mlops_assets.features.defaults import filled
from mlops_assets.features.definition import ViewDefinition
from mlops_assets.features.join import training_rows
from mlops_assets.records import FeatureView, Field
from mlops_assets.stores.online import SqliteOnlineStore

MOMENT = pa.timestamp("us", tz="UTC")
START = datetime(2013, 1, 1, tzinfo=UTC)
SOURCE = """
REQUEST = {"carrier": str | None}

def rate_again(rate):
    return rate * 2.0

FEATURES = ("rate", "cause", "seats", rate_again)
"""
VIEW = FeatureView(
    name="delays",
    keys=(Field(name="carrier", dtype="string"),),
    features=(
        Field(name="rate", dtype="float64", nullable=True),
        Field(name="cause", dtype="string", nullable=True),
        Field(name="seats", dtype="float64", nullable=True),
    ),
    ttl_s=10 * 3600.0,
    defaults={"rate": 0.25, "cause": "none known"},
)
MODULE = FeatureModule.load(SOURCE, name="m")


def at(hour):
    return START + timedelta(hours=hour)


def labels_of(*labels):
    carriers, hours = zip(*labels, strict=True)
    return pa.table({"carrier": pa.array(carriers, pa.string()), "decision_time": pa.array(map(at, hours), MOMENT)})


def rows_of(*rows):
    carriers, hours, rates, causes = zip(*rows, strict=True) if rows else ((), (), (), ())
    times = pa.array(map(at, hours), MOMENT)
    return pa.table({
        "carrier": pa.array(carriers, pa.string()), "rate": pa.array(rates, pa.float64()),
        "cause": pa.array(causes, pa.string()), "seats": pa.array([7.0] * len(rows), pa.float64()),
        "event_time": times, "known_at": times,
    })  # fmt: skip


def offline(labels, rows, view=VIEW):
    return training_rows(FeaturePlan(MODULE, [view]), labels, {"delays": rows})


def test_a_default_stands_for_what_is_missing_or_stale_and_never_for_a_null():
    """The status says that it does; the event time, which of the two it was."""
    rows = rows_of(("UA", 0, 0.5, None), ("B6", 0, None, "wind"))
    labels = labels_of(("UA", 10), ("UA", 11), ("B6", 1), ("DL", 1), (None, 1))

    joined = offline(labels, rows)

    assert joined["rate"].to_pylist() == [0.5, 0.25, None, 0.25, 0.25]
    assert joined["cause"].to_pylist() == [None, "none known", "wind", "none known", "none known"]
    assert joined["seats"].to_pylist() == [7.0, None, 7.0, None, None]
    assert joined["delays__status"].to_pylist() == ["ok", "default", "ok", "default", "default"]
    assert joined["delays__event_time"].to_pylist() == [at(0), at(0), at(0), None, None]


def test_without_defaults_missing_and_stale_stay_what_they_are():
    """A view says nothing of defaults unless it does."""
    joined = offline(labels_of(("UA", 11), ("DL", 1)), rows_of(("UA", 0, 0.5, None)), replace(VIEW, defaults={}))

    assert joined["rate"].to_pylist() == [None, None]
    assert joined["delays__status"].to_pylist() == ["stale", "missing"]


hours = st.integers(0, 30)
carriers = st.sampled_from(["UA", "B6", "DL", None])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(carriers, hours), min_size=1, max_size=12),
    st.lists(
        st.tuples(st.sampled_from(["UA", "B6"]), hours, st.none() | st.floats(-1, 1), st.sampled_from(["wind", None])),
        max_size=12,
        unique_by=lambda row: row[:2],
    ),
)
def test_the_endpoint_puts_in_what_training_put_in_bit_for_bit(labels, rows):
    """Whatever is found, missing or older than the ttl, the vectors and the statuses are the same."""
    asked, table = labels_of(*labels), rows_of(*rows)
    joined = offline(asked, table)
    inputs = as_arrays(joined, FeaturePlan(MODULE, [VIEW]).inputs)
    vectorizer = Vectorizer(build_spec(MODULE, [VIEW], inputs), MODULE)
    decided = np.array([at(hour).replace(tzinfo=None) for _, hour in labels], "datetime64[us]")
    carrier = np.array([carrier for carrier, _ in labels], dtype=object)

    with tempfile.TemporaryDirectory() as folder:
        store = SqliteOnlineStore(Path(folder) / "online.sqlite", history=100)
        store.write(VIEW, table)
        found = store.read(VIEW, {"carrier": carrier}, decided)
    online, statuses = {"carrier": carrier} | {name: column.values for name, column in found.items()}, {}
    for name, default in VIEW.defaults.items():
        online[name], statuses[name] = filled(found[name].values, found[name].status, default)

    served, trained = vectorizer.vector(online), vectorizer.vector(inputs)
    assert np.array_equal(served.view(np.uint64), trained.view(np.uint64))
    assert statuses["rate"].tolist() == statuses["cause"].tolist() == joined["delays__status"].to_pylist()


DECLARED = {
    "name": "delays",
    "keys": {"carrier": "string"},
    "features": {"rate": "float64", "cause": "string"},
    "tables": {"flights": "flights"},
    "ttl": "P1D",
    "sql": "SELECT carrier, rate, cause FROM flights",
}


def test_defaults_travel_with_the_view():
    """Into the record, which the spec of a model holds; whole numbers are numbers."""
    view = ViewDefinition.model_validate(DECLARED | {"defaults": {"rate": 0, "cause": "none known"}})

    assert view.record().defaults == {"rate": 0.0, "cause": "none known"}
    assert ViewDefinition.model_validate_json(view.model_dump_json()) == view


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"rat": 0.5}, "Did you mean 'rate'"),
        ({"rate": "none"}, "rate is declared float64, and its default is 'none'"),
        ({"cause": 0.0}, "cause is declared string, and its default is 0.0"),
        ({"rate": float("nan")}, "finite number"),
        ({"rate": True}, "valid number"),
    ],
)
def test_a_default_of_another_kind_is_refused(defaults, said):
    """A null is no default: it is what stands without one."""
    with pytest.raises(ValidationError) as refused:
        ViewDefinition.model_validate(DECLARED | {"defaults": defaults})

    assert said in str(refused.value)

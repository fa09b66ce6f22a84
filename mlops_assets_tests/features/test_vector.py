"""One row and a million come from the same code, bit for bit, and fast enough for a request."""

import subprocess
import sys
import time

import numpy as np
import pytest

from mlops_assets.errors import FeatureError
from mlops_assets.features import FeatureModule, Vectorizer, build_spec
from mlops_assets_tests.features._world import SOURCE, VIEWS, inputs_of

HEAVY = ("duckdb", "polars", "pandas", "pyarrow", "pydantic", "sqlglot", "dagster")


@pytest.fixture
def vectorizer(module):
    """The small world's vectors, with the levels of a thousand rows."""
    return Vectorizer(build_spec(module, VIEWS, inputs_of(1_000)), module)


def row(inputs, index):
    return {name: column[index : index + 1].copy() for name, column in inputs.items()}


def test_one_row_is_bit_identical_to_its_row_in_the_batch(vectorizer):
    """Twenty thousand rows one by one, sines, logarithms, divisions by zero and daylight saving among them."""
    inputs = inputs_of(20_000, seed=7)

    batch = vectorizer.vector(inputs)
    alone = np.concatenate([vectorizer.vector(row(inputs, index)) for index in range(20_000)])

    assert np.array_equal(alone.view(np.uint64), batch.view(np.uint64))
    assert batch.flags.c_contiguous


def test_vector_holds_the_features_in_their_order(vectorizer):
    """Worked out by hand for one flight: 10:15 UTC in January is 5 o'clock in New York."""
    inputs = row(inputs_of(1), 0) | {
        "carrier": np.array(["DL"], dtype=object),
        "origin": np.array(["LGA"], dtype=object),
        "distance": np.array([100.0]),
        "seats_sold": np.array([50.0]),
        "scheduled_departure": np.array(["2013-01-15T10:15"], dtype="datetime64[us]"),
        "late_rate_7d": np.array([0.25]),
        "late_rate_28d": np.array([0.0]),
        "temp": np.array([np.nan]),
    }

    vector = dict(zip(vectorizer.names, vectorizer.vector(inputs)[0].tolist(), strict=True))

    assert vector["carrier"] == 1.0  # of B6, DL, UA
    assert vector["origin"] == 2.0
    assert vector["local_hour"] == 5.0
    assert vector["hour_sin"] == np.sin(5.0 * (2 * np.pi / 24))
    assert vector["frost"] == 0.0
    assert vector["temp_filled"] == 50.0
    assert vector["load"] == 0.5
    assert vector["late_trend"] == 0.25
    assert vector["late_ratio"] == np.inf


def test_unknown_and_missing_levels_are_null(vectorizer):
    """A carrier founded after training has no code; guessing one would be a lie."""
    inputs = inputs_of(3) | {"carrier": np.array(["UA", "??", None], dtype=object)}

    codes = vectorizer.vector(inputs)[:, 0]

    assert codes[0] == 2.0
    assert np.isnan(codes[1:]).all()


def test_whole_numbers_and_nanoseconds_are_taken_in_the_declared_form(vectorizer):
    """An int64 seat count and a datetime64[ns] departure give the vector of their declared forms."""
    inputs = inputs_of(50)
    other = inputs | {
        "seats_sold": inputs["seats_sold"].astype(np.int64),
        "scheduled_departure": inputs["scheduled_departure"].astype("datetime64[ns]"),
        "origin": inputs["origin"].astype(str),
    }

    assert np.array_equal(vectorizer.vector(other), vectorizer.vector(inputs), equal_nan=True)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"distance": np.array(["1200", "300"], dtype=object)}, "'distance' is declared float64 and holds object"),
        ({"carrier": np.array([1.0, 2.0])}, "'carrier' is declared string and holds float64"),
        ({"scheduled_departure": np.array([1.0, 2.0])}, "'scheduled_departure' is declared timestamp"),
        ({"distance": np.array([1.0])}, "'distance' has shape"),
        ({"distance": None}, "input 'distance' is missing"),
    ],
)
def test_a_wrong_input_is_refused_by_name(vectorizer, wrong, said):
    """The declaration decides, never the data."""
    with pytest.raises(FeatureError) as refused:
        vectorizer.vector(inputs_of(2) | wrong)

    assert said in str(refused.value)


def test_a_module_of_another_bundle_is_refused(vectorizer):
    """The code travels with the model; one comma apart is another model."""
    other = FeatureModule.load(SOURCE + "\n", name="delay")

    with pytest.raises(FeatureError, match=r"Load the features\.py of the same bundle"):
        Vectorizer(vectorizer.spec, other)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('no')", "'f' failed on 3 rows: ValueError: no"),
        ("return 1.0", "'f' gave float for 3 rows"),
        ("return x.sum(keepdims=True)", "'f' gave shape (1,) for 3 rows"),
        ("return x.astype(object)", "'f' came out as object"),
    ],
)
def test_a_function_that_misbehaves_after_training_is_named(body, said):
    """The endpoint's log says which feature it was."""
    head = "REQUEST = {'x': float}\ndef f(x):\n    if x.size < 3: return x\n    "
    module = FeatureModule.load(head + body + "\nFEATURES = (f,)", name="delay")
    vectorizer = Vectorizer(build_spec(module, (), {"x": np.array([1.0])}), module)

    with pytest.raises(FeatureError) as refused:
        vectorizer.vector({"x": np.arange(3.0)})

    assert said in str(refused.value)


def test_the_front_door_of_the_room_is_light():
    """The endpoint comes through it, so it must not bring a database or a frame library along."""
    code = f"import sys, mlops_assets.features; print([name for name in {HEAVY} if name in sys.modules])"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_one_vector_takes_microseconds(vectorizer):
    """40 us on an idle core; the bound leaves room for a busy one, not for another order of magnitude."""
    one = row(inputs_of(1), 0)
    best = float("inf")
    for _ in range(20):
        start = time.process_time_ns()
        for _ in range(100):
            vectorizer.vector(one)
        best = min(best, (time.process_time_ns() - start) / 100_000)

    assert best < 120

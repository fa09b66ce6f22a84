"""What a leak looks like, and what only looks like one."""

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.errors import FeatureError
from mlops_assets.features.leakage import find_leaks

ROWS = 2_000
CHANCE = np.random.default_rng(11)
LATE = (CHANCE.random(ROWS) < 0.3).astype(float)
MINUTES = CHANCE.normal(100, 30, ROWS)
HONEST = LATE + CHANCE.normal(0, 1, ROWS)
KEYS = [f"flight-{n}" for n in range(ROWS)]
TRAIN = np.arange(ROWS) < 1_500


def leaks_in(features, *, label=LATE, task="binary", keys=KEYS, train=TRAIN, **more):
    return find_leaks(features, label=label, task=task, keys=keys, train=train, **more)


def test_an_honest_training_set_has_no_leaks():
    """A good feature, a useless one, one of which little is known, and a category with a level per row."""
    rare = np.full(ROWS, np.nan)
    rare[:50] = LATE[:50]
    features = {"good": HONEST, "noise": MINUTES, "rare": rare, "tailnum": np.arange(float(ROWS))}

    assert leaks_in(features, categorical={"tailnum"}) == ()


def test_a_copy_of_the_label_is_found_with_nulls_in_it():
    """Only where it is known."""
    copy = LATE.copy()
    copy[::3] = np.nan

    assert leaks_in({"good": HONEST, "copy": copy}) == ("copy is the label itself.",)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_number_that_ranks_too_well_is_found_in_either_direction(sign):
    """Such as the arrival delay, of which the label is made."""
    delay = sign * (LATE * 100 + CHANCE.normal(0, 10, ROWS))

    (found,) = leaks_in({"delay": delay, "good": HONEST})

    assert found.startswith(("delay alone reaches an AUC of 0.99", "delay alone reaches an AUC of 1"))


def test_a_category_that_tells_the_label_is_found():
    """Codes are in no order, so their own ranking says nothing."""
    causes = np.where(LATE == 1, 1.0, CHANCE.choice([0.0, 2.0], ROWS))

    (found,) = leaks_in({"cause": causes}, categorical={"cause"})

    assert found.startswith("cause alone")


def test_a_feature_that_is_only_there_after_the_outcome_is_found():
    """Its values say nothing; that they are there says all: a time of landing, null where a flight never left."""
    landed = np.where(LATE == 1, np.nan, MINUTES)

    (found,) = leaks_in({"landed": landed, "good": HONEST})

    assert found.startswith("whether landed is there reaches an AUC of 1.0000, above 0.98.")


def test_a_number_that_tells_the_label_without_any_slope_is_found():
    """A status of 2 for late between 1 and 3 for punctual ranks like noise, and a bent copy is no line."""
    status = np.where(LATE == 1, 2.0, CHANCE.choice([1.0, 3.0], ROWS))
    cost = np.exp(MINUTES / 20)

    assert [said.split()[0] for said in leaks_in({"status": status, "good": HONEST})] == ["status"]
    (found,) = leaks_in({"minutes": MINUTES, "guess": MINUTES + HONEST}, label=cost, task="regression")
    assert found.startswith("minutes alone reaches a squared correlation of 0.999")


def test_a_regression_is_judged_by_correlation():
    """Hours for minutes is the same number; a rough forecast of it is not."""
    features = {"hours": MINUTES / 60, "forecast": MINUTES + CHANCE.normal(0, 5, ROWS)}

    (found,) = leaks_in(features, label=MINUTES, task="regression")

    assert found.startswith("hours alone reaches a squared correlation of 1.0000")


def test_a_column_of_the_label_may_be_no_feature():
    """Whatever its values."""
    assert leaks_in({"arr_delay": CHANCE.random(ROWS)}, label_columns=["arr_delay"]) == (
        "arr_delay is a column the label is made of.",
    )


def test_a_column_of_the_label_may_be_no_input_either():
    """A function of it is a copy by another name, however it is bent."""
    inputs = {name: pa.chunked_array([MINUTES]) for name in ("distance", "arr_delay")}

    assert leaks_in({"good": HONEST}, label_columns=["arr_delay"], inputs=inputs) == (
        "arr_delay is a column the label is made of, and features are computed from it.",
    )


def test_a_feature_that_hides_what_its_column_knows_is_found_by_the_column():
    """Of the feature one value in seven is the outcome, which no limit of its own would tell from a good feature."""
    refund = MINUTES * LATE
    faint = np.where(np.arange(ROWS) % 7 == 0, refund, 0.0)

    (found,) = leaks_in({"faint": faint}, inputs={"refund": pa.chunked_array([refund])})

    assert found == (
        "refund alone reaches an AUC of 1.0000, above 0.98. Was it known at the decision? "
        "Features are computed from it."
    )


@pytest.mark.parametrize(
    "values",
    [
        pa.array(np.where(LATE == 1, "closed", "open")),
        pa.array(np.where(LATE == 1, 3, 4)),
        pa.array(LATE == 1),
        pa.array(np.datetime64("2024-01-01", "us") + np.arange(ROWS), pa.timestamp("us", "UTC"), mask=LATE == 0),
    ],
    ids=["text", "whole number", "truth", "time of the outcome"],
)
def test_a_column_of_any_type_may_know_the_outcome(values):
    """A time does by being there or not."""
    found = leaks_in({"good": HONEST}, inputs={"state": pa.chunked_array([values])})

    assert len(found) == 1
    assert "state" in found[0]


def test_columns_that_only_help_are_no_leaks():
    """Names without end, times that go on, and numbers that are often missing."""
    often_missing = pa.array(MINUTES, mask=CHANCE.random(ROWS) < 0.4 + 0.3 * LATE)
    moments = pa.array(np.datetime64("2024-01-01", "us") + np.arange(ROWS), pa.timestamp("us", "UTC"))
    inputs = {"key": pa.array(KEYS), "at": moments, "often": often_missing, "none": pa.nulls(ROWS, pa.float64())}

    assert leaks_in({"good": HONEST}, inputs={name: pa.chunked_array([c]) for name, c in inputs.items()}) == ()


def test_a_decision_trained_on_and_held_out_is_found():
    """And so is one that is there twice on one side."""
    keys = list(KEYS)
    keys[1_999] = keys[0]
    keys[3] = keys[2]

    found = leaks_in({"good": HONEST}, keys=keys)

    assert found == (
        "1 decisions are both trained on and held out: flight-0.",
        "1 rows repeat a decision that is there already.",
    )


def test_columns_of_other_rows_are_refused():
    """They would be held against other labels."""
    with pytest.raises(FeatureError, match="'good' has 10 rows"):
        leaks_in({"good": HONEST[:10]})


def test_a_feature_that_knows_one_of_several_classes_is_a_leak():
    """It may know nothing of the others; a category is judged by its levels."""
    chance = np.random.default_rng(5)
    label = chance.integers(0, 3, 900).astype(float)
    features = {
        "honest": chance.normal(size=900) + label,
        "knows": np.where(label == 1, 5.0, chance.normal(size=900)),
        "code": np.where(label == 2, 7.0, chance.integers(0, 3, 900)),
    }

    found = find_leaks(
        features,
        label=label,
        task="multiclass",
        keys=[str(row) for row in range(900)],
        train=np.arange(900) < 600,
        categorical=("code",),
    )

    assert [sentence.split()[0] for sentence in found] == ["knows", "code"]

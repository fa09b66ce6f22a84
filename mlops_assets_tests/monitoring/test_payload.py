"""Faults of the feed are told as faults of the feed."""

import numpy as np
import pytest

from mlops_assets.errors import MonitoringError
from mlops_assets.monitoring import PayloadPolicy, Profile, inspect

LETTERS = np.array(["a", "b"], object)
REFERENCE = Profile.of({"x": np.arange(100.0), "letter": LETTERS[np.arange(100) % 2]}, levels={"letter": ["a", "b"]})
POLICY = PayloadPolicy()


def _inspect(numbers, letters, *, expected_rows=100, policy=POLICY):
    window = REFERENCE.count({"x": np.array(numbers, float), "letter": np.array(letters, object)})
    return inspect(policy, REFERENCE, window, expected_rows=expected_rows)


def test_a_window_like_training_has_no_fault():
    """The usual number of rows with the usual values is well."""
    report = _inspect(np.arange(100.0), LETTERS[np.arange(100) % 2])

    assert report.faults == ()
    assert report.volume == 1.0


@pytest.mark.parametrize(
    ("numbers", "letters", "fault"),
    [
        ([], [], "0 rows arrived where 100 were expected."),
        ([1.0] * 400, ["a"] * 400, "400 rows arrived where 100 were expected."),
        ([np.nan] * 30 + [1.0] * 70, ["a"] * 100, "x is null in 30.0% of rows, 0.0% in training."),
        ([1.0] * 100, ["z"] * 20 + ["a"] * 80, "letter holds levels unknown to the model in 20.0% of rows."),
    ],
)
def test_each_fault_is_one_sentence_with_its_numbers(numbers, letters, fault):
    """A feed that stops or doubles, a field turning null, a code nobody knows."""
    report = _inspect(numbers, letters)

    assert report.faults == (fault,)


def test_nulls_that_training_had_as_well_are_no_fault():
    """A third of the aircraft were never known; only a rise above that is news."""
    holed = np.where(np.arange(90) % 3 == 0, np.nan, 1.0)
    reference = Profile.of({"x": holed})

    assert inspect(POLICY, reference, reference, expected_rows=90).faults == ()


def test_values_beyond_the_training_range_are_a_fault_only_where_declared():
    """Summers are hotter than the winter a model learned from; a policy may say otherwise for its data."""
    hot = ([500.0] * 100, ["a"] * 100)

    assert _inspect(*hot).faults == ()
    assert _inspect(*hot).columns[0].out_of_range_share == 1.0
    assert _inspect(*hot, policy=PayloadPolicy(out_of_range_share=0.5)).faults == (
        "x lies outside the training range in 100.0% of rows.",
    )


def test_a_window_has_to_expect_something():
    """With nothing expected no volume is low, so the caller has to say what is usual."""
    with pytest.raises(MonitoringError, match="median of past windows"):
        _inspect([1.0], ["a"], expected_rows=0)

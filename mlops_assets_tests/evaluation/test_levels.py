"""Levels of columns of any type."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.evaluation import binned, coded, levels_of
from mlops_assets.evaluation.levels import fewer, rows_by_level


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (np.array(["a", None, "b", "a"], object), ["a", "(missing)", "b", "a"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([1.0, np.nan, 2.5]), ["1.0", "(missing)", "2.5"]),
        (np.array([True, False]), ["True", "False"]),
        (np.array([3, 1, 3]), ["3", "1", "3"]),
        (np.array(["a", 1, None], object), ["a", "1", "(missing)"]),
        (np.array([1.5, float("nan"), None], object), ["1.5", "(missing)", "(missing)"]),
        (pa.chunked_array([["a", None], ["b"]]), ["a", "(missing)", "b"]),
        (pa.array([1.0, float("nan"), None]), ["1.0", "(missing)", "(missing)"]),
        (pa.array([date(2013, 1, 2)]), ["2013-01-02"]),
        (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
        (pa.array([None, None], pa.string()), ["(missing)", "(missing)"]),
    ],
)
def test_a_column_of_any_type_gives_its_levels_by_name(values, named):
    """Strings, numbers, booleans, times, mixtures and gaps."""
    levels = levels_of(values)

    assert [levels.names[code] for code in levels.codes] == named
    assert sorted(set(named)) == list(levels.names)


def test_categories_of_a_vector_are_named_and_gaps_are_missing():
    """Codes are places among the names."""
    levels = coded(np.array([1.0, np.nan, 0.0]), ["UA", "AA"])

    assert [levels.names[code] for code in levels.codes] == ["AA", "(missing)", "UA"]


def test_numbers_are_binned_by_rows_and_say_where_they_end():
    """A fifth of the rows each."""
    values = np.random.default_rng(1).normal(size=10_000)

    levels = binned(values)

    sizes = np.bincount(levels.codes)
    assert sizes.tolist() == [2000] * 5
    below = values[levels.codes == [name.startswith("below") for name in levels.names].index(True)]
    assert below.max() < np.quantile(values, 0.21)


@pytest.mark.parametrize("values", [[np.nan] * 3, [7.0] * 5, [0.0] * 99 + [1.0]])
def test_numbers_with_hardly_any_values_stand_for_themselves(values):
    """No bin without rows, no edge between equal numbers."""
    levels = binned(np.array(values))

    assert np.bincount(levels.codes).min() > 0
    assert len(levels.names) == len({str(value) for value in values})


def test_rare_levels_become_one():
    """The frequent ones keep their names."""
    levels = fewer(levels_of(np.array(list("aaaabbbcd"), object)), most=2)

    assert [levels.names[code] for code in levels.codes] == ["a"] * 4 + ["b"] * 3 + ["(other)"] * 2


def test_rows_come_by_level_largest_first():
    """Every row once."""
    found = rows_by_level(levels_of(np.array(list("baabbc"), object)))

    assert [(name, rows.tolist()) for name, rows in found] == [("b", [0, 3, 4]), ("a", [1, 2]), ("c", [5])]

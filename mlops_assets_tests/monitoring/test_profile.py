"""Profiles: counting is exact, addition is exact, and the bytes are always the same."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.errors import MonitoringError
from mlops_assets.monitoring import SCORE, MonitorPolicy, Profile, matrix_columns
from mlops_assets.monitoring.cells import RESOLUTION, NumericCells

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
LEVELS = ("a", "b", "c")


def _rows(numbers, letters):
    return {"x": np.array(numbers, np.float64), "letter": np.array(letters, object)}


@st.composite
def _tables(draw, min_size=0):
    size = draw(st.integers(min_size, 60))
    numbers = draw(st.lists(ANY_FLOAT, min_size=size, max_size=size))
    letters = draw(st.lists(st.sampled_from([*LEVELS, "new", None]), min_size=size, max_size=size))
    return _rows(numbers, letters)


@settings(max_examples=150, deadline=None)
@given(training=_tables(min_size=1), first=_tables(), second=_tables())
def test_the_sum_of_two_profiles_is_the_profile_of_both_sets_of_rows(training, first, second):
    """Addition is exact to the bit, for nulls, infinities, subnormals and values as large as floats go."""
    reference = Profile.of(training, levels={"letter": LEVELS}, bins=7)
    both = {name: np.concatenate([first[name], second[name]]) for name in first}

    added = reference.count(first) + reference.count(second)

    assert added == reference.count(both)
    assert added == reference.count(second) + reference.count(first)
    assert added.rows == len(both["x"])


@settings(max_examples=50, deadline=None)
@given(training=_tables(min_size=1))
def test_a_profile_survives_its_json(training):
    """Reading back gives an equal profile with equal bytes, whatever the training rows held."""
    profile = Profile.of(training, levels={"letter": LEVELS}, bins=7)

    read = Profile.from_json(profile.to_json())

    assert read == profile
    assert read.to_json() == profile.to_json()
    assert read.count(training) == profile


def test_the_order_of_training_rows_does_not_change_a_byte():
    """The profile is part of the bundle's digest, so it depends on the rows alone."""
    rng = np.random.default_rng(3)
    values = rng.lognormal(size=70_000)

    profiles = [Profile.of({"x": order}).to_json() for order in (values, values[::-1], rng.permutation(values))]

    assert profiles[0] == profiles[1] == profiles[2]


RNG = np.random.default_rng(4)


@pytest.mark.parametrize(
    ("training", "window"),
    [
        (RNG.normal(size=5_000), np.round(RNG.normal(1, 2, size=100_000), 2)),
        (RNG.lognormal(sigma=5, size=5_000), RNG.lognormal(sigma=5, size=50_000)),
        (np.arange(20.0), np.arange(-1.0, 21.0, 1 / 64) + 1e-9),
        (np.array([3.0]), np.array([2.0, np.nextafter(3, 0), 3.0, np.nextafter(3, 9), 4.0])),
    ],
    ids=["many blocks", "a heavy tail", "just above whole numbers", "a constant"],
)
def test_every_value_falls_in_the_cell_that_its_edges_say(training, window):
    """Counts agree with the plain definition, edge by edge, however the edges crowd."""
    reference = Profile.of({"x": training}, bins=50)

    column = reference.count({"x": window}).columns["x"]

    edges = column.cells.edges
    bounds = [-np.inf, *edges, np.inf]
    expected = [np.count_nonzero((window > a) & (window <= b)) for a, b in itertools.pairwise(bounds)]
    assert column.counts.tolist() == [*expected, 0]


def test_training_rows_fill_the_cells_of_a_continuous_column_evenly():
    """Quantile edges put the same number of training rows between any two of them, and none outside."""
    values = np.random.default_rng(5).normal(size=10_000)

    column = Profile.of({"x": values}, bins=250).columns["x"]

    assert column.counts.tolist() == [0, *[40] * 250, 0, 0]
    assert column.grouped().tolist() == [*[1000] * 10, 0]
    assert column.outside_share == 0


def test_few_distinct_values_get_a_cell_each():
    """A column of codes is counted exactly, value by value."""
    values = np.array([0.0, 0.0, 0.0, 1.0, 2.0, np.nan])

    column = Profile.of({"x": values}).columns["x"]

    assert column.counts.tolist() == [0, 3, 1, 1, 0, 1]


def test_nulls_out_of_range_and_unseen_levels_have_cells_of_their_own():
    """Nothing that arrives is dropped, and each kind of oddity can be read off."""
    reference = Profile.of(_rows([1, 2, 3, 4], ["a", "b", "c", "a"]), levels={"letter": LEVELS})

    window = reference.count(_rows([np.nan, 0, 99, np.inf, 2], [None, "z", "z", "a", "b"]))

    assert window.columns["x"].null_share == 0.2
    assert window.columns["x"].outside_share == 0.6
    assert window.columns["letter"].null_share == 0.2
    assert window.columns["letter"].outside_share == 0.4


@pytest.mark.parametrize(
    "letters",
    [
        np.array(["a", "c", "z", None, "a"], object),
        pa.array(["a", "c", "z", None, "a"]),
        pa.chunked_array([["a", "c"], ["z", None, "a"]]).dictionary_encode(),
        np.array([0.0, 2.0, 17.0, np.nan, 0.0]),
    ],
    ids=["objects", "arrow", "arrow dictionary", "codes"],
)
def test_a_category_is_counted_alike_as_names_and_as_codes(letters):
    """Raw requests and model inputs of the same rows give the same profile."""
    reference = Profile.of({"letter": np.array(["a", "b", "c"], object)}, levels={"letter": LEVELS})

    counts = reference.count({"letter": letters}).columns["letter"].counts

    assert counts.tolist() == [2, 0, 1, 1, 1]


def test_the_mean_comes_from_the_sums():
    """Whole-number sums give the mean to a millionth of the range."""
    values = np.random.default_rng(6).normal(10, 2, size=9_999)

    column = Profile.of({"x": values}).columns["x"]

    width = column.cells.fence_high - column.cells.fence_low
    assert column.mean == pytest.approx(values.mean(), abs=width / RESOLUTION)
    assert column.cells.unit == pytest.approx(values.std(), rel=1e-3)


def test_a_training_column_without_a_single_value_can_still_be_counted():
    """A feature that was null throughout training shows everything that now arrives as outside."""
    reference = Profile.of({"x": np.full(5, np.nan)})

    window = reference.count({"x": np.array([1.0, np.nan])})

    assert window.columns["x"].outside_share == 0.5
    assert reference.columns["x"].mean is None


def test_a_feature_matrix_is_profiled_with_its_scores_beside_it():
    """The score is a column like any other, under a name no feature can have."""
    features, scores = np.arange(8.0).reshape(4, 2), np.linspace(0, 1, 4)

    profile = Profile.of(matrix_columns(["p", "q"], features, scores))

    assert list(profile.columns) == ["p", "q", SCORE]
    assert not SCORE.isidentifier()
    assert profile.columns["q"].mean == pytest.approx(4.0, abs=1e-4)


def test_counting_other_columns_is_refused_by_name():
    """A missing or unknown column would silently leave a hole in the comparison."""
    reference = Profile.of({"x": np.arange(3.0)})

    with pytest.raises(MonitoringError, match="missing: x"):
        reference.count({})
    with pytest.raises(MonitoringError, match="not in the training profile: y"):
        reference.count({"x": np.arange(3.0), "y": np.arange(3.0)})
    with pytest.raises(MonitoringError, match="x: 2"):
        Profile.of({"x": np.arange(2.0), "y": np.arange(3.0)})


def test_profiles_counted_in_other_cells_do_not_add_up():
    """Two training profiles have different cells, and adding their counts would mean nothing."""
    one, other = Profile.of({"x": np.arange(5.0)}), Profile.of({"x": np.arange(6.0)})

    with pytest.raises(MonitoringError, match="other cells"):
        one + other


def test_the_sum_over_days_may_start_from_nothing():
    """An empty profile in the same cells changes no sum, so a window of no days is a window of no rows."""
    reference = Profile.of({"x": np.arange(5.0)})

    window = sum([reference, reference], start=reference.empty())

    assert reference.empty().rows == 0
    assert window == reference + reference


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"format": 99, "columns": []}', b'{"format": 1, "columns": [{}]}']
)
def test_bytes_that_are_no_profile_are_refused(data):
    """A damaged or foreign file is an error that says what to do, never an empty profile."""
    with pytest.raises(MonitoringError, match="not a training profile"):
        Profile.from_json(data)


def test_text_in_a_numeric_column_is_refused():
    """Text has no distances; the message says how to count it."""
    with pytest.raises(MonitoringError, match="name the column's levels"):
        NumericCells.choose(np.array(["a", "b"]))


def test_numbers_among_level_names_are_refused():
    """A column of mixed objects is a fault upstream, not a level called 3."""
    reference = Profile.of({"letter": np.array(["a"], object)}, levels={"letter": LEVELS})

    with pytest.raises(MonitoringError, match="level names"):
        reference.count({"letter": np.array(["a", 3], object)})


def test_probabilities_of_classes_stand_beside_the_score():
    """The score is that of the most probable class; each class has a column, which is watched whatever else is."""
    scores = np.array([[0.2, 0.8], [0.7, 0.3]])

    columns = matrix_columns(["p"], np.zeros((2, 1)), scores, classes=("early", "late"))

    assert list(columns) == ["p", "probability of early", "probability of late", SCORE]
    assert columns["probability of late"].tolist() == [0.8, 0.3]
    assert columns[SCORE].tolist() == [0.8, 0.7]
    assert MonitorPolicy(watch=()).watches("probability of late")

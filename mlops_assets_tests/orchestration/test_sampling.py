"""What is reckoned on some of the rows, says the same as all of them would."""

import numpy as np
import pyarrow as pa

from mlops_assets.monitoring import SCORE, Profile
from mlops_assets.orchestration.steps.datasets.training_sets import some_of, spread_over


def test_some_rows_are_spread_over_all():
    """First and last are among them, none twice, and few rows are all taken."""
    assert spread_over(10, 4).tolist() == [0, 3, 6, 9]
    assert spread_over(3, 50).tolist() == [0, 1, 2]
    assert some_of(pa.table({"x": range(10)}), 4)["x"].to_pylist() == [0, 3, 6, 9]


def test_a_profile_may_count_fewer_scores_than_rows():
    """Features are counted on every row; scores on those that were scored, and windows are compared with both."""
    generator = np.random.default_rng(5)
    age, scores = generator.normal(40, 9, 5000), generator.random(1000)

    profile = Profile.of({"age": age}) | Profile.of({SCORE: scores})
    again = Profile.from_json(profile.to_json())
    window = again.count({"age": age[:200], SCORE: scores[:200]})

    assert {name: column.rows for name, column in again.columns.items()} == {"age": 5000, SCORE: 1000}
    assert window.rows == 200

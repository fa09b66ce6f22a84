"""Adjusted p-values, against hand-worked numbers."""

import pytest

from mlops_assets.statistics import StatisticsInputError, holm


def test_holm_multiplies_by_the_tests_still_open_and_never_steps_down():
    """3 x .01, 2 x .03, then .04 is lifted to the step before."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_adjusted_p_values_end_at_one():
    """Three p of .9 do not become 2.7."""
    assert holm([0.9, 0.9, 0.9]).tolist() == [1, 1, 1]


def test_what_is_no_p_value_is_refused():
    """A test statistic passed by mistake is named as such."""
    with pytest.raises(StatisticsInputError, match="not probabilities"):
        holm([0.1, 3.2])

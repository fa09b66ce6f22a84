"""Adjusted p-values, against hand-worked numbers and SciPy."""

import numpy as np
import pytest
from scipy import stats

from mlops_assets.statistics import StatisticsInputError, benjamini_hochberg, holm


def test_holm_multiplies_by_the_tests_still_open_and_never_steps_down():
    """3 x .01, 2 x .03, then .04 is lifted to the step before."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_adjusted_p_values_end_at_one():
    """Three p of .9 do not become 2.7."""
    assert holm([0.9, 0.9, 0.9]).tolist() == [1, 1, 1]


def test_benjamini_hochberg_equals_scipy_with_ties():
    """SciPy's false discovery control is the oracle."""
    p = np.round(np.random.default_rng(1).random(50) ** 3, 2)

    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p, method="bh"))


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_what_is_no_p_value_is_refused(adjust):
    """A test statistic passed by mistake is named as such."""
    with pytest.raises(StatisticsInputError, match="not probabilities"):
        adjust([0.1, 3.2])

"""Intervals for shares and means."""

import numpy as np
import pytest
from scipy import stats

from mlops_assets.statistics import (
    StatisticsInputError,
    mean_difference,
    mean_interval,
    smallest_detectable,
    wilson,
)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (8, 10), (10, 10), (123, 4567)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson_equals_scipy(hits, n, confidence):
    """SciPy's exact-count interval is the oracle, at both borders too."""
    expected = stats.binomtest(hits, n).proportion_ci(confidence, method="wilson")

    assert wilson(hits, n, confidence=confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_takes_expected_hits_of_tied_rows():
    """Half a hit lies between none and one."""
    assert wilson(0, 10).high < wilson(0.5, 10).high < wilson(1, 10).high


def test_mean_interval_over_clusters_is_students_over_their_means():
    """Clusters of equal size leave a t interval over the cluster means."""
    values = np.random.default_rng(2).normal(size=(6, 50)) + np.arange(6)[:, None]

    found = mean_interval(values.ravel(), clusters=np.repeat(np.arange(6), 50))

    expected = stats.t.interval(0.95, 5, values.mean(), stats.sem(values.mean(axis=1)))
    assert found == pytest.approx(expected, rel=1e-9)


def test_over_uneven_clusters_the_spread_is_that_of_leaving_each_out():
    """The jackknife, done by hand, and the degrees of freedom from the covariance of what is left out."""
    generator = np.random.default_rng(3)
    day = np.repeat(np.arange(6), [5, 80, 20, 10, 40, 25])
    values = generator.normal(size=6)[day] + generator.normal(size=day.size)

    found = mean_interval(values, clusters=day)

    means = np.array([values[day != each].mean() for each in range(6)])
    error = np.sqrt(5 / 6 * np.sum((means - values.mean()) ** 2))
    share = np.bincount(day) / day.size
    covariance = (np.diag(share) - np.outer(share, share)) / np.outer(1 - share, 1 - share)
    freedom = np.trace(covariance) ** 2 / np.sum(covariance**2)
    assert found == pytest.approx(stats.t.interval(0.95, freedom, values.mean(), error), rel=1e-9)


def test_over_many_days_of_unlike_size_nothing_is_lost():
    """Three months whose days differ ninefold: as wide, to one per cent, as the spread of their sums."""
    day = np.repeat(np.arange(90), np.linspace(20, 180, 90).round().astype(int))
    values = np.random.default_rng(5).normal(size=90)[day] + np.random.default_rng(6).normal(size=day.size)

    found = mean_interval(values, clusters=day)

    sums = np.bincount(day, weights=values - values.mean())
    plain = stats.t.ppf(0.975, 89) * np.sqrt(90 / 89 * np.sum(sums**2)) / day.size
    assert plain < (found.high - found.low) / 2 < 1.01 * plain


def test_mean_difference_gives_the_p_value_of_the_z_test():
    """With many rows the paired t test of SciPy says the same."""
    generator = np.random.default_rng(4)
    a, b = generator.normal(size=2000), generator.normal(0.05, 1, size=2000)

    assert mean_difference(a, b).p_value == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=5e-3)


def test_smallest_detectable_is_noticed_four_times_in_five():
    """Drawing estimates around that difference crosses the critical value in 80 % of cases."""
    error = 0.3
    effect = smallest_detectable(-1.959964 * error, 1.959964 * error)

    drawn = np.random.default_rng(8).normal(effect, error, 20_000)

    assert np.mean(np.abs(drawn / error) > 1.959964) == pytest.approx(0.8, abs=0.01)


def test_few_clusters_make_the_smallest_detectable_difference_larger():
    """With five clusters the critical value is 2.776 and the wanted chance lies .941 errors beyond it."""
    assert smallest_detectable(-2.7764, 2.7764, freedom=4) == pytest.approx(2.7764 + 0.9410, abs=1e-3)


@pytest.mark.parametrize(
    ("measure", "why"),
    [
        (lambda: wilson(3, 2), "no share"),
        (lambda: wilson(0, 0), "no share"),
        (lambda: wilson(1, 2, confidence=95), "between 0 and 1"),
        (lambda: mean_interval([1.0]), "one row only"),
        (lambda: mean_interval([1.0, 2.0], clusters=np.zeros(2)), "one cluster only"),
        (lambda: mean_interval([1.0, 2.0], clusters=np.zeros(3)), "lengths differ"),
        (lambda: mean_difference([1.0, np.inf], [1.0, 2.0]), "NaN or infinity"),
        (lambda: smallest_detectable(1, 0), "ends before"),
    ],
)
def test_a_sample_without_an_interval_is_refused_with_the_reason(measure, why):
    """No interval is invented."""
    with pytest.raises(StatisticsInputError, match=why):
        measure()

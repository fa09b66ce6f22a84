"""What was forecast beside what came true."""

import numpy as np
import pytest

from mlops_assets.statistics import StatisticsInputError, ece, ece_interval, reliability, wilson


def test_ece_equals_the_hand_worked_number():
    """Two rows at .2 with rate 1/2 and two at .9 with rate 1 lie .3 and .1 off."""
    assert ece([0, 1, 1, 1], [0.2, 0.2, 0.9, 0.9]) == pytest.approx(0.2)


def test_equal_forecasts_stay_in_one_bin():
    """A constant forecast has one bin, however many are asked for."""
    (only,) = reliability([1, 0, 0, 0], [0.3] * 4, bins=10)

    assert only[:3] == (4, pytest.approx(0.3), 0.25)
    assert only.rate_interval == wilson(1, 4)


def test_days_widen_the_interval_of_a_rate():
    """Ten rows of one day tell less than ten of ten days."""
    day = np.repeat(np.arange(20), 50)
    p = np.tile(np.linspace(0.1, 0.9, 50), 20)
    y = np.random.default_rng(1).random(1000) < np.clip(p + np.repeat(np.resize([-0.4, 0.4], 20), 50), 0, 1)

    by_row, by_day = (reliability(y, p, bins=2, clusters=clusters) for clusters in (None, day))

    for row, clustered in zip(by_row, by_day, strict=True):
        assert row.rate == clustered.rate
        assert np.diff(clustered.rate_interval) > 1.5 * np.diff(row.rate_interval)


def test_the_interval_of_the_error_begins_at_nought_where_noise_may_be_all():
    """And above it where a forecast is plainly off."""
    generator = np.random.default_rng(5)
    p = generator.random(2000)
    y = generator.random(2000) < p

    assert ece_interval(y, p, seed=1, resamples=200).low == 0
    assert ece_interval(y, p**3, seed=1, resamples=200).low > 0.1


def test_no_bins_are_refused():
    """Nothing would be in them."""
    with pytest.raises(StatisticsInputError, match="0 bins hold nothing"):
        ece([0, 1], [0.1, 0.2], bins=0)

"""Errors of forecasts of a number, against scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics

from mlops_assets.statistics import StatisticsInputError, bias, mae, r2, rmse


def test_errors_equal_scikit_learn():
    """Root mean square, mean absolute error and explained variance agree."""
    generator = np.random.default_rng(1)
    y = generator.normal(20, 5, 300)
    forecast = y + generator.normal(1, 3, 300)

    found = rmse(y, forecast), mae(y, forecast), r2(y, forecast)

    expected = (
        sklearn.metrics.root_mean_squared_error(y, forecast),
        sklearn.metrics.mean_absolute_error(y, forecast),
        sklearn.metrics.r2_score(y, forecast),
    )
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_forecast_that_is_too_high_has_a_positive_bias():
    """The sign is forecast minus truth."""
    assert bias([1.0, 2.0], [2.0, 4.0]) == 1.5


@pytest.mark.parametrize(
    ("measure", "why"),
    [
        (lambda: rmse([], []), "empty"),
        (lambda: mae([1.0, np.nan], [1.0, 2.0]), "NaN or infinity"),
        (lambda: bias([1.0], [1.0, 2.0]), "lengths differ"),
        (lambda: r2([3.0, 3.0], [1.0, 2.0]), "no variance"),
    ],
)
def test_a_sample_without_an_error_is_refused_with_the_reason(measure, why):
    """No metric gives a number for a sample that has none."""
    with pytest.raises(StatisticsInputError, match=why):
        measure()

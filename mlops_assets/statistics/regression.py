"""How far forecasts of a number miss; every error is forecast minus truth, so a positive bias is too high."""

import numpy as np
import numpy.typing as npt

from mlops_assets.statistics.inputs import Array, StatisticsInputError, finite, same_length, share


def rmse(y: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Give the root of the mean squared error, in the unit of `y`; 0 is perfect.

    >>> rmse([1.0, 2.0], [4.0, 2.0]) == (9 / 2) ** 0.5
    True
    """
    return float(np.sqrt(np.mean(_errors(y, score) ** 2)))


def mae(y: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Give the mean absolute error, in the unit of `y`; 0 is perfect.

    >>> mae([1.0, 2.0], [4.0, 2.0])
    1.5
    """
    return float(np.mean(np.abs(_errors(y, score))))


def bias(y: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Give the mean error, in the unit of `y`; positive when forecasts are too high.

    >>> bias([1.0, 2.0], [4.0, 1.0])
    1.0
    """
    return float(np.mean(_errors(y, score)))


def r2(y: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Give the share of the variance of `y` that the forecast explains; below 0 it is worse than the mean of `y`.

    Raises:
        StatisticsInputError: All of `y` is equal, so there is no variance to explain.

    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    errors = _errors(y, score)
    truth = np.asarray(y, dtype=np.float64)
    spread = float(np.sum((truth - truth.mean()) ** 2))
    if spread == 0:
        raise StatisticsInputError(
            f"All {truth.size} true values equal {truth[0]:.6g}, so there is no variance to explain and no R². "
            "Widen the window.",
            rows=truth.size,
        )
    return 1 - float(np.sum(errors**2)) / spread


def _errors(y: npt.ArrayLike, score: npt.ArrayLike) -> Array:
    """Give forecast minus truth, row by row."""
    truth, forecast = finite(y, name="y"), finite(score, name="score")
    same_length(y=truth, score=forecast)
    return forecast - truth


def pinball_losses(y: npt.ArrayLike, score: npt.ArrayLike, *, quantile: float) -> Array:
    """Give, per row, what a forecast of a quantile costs: a miss below the truth counts `quantile`, one above the rest.

    Source: Koenker and Bassett, Econometrica 46 (1978) 33.

    >>> pinball_losses([3.0, 3.0], [1.0, 5.0], quantile=0.9).round(2).tolist()
    [1.8, 0.2]
    """
    errors = _errors(y, score)
    return np.where(errors < 0, -share(quantile, name="quantile") * errors, (1 - quantile) * errors)

"""Lines from probabilities of several classes to such as come true, found on rows that they were not learnt from.

Each probability follows a rising line, and what the lines make of a row is divided by its sum. Both methods have that
form, so one way of applying them serves both.
"""

import numpy as np
import numpy.typing as npt

from mlops_assets.statistics.calibration import Line, isotonic_line, line_of
from mlops_assets.statistics.inputs import Array, StatisticsInputError
from mlops_assets.statistics.multiclass import class_pairs, class_probabilities

DEEPEST = -32.0  # the logarithm of the smallest probability that has a knot
STEP = 1 / 32
SHARPEST, BLUNTEST = 20.0, 0.05  # powers within which one is sought


def temperature_lines(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[Line, ...]:
    """Give the power that all probabilities are raised to, 1 / temperature, as the one line of all classes.

    It makes a model as sure as it may be and leaves every order of classes as it was. Between knots a thirty-second of
    a logarithm apart, the line is within 0.01 % of a square or square root.

    Raises:
        StatisticsInputError: `p` holds no probabilities, or tells nothing of what came.

    Source: Guo, Pleiss, Sun and Weinberger, ICML (2017) 1321.
    """
    codes, forecast = class_pairs(y, p)
    logs = np.log(np.maximum(forecast, np.exp(DEEPEST)))
    given = logs[np.arange(codes.size), codes]
    power = 1.0
    for _ in range(100):  # Newton's steps on a loss without a second valley, kept within bounds
        chances = np.exp(power * (logs - logs.max(axis=1, keepdims=True)))
        chances /= chances.sum(axis=1, keepdims=True)
        mean = np.einsum("nk,nk->n", chances, logs)
        slope = float((mean - given).mean())
        bend = float((np.einsum("nk,nk->n", chances, logs**2) - mean**2).mean())
        if bend <= 0:
            break
        moved = min(max(power - slope / bend, power / 2), power * 2)
        if abs(moved - power) <= 1e-12 * power:
            break
        power = moved
        if not BLUNTEST <= power <= SHARPEST:
            raise StatisticsInputError(
                f"On the validation days the best temperature lies beyond {1 / BLUNTEST:g} or below {1 / SHARPEST:g}, "
                "so probabilities have little to do with what came. Look at the features, or validate on more days.",
                power=power,
            )
    knots = np.arange(DEEPEST, STEP / 2, STEP)
    return (line_of(np.exp(knots), np.exp(power * knots)),)


def isotonic_lines(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[Line, ...]:
    """Give the isotonic line of each class against the rest; how classes of a row are ordered may change.

    Raises:
        StatisticsInputError: A class has fewer than two rows, or `p` holds no probabilities.

    Source: Zadrozny and Elkan, KDD (2002) 694.
    """
    codes, forecast = class_pairs(y, p)
    return tuple(isotonic_line(codes == place, forecast[:, place]) for place in range(forecast.shape[1]))


def drawn_classes(lines: tuple[Line, ...], p: npt.ArrayLike) -> Array:
    """Give what the lines make of probabilities, shape (n, k); one line serves all classes."""
    forecast = class_probabilities(p)
    each = lines if len(lines) > 1 else lines * forecast.shape[1]
    risen = np.stack([np.interp(forecast[:, place], *line) for place, line in enumerate(each)], axis=1)
    return np.asarray(risen / risen.sum(axis=1, keepdims=True))

"""Finds the line from a model's scores to probabilities on days that it had not learnt from.

The model that is deployed has learnt from all days of its window, the newest ones most of all, so it cannot be asked
about days that it does not know. Its twin can: the same procedure on the window without its `validation_days`. The
twin's scores on those days tell how sure such a model may be, and the line found there goes into the bundle of the
model that learnt from all. It is what scikit-learn's `CalibratedClassifierCV(ensemble=False)` does, with time instead
of folds. The hold-out sees the result and has no part in it.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from mlops_assets.errors import TrainingError
from mlops_assets.scoring.calibration import Calibrator
from mlops_assets.statistics import StatisticsInputError, log_losses
from mlops_assets.statistics.calibration import Line, drawn, isotonic_line, platt_line
from mlops_assets.training.trainer import Array
from mlops_assets.training.windows import Times

Calibration = Literal["none", "isotonic", "platt", "auto"]
LINES: dict[str, Callable[[Array, Array], Line]] = {"platt": platt_line, "isotonic": isotonic_line}
LEAST_PER_CLASS = 20
FOLDS = 5


def find_calibrator(method: Calibration, y: Array, score: Array, times: Times) -> Calibrator | None:
    """Give the line that `method` finds on validation rows; None where scores are best left as they are.

    `auto` compares `platt`, `isotonic` and leaving scores alone by log loss, each on days that it was not found on, and
    takes the least; the line is then found on all validation days.

    Args:
        method: How to calibrate.
        y: Labels 0 and 1 of the validation rows, shape (n,).
        score: Scores of a model that has not learnt from them, shape (n,).
        times: Decision time of each row.

    Raises:
        TrainingError: Too few rows or days, or scores that do not rise with what came true.
    """
    if method == "none":
        return None
    fewer = int(min(y.sum(), len(y) - y.sum()))
    if fewer < LEAST_PER_CLASS:
        raise TrainingError(
            f"Of {len(y)} rows on the validation days {fewer} are of the rarer class, and a calibration found on fewer "
            f"than {LEAST_PER_CLASS} would say more about chance than about the model. Raise `validation_days`, or set "
            "`calibration: none`.",
            rows=len(y),
        )
    losses: dict[str, float] = {}
    chosen: str = method
    if method == "auto":
        losses = _compared(y, score, times)
        chosen = min(losses, key=lambda name: losses[name])  # of equals the simplest, which comes first
        if chosen == "none":
            return None
    try:
        line = LINES[chosen](y, score)
    except StatisticsInputError as error:
        raise TrainingError(f"No {chosen} calibration could be found: {error}") from error
    return Calibrator(
        method=chosen,
        scores=tuple(line.scores.tolist()),
        probabilities=tuple(line.probabilities.tolist()),
        rows=len(y),
        log_losses={name: float(f"{loss:.12g}") for name, loss in losses.items()},
    )


def _compared(y: Array, score: Array, times: Times) -> dict[str, float]:
    """Give the log loss of each candidate on days that it was not found on, the simplest first."""
    days = times.astype("datetime64[D]").astype(np.int64)
    known = np.unique(days)
    if known.size < 2:
        raise TrainingError(
            "All validation rows are of one day, so calibrations cannot be compared on another day than they were "
            "found on. Raise `validation_days`, or name one: `calibration: platt`.",
            days=int(known.size),
        )
    fold = np.searchsorted(known, days) % min(FOLDS, known.size)
    losses = {"none": float(log_losses(y, score).mean())}
    for name, find in LINES.items():
        lost = np.empty(len(y))
        try:
            for each in range(int(fold.max()) + 1):
                here = fold == each
                lost[here] = log_losses(y[here], drawn(find(y[~here], score[~here]), score[here]))
        except StatisticsInputError:
            continue  # no such line without these days: a candidate less
        losses[name] = float(lost.mean())
    return losses

"""Finds what makes a model's probabilities come true on days that it had not learnt from.

The model that is deployed has learnt from all days of its window, the newest ones most of all, so it cannot be asked
about days that it does not know. Its twin can: the same procedure on the window without its `validation_days`. The
twin's scores on those days tell how sure such a model may be, and the lines found there go into the bundle of the
model that learnt from all. It is what scikit-learn's `CalibratedClassifierCV(ensemble=False)` does, with time instead
of folds. The hold-out sees the result and has no part in it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mlops_assets.errors import TrainingError
from mlops_assets.records import Task
from mlops_assets.scoring.calibration import Calibrator
from mlops_assets.scoring.class_calibration import ClassCalibrator, Knots
from mlops_assets.statistics import StatisticsInputError, class_log_losses, log_losses
from mlops_assets.statistics.calibration import drawn, isotonic_line, platt_line
from mlops_assets.statistics.class_calibration import drawn_classes, isotonic_lines, temperature_lines
from mlops_assets.training.trainer import Array
from mlops_assets.training.windows import Times

Calibration = Literal["none", "isotonic", "platt", "temperature", "auto"]
AnyCalibrator = Calibrator | ClassCalibrator


@dataclass(frozen=True, slots=True)
class _Kind:
    """How models of a kind are calibrated: ways to find lines, simplest first, what they draw, and what is lost."""

    methods: Mapping[str, Callable[[Array, Array], Any]]
    drawn: Callable[[Any, Array], Array]
    losses: Callable[[Array, Array], Array]
    calibrator: Callable[..., AnyCalibrator]


def _of_one_line(line: Any, **facts: Any) -> AnyCalibrator:
    return Calibrator(scores=tuple(line.scores.tolist()), probabilities=tuple(line.probabilities.tolist()), **facts)


def _of_lines(lines: Any, **facts: Any) -> AnyCalibrator:
    knots = (Knots(scores=tuple(x.tolist()), heights=tuple(y.tolist())) for x, y in lines)
    return ClassCalibrator(lines=tuple(knots), **facts)


KINDS: Mapping[Task, _Kind] = {
    "binary": _Kind({"platt": platt_line, "isotonic": isotonic_line}, drawn, log_losses, _of_one_line),
    "multiclass": _Kind(
        {"temperature": temperature_lines, "isotonic": isotonic_lines}, drawn_classes, class_log_losses, _of_lines
    ),
}
LEAST_PER_CLASS = 20
FOLDS = 5


def find_calibrator(
    method: Calibration, y: Array, score: Array, times: Times, *, task: Task = "binary"
) -> AnyCalibrator | None:
    """Give what `method` finds on validation rows; None where scores are best left as they are.

    `auto` compares all methods for this kind of model and leaving scores alone by log loss, each on days that it was
    not found on, and takes the least; that one is then found on all validation days.

    Args:
        method: How to calibrate.
        y: Labels of the validation rows, shape (n,): 0 and 1, or codes of classes.
        score: Scores of a model that has not learnt from them, shape (n,), or of k classes (n, k).
        times: Decision time of each row.
        task: What kind of model; one of `KINDS`.

    Raises:
        TrainingError: Too few rows or days, or scores that do not rise with what came true.
    """
    if method == "none":
        return None
    kind = KINDS[task]
    fewest = int(np.bincount(y.astype(np.intp), minlength=2 if score.ndim == 1 else score.shape[1]).min())
    if fewest < LEAST_PER_CLASS:
        raise TrainingError(
            f"Of {len(y)} rows on the validation days {fewest} are of the rarest class, and what is found on fewer "
            f"than {LEAST_PER_CLASS} would say more about chance than about the model. Raise `validation_days`, or set "
            "`calibration: none`.",
            rows=len(y),
        )
    losses: dict[str, float] = {}
    chosen: str = method
    if method == "auto":
        losses = _compared(kind, y, score, times)
        chosen = min(losses, key=lambda name: losses[name])  # of equals the simplest, which comes first
        if chosen == "none":
            return None
    try:
        found = kind.methods[chosen](y, score)
    except StatisticsInputError as error:
        raise TrainingError(f"No {chosen} calibration could be found: {error}") from error
    return kind.calibrator(
        found,
        method=chosen,
        rows=len(y),
        log_losses={name: float(f"{loss:.12g}") for name, loss in losses.items()},
    )


def _compared(kind: _Kind, y: Array, score: Array, times: Times) -> dict[str, float]:
    """Give the log loss of each candidate on days that it was not found on, the simplest first."""
    days = times.astype("datetime64[D]").astype(np.int64)
    known = np.unique(days)
    if known.size < 2:
        raise TrainingError(
            "All validation rows are of one day, so calibrations cannot be compared on another day than they were "
            f"found on. Raise `validation_days`, or name one: `calibration: {next(iter(kind.methods))}`.",
            days=int(known.size),
        )
    fold = np.searchsorted(known, days) % min(FOLDS, known.size)
    losses = {"none": float(kind.losses(y, score).mean())}
    for name, find in kind.methods.items():
        lost = np.empty(len(y))
        try:
            for each in range(int(fold.max()) + 1):
                here = fold == each
                lost[here] = kind.losses(y[here], kind.drawn(find(y[~here], score[~here]), score[here]))
        except StatisticsInputError:
            continue  # not to be found without these days: a candidate less
        losses[name] = float(lost.mean())
    return losses

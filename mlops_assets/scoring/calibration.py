"""From scores to probabilities that come true: a line from knot to knot, the same to the last bit wherever it is drawn.

Whatever found the line, it is kept as knots, so that applying it takes a search, a product and two sums, which every
machine does alike, for one row as for a million. An exponential would differ in its last bit between processors.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
import numpy as np

from mlops_assets.errors import BundleError
from mlops_assets.scoring.class_calibration import ClassCalibrator
from mlops_assets.scoring.lines import along
from mlops_assets.scoring.scorer import Array, Scorer

CALIBRATION_PART: Final = "calibration.json"


class Calibrator(msgspec.Struct, frozen=True, kw_only=True):
    """A rising line through knots: what each of `scores` becomes. Scores beyond the outer knots count as those.

    Args:
        method: What found it: `isotonic` or `platt`.
        scores: Rising, at least two.
        probabilities: Not falling, all within 0 and 1 and neither of them.
        rows: Validation rows that it was found on.
        log_losses: What each candidate lost per validation row when they were compared; empty if there was no choice.
    """

    method: str
    scores: tuple[float, ...]
    probabilities: tuple[float, ...]
    rows: int
    log_losses: dict[str, float] = {}

    def __post_init__(self) -> None:
        """Refuse knots that make no rising line within 0 and 1."""
        x, y = np.array(self.scores), np.array(self.probabilities)
        sound = x.size == y.size >= 2 and (np.diff(x) > 0).all() and (np.diff(y) >= 0).all()
        if not (sound and y[0] > 0 and y[-1] < 1):
            raise BundleError(
                "The knots of a calibration must rise, in scores and in probabilities between 0 and 1, or a better "
                "score could become a worse probability. Train and deploy the model again.",
                knots=x.size,
            )

    def __call__(self, scores: Array) -> Array:
        """Give the probability that each score stands for, shape (n,).

        >>> line = Calibrator(method="isotonic", scores=(0.0, 0.5, 1.0), probabilities=(0.1, 0.2, 0.8), rows=9)
        >>> line(np.array([-1.0, 0.25, 0.75, 2.0])).round(9).tolist()
        [0.1, 0.15, 0.5, 0.8]
        """
        return self.ready()(scores)

    def ready(self) -> Callable[[Array], Array]:
        """Give it with its knots laid out, for many calls."""
        return partial(along, np.array(self.scores), np.array(self.probabilities))


def calibrator_of(parts: Mapping[str, bytes]) -> Calibrator | ClassCalibrator | None:
    """Give the calibrator of a bundle; None of one whose scores stay as they are.

    Raises:
        BundleError: It cannot be read.
    """
    if CALIBRATION_PART not in parts:
        return None
    try:
        found = msgspec.json.decode(parts[CALIBRATION_PART], type=dict[str, Any])
        if "lines" in found:
            return msgspec.convert(found, ClassCalibrator)
        return msgspec.convert(found, Calibrator)
    except msgspec.MsgspecError as error:
        raise BundleError(
            f"{CALIBRATION_PART} of the bundle cannot be read: {error}. Train and deploy the model again."
        ) from error


def calibrated(parts: Mapping[str, bytes], scores: Array) -> Array:
    """Give the scores of a bundle's model as the bundle answers them."""
    calibrator = calibrator_of(parts)
    return scores if calibrator is None else calibrator(scores)


class CalibratedScorer:
    """A scorer whose scores are calibrated before anybody sees them."""

    def __init__(self, scorer: Scorer, calibrator: Calibrator | ClassCalibrator) -> None:
        """Put a calibrator behind a scorer of probabilities."""
        self._scorer = scorer
        self._calibrated = calibrator.ready()

    @property
    def features(self) -> int:
        """Say how many features a row has."""
        return self._scorer.features

    def score(self, vectors: Array) -> Array:
        """Give one probability per row, shape (n,); of k classes one for each, shape (n, k).

        Raises:
            BundleError: The rows have another width than the model.
        """
        return self._calibrated(self._scorer.score(vectors))

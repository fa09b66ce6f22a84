"""From probabilities of several classes to such as come true: each along a line, and all divided by their sum."""

from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np

from mlops_assets.errors import BundleError
from mlops_assets.scoring.lines import along
from mlops_assets.scoring.scorer import Array


class Knots(msgspec.Struct, frozen=True, kw_only=True):
    """A rising line above nought: what each of `scores` becomes before the sum is taken out."""

    scores: tuple[float, ...]
    heights: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse knots that make no rising line above nought."""
        x, y = np.array(self.scores), np.array(self.heights)
        sound = x.size == y.size >= 2 and (np.diff(x) > 0).all() and (np.diff(y) >= 0).all()
        if not (sound and y[0] > 0 and y[-1] <= 1):
            raise BundleError(
                "The knots of a calibration must rise, in scores and in what they become, above 0 and up to 1, or a "
                "likelier class could become a less likely one. Train and deploy the model again.",
                knots=x.size,
            )


class ClassCalibrator(msgspec.Struct, frozen=True, kw_only=True):
    """A line for each class, in their order, or one for all.

    Args:
        method: What found it: `temperature` or `isotonic`.
        lines: The lines.
        rows: Validation rows that it was found on.
        log_losses: What each candidate lost per validation row when they were compared; empty if there was no choice.
    """

    method: str
    lines: tuple[Knots, ...]
    rows: int
    log_losses: dict[str, float] = {}

    def __post_init__(self) -> None:
        """Refuse to be without a line."""
        if not self.lines:
            raise BundleError("The calibration has no line for any class. Train and deploy the model again.")

    def __call__(self, scores: Array) -> Array:
        """Give the probabilities that each row stands for, shape (n, k).

        >>> line = Knots(scores=(0.1, 1.0), heights=(0.01, 1.0))
        >>> once = ClassCalibrator(method="temperature", lines=(line,), rows=9)
        >>> once(np.array([[0.55, 0.1, 0.1]])).round(4).tolist()
        [[0.9619, 0.019, 0.019]]
        """
        return self.ready()(scores)

    def ready(self) -> Callable[[Array], Array]:
        """Give it with its knots laid out, for many calls."""
        return partial(_applied, [(np.array(line.scores), np.array(line.heights)) for line in self.lines])


def _applied(lines: list[tuple[Array, Array]], scores: Array) -> Array:
    classes = scores.shape[1]
    if len(lines) not in (1, classes):
        raise BundleError(
            f"The calibration has lines of {len(lines)} classes, and the model gives {classes} probabilities. "
            "Train and deploy the model again.",
            classes=classes,
        )
    risen = np.empty(scores.shape)
    total = np.zeros(len(scores))
    for place in range(classes):  # one after the other: how NumPy adds up a row depends on how many rows there are
        risen[:, place] = along(*lines[place % len(lines)], scores[:, place])
        total += risen[:, place]
    return np.asarray(risen / total[:, None])

"""From each feature's share in a score to the reasons behind it.

Contributions are additive on the raw score: a row's features and its last column, the expected score, sum to the
score, as LightGBM's `pred_contrib` gives them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_assets.errors import GovernanceError

Contributions = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """How much a feature moves scores: the mean of |contribution|, and its share in the sum over all features.

    Of a model without exact contributions it is the mean of |change| of the score when the feature is shuffled.
    """

    feature: str
    mean_abs: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason for one score: what moved it, and by how much on the raw scale."""

    feature: str
    contribution: float


def global_importance(contributions: Contributions, names: Sequence[str]) -> tuple[Importance, ...]:
    """Rank features by the mean of |contribution|, largest first, equal ones by name.

    Args:
        contributions: Shape (n, d + 1), n >= 1, or (n, k, d + 1) of k classes, which count alike; the last column is
            the expected score and takes no part.
        names: The d features in column order.

    Raises:
        GovernanceError: Shapes do not fit, or a contribution is not finite.

    >>> [(i.feature, i.share) for i in global_importance(np.array([[3.0, -1.0, 9.0]]), ["a", "b"])]
    [('a', 0.75), ('b', 0.25)]
    """
    flat = contributions.reshape(-1, contributions.shape[-1]) if contributions.ndim == 3 else contributions
    return _ranked(np.abs(_features_of(flat, names)).mean(axis=0), names)


def shuffled_importance(
    score: Callable[[Contributions], Contributions], vectors: Contributions, names: Sequence[str], *, seed: int
) -> tuple[Importance, ...]:
    """Rank features by how far scores move when one feature's values are dealt out anew among the rows.

    For models whose scores have no exact contributions. Features that say the same hide each other.

    Args:
        score: Gives one score per row, or one per row and class.
        vectors: Shape (n, d), n >= 1.
        names: The d features in column order.
        seed: Of the dealing.
    """
    order = np.random.default_rng(seed).permutation(len(vectors))
    before, moved = score(vectors), []
    for column in range(vectors.shape[1]):
        dealt = vectors.copy()
        dealt[:, column] = vectors[order, column]
        moved.append(np.abs(score(dealt) - before).mean())
    return _ranked(np.array(moved), names)


def _ranked(moved: Contributions, names: Sequence[str]) -> tuple[Importance, ...]:
    """Give the features, those that move most first."""
    total = float(moved.sum())
    ranked = sorted(zip(names, moved.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
    return tuple(
        Importance(feature=name, mean_abs=value, share=value / total if total else 0.0) for name, value in ranked
    )


def reasons(contributions: Contributions, names: Sequence[str]) -> tuple[Reason, ...]:
    """Give what moved one score away from the expected one, strongest first, equal ones by name.

    Args:
        contributions: Shape (d + 1,); the last is the expected score and is never a reason.
        names: The d features in column order.

    Raises:
        GovernanceError: Shapes do not fit, or a contribution is not finite.

    >>> [(r.feature, r.contribution) for r in reasons(np.array([0.5, 0.0, -0.9, 7.0]), ["wind", "gust", "hour"])]
    [('hour', -0.9), ('wind', 0.5)]
    """
    moved = _features_of(contributions[np.newaxis], names)[0].tolist()
    found = [Reason(feature=name, contribution=by) for name, by in zip(names, moved, strict=True) if by]
    return tuple(sorted(found, key=lambda each: (-abs(each.contribution), each.feature)))


def _features_of(contributions: Contributions, names: Sequence[str]) -> Contributions:
    if contributions.ndim != 2 or not len(contributions) or contributions.shape[1] != len(names) + 1:
        raise GovernanceError(
            f"Contributions have shape {contributions.shape}, expected (rows, {len(names) + 1}): a column for each of "
            f"{len(names)} features and one for the expected score. Names and model do not belong together.",
            shape=contributions.shape,
        )
    if not np.isfinite(contributions).all():
        raise GovernanceError(
            "A contribution is not a finite number, so no reason built on it would be true. Check the model's input."
        )
    return contributions[:, :-1]

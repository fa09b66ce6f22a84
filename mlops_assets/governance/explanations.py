"""From each feature's share in a score to the reasons behind it.

Contributions are additive on the raw score: a row's features and its last column, the expected score, sum to the
score, as LightGBM's `pred_contrib` gives them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlops_assets.errors import GovernanceError, examples

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
    """One reason for one score: what moved it (`code`), and by how much on the raw scale."""

    code: str
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


def reasons(
    contributions: Contributions,
    names: Sequence[str],
    *,
    top: int = 4,
    direction: Literal["raised", "lowered"] = "raised",
    codes: Mapping[str, str] | None = None,
) -> list[tuple[Reason, ...]]:
    """Give, for each row, the at most `top` reasons that moved its score most in `direction`, strongest first.

    Args:
        contributions: Shape (n, d + 1); the last column is the expected score and is never a reason.
        names: The d features in column order.
        top: How many reasons to give; four is what notices of adverse action usually carry.
        direction: Whether to explain why a score is high or why it is low.
        codes: The words for each feature. Features of one code count together, so that several correlated
            ones make one reason. Without it each feature stands for itself.

    Raises:
        GovernanceError: A feature has no code, shapes do not fit, or a contribution is not finite.

    >>> codes = {"wind": "weather", "gust": "weather", "hour": "time"}
    >>> reasons(np.array([[0.5, 0.25, -0.9, 0.0]]), ["wind", "gust", "hour"], codes=codes)
    [(Reason(code='weather', contribution=0.75),)]
    """
    moved = _features_of(contributions, names)
    code_of = codes if codes is not None else {name: name for name in names}
    if uncoded := [name for name in names if name not in code_of]:
        raise GovernanceError(
            f"No reason code for {examples(uncoded)}. A score could be moved by something nobody can put into words. "
            "Give each feature a code.",
            features=uncoded,
        )
    labels = sorted({code_of[name] for name in names})
    position = {label: column for column, label in enumerate(labels)}
    grouped = np.zeros((len(moved), len(labels)))
    for column, name in enumerate(names):
        grouped[:, position[code_of[name]]] += moved[:, column]
    toward = grouped if direction == "raised" else -grouped
    order = np.argsort(-toward, axis=1, kind="stable")[:, :top]  # equal ones in the order of their labels
    return [
        tuple(Reason(code=labels[i], contribution=float(grouped[row, i])) for i in best if toward[row, i] > 0)
        for row, best in enumerate(order)
    ]


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

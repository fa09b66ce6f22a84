"""The rows that a challenger is judged on: labels, and the scores of all who are compared, row by row."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_assets.errors import EvaluationError
from mlops_assets.records import Task
from mlops_assets.statistics import Array, StatisticsInputError
from mlops_assets.statistics.inputs import Clusters, finite, labels, same_length
from mlops_assets.statistics.intervals import cluster_codes, degrees_of_freedom
from mlops_assets.statistics.multiclass import class_codes, class_probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Labels and scores that belong together, and which rows share their fate."""

    task: Task
    y: Array
    challenger: Array
    champion: Array | None
    baseline: Array
    clusters: Clusters

    @classmethod
    def of(
        cls,
        task: Task,
        *,
        y: npt.ArrayLike,
        challenger: npt.ArrayLike,
        champion: npt.ArrayLike | None,
        baseline: npt.ArrayLike,
        clusters: Clusters,
    ) -> "HeldOut":
        """Take rows together.

        Raises:
            EvaluationError: The models do not tell the same classes apart.
            StatisticsInputError: Lengths differ, a label or score is NaN, or a probability is none.
        """
        scores = {"challenger_scores": challenger, "baseline_scores": baseline}
        if champion is not None:
            scores["champion_scores"] = champion
        if task == "multiclass":
            checked = _of_classes(scores)
            truth = class_codes(y, classes=checked["challenger_scores"].shape[1]).astype(np.float64)
        else:
            checked = {name: finite(values, name=name) for name, values in scores.items()}
            truth = labels(y).astype(np.float64) if task == "binary" else finite(y, name="y")
        beside: dict[str, npt.NDArray[Any]] = {} if clusters is None else {"clusters": clusters}
        same_length(y=truth, **checked, **beside)
        return cls(
            task=task,
            y=truth,
            challenger=checked["challenger_scores"],
            champion=checked.get("champion_scores"),
            baseline=checked["baseline_scores"],
            clusters=clusters,
        )

    @property
    def per_class(self) -> tuple[int, ...]:
        """How many rows there are of each class; of none where a number is forecast."""
        if self.task == "regression":
            return ()
        classes = 2 if self.task == "binary" else self.challenger.shape[1]
        return tuple(np.bincount(self.y.astype(np.intp), minlength=classes).tolist())

    @property
    def days(self) -> int | None:
        """How many clusters there are; None where every row counts as a draw of its own."""
        return None if self.clusters is None else cluster_codes(self.clusters)[1]

    @property
    def freedom(self) -> float | None:
        """The degrees of freedom of intervals over clusters."""
        return None if self.clusters is None else degrees_of_freedom(np.bincount(cluster_codes(self.clusters)[0]))

    def require_chance(self) -> None:
        """Refuse rows on which no measure exists, or none has an interval.

        Raises:
            StatisticsInputError: There are fewer than two rows of a class, or of one day only.
        """
        if self.per_class and min(self.per_class) < 2:
            found = (
                f"{self.per_class[1]:,} are positive"
                if self.task == "binary"
                else f"{', '.join(f'{n:,}' for n in self.per_class)} are of each class"
            )
            raise StatisticsInputError(
                f"Of {len(self.y):,} held-out rows {found}, and with fewer than two of a kind nothing tells it apart. "
                "Hold out more days, or check the label.",
                rows=len(self.y),
            )
        if self.days == 1:
            raise StatisticsInputError(
                f"All {len(self.y):,} held-out rows are of one day, and rows of a day share their fate, so nothing "
                "tells how much a number would vary. Hold out more days.",
                rows=len(self.y),
            )


def _of_classes(given: dict[str, npt.ArrayLike]) -> dict[str, Array]:
    """Give probabilities of the same classes.

    Raises:
        EvaluationError: They are of others than the challenger's.
    """
    ours = class_probabilities(given["challenger_scores"], name="challenger_scores")
    for name, scores in given.items():
        shape = np.shape(scores)
        if shape[1:] != ours.shape[1:]:
            who = name.removesuffix("_scores")
            raise EvaluationError(
                f"The challenger gives {ours.shape[1]} probabilities a row and the {who} scores of shape "
                f"{shape[1:]}, so they are not models of the same classes and no row compares them. A model "
                "keeps its classes: give one with others a name of its own.",
                shapes=(ours.shape, shape),
            )
    return {name: class_probabilities(scores, name=name) for name, scores in given.items()}

"""What every trainer takes and gives, whatever it fits with."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from mlops_assets.errors import DeclarationError, TrainingError, examples
from mlops_assets.records import Params, Task
from mlops_assets.training.checkpoint import Checkpoint
from mlops_assets.training.windows import Times

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

BLOCK_ROWS = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingData:
    """Rows to learn from, checked to be such that a fit of them means something.

    Their order is part of the result: bagging draws by position.

    Args:
        X: Feature vectors, shape (n, d); NaN is missing, categorical columns hold level codes.
        y: Labels, shape (n,): 0 and 1, finite numbers, or the codes of `classes`.
        task: What kind of model.
        times: Decision time of each row, `datetime64[us]` in UTC.
        names: Feature names in column order.
        categorical: Positions of the categorical columns.
        classes: Names of the classes in the order of their codes, of a multiclass model.
        weights: What each row counts, shape (n,); all alike without them.

    Raises:
        TrainingError: Rows lack a class, are unlabelled or infinite, or shapes do not agree.
    """

    X: Array
    y: Array
    task: Task
    times: Times
    names: tuple[str, ...]
    categorical: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    weights: Array | None = None

    def __post_init__(self) -> None:
        self._require_shapes()
        self._require_values()
        self._require_classes()

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: slice | npt.NDArray[Any]) -> Self:
        """Give some of the rows, by mask, places or slice."""
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, X=self.X[rows], y=self.y[rows], times=self.times[rows], weights=weights)

    def _require_shapes(self) -> None:
        of_rows = [each for each in (self.y, self.times, self.weights) if each is not None]
        if self.X.shape != (len(self.y), len(self.names)) or any(each.shape != self.X.shape[:1] for each in of_rows):
            raise TrainingError(
                f"Rows do not agree: X has shape {self.X.shape}, y {self.y.shape}, times {self.times.shape}, and there "
                f"are {len(self.names)} names. Every row needs one label and one time, every column one name.",
                shape=self.X.shape,
            )

    def _require_values(self) -> None:
        unlabelled = np.flatnonzero(~np.isfinite(self.y))
        if unlabelled.size:
            raise TrainingError(
                f"{unlabelled.size} of {len(self)} rows have no finite label (rows {examples(unlabelled)}). A model "
                "would learn an invented one. Leave out rows whose label is not yet known.",
                rows=unlabelled.tolist(),
            )
        has_infinite = np.zeros(len(self.names), dtype=bool)
        for start in range(0, len(self), BLOCK_ROWS):  # a block stays in the cache; a column is all over the memory
            has_infinite |= np.isinf(self.X[start : start + BLOCK_ROWS]).any(axis=0)
        if infinite := [name for name, found in zip(self.names, has_infinite, strict=True) if found]:
            raise TrainingError(
                f"Infinite values in {examples(infinite)}. Trees would learn a bin that no request fills. "
                "Mend the feature: a division by zero is the usual cause, and missing is NaN.",
                features=infinite,
            )

    def _require_classes(self) -> None:
        if self.task == "regression" or not len(self):
            return
        seen = np.unique(self.y)
        if self.task == "binary" and not np.array_equal(seen, [0, 1]):
            raise TrainingError(
                f"A binary model needs labels 0 and 1, both of them, but the window holds {examples(seen)}. "
                "Widen the window, or mend the label.",
                labels=seen.tolist()[:5],
            )
        if self.task == "multiclass" and not np.array_equal(seen, np.arange(len(self.classes))):
            raise TrainingError(
                f"The labels are the codes of {len(self.classes)} classes ({examples(self.classes)}), so each of 0 to "
                f"{len(self.classes) - 1} must occur and nothing else, but the window holds {examples(seen)}. "
                "A class never seen is never predicted: widen the window, or mend the label or `classes`.",
                labels=seen.tolist()[:5],
                classes=self.classes,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fitted model as bytes, and how it came about.

    `parts` are canonical and hold no pickle: the same fit gives the same bytes on any number of threads. `params` are
    complete, with every default and seed resolved. `curves` hold one loss per round, `rounds` says how many were kept.
    """

    trainer: str
    names: tuple[str, ...]
    parts: dict[str, bytes]
    params: Params
    rounds: int
    curves: dict[str, list[float]]


class Trainer(Protocol):
    """Fits and scores one kind of model. To join the family: one file, and one line in `trainers/__init__`."""

    @property
    def name(self) -> str:
        """Say under which name policies ask for it."""
        ...

    def on_threads(self, threads: int) -> "Trainer":
        """Give this trainer as it fits on so many threads, which may change the speed and nothing else.

        One whose fits would differ keeps to the number it has pinned, and gives itself.
        """
        ...

    def in_rounds(self, params: Mapping[str, str | int | float | bool]) -> bool:
        """Say whether a model of these resolved parameters is made in rounds, the first of which are a model too."""
        ...

    def resolve(self, task: Task, params: Mapping[str, str | int | float | bool], *, seed: int) -> Params:
        """Give `params` with all defaults and seeds filled in.

        Raises:
            DeclarationError: A parameter is unknown, belongs to the trainer itself or would make fits differ.
        """
        ...

    def fit(
        self,
        data: TrainingData,
        *,
        params: Mapping[str, str | int | float | bool],
        seed: int,
        validation: Mask | None = None,
        patience: int = 30,
        checkpoint: Checkpoint | None = None,
    ) -> Fitted:
        """Fit on all rows.

        Where `validation` marks rows, the number of rounds is first found by fitting on the others and stopping once
        `patience` rounds brought those rows no gain; then all rows are fitted with that number of rounds.

        A trainer whose fits are long goes on from `checkpoint` and saves its progress there; the parts are the same
        bytes with or without it, however often the fit was cut off.
        """
        ...

    def score(self, parts: Mapping[str, bytes], X: Array) -> Array:
        """Give the probability of the positive class, or the forecast number, shape (n,); of k classes shape (n, k).

        A row's score is the same to the last bit whatever other rows come with it.
        """
        ...

    def contributions(self, parts: Mapping[str, bytes], X: Array) -> Array:
        """Give what each feature adds to each raw score, shape (n, d + 1); the last column is the expected score.

        Of k classes each has raw scores of its own: shape (n, k, d + 1).

        Raises:
            UnexplainedError: For this kind of model nobody knows exactly.
        """
        ...


def require_rounds(trainer: Trainer, params: Mapping[str, str | int | float | bool]) -> None:
    """Refuse to look for a number of rounds where there is none to find.

    Args:
        trainer: Which fits.
        params: Its resolved parameters.

    Raises:
        DeclarationError: There is none.
    """
    if not trainer.in_rounds(params):
        told = "".join(f", {name} {params[name]!r}" for name in ("estimator", "boosting") if name in params)
        raise DeclarationError(
            f"Validation days find the number of rounds, and what trainer {trainer.name!r}{told} makes is not made in "
            "rounds of which the first could be kept. Set `validation_days` to 0; those days are then learnt from.",
            trainer=trainer.name,
        )

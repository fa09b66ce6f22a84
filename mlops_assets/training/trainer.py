"""What every trainer gives, whatever it fits with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mlops_assets.records import Params, Task
from mlops_assets.training.checkpoint import Checkpoint

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


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

    def resolve(self, task: Task, params: Mapping[str, str | int | float | bool], *, seed: int) -> Params:
        """Give `params` with all defaults and seeds filled in.

        Raises:
            DeclarationError: A parameter is unknown, belongs to the trainer itself or would make fits differ.
        """
        ...

    def fit(
        self,
        X: Array,
        y: Array,
        *,
        task: Task,
        names: Sequence[str],
        categorical: Sequence[int] = (),
        params: Mapping[str, str | int | float | bool],
        seed: int,
        weights: Array | None = None,
        validation: Mask | None = None,
        patience: int = 30,
        checkpoint: Checkpoint | None = None,
    ) -> Fitted:
        """Fit on all rows of `X`, shape (n, d), whose categorical columns hold level codes; NaN is missing.

        `y` holds 0 and 1, finite numbers, or every class code from 0 to k - 1.

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

"""A trainer that stands as `trainer.py` in the model's own folder, held to what every trainer promises.

What it fits is tried before it is given back: scored alone and among others, with gaps, and opened twice. So what would
be refused when it is released is refused when it is fitted, with the reason.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlops_assets.errors import (
    BundleError,
    DeclarationError,
    MlopsError,
    TrainingError,
    UnexplainedError,
    UnknownNameError,
)
from mlops_assets.records import Params, Task
from mlops_assets.scoring.calibration import CALIBRATION_PART
from mlops_assets.scoring.links import sigmoid, softmax
from mlops_assets.scoring.own import OWN_PART, SHAPE_PART, OwnCode, Shape, own_scorer, read_own
from mlops_assets.training.checkpoint import Checkpoint
from mlops_assets.training.trainer import Array, Fitted, Mask, Trainer, TrainingData

OWN = "own"
TRIED_ROWS = 64
PICKLE_PROTOCOLS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


@dataclass(frozen=True, slots=True)
class OwnTrainer:
    """Fits and scores with the code of one `trainer.py`, which becomes a part of the model."""

    code: OwnCode
    threads: int | None = None
    name: str = OWN

    @classmethod
    def read(cls, source: str | None) -> "OwnTrainer":
        """Give the trainer of a text.

        Raises:
            DeclarationError: There is no text, or it is no trainer; the message names the line.
        """
        if source is None:
            raise DeclarationError(
                f"`trainer: {OWN}` is a file {OWN_PART} in the model's own folder, and there is no folder here to read "
                "it from. Declare the model in a folder of its own."
            )
        return cls(read_own(source))

    def on_threads(self, threads: int) -> Trainer:
        """Give this trainer with `threads` for a `fit` that asks for them; another one is left alone."""
        return replace(self, threads=threads) if "threads" in self.code.asks else self

    def in_rounds(self, params: Mapping[str, object]) -> bool:
        """Say whether `fit` takes the rows that find a number of rounds."""
        return "validation" in self.code.asks

    def resolve(self, task: Task, params: Mapping[str, str | int | float | bool], *, seed: int) -> Params:
        """Give `params` with the defaults of `PARAMS` and the seed.

        Raises:
            DeclarationError: One is not in `PARAMS`, or of another kind than its default.
        """
        for name, value in params.items():
            if name not in self.code.params:
                raise UnknownNameError(f"parameter of {OWN_PART}", name, known=self.code.params)
            default = self.code.params[name]
            whole_for_number = type(default) is float and type(value) is int
            if type(value) is not type(default) and not whole_for_number:
                raise DeclarationError(
                    f"`{name}` is {value!r}, but its default in {OWN_PART} is {default!r}. Give a value of that kind.",
                    parameter=name,
                )
        return {**self.code.params, **params, "seed": seed}

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
        """Fit on all rows; see `Trainer.fit`.

        Raises:
            DeclarationError: A parameter cannot be obeyed.
            TrainingError: What was fitted is not what every trainer promises.
        """
        resolved = self.resolve(data.task, params, seed=seed)
        offered = {
            "validation": validation,
            "patience": patience,
            "checkpoint": checkpoint,
            "threads": self.threads or 1,
        }
        asked = {name: offered[name] for name in self.code.asks}
        given = {name: value for name, value in resolved.items() if name != "seed"}
        try:
            made = self.code.fit(data, params=given, seed=seed, **asked)
        except MlopsError:
            raise
        except Exception as error:
            raise TrainingError(f"`fit` of {OWN_PART} failed: {type(error).__name__}: {error}.") from error
        own, curves = _made(made)
        shape = Shape(features=data.X.shape[1], classes=len(data.classes))
        parts = {**own, OWN_PART: self.code.source.encode(), SHAPE_PART: shape.encoded()}
        if why := next(self._doubts(parts, data), None):
            raise TrainingError(f"The model that {OWN_PART} fitted cannot be relied on: {why}")
        return Fitted(
            trainer=self.name,
            names=data.names,
            parts=parts,
            params=resolved,
            rounds=len(curves.get("train_loss", [0])),
            curves=curves,
        )

    def score(self, parts: Mapping[str, bytes], X: Array) -> Array:
        """Give the scores as `trainer.py` among the parts gives them, in training and in the endpoint alike."""
        return own_scorer(parts).score(X)

    def contributions(self, parts: Mapping[str, bytes], X: Array) -> Array:
        """Give what `contributions` of `trainer.py` gives.

        Raises:
            UnexplainedError: It has none.
        """
        code = read_own(parts[OWN_PART].decode())
        if code.contributions is None:
            raise UnexplainedError(
                f"{OWN_PART} has no function `contributions`, so what each feature adds to a score is not known. Add "
                "one where it can be told exactly; where decisions must be explained, there is the trainer `lightgbm`."
            )
        return np.asarray(code.contributions(parts, X), dtype=np.float64)

    def _doubts(self, parts: Mapping[str, bytes], data: TrainingData) -> Iterator[str]:
        """Say what of the contract a fitted model breaks, tried on a few rows and on one of gaps alone."""
        some = np.linspace(0, len(data) - 1, min(len(data), TRIED_ROWS)).astype(int)
        X = np.vstack([data.X[some], np.full((1, data.X.shape[1]), np.nan)])
        try:
            together, again = own_scorer(parts).score(X), own_scorer(parts).score(X[::-1])[::-1]
            alone = np.concatenate([own_scorer(parts).score(row[None, :]) for row in X[:8]])
        except BundleError as error:
            yield str(error)
            return
        if not np.array_equal(together[:8], alone) or not np.array_equal(together, again):
            yield (
                "a row's score is not the same, to the last bit, alone, among others and when it is asked for again. "
                "Either `scorer` draws from chance, or it adds up in an order that depends on the other rows, as "
                "matrix products do: wrap what it gives in `mlops_assets.scoring.row_by_row`."
            )
        if data.task != "regression" and (together.min() < 0 or together.max() > 1):
            yield f"{data.task} scores are probabilities, and these go from {together.min()} to {together.max()}."
        if data.task == "multiclass" and not np.allclose(together.sum(axis=1), 1):
            yield "the probabilities of the classes do not sum to one in each row."
        if self.code.contributions is not None:
            yield from self._doubtful_reasons(parts, X, together, data.task)

    def _doubtful_reasons(self, parts: Mapping[str, bytes], X: Array, scores: Array, task: Task) -> Iterator[str]:
        added = self.contributions(parts, X)
        expected = (*scores.shape, X.shape[1] + 1)
        if added.shape != expected:
            yield f"`contributions` has shape {added.shape} where {expected} is due: a column per feature and one more."
            return
        raw = added.sum(axis=-1)
        told = softmax(raw.T) if task == "multiclass" else sigmoid(raw) if task == "binary" else raw
        if not np.allclose(told, scores, rtol=1e-6):
            yield (
                "`contributions` do not add up to the raw scores: their sum is to be the score of a regression, its "
                "log-odds of a binary model, and what softmax makes the probabilities of classes from."
            )


def _made(given: Any) -> tuple[dict[str, bytes], dict[str, list[float]]]:
    """Give parts and curves of what `fit` gave back: the parts, or the parts and the loss after each round."""
    parts, curves = given if isinstance(given, tuple) and len(given) == 2 else (given, {})
    if not isinstance(parts, Mapping) or not parts or not all(isinstance(each, bytes) for each in parts.values()):
        raise TrainingError(
            f"`fit` of {OWN_PART} gave {type(parts).__name__}, where the parts of a model are due: a dict of bytes by "
            "name, such as {'weights.safetensors': b'…'}, alone or with a dict of losses after each round."
        )
    for name, data in parts.items():
        if name in (OWN_PART, SHAPE_PART, CALIBRATION_PART):
            raise TrainingError(f"`fit` of {OWN_PART} named a part {name!r}, which the bundle needs itself. Rename it.")
        if _is_pickle(data):
            raise TrainingError(
                f"Part {name!r} is a pickle, which runs whatever code it holds when it is read. Save plain numbers: "
                "safetensors, `np.save(…, allow_pickle=False)`, JSON.",
                part=name,
            )
    return dict(parts), {name: [float(loss) for loss in losses] for name, losses in curves.items()}


def _is_pickle(data: bytes) -> bool:
    """Tell whether something is a pickle, or an archive with one in it, as `torch.save` writes."""
    if data.startswith(PICKLE_PROTOCOLS) and data.endswith(b"."):
        return True
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return False
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return any(_is_pickle(archive.read(name)) for name in archive.namelist())

"""Scores of a small network over standardised numbers, flags of missing ones, and embedded categories.

Weights rest in the format of safetensors (a length, a head in JSON, plain numbers), architecture in JSON beside them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mlops_assets.errors import BundleError
from mlops_assets.records import Task
from mlops_assets.scoring.links import sigmoid, softmax
from mlops_assets.scoring.scorer import Array, require_width

NETWORK_PART = "network.json"
WEIGHTS_PART = "model.safetensors"
BLOCK = 1024  # rows reckoned together, so that a layer stays in the cache; scores do not hang on it
FAR = 10.0  # standard deviations from the mean beyond which a number counts as that far: no line into the unknown

Codes = npt.NDArray[np.intp]


class Number(msgspec.Struct, frozen=True):
    """A number the network sees: its column, mean and scale; a missing one counts as the mean, and `gap` flags it."""

    column: int
    mean: float
    scale: float
    gap: bool


class Category(msgspec.Struct, frozen=True):
    """A category the network sees as an embedding; place 0 is of those missing or never seen."""

    column: int
    levels: int


class Architecture(msgspec.Struct, frozen=True):
    """What the network looks at, and what its outputs mean: a forecast is `output * scale + mean`."""

    task: Task
    features: int
    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]
    hidden: tuple[int, ...]
    mean: float = 0.0
    scale: float = 1.0

    def dense(self, vectors: Array) -> Array:
        """Give numbers, then flags, one row each: shape (p, n)."""
        numbers, flags = [], []
        for each in self.numbers:
            column = np.ascontiguousarray(vectors[:, each.column])
            standardised = np.clip((column - each.mean) / each.scale, -FAR, FAR)
            numbers.append(np.nan_to_num(standardised, nan=0.0))
            if each.gap:
                flags.append(np.isnan(column) * 1.0)
        return np.array([*numbers, *flags]).reshape(-1, len(vectors))

    def codes(self, vectors: Array) -> list[Codes]:
        """Give the place of each row's level in each embedding, shape (n,)."""
        found = []
        for each in self.categories:
            column = vectors[:, each.column]
            known = (column >= 0) & (column < each.levels)
            found.append(np.where(known, np.where(known, column, 0) + 1, 0).astype(np.intp))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkScorer:
    """Adds up layer by layer, input by input, so that a row's sums take one order whatever other rows come with it."""

    architecture: Architecture
    embeddings: tuple[Array, ...]
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    @property
    def features(self) -> int:
        """See `Scorer.features`."""
        return self.architecture.features

    def score(self, vectors: Array) -> Array:
        """See `Scorer.score`."""
        require_width(vectors, self.features)
        raw = np.empty((len(self.biases[-1]), len(vectors)))
        for at in range(0, len(vectors), BLOCK):
            raw[:, at : at + BLOCK] = self._raw(vectors[at : at + BLOCK])
        if self.architecture.task == "multiclass":
            return softmax(raw)
        return sigmoid(raw[0]) if self.architecture.task == "binary" else self._forecast(raw[0])

    def _forecast(self, raw: Array) -> Array:
        return raw * self.architecture.scale + self.architecture.mean

    def _raw(self, vectors: Array) -> Array:
        """Give the outputs of the last layer, shape (k, n)."""
        seen = [*self.architecture.dense(vectors)]
        for table, codes in zip(self.embeddings, self.architecture.codes(vectors), strict=True):
            seen += [*np.ascontiguousarray(table[codes].T)]
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            total = np.repeat(bias[:, None], len(vectors), axis=1)
            for column, values in zip(weight.T, seen, strict=True):
                total += column[:, None] * values
            seen = [*(total if layer == len(self.weights) - 1 else np.maximum(total, 0.0))]
        return np.array(seen).reshape(-1, len(vectors))


def network_scorer(parts: Mapping[str, bytes]) -> NetworkScorer:
    """Give the scorer of a bundle's `network.json` and `model.safetensors`.

    Raises:
        BundleError: A part is missing, cannot be read, or is not the other's.
    """
    try:
        architecture = msgspec.json.decode(parts[NETWORK_PART], type=Architecture)
        tensors = _tensors(parts[WEIGHTS_PART])
        layers = range(len(architecture.hidden) + 1)
        scorer = NetworkScorer(
            architecture=architecture,
            embeddings=tuple(tensors[f"embedding.{i}"] for i in range(len(architecture.categories))),
            weights=tuple(tensors[f"layer.{i}.weight"] for i in layers),
            biases=tuple(tensors[f"layer.{i}.bias"] for i in layers),
        )
        if len(tensors) != len(scorer.embeddings) + 2 * len(scorer.weights):
            raise ValueError(f"{len(tensors)} tensors for {len(scorer.embeddings)} embeddings and {len(layers)} layers")
        _require_fitting(scorer)
    except (KeyError, ValueError, TypeError, msgspec.MsgspecError) as error:
        raise BundleError(
            f"{NETWORK_PART} and {WEIGHTS_PART} are no whole network ({error!r}). Train and deploy the model again."
        ) from error
    return scorer


def _require_fitting(scorer: NetworkScorer) -> None:
    """Refuse weights of another shape than the architecture says."""
    seen = scorer.architecture
    width = len(seen.numbers) + sum(each.gap for each in seen.numbers)
    for each, table in zip(seen.categories, scorer.embeddings, strict=True):
        if len(table) != each.levels + 1:
            raise ValueError(f"an embedding of {len(table)} places for {each.levels} levels")
        width += table.shape[1]
    outputs: Sequence[int] = (*seen.hidden, len(scorer.biases[-1]))
    for expected, weight, bias in zip(outputs, scorer.weights, scorer.biases, strict=True):
        if weight.shape != (expected, width) or bias.shape != (expected,):
            raise ValueError(f"a layer of shape {weight.shape} where {(expected, width)} is due")
        width = expected


def _tensors(data: bytes) -> dict[str, Array]:
    """Read 32-bit tensors in the format of safetensors, as float64."""
    length = int.from_bytes(data[:8], "little")
    head: dict[str, Any] = json.loads(data[8 : 8 + length])
    body, made = data[8 + length :], {}
    for name, told in head.items():
        if name == "__metadata__":
            continue
        if told["dtype"] != "F32":
            raise ValueError(f"{name} is of {told['dtype']}, not of 32-bit numbers")
        start, end = told["data_offsets"]
        made[name] = np.frombuffer(body[start:end], "<f4").reshape(told["shape"]).astype(np.float64)
    return made

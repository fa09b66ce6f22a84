"""A small network of fully connected layers, fitted by PyTorch on one thread and saved as plain numbers.

Numbers are standardised and their gaps flagged, categories embedded. PyTorch is an extra, and only needed to fit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import msgspec
import numpy as np

from mlops_assets.digests import canonical_json
from mlops_assets.errors import DeclarationError, UnexplainedError, UnknownNameError
from mlops_assets.records import Params, Task
from mlops_assets.scoring.network import NETWORK_PART, WEIGHTS_PART, Architecture, Category, Number, network_scorer
from mlops_assets.training.checkpoint import Checkpoint, saved_progress
from mlops_assets.training.trainer import Array, Fitted, Mask, Trainer, TrainingData
from mlops_assets.training.trainers._ranges import Range, require_range

DEFAULTS: Params = {
    "hidden": "64,32",
    "embedding": 8,
    "dropout": 0.0,
    "epochs": 60,
    "batch_size": 128,
    "learning_rate": 0.003,
    "weight_decay": 0.01,
}

RANGES = {
    "embedding": Range(1, 512, whole=True),
    "dropout": Range(0, 0.95),
    "epochs": Range(1, 10_000, whole=True),
    "batch_size": Range(2, 2**20, whole=True),
    "learning_rate": Range(1e-8, 10),
    "weight_decay": Range(0),
}
WIDEST = 4096

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of AdamW, as everywhere
NARROW = 1e-12  # a number with less spread is constant


@dataclass(frozen=True, slots=True)
class NetworkTrainer:
    """Fits networks of ReLU layers with AdamW; the same to the last bit on one kind of processor."""

    name: str = "torch"

    def on_threads(self, threads: int) -> Trainer:
        """Give itself: sums over threads would differ."""
        return self

    def in_rounds(self, params: Mapping[str, str | int | float | bool]) -> bool:
        """Say yes: a round is an epoch."""
        return True

    def resolve(self, task: Task, params: Mapping[str, str | int | float | bool], *, seed: int) -> Params:
        """Give `params` with defaults and seed filled in.

        Raises:
            DeclarationError: PyTorch is missing, or a parameter is unknown or out of range.
        """
        for name, value in params.items():
            if name not in DEFAULTS:
                raise UnknownNameError("network parameter", name, known=DEFAULTS)
            require_range(name, value, ranges=RANGES)
        complete = {**DEFAULTS, **params}
        _widths(complete["hidden"])
        if missing := [library for library in ("torch", "safetensors") if find_spec(library) is None]:
            raise DeclarationError(
                f"Trainer 'torch' fits with {' and '.join(missing)}, not installed here. Install the extra: "
                'pip install "mlops-assets[torch]". A model that is fitted already is served without it.',
                missing=missing,
            )
        return {**complete, "seed": seed}

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
        """Fit on all rows; see `Trainer.fit`. A round is an epoch, after any of which a fit can go on.

        Raises:
            DeclarationError: A parameter cannot be obeyed.
        """
        resolved = self.resolve(data.task, params, seed=seed)
        progress = saved_progress(checkpoint, _Progress)

        def save(epochs: _Epochs, under_way: _Fit) -> None:
            if checkpoint is not None and checkpoint.due():
                epochs.state = under_way.state()
                checkpoint.save(msgspec.msgpack.encode(progress))

        curves: dict[str, list[float]] = {}
        if validation is not None:
            search = progress.search
            if not search.finished:
                trial = _Fit(data.take(~validation), resolved, search)
                losses = trial.losses_on(data.X[validation], data.y[validation])
                search.go_through(losses, lambda: save(search, trial), patience=patience)
            curves["validation_loss"] = search.losses
            resolved = {**resolved, "epochs": int(np.argmin(search.losses)) + 1}
        whole = _Fit(data, resolved, progress.fit)
        progress.fit.go_through(whole.epochs(), lambda: save(progress.fit, whole))
        curves["train_loss"] = progress.fit.losses
        return Fitted(
            trainer=self.name,
            names=data.names,
            parts=whole.parts(),
            params=resolved,
            rounds=len(curves["train_loss"]),
            curves=curves,
        )

    def score(self, parts: Mapping[str, bytes], X: Array) -> Array:
        """Give the network's scores, added up row by row as the endpoint does, without PyTorch."""
        return network_scorer(parts).score(X)

    def contributions(self, parts: Mapping[str, bytes], X: Array) -> Array:
        """Raise, for a network mixes what it sees.

        Raises:
            UnexplainedError: Always.
        """
        raise UnexplainedError(
            "A network mixes its inputs in every layer, so what each feature adds to a score is known only roughly. "
            "Where decisions must be explained, use the trainer `lightgbm` or a linear estimator of `sklearn`."
        )


class _Epochs(msgspec.Struct, forbid_unknown_fields=True):
    """Epochs that were gone through: the loss after each, and what the next one begins from, as safetensors."""

    losses: list[float] = msgspec.field(default_factory=list)
    state: bytes = b""
    finished: bool = False

    def go_through(self, losses: Iterator[float], save: Callable[[], None], *, patience: int | None = None) -> None:
        """Go on until there are no more epochs, or so many brought no gain."""
        for loss in losses:
            self.losses.append(loss)
            if patience is not None and len(self.losses) - int(np.argmin(self.losses)) > patience:
                break
            save()
        self.state, self.finished = b"", True


class _Progress(msgspec.Struct, forbid_unknown_fields=True):
    """How far a fit has come: the search for the number of epochs, then the fit on all rows."""

    search: _Epochs = msgspec.field(default_factory=_Epochs)
    fit: _Epochs = msgspec.field(default_factory=_Epochs)


class _Fit:
    """One fit under way: the rows as PyTorch takes them, the network, and the moments of its gradients."""

    def __init__(self, data: TrainingData, params: Params, gone_through: _Epochs):
        self.torch: Any = import_module("torch")
        self.task, self.params = data.task, params
        self.architecture = _architecture(data, _widths(params["hidden"]))
        self.dense, self.codes = self._inputs(data.X)
        self.y = self._target(data.y)
        weights = np.ones(len(data)) if data.weights is None else data.weights
        self.weights = self._tensor(weights / weights.mean())
        with self._deterministic():
            self.chance = self.torch.Generator().manual_seed(int(params["seed"]))
            self.embeddings, self.layers = self._network(len(data.classes) or 1)
            self.variables = [*self.embeddings, *(each for layer in self.layers for each in layer)]
            self.moments = [(self.torch.zeros_like(each), self.torch.zeros_like(each)) for each in self.variables]
            self.steps = 0
        self.gone_through = len(gone_through.losses)
        if gone_through.state:
            self._go_on_from(gone_through.state)

    def epochs(self) -> Iterator[float]:
        """Go through all rows in a new order, as often as declared, and give the mean loss of each epoch."""
        size, rows = int(self.params["batch_size"]), len(self.y)
        for _ in range(self.gone_through, int(self.params["epochs"])):
            with self._deterministic():
                order, total = self.torch.randperm(rows, generator=self.chance), 0.0
                for batch in order.split(size):
                    outputs = self._outputs(self.dense[batch], [each[batch] for each in self.codes], learning=True)
                    loss = (self._losses(outputs, self.y[batch]) * self.weights[batch]).mean()
                    self._step(self.torch.autograd.grad(loss, self.variables))
                    total += float(loss.detach()) * len(batch)
            yield total / rows

    def losses_on(self, X: Array, y: Array) -> Iterator[float]:
        """Give the mean loss on other rows after each epoch."""
        (dense, codes), target = self._inputs(X), self._target(y)
        for _ in self.epochs():
            with self._deterministic(), self.torch.no_grad():
                loss = float(self._losses(self._outputs(dense, codes, learning=False), target).mean())
            yield loss

    def _step(self, gradients: Sequence[Any]) -> None:
        """Move all variables by one step of AdamW.

        Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019). PyTorch's own brings its compiler
        along, seconds of imports for these lines.
        """
        self.steps += 1
        rate, decay = float(self.params["learning_rate"]), float(self.params["weight_decay"])
        unbiased = (1 - BETAS[1] ** self.steps) ** 0.5 / (1 - BETAS[0] ** self.steps)
        with self.torch.no_grad():
            for each, gradient, (first, second) in zip(self.variables, gradients, self.moments, strict=True):
                first.mul_(BETAS[0]).add_(gradient, alpha=1 - BETAS[0])
                second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
                each.mul_(1 - rate * decay)
                each.addcdiv_(first, second.sqrt().add_(EPSILON), value=-rate * unbiased)

    def parts(self) -> dict[str, bytes]:
        """Give architecture and weights as bytes."""
        named = {f"embedding.{i}": table for i, table in enumerate(self.embeddings)}
        for i, (weight, bias) in enumerate(self.layers):
            named |= {f"layer.{i}.weight": weight, f"layer.{i}.bias": bias}
        return {NETWORK_PART: canonical_json(self.architecture), WEIGHTS_PART: _as_bytes(named)}

    def state(self) -> bytes:
        """Give all that changes from epoch to epoch: variables, moments, steps done, and where chance stands."""
        return _as_bytes(
            {**self._changing(), "chance": self.chance.get_state(), "steps": self.torch.tensor([self.steps])}
        )

    def _go_on_from(self, state: bytes) -> None:
        saved = import_module("safetensors.numpy").load(state)
        with self.torch.no_grad():
            for name, each in self._changing().items():
                each.copy_(self.torch.from_numpy(saved[name]))
        self.chance.set_state(self.torch.from_numpy(saved["chance"]))
        self.steps = int(saved["steps"][0])

    def _changing(self) -> dict[str, Any]:
        first, second = zip(*self.moments, strict=True)
        kinds = {"variable": self.variables, "first": first, "second": second}
        return {f"{kind}.{place}": each for kind, tensors in kinds.items() for place, each in enumerate(tensors)}

    def _network(self, outputs: int) -> tuple[list[Any], list[tuple[Any, Any]]]:
        """Draw embeddings and layers; an embedding starts at zero for what is missing or was never seen."""
        embeddings, width = [], len(self.dense[0])
        for each in self.architecture.categories:
            size = min(int(self.params["embedding"]), each.levels + 1)
            table = self._drawn(each.levels + 1, size, spread=0.5)
            with self.torch.no_grad():
                table[0] = 0.0
            embeddings.append(table)
            width += size
        layers = []
        for size in (*self.architecture.hidden, outputs):
            zeros = self.torch.zeros(size, requires_grad=True)
            layers.append((self._drawn(size, width, spread=(2.0 / max(width, 1)) ** 0.5), zeros))
            width = size
        return embeddings, layers

    def _drawn(self, *shape: int, spread: float) -> Any:
        return (self.torch.randn(*shape, generator=self.chance) * spread).requires_grad_()

    def _outputs(self, dense: Any, codes: Sequence[Any], *, learning: bool) -> Any:
        torch, share = self.torch, float(self.params["dropout"])
        seen = torch.cat([dense, *(table[each] for table, each in zip(self.embeddings, codes, strict=True))], dim=1)
        for place, (weight, bias) in enumerate(self.layers):
            seen = torch.nn.functional.linear(seen, weight, bias)
            if place < len(self.layers) - 1:
                seen = torch.relu(seen)
                if learning and share:
                    seen = seen * (torch.rand(seen.shape, generator=self.chance) >= share) / (1 - share)
        return seen

    def _losses(self, outputs: Any, target: Any) -> Any:
        loss = self.torch.nn.functional
        if self.task == "multiclass":
            return loss.cross_entropy(outputs, target, reduction="none")
        if self.task == "binary":
            return loss.binary_cross_entropy_with_logits(outputs[:, 0], target, reduction="none")
        return (outputs[:, 0] - target) ** 2

    def _inputs(self, X: Array) -> tuple[Any, list[Any]]:
        codes = [self.torch.from_numpy(each.astype(np.int64)) for each in self.architecture.codes(X)]
        return self._tensor(self.architecture.dense(X).T), codes

    def _target(self, y: Array) -> Any:
        if self.task == "multiclass":
            return self.torch.from_numpy(y.astype(np.int64))
        return self._tensor((y - self.architecture.mean) / self.architecture.scale)

    def _tensor(self, values: Array) -> Any:
        return self.torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    @contextmanager
    def _deterministic(self) -> Iterator[None]:
        """Reckon on one thread with deterministic sums, and leave PyTorch as it was found."""
        torch = self.torch
        threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
        torch.set_num_threads(1)
        torch.set_deterministic_debug_mode("error")  # `use_deterministic_algorithms`, without loading the compiler
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(mode)


def _architecture(data: TrainingData, hidden: tuple[int, ...]) -> Architecture:
    """Learn means, spreads, gaps and levels from the training rows."""
    X, y, named = data.X, data.y, set(data.categorical)
    numbers, categories = [], []
    for column in range(X.shape[1]):
        values = X[~np.isnan(X[:, column]), column]
        if column in named:
            categories.append(Category(column=column, levels=int(values.max()) + 1 if values.size else 0))
        elif values.size:
            spread = float(values.std())
            numbers.append(
                Number(
                    column=column,
                    mean=float(values.mean()),
                    scale=spread if spread > NARROW else 1.0,
                    gap=values.size < len(X),
                )
            )
    of_label = (float(y.mean()), float(y.std()) or 1.0) if data.task == "regression" else (0.0, 1.0)
    return Architecture(
        task=data.task,
        features=X.shape[1],
        numbers=tuple(numbers),
        categories=tuple(categories),
        hidden=hidden,
        mean=of_label[0],
        scale=of_label[1],
    )


def _widths(hidden: object) -> tuple[int, ...]:
    """Give the widths of the hidden layers."""
    told = [part.strip() for part in str(hidden).split(",")]
    if not all(part.isdigit() and 1 <= int(part) <= WIDEST for part in told):
        raise DeclarationError(
            f"`hidden` is {hidden!r}, but should list the widths of the hidden layers, such as '64,32', each of 1 to "
            f"{WIDEST}.",
            hidden=hidden,
        )
    return tuple(int(part) for part in told)


def _as_bytes(tensors: Mapping[str, Any]) -> bytes:
    """Give tensors as safetensors."""
    arrays = {name: np.ascontiguousarray(each.detach().numpy()) for name, each in tensors.items()}
    return bytes(import_module("safetensors.numpy").save(arrays))

"""For tests of a project's own: whether a `trainer.py` keeps what every trainer promises.

from mlops_assets.testing import check_trainer

def test_the_trainer_keeps_its_promises():
    check_trainer("src/shop/defs/comes_back/trainer.py", task="binary")
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from mlops_assets.digests import sha256_bytes, sha256_json
from mlops_assets.errors import MlopsError
from mlops_assets.records import Task
from mlops_assets.training import OWN, Fitted, Trainer, TrainingData, trainer_named

ROWS = 600
SEED = 7
MOST_SAVES = 1000
CLASSES = ("low", "middle", "high")
OTHER_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "3")
ANOTHER_PROCESS = "import sys; from mlops_assets.testing import _fit_and_print as it; it(*sys.argv[1:])"

Params = Mapping[str, str | int | float | bool]


def check_trainer(path: str | Path, *, task: Task = "binary", params: Params | None = None) -> None:
    """Fit and score rows that are made up, and complain of every promise that is not kept.

    Args:
        path: The `trainer.py`.
        task: The kind of model it is for.
        params: Parameters in place of its defaults; fewer rounds, say, to be done sooner.

    Raises:
        AssertionError: One is not kept; the message lists all, and how to mend each.
        DeclarationError: The file is no trainer.
    """
    trainer = own_trainer(path)
    try:
        broken = list(_broken(trainer, Path(path), made_up(task), params or {}))
    except MlopsError as error:
        broken = [str(error)]
    if broken:
        told = "\n".join(f"- {each}" for each in broken)
        raise AssertionError(f"{path} does not keep what every trainer promises:\n{told}")


def own_trainer(path: str | Path) -> Trainer:
    """Give the trainer of a file.

    Raises:
        DeclarationError: It is none.
    """
    return trainer_named(OWN, own=Path(path).read_text())


def made_up(task: Task, *, rows: int = ROWS) -> TrainingData:
    """Give rows in which two numbers and a category matter, a tenth of the numbers is missing, and one is noise."""
    generator = np.random.default_rng(1)
    X = generator.normal(size=(rows, 4))
    X[:, 3] = generator.integers(0, 6, rows)
    y = X[:, 0] - 0.5 * X[:, 1] + 0.6 * (X[:, 3] >= 3) + generator.normal(size=rows)
    X[generator.random(rows) < 0.1, 1] = np.nan
    X[generator.random(rows) < 0.05, 3] = np.nan
    labels = {"binary": (y > 0.5) * 1.0, "multiclass": np.digitize(y, [-0.5, 1.0]) * 1.0, "regression": 10 + 3 * y}
    return TrainingData(
        X=X,
        y=np.asarray(labels[task], dtype=np.float64),
        task=task,
        times=np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "h"),
        names=("delay", "wind", "noise", "carrier"),
        categorical=(3,),
        classes=CLASSES if task == "multiclass" else (),
    )


def _broken(trainer: Trainer, path: Path, data: TrainingData, params: Params) -> Iterator[str]:
    """Say what is not kept."""
    fitted = trainer.fit(data, params=params, seed=SEED)
    if trainer.fit(data, params=params, seed=SEED) != fitted:
        yield "Two fits of the same rows with the same seed differ: something draws from chance or from the clock."
        return
    if _fitted_elsewhere(path, data.task, params) != _digest(fitted):
        yield (
            "Another process, with another number of threads and another order of sets, fits something else. Fit on "
            "one thread, and sort what is iterated over."
        )
    far = np.array([[1e9, -1e9, 0.0, 99.0], [-1e300, 1e300, 0.0, -1.0], [np.nan] * 4])
    try:
        trainer.score(fitted.parts, far)
    except MlopsError as error:
        yield f"Numbers far from those learnt from, categories never seen, or gaps are not scored: {error}"
    weights = np.where(np.arange(len(data)) % 2, 1e-3, 1.0)
    if trainer.fit(replace(data, weights=weights), params=params, seed=SEED).parts == fitted.parts:
        yield "`data.weights` change nothing, so `recency_half_life_days` would be ignored without a word."
    yield from _broken_rounds(trainer, data, params)
    resumed, _ = cut_off_at_every_save(lambda **given: trainer.fit(data, params=params, seed=SEED, **given))
    if resumed != fitted:
        yield "A fit that is cut off after it has saved its progress ends otherwise than one that is left alone."


def _broken_rounds(trainer: Trainer, data: TrainingData, params: Params) -> Iterator[str]:
    if not trainer.in_rounds(params):
        return
    newest = np.arange(len(data)) >= len(data) * 2 // 3
    found = trainer.fit(data, params=params, seed=SEED, validation=newest, patience=3)
    losses = found.curves.get("validation_loss", [])
    if not losses or found.rounds != int(np.argmin(losses)) + 1:
        yield (
            "`fit` asks for `validation`, and its curves do not tell the `validation_loss` of each round with as many "
            "rounds of `train_loss` as lost least there."
        )


class _CutOffError(BaseException):
    """Stands for kill -9, which nothing catches."""


class _Progress:
    """A checkpoint after whose every save the fit is cut off."""

    def __init__(self) -> None:
        self.saved: bytes | None = None

    def load(self) -> bytes | None:
        return self.saved

    def due(self) -> bool:
        return True

    def save(self, progress: bytes) -> None:
        self.saved = progress
        raise _CutOffError


def cut_off_at_every_save(fit: Callable[..., Fitted]) -> tuple[Fitted | None, int]:
    """Give what a fit ends with that is cut off at each save and goes on, and how often it was; None if it never ends.

    `fit` takes the checkpoint.
    """
    checkpoint = _Progress()
    for cuts in range(MOST_SAVES):
        with suppress(_CutOffError):
            return fit(checkpoint=checkpoint), cuts
    return None, MOST_SAVES


def _fitted_elsewhere(path: Path, task: Task, params: Params) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS, str(path), task, json.dumps(dict(params))],
        env={**os.environ, **OTHER_THREADS, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip().rpartition("\n")[2] if done.returncode == 0 else done.stderr


def _fit_and_print(path: str, task: Task, params: str) -> None:
    sys.stdout.write(f"{_digest(own_trainer(path).fit(made_up(task), params=json.loads(params), seed=SEED))}\n")


def _digest(fitted: Fitted) -> str:
    return sha256_json({name: sha256_bytes(part) for name, part in fitted.parts.items()})

"""Fits what a policy declares on the rows of a training window."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, field_validator, model_validator

from mlops_assets.digests import canonical_json
from mlops_assets.errors import DeclarationError, TrainingError, examples
from mlops_assets.records import Params, Task, Trial
from mlops_assets.scoring.calibration import CALIBRATION_PART, calibrated
from mlops_assets.training.calibrating import Calibration, find_calibrator
from mlops_assets.training.checkpoint import Checkpoint
from mlops_assets.training.cluster import Cluster
from mlops_assets.training.trainer import Array, Fitted, Mask
from mlops_assets.training.trainers import trainer_named
from mlops_assets.training.trainers.lightgbm import LightGBMTrainer
from mlops_assets.training.tuning import FitsInRounds, TuningPolicy, losses_of, search, winner
from mlops_assets.training.windows import Times, TrainingWindow

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


class TrainingPolicy(BaseModel, frozen=True, extra="forbid"):
    """What to fit, on which time, from which seed."""

    trainer: str = Field(default="lightgbm", description="Which of the trainers fits the model.")
    params: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="The trainer's own parameters; those left out have its defaults."
    )
    window: TrainingWindow = Field(default=TrainingWindow(), description="Time to learn from and to hold out.")
    seed: int = Field(default=7, ge=0, lt=2**31, description="The one seed all others are derived from.")
    recency_half_life_days: float | None = Field(
        default=None, gt=0, description="Age at which a row counts half; without it all rows count alike."
    )
    validation_days: int = Field(
        default=0,
        ge=0,
        description="Days at the end of the training window (never of the hold-out) that find the number of rounds; "
        "0 takes the declared number.",
    )
    patience: int = Field(default=30, ge=1, description="Rounds without gain on the validation days before stopping.")
    reproduce: Literal["weekly", "never"] = Field(
        default="weekly", description="How often what is live is fitted again from its record, to see that it can be."
    )
    tuning: TuningPolicy | None = Field(
        default=None, description="Search for parameters before the fit; those found prevail over `params`."
    )
    distributed: Cluster | None = Field(
        default=None, description="A Dask cluster to fit on; what is fitted there is not the same to the bit."
    )
    calibration: Calibration = Field(
        default="none",
        description="How scores become probabilities that come true: by a line found on the `validation_days`, "
        "`isotonic` or `platt`, or `auto`, which takes what loses least there, leaving scores alone included. "
        "Binary models only.",
    )

    @model_validator(mode="after")
    def _calibrates_on_days(self) -> Self:
        if self.calibration != "none" and not self.validation_days:
            raise DeclarationError(
                f"`calibration: {self.calibration}` needs days that the model has not learnt from, for on others it is "
                "too sure of itself. Set `validation_days`, say to 14.",
                calibration=self.calibration,
            )
        return self

    @field_validator("trainer")
    @classmethod
    def _known(cls, name: str) -> str:
        return trainer_named(name).name

    def require_task(self, task: Task) -> None:
        """Refuse parameters that the trainer cannot obey for this kind of model.

        Raises:
            DeclarationError: One is unknown, belongs to another kind of model, or would make fits differ.
        """
        trainer = trainer_named(self.trainer)
        trainer.resolve(task, self.params, seed=self.seed)
        if self.distributed:
            self._require_what_a_cluster_can_do()
        for name, among in self.tuning.search.items() if self.tuning else ():
            for value in among.ends:
                trainer.resolve(task, {**self.params, name: value}, seed=self.seed)
        if self.calibration != "none" and task != "binary":
            raise DeclarationError(
                f"`calibration` turns a score into the chance of a yes, and a {task} model has none. Leave it out.",
                task=task,
            )

    def _require_what_a_cluster_can_do(self) -> None:
        wrong = {
            "trainer": (self.trainer != "lightgbm", "only `lightgbm` fits on a cluster"),
            "validation_days": (self.validation_days > 0, "LightGBM cannot stop early on one, so it must be 0"),
            "reproduce": (self.reproduce != "never", "what is fitted there is not the same to the bit: say `never`"),
        }
        for name, (broken, why) in wrong.items():
            if broken:
                raise DeclarationError(
                    f"`{name}: {getattr(self, name)}` does not go with `distributed`: {why}. Mend it, or take "
                    "`distributed` out to fit on one machine.",
                    field=name,
                )


def fit(
    policy: TrainingPolicy,
    X: Array,
    y: npt.ArrayLike,
    *,
    task: Task,
    times: Times,
    names: Sequence[str],
    categorical: Sequence[int] = (),
    classes: Sequence[str] = (),
    checkpoint: Checkpoint | None = None,
    threads: int | None = None,
) -> Fitted:
    """Fit the declared trainer on the rows of a training window.

    Rows are taken in the order given, which is part of the result: bagging draws by position.

    Args:
        policy: What to fit.
        X: Feature vectors, shape (n, d); NaN is missing, categorical columns hold level codes.
        y: Labels, shape (n,): 0 and 1, finite numbers, or the codes of `classes`.
        task: What kind of model.
        times: Decision time of each row, `datetime64[us]` in UTC.
        names: Feature names in column order.
        categorical: Positions of the categorical columns.
        classes: Names of the classes in the order of their codes, for a multiclass model.
        checkpoint: Where a long fit goes on from, and saves its progress.
        threads: How many threads fit; the model is the same on any number. By default the trainer decides.

    Raises:
        TrainingError: Rows are too few, lack a class, unlabelled or infinite, or shapes do not agree.
    """
    labels = _checked(X, y, task=task, times=times, names=names, classes=classes)
    policy.window.require(len(labels))
    trainer = trainer_named(policy.trainer)
    if threads is not None:
        trainer = trainer.on_threads(threads)
    if policy.distributed and isinstance(trainer, LightGBMTrainer):
        trainer = trainer.on_cluster(policy.distributed)

    def fitted_on(rows: Mask | slice, *, checkpoint: Checkpoint | None = None) -> Fitted:
        when = times[rows]
        return trainer.fit(
            X[rows],
            labels[rows],
            task=task,
            names=names,
            categorical=categorical,
            params=policy.params,
            seed=policy.seed,
            weights=_weights(policy, when),
            validation=_newest(when, labels[rows], task=task, days=policy.validation_days)
            if policy.validation_days
            else None,
            patience=policy.patience,
            checkpoint=checkpoint,
        )

    fitted = fitted_on(slice(None), checkpoint=checkpoint)
    if policy.calibration == "none":
        return fitted
    newest = _newest(times, labels, task=task, days=policy.validation_days)
    twin = fitted_on(~newest)
    calibrator = find_calibrator(
        policy.calibration, labels[newest], trainer.score(twin.parts, X[newest]), times[newest]
    )
    if calibrator is None:
        return fitted
    return replace(fitted, parts={**fitted.parts, CALIBRATION_PART: canonical_json(calibrator)})


def score(trainer: str, parts: Mapping[str, bytes], X: Array) -> Array:
    """Give the scores of a model as its bundle answers them: those of the trainer, calibrated if the bundle says how.

    `parts` are those of a fitted model or of its bundle.
    """
    return calibrated(parts, trainer_named(trainer).score(parts, X))


def tune(
    policy: TrainingPolicy,
    X: Array,
    y: npt.ArrayLike,
    *,
    task: Task,
    times: Times,
    names: Sequence[str],
    categorical: Sequence[int] = (),
    classes: Sequence[str] = (),
    storage: "BaseStorage",
    study: str,
) -> tuple[TrainingPolicy, tuple[Trial, ...]]:
    """Give the policy with the best parameters found in place of `tuning`, and all trials.

    With parameters, a trial finds the number of rounds; it is taken over unless `validation_days` lets the fit find it.

    Args:
        policy: What to fit, and where to search.
        X: Feature vectors of the training window, as for `fit`.
        y: Labels.
        task: What kind of model.
        times: Decision time of each row; the newest are those that parameters are tried on.
        names: Feature names in column order.
        categorical: Positions of the categorical columns.
        classes: Names of the classes, for a multiclass model.
        storage: Where Optuna keeps the trials; a search that was killed goes on from them.
        study: The name of the search in there: it must digest all that the search is made of.

    Raises:
        TrainingError: As for `fit`, or no trial can be used.
    """
    if policy.tuning is None:
        return policy, ()
    labels = _checked(X, y, task=task, times=times, names=names, classes=classes)
    policy.window.require(len(labels))
    trainer = trainer_named(policy.trainer)
    held = _newest(times, labels, task=task, days=policy.tuning.validation_days)

    def losses(params: Params) -> Iterator[float]:
        return losses_of(
            trainer,
            X,
            labels,
            task=task,
            names=names,
            categorical=categorical,
            params={**policy.params, **params},
            seed=policy.seed,
            weights=_weights(policy, times),
            validation=held,
            patience=policy.patience,
        )

    trials = search(policy.tuning, losses, seed=policy.seed, storage=storage, study=study)
    best = winner(trials)
    params = {**policy.params, **best.params}
    if isinstance(trainer, FitsInRounds) and not policy.validation_days:
        params[trainer.rounds_parameter] = best.rounds
    return policy.model_copy(update={"params": params, "tuning": None}), trials


def _weights(policy: TrainingPolicy, times: Times) -> Array | None:
    if policy.recency_half_life_days is None:
        return None
    return recency_weights(times, half_life_days=policy.recency_half_life_days)


def recency_weights(times: Times, *, half_life_days: float) -> Array:
    """Give each row a weight that halves with every `half_life_days` before the newest row, which has 1.

    >>> recency_weights(np.array(["2013-01-01", "2013-01-11"], "datetime64[us]"), half_life_days=10).tolist()
    [0.5, 1.0]
    """
    age_days = (times.max() - times) / np.timedelta64(1, "D")
    return np.asarray(0.5 ** (age_days / half_life_days), dtype=np.float64)


def _newest(times: Times, labels: Array, *, task: Task, days: int) -> Mask:
    """Mark the rows of the newest `days`, and make sure that both sides can be learnt from."""
    newest: Mask = times > times.max() - np.timedelta64(days, "D")
    everything = np.unique(labels).size
    wanted = {"binary": (2, 2), "multiclass": (everything, 1), "regression": (1, 1)}[task]
    for side, part, least in zip(("older", "newest"), (labels[~newest], labels[newest]), wanted, strict=True):
        if np.unique(part).size < least:
            raise TrainingError(
                f"With `validation_days` of {days}, the {side} part of the training window has {part.size} rows "
                "and not every class, so no number of rounds can be found on it. Set fewer days, or 0.",
                days=days,
                rows=int(part.size),
            )
    return newest


def _checked(
    X: Array, y: npt.ArrayLike, *, task: Task, times: Times, names: Sequence[str], classes: Sequence[str]
) -> Array:
    """Give the labels as float64 once all shapes and values are such that a fit means something."""
    labels = np.asarray(y, dtype=np.float64)
    if X.ndim != 2 or not len(labels) == len(X) == len(times) or X.shape[1] != len(names) or labels.ndim != 1:
        raise TrainingError(
            f"Rows do not agree: X has shape {X.shape}, y {labels.shape}, times {times.shape}, and there are "
            f"{len(names)} names. Every row needs one label and one time, every column one name.",
            shape=X.shape,
        )
    unlabelled = np.flatnonzero(~np.isfinite(labels))
    if unlabelled.size:
        raise TrainingError(
            f"{unlabelled.size} of {labels.size} rows have no finite label (rows {examples(unlabelled)}). A model "
            "would learn an invented one. Leave out rows whose label is not yet known.",
            rows=unlabelled.tolist(),
        )
    infinite = [names[int(column)] for column in np.flatnonzero(np.isinf(X).any(axis=0))]
    if infinite:
        raise TrainingError(
            f"Infinite values in {examples(infinite)}. Trees would learn a bin that no request fills. "
            "Mend the feature: a division by zero is the usual cause, and missing is NaN.",
            features=infinite,
        )
    if task == "binary" and labels.size and not np.array_equal(np.unique(labels), [0, 1]):
        raise TrainingError(
            f"A binary model needs labels 0 and 1, both of them, but the window holds {examples(np.unique(labels))}. "
            "Widen the window, or mend the label.",
            labels=np.unique(labels).tolist()[:5],
        )
    if task == "multiclass" and not np.array_equal(np.unique(labels), np.arange(len(classes))):
        raise TrainingError(
            f"The labels are the codes of {len(classes)} classes ({examples(classes)}), so each of 0 to "
            f"{len(classes) - 1} must occur and nothing else, but the window holds {examples(np.unique(labels))}. "
            "A class never seen is never predicted: widen the window, or mend the label or `classes`.",
            labels=np.unique(labels).tolist()[:5],
            classes=tuple(classes),
        )
    return labels

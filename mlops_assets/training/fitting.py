"""Fits what a policy declares on the rows of a training window."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, field_validator, model_validator

from mlops_assets.digests import canonical_json
from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.records import Params, Task, Trial
from mlops_assets.scoring.calibration import CALIBRATION_PART, calibrated
from mlops_assets.training.calibrating import KINDS, Calibration, find_calibrator
from mlops_assets.training.checkpoint import Checkpoint
from mlops_assets.training.cluster import Cluster, FitsOnCluster
from mlops_assets.training.trainer import Array, Fitted, Mask, Trainer, TrainingData, require_rounds
from mlops_assets.training.trainers import OWN, TRAINERS, trainer_named, trainer_of
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
        description="How scores become probabilities that come true, as found on the `validation_days`: `isotonic`, "
        "for yes or no `platt`, for several classes `temperature`; or `auto`, which takes what loses least there, "
        "leaving scores alone included.",
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
        return name if name == OWN else trainer_named(name).name

    def require_trainer(self, task: Task, *, own: str | None = None) -> None:
        """Refuse parameters that the trainer cannot obey for this kind of model.

        Args:
            task: What kind of model.
            own: The text of `trainer.py`, for `trainer: own`.

        Raises:
            DeclarationError: One is unknown, belongs to another kind of model, or would make fits differ; or rounds
                are sought where there are none; or the text is no trainer.
        """
        trainer = trainer_named(self.trainer, own=own)
        resolved = trainer.resolve(task, self.params, seed=self.seed)
        if self.seeks_rounds(trainer, resolved):
            require_rounds(trainer, resolved)
        for name, among in self.tuning.search.items() if self.tuning else ():
            for value in among.ends:
                tried = trainer.resolve(task, {**self.params, name: value}, seed=self.seed)
                if isinstance(trainer, FitsInRounds) and not trainer.in_rounds(tried):
                    raise DeclarationError(
                        f"`tuning` judges each trial round by round, and with boosting {tried['boosting']!r} later "
                        "rounds change earlier ones. Take `gbdt`, or leave `tuning` out.",
                        trainer=trainer.name,
                    )

    def seeks_rounds(self, trainer: Trainer, resolved: Params) -> bool:
        """Say whether the validation days are to find a number of rounds, and not only a calibration."""
        return self.validation_days > 0 and (self.calibration == "none" or trainer.in_rounds(resolved))

    def require_task(self, task: Task) -> None:
        """Refuse what goes with no trainer, or not with this one, for this kind of model.

        A trainer of the model's own is not known yet, and asked where its file is: see `require_trainer`.

        Raises:
            DeclarationError: Something is.
        """
        if self.trainer != OWN:
            self.require_trainer(task)
        if self.distributed:
            self._require_what_a_cluster_can_do()
        self._require_a_calibration(task)

    def _require_a_calibration(self, task: Task) -> None:
        if self.calibration == "none":
            return
        if task not in KINDS:
            raise DeclarationError(
                f"`calibration` is of chances, and a {task} model states none. Leave it out.", task=task
            )
        if self.calibration not in (known := ("auto", *KINDS[task].methods)):
            raise DeclarationError(
                f"`calibration: {self.calibration}` is not for a {task} model. Use one of {', '.join(known)}.",
                task=task,
                calibration=self.calibration,
            )

    def _require_what_a_cluster_can_do(self) -> None:
        able = [name for name, trainer in TRAINERS.items() if isinstance(trainer, FitsOnCluster)]
        wrong = {
            "trainer": (self.trainer not in able, f"only `{'`, `'.join(able)}` fits on a cluster"),
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
    data: TrainingData,
    *,
    own: str | None = None,
    checkpoint: Checkpoint | None = None,
    threads: int | None = None,
) -> Fitted:
    """Fit the declared trainer on the rows of a training window.

    Args:
        policy: What to fit.
        data: All rows of the window; what each counts is for the policy to say.
        own: The text of `trainer.py`, for `trainer: own`.
        checkpoint: Where a long fit goes on from, and saves its progress.
        threads: How many threads fit; the model is the same on any number. By default the trainer decides.

    Raises:
        TrainingError: Rows are too few, or the days declared for validation hold too few.
    """
    policy.window.require(len(data))
    trainer = _trainer(policy, own, threads)
    resolved = trainer.resolve(data.task, policy.params, seed=policy.seed)
    sought = policy.seeks_rounds(trainer, resolved)
    if sought:
        require_rounds(trainer, resolved)

    def fitted_on(rows: TrainingData, checkpoint: Checkpoint | None = None) -> Fitted:
        return trainer.fit(
            _weighted(policy, rows),
            params=policy.params,
            seed=policy.seed,
            validation=_newest(rows, days=policy.validation_days) if sought else None,
            patience=policy.patience,
            checkpoint=checkpoint,
        )

    fitted = fitted_on(data, checkpoint)
    if policy.calibration == "none":
        return fitted
    newest = _newest(data, days=policy.validation_days)
    twin = fitted_on(data.take(~newest))
    scores = trainer.score(twin.parts, data.X[newest])
    calibrator = find_calibrator(policy.calibration, data.y[newest], scores, data.times[newest], task=data.task)
    if calibrator is None:
        return fitted
    return replace(fitted, parts={**fitted.parts, CALIBRATION_PART: canonical_json(calibrator)})


def score(trainer: str, parts: Mapping[str, bytes], X: Array) -> Array:
    """Give the scores of a model as its bundle answers them: those of the trainer, calibrated if the bundle says how.

    `parts` are those of a fitted model or of its bundle.
    """
    return calibrated(parts, trainer_of(trainer, parts).score(parts, X))


def tune(
    policy: TrainingPolicy,
    data: TrainingData,
    *,
    own: str | None = None,
    storage: "BaseStorage",
    study: str,
    threads: int | None = None,
) -> tuple[TrainingPolicy, tuple[Trial, ...]]:
    """Give the policy with the best parameters found in place of `tuning`, and all trials.

    With parameters, a trial finds the number of rounds; it is taken over unless `validation_days` lets the fit find it.

    Args:
        policy: What to fit, and where to search.
        data: All rows of the training window; the newest are those that parameters are tried on.
        own: The text of `trainer.py`, for `trainer: own`.
        storage: Where Optuna keeps the trials; a search that was killed goes on from them.
        study: The name of the search in there: it must digest all that the search is made of.
        threads: As for `fit`.

    Raises:
        TrainingError: As for `fit`, or no trial can be used.
    """
    if policy.tuning is None:
        return policy, ()
    policy.window.require(len(data))
    trainer = _on_threads(trainer_named(policy.trainer, own=own), threads)
    held, weighted = _newest(data, days=policy.tuning.validation_days), _weighted(policy, data)

    def losses(params: Params) -> Iterator[float]:
        tried = {**policy.params, **params}
        return losses_of(trainer, weighted, params=tried, seed=policy.seed, validation=held, patience=policy.patience)

    trials = search(policy.tuning, losses, seed=policy.seed, storage=storage, study=study)
    best = winner(trials)
    params = {**policy.params, **best.params}
    if isinstance(trainer, FitsInRounds) and not policy.validation_days:
        params[trainer.rounds_parameter] = best.rounds
    return policy.model_copy(update={"params": params, "tuning": None}), trials


def _trainer(policy: TrainingPolicy, own: str | None, threads: int | None) -> Trainer:
    """Give the declared trainer as it fits here, or on the declared cluster."""
    trainer = _on_threads(trainer_named(policy.trainer, own=own), threads)
    if policy.distributed and isinstance(trainer, FitsOnCluster):
        trainer = trainer.on_cluster(policy.distributed)
    return trainer


def _on_threads(trainer: Trainer, threads: int | None) -> Trainer:
    return trainer if threads is None else trainer.on_threads(threads)


def _weighted(policy: TrainingPolicy, data: TrainingData) -> TrainingData:
    if policy.recency_half_life_days is None:
        return data
    return replace(data, weights=recency_weights(data.times, half_life_days=policy.recency_half_life_days))


def recency_weights(times: Times, *, half_life_days: float) -> Array:
    """Give each row a weight that halves with every `half_life_days` before the newest row, which has 1.

    >>> recency_weights(np.array(["2013-01-01", "2013-01-11"], "datetime64[us]"), half_life_days=10).tolist()
    [0.5, 1.0]
    """
    age_days = (times.max() - times) / np.timedelta64(1, "D")
    return np.asarray(0.5 ** (age_days / half_life_days), dtype=np.float64)


def _newest(data: TrainingData, *, days: int) -> Mask:
    """Mark the rows of the newest `days`, and make sure that both sides can be learnt from."""
    newest: Mask = data.times > data.times.max() - np.timedelta64(days, "D")
    wanted = {"binary": (2, 2), "multiclass": (len(data.classes), 1), "regression": (1, 1)}[data.task]
    for side, part, least in zip(("older", "newest"), (data.y[~newest], data.y[newest]), wanted, strict=True):
        if np.unique(part).size < least:
            raise TrainingError(
                f"With `validation_days` of {days}, the {side} part of the training window has {part.size} rows "
                "and not every class, so no number of rounds can be found on it. Set fewer days, or 0.",
                days=days,
                rows=int(part.size),
            )
    return newest

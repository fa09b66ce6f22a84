"""Searches for parameters on the newest part of the training window, within a budget, and the same way every time.

A budget in seconds is the exception: it ends the same search earlier or later. What was found is on record either way.

Optuna's tree-structured Parzen estimator (TPE) proposes, one trial after the other; a trial whose loss is above the
median of those before it at the same round is cut short. What is proposed follows from the seed, the number of the
trial and the trials that were finished before it, and these rest in the study's storage: a search that was killed goes
on with the same proposals. The hold-out is never looked at.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from pydantic import BaseModel, Field, model_validator

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.records import Params, Task, Trial
from mlops_assets.statistics import log_loss
from mlops_assets.training.trainer import Array, Mask, Trainer, TrainingData

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

Losses = Callable[[Params], Iterable[float]]

REPORTED_ROUNDS = 10  # between two looks at whether a trial is worth going on; each is written to disk
TRIALS_BEFORE_PRUNING = 5
DIGITS = 12  # of a loss: the last ones depend on the number of threads, and the next proposal on the loss


class Among(BaseModel, frozen=True, extra="forbid"):
    """The values a parameter may take: numbers from `low` to `high`, or one of `choices`."""

    low: int | float | None = Field(default=None, description="The least; whole numbers if both ends are whole.")
    high: int | float | None = Field(default=None, description="The most, itself included.")
    log: bool = Field(default=False, description="Whether small values are looked at as closely as large ones.")
    step: int | float | None = Field(default=None, gt=0, description="Distance between values; not with `log`.")
    choices: tuple[str | int | float | bool, ...] = Field(default=(), description="The values, where they are few.")

    @model_validator(mode="after")
    def _either(self) -> Self:
        ends = (self.low, self.high)
        ranged = None not in ends
        if bool(self.choices) == ranged or (self.choices and (ends != (None, None) or self.log or self.step)):
            raise DeclarationError(
                "A parameter is searched for either from `low` to `high` or among `choices`; give one of the two."
            )
        if self.low is not None and self.high is not None and (self.low > self.high or (self.log and self.low <= 0)):
            raise DeclarationError(
                f"From {self.low} to {self.high} there is nothing to search{' on a log scale' if self.log else ''}. "
                "`low` must not be above `high`, and with `log` must be above 0.",
                low=self.low,
                high=self.high,
            )
        if self.log and self.step is not None:
            raise DeclarationError("`log` and `step` exclude each other: equal steps are unequal on a log scale.")
        if self.step is not None and self._whole and not isinstance(self.step, int):
            raise DeclarationError(
                f"Between whole numbers lies no `step` of {self.step}. Make it whole, or write an end as {self.low}.0.",
                step=self.step,
            )
        return self

    @property
    def _whole(self) -> bool:
        """Whether whole numbers alone are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[str | int | float | bool, ...]:
        """Give values to check a declaration by: all choices, or both ends."""
        return self.choices or tuple(end for end in (self.low, self.high) if end is not None)

    def distribution(self) -> "BaseDistribution":
        """Give it as Optuna takes it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        low, high = self.low, self.high
        if low is None or high is None:
            return CategoricalDistribution(self.choices)
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=self.log, step=int(self.step or 1))
        return FloatDistribution(low, high, log=self.log, step=self.step)


class TuningPolicy(BaseModel, frozen=True, extra="forbid"):
    """Which parameters to search for, how long, and on which time."""

    trials: int = Field(default=30, ge=1, description="The budget: how many sets of parameters are tried.")
    seconds: float | None = Field(
        default=None,
        gt=0,
        description="Begin no further trial once those done took so long; how many that are depends on the machine.",
    )
    search: dict[str, Among] = Field(min_length=1, description="Where to look, for each of the trainer's parameters.")
    validation_days: int = Field(
        default=14, ge=1, description="Days at the end of the training window (never of the hold-out) to try them on."
    )
    pruning: bool = Field(
        default=True, description="Whether a trial that is behind the median of those before it is cut short."
    )


@runtime_checkable
class FitsInRounds(Protocol):
    """A trainer that can tell how well it does after each round, so that a trial can be cut short."""

    @property
    def rounds_parameter(self) -> str:
        """Name the parameter that says how many rounds there are."""
        ...

    def losses(
        self, data: TrainingData, *, params: Params, seed: int, validation: Mask, patience: int
    ) -> Iterator[float]:
        """Fit on the rows outside `validation`, and give the loss on those inside after each round."""
        ...


def losses_of(
    trainer: Trainer, data: TrainingData, *, params: Params, seed: int, validation: Mask, patience: int
) -> Iterator[float]:
    """Give the loss on the validation rows after each round, or once, of a trainer that knows no rounds."""
    if isinstance(trainer, FitsInRounds):
        yield from trainer.losses(data, params=params, seed=seed, validation=validation, patience=patience)
        return
    fitted = trainer.fit(data.take(~validation), params=params, seed=seed)
    yield _loss(data.task, data.y[validation], trainer.score(fitted.parts, data.X[validation]))


def search(
    policy: TuningPolicy,
    losses: Losses,
    *,
    seed: int,
    storage: "BaseStorage",
    study: str,
) -> tuple[Trial, ...]:
    """Try as many sets of parameters as the budget allows, one at least; give them in the order they were tried.

    Args:
        policy: Where to look, and how often.
        losses: Fits with some parameters and gives the loss after each round.
        seed: Proposals follow from it.
        storage: Where trials are kept; those of `study` found there are not tried again.
        study: Names the search; another one for other rows or another policy.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    opened = optuna.create_study(storage=storage, study_name=study, load_if_exists=True, direction="minimize")
    opened.pruner = (
        optuna.pruners.MedianPruner(n_startup_trials=TRIALS_BEFORE_PRUNING)
        if policy.pruning
        else optuna.pruners.NopPruner()
    )
    running, failed = optuna.trial.TrialState.RUNNING, optuna.trial.TrialState.FAIL
    for killed in opened.get_trials(deepcopy=False, states=(running,)):
        opened.tell(killed.number, state=failed)
    dimensions = {name: policy.search[name].distribution() for name in sorted(policy.search)}
    while (number := len(done := _finished(opened))) < policy.trials:
        if done and policy.seconds is not None and _seconds(done) >= policy.seconds:
            break
        drawn = np.random.SeedSequence([seed, number]).generate_state(1)[0]
        opened.sampler = optuna.samplers.TPESampler(seed=int(drawn >> 1))
        _try(opened, dimensions, losses)
    return tuple(_told(number, trial) for number, trial in enumerate(_finished(opened)))


def winner(trials: Sequence[Trial]) -> Trial:
    """Give the trial with the lowest loss, the first of equals.

    Raises:
        TrainingError: None has a loss that is a number.
    """
    able = [trial for trial in trials if not trial.pruned and np.isfinite(trial.loss)]
    if not able:
        raise TrainingError(
            f"None of {len(trials)} trials gave a loss that is a number, so there are no best parameters. "
            "Narrow `tuning.search` to values that can be fitted.",
            trials=len(trials),
        )
    return min(able, key=lambda trial: (trial.loss, trial.number))


def _try(
    study: "Study", dimensions: "dict[str, BaseDistribution]", losses: Callable[[Params], Iterable[float]]
) -> None:
    """Try one more set of parameters, and have the study keep what came of it."""
    from optuna.trial import TrialState

    trial = study.ask(fixed_distributions=dimensions)
    best, rounds = np.inf, 1
    for step, loss in enumerate(losses(dict(trial.params)), start=1):
        if loss < best:
            best, rounds = loss, step
        if step % REPORTED_ROUNDS == 0:
            trial.report(_rounded(loss), step)
            if trial.should_prune():
                trial.set_user_attr("rounds", rounds)
                study.tell(trial, state=TrialState.PRUNED)
                return
    trial.set_user_attr("rounds", rounds)
    study.tell(trial, _rounded(best))


def _finished(study: "Study") -> "list[FrozenTrial]":
    from optuna.trial import TrialState

    return list(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _seconds(trials: "Sequence[FrozenTrial]") -> float:
    """Say how long trials took together, as Optuna has it on record; what was killed does not count."""
    return sum(trial.duration.total_seconds() for trial in trials if trial.duration is not None)


def _told(number: int, trial: "FrozenTrial") -> Trial:
    from optuna.trial import TrialState

    loss = float(trial.value) if trial.value is not None else float("nan")
    rounds, pruned = int(trial.user_attrs["rounds"]), trial.state is TrialState.PRUNED
    return Trial(number=number, params=dict(trial.params), loss=loss, rounds=rounds, pruned=pruned)


def _rounded(loss: float) -> float:
    return float(f"{loss:.{DIGITS}g}")


def _loss(task: Task, y: Array, scores: Any) -> float:
    """Give the loss of scores: squared error, or the logarithm of the probability that was missing."""
    if task == "regression":
        return float(np.mean((y - scores) ** 2))
    if task == "binary":
        return log_loss(y, scores)
    likely = scores[np.arange(len(y)), y.astype(np.int64)]
    return float(-np.mean(np.log(np.clip(likely, 1e-15, 1.0))))

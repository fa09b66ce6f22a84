"""What `defs.yaml` may say of a model, and the folder it says it in."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from inspect import Parameter, getdoc, signature
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator

from mlops_assets.deployment import RolloutPolicy
from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.evaluation import MEASURES, BusinessValue, GatePolicy
from mlops_assets.governance import ApprovalPolicy, Charter, RiskTier
from mlops_assets.monitoring import MonitorPolicy, PayloadPolicy, PerformancePolicy
from mlops_assets.orchestration.partitions import Windows
from mlops_assets.records import Task, quantile_of
from mlops_assets.retraining import RetrainingPolicy
from mlops_assets.scoring.own import OWN_PART, read_own
from mlops_assets.training import OWN, TrainingPolicy, distributions_of

SCAFFOLD = "`dg scaffold defs mlops_assets.orchestration.ModelPipeline NAME` makes a folder with all three files."


class Decisions(BaseModel, frozen=True, extra="forbid"):
    """What one prediction is about, and when it is made."""

    table: str = Field(description="Validated table with one row per decision, request fields and label columns.")
    key: str = Field(description="Column that names a decision; it joins predictions with labels.")
    time: str = Field(description="Column with the event time.")
    hours_before: float = Field(default=0.0, ge=0, description="The decision is taken this long before the event time.")
    known_at: str | None = Field(
        default=None, description="Column that says when the label became known; default: the event time."
    )

    @property
    def lead(self) -> timedelta:
        """How long before the event the decision is taken."""
        return timedelta(hours=self.hours_before)


class Monitor(MonitorPolicy, frozen=True, extra="forbid"):
    """How a model is watched, in which windows, and how long labels are waited for."""

    windows: Windows
    performance: PerformancePolicy = PerformancePolicy()
    payload: PayloadPolicy = PayloadPolicy()
    wait_hours: float = Field(default=24.0, ge=0, description="How long after a window its labels are waited for.")


class ModelDeclaration(BaseModel, frozen=True, extra="forbid"):
    """Everything promised about a model."""

    description: str
    task: Task
    classes: tuple[str, ...] = Field(
        default=(), description="Names of the classes of a multiclass model; the label holds their places, from 0."
    )
    decisions: Decisions
    views: tuple[str, ...] = Field(default=(), description="Feature views the model reads.")
    training: TrainingPolicy = TrainingPolicy()
    value: BusinessValue | None = None
    gate: GatePolicy = GatePolicy()
    rollout: RolloutPolicy = RolloutPolicy()
    monitor: Monitor
    retraining: RetrainingPolicy = RetrainingPolicy()
    risk_tier: RiskTier = "minimal"
    approval: ApprovalPolicy = ApprovalPolicy()
    charter: Charter = Charter()
    owner: str | None = Field(default=None, description="An e-mail address or team:<name>.")
    retention_days: float | None = Field(
        default=None,
        ge=1,
        description="How long logged and sealed predictions and the training sets of versions that never went live are "
        "kept; for ever if left out.",
    )

    @field_validator("training")
    @classmethod
    def _trainer_obeys_for_this_task(cls, training: TrainingPolicy, known: ValidationInfo) -> TrainingPolicy:
        if "task" in known.data:
            training.require_task(known.data["task"])
        return training

    @model_validator(mode="after")
    def _classes_belong_to_this_task(self) -> Self:
        if (self.task == "multiclass") != bool(self.classes) or len(set(self.classes)) < len(self.classes):
            raise DeclarationError(
                f"`classes` are {', '.join(self.classes) or 'not declared'} for a {self.task} model. A multiclass "
                "model needs the name of each class, once, in the order of the codes in its label; others have none.",
                classes=self.classes,
            )
        if self.task == "multiclass" and len(self.classes) < 3:
            raise DeclarationError(
                f"{len(self.classes)} classes make no multiclass model. Of two, say `task: binary`, where the label is "
                "1 for the one that is looked for.",
                classes=self.classes,
            )
        return self

    @model_validator(mode="after")
    def _answers_are_worth_something_to_somebody(self) -> Self:
        if self.value:
            self.value.worth_of(self.classes)
        judged_by = {self.gate.primary_metric, *self.gate.guarded}
        if not (self.value and self.value.answers) and any(MEASURES[name].needs == "worth" for name in judged_by):
            raise DeclarationError(
                "The gate judges by what answers bring, and nothing says what they do. Declare `value: {answers: …}`, "
                "or judge by another metric.",
                metric=self.gate.primary_metric,
            )
        return self

    @model_validator(mode="after")
    def _what_touches_people_is_the_same_to_the_bit(self) -> Self:
        if self.risk_tier == "high" and self.training.distributed:
            raise DeclarationError(
                "A model of risk tier 'high' cannot be fitted on a cluster: nobody could make the same model again, "
                "and what it decided would rest on a model that cannot be shown. Take `training.distributed` out.",
                risk_tier=self.risk_tier,
            )
        return self

    @model_validator(mode="after")
    def _gate_judges_this_task(self) -> Self:
        self.gate.require_task(self.task)
        return self


@dataclass(frozen=True)
class ModelFolder:
    """A model's folder: its name, what `defs.yaml` promises, and the Python files beside it."""

    path: Path
    declaration: ModelDeclaration

    @property
    def name(self) -> str:
        """The model's name is its folder's."""
        return self.path.name

    @cached_property
    def features_source(self) -> str:
        """The text of features.py, which travels in the bundle."""
        return self._read("features.py", "what the model looks at")

    @cached_property
    def model_source(self) -> str:
        """The text of model.py."""
        return self._read("model.py", "what the model learns")

    @cached_property
    def trainer_source(self) -> str | None:
        """The text of trainer.py, which fits the model and travels in the bundle; None unless `trainer: own`."""
        if self.declaration.training.trainer != OWN:
            return None
        return self._read(
            OWN_PART, "how the model is fitted and scored", mend="docs/trainers.md shows one of a page, to start from."
        )

    @cached_property
    def trainer_needs(self) -> tuple[str, ...]:
        """What has to be installed for trainer.py; nothing without one."""
        return distributions_of(read_own(self.trainer_source).packages) if self.trainer_source else ()

    @property
    def policy(self) -> TrainingPolicy:
        """The training policy with the parameters of model.py; what `defs.yaml` says of them prevails."""
        declared = self.declaration.training
        return TrainingPolicy.model_validate({**declared.model_dump(), "params": {**self.params, **declared.params}})

    def require_model(self) -> None:
        """Refuse a model.py that does not run, says no label, or has parameters that its trainer cannot obey.

        Raises:
            DeclarationError: It does.
        """
        _ = self._label
        try:
            self.policy.require_trainer(self.declaration.task, own=self.trainer_source)
        except (DeclarationError, ValidationError) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise DeclarationError(f"{self.name}/model.py: PARAMS: {why}", model=self.name) from None

    def require_judge(self) -> None:
        """Refuse a gate that asks for another number than the one that is forecast.

        Raises:
            DeclarationError: It does, or a search would choose what is forecast.
        """
        policy = self.policy
        quantile = quantile_of(policy.params)
        for name, among in policy.tuning.search.items() if policy.tuning else ():
            if any(quantile_of({**policy.params, name: value}) != quantile for value in among.ends):
                raise DeclarationError(
                    f"`tuning` searches for `{name}`, which says which quantile is forecast, and losses of different "
                    "quantiles cannot be compared. Choose one, and search for the others.",
                    parameter=name,
                )
        self.declaration.gate.require_quantile(quantile)

    def require_trainer(self) -> None:
        """Refuse a trainer of the model's own that is not there, is no trainer, or cannot obey what is declared.

        Raises:
            DeclarationError: It is, with the line of trainer.py where there is one.
        """
        if self.trainer_source:
            self.declaration.training.require_trainer(self.declaration.task, own=self.trainer_source)
            distributions_of(read_own(self.trainer_source).packages)

    @cached_property
    def own_tests(self) -> Mapping[str, str]:
        """The texts of behavioural tests in the folder, by file: behaviour.py and test_*.py, where there are any."""
        return {
            file.name: file.read_text()
            for name in ("behaviour.py", "test_*.py")
            for file in sorted(self.path.glob(name))
        }

    @cached_property
    def _module(self) -> Mapping[str, Any]:
        namespace: dict[str, Any] = {"__name__": f"{self.name}.model"}
        try:
            exec(compile(self.model_source, str(self.path / "model.py"), "exec"), namespace)
        except SyntaxError as error:
            raise DeclarationError(
                f"{self.name}/model.py:{error.lineno}: is not Python: {error.msg}.", model=self.name
            ) from error
        except Exception as error:
            raise DeclarationError(
                f"{self.name}/model.py could not be run, so nothing says what is predicted: "
                f"{type(error).__name__}: {error}.",
                model=self.name,
            ) from error
        return namespace

    @property
    def params(self) -> dict[str, Any]:
        """The trainer's parameters, `PARAMS` of model.py."""
        return dict(self._module.get("PARAMS", {}))

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns that `label` of model.py is computed from."""
        return tuple(
            name for name, p in signature(self._label).parameters.items() if p.kind is not Parameter.VAR_KEYWORD
        )

    @property
    def label_meaning(self) -> str:
        """What the label says: the first sentence of the docstring of `label`; empty if it has none."""
        paragraph = " ".join((getdoc(self._label) or "").partition("\n\n")[0].split())
        return re.split(r"(?<=[.!?]) ", paragraph, maxsplit=1)[0]

    @property
    def _label(self) -> Callable[..., Any]:
        label = self._module.get("label")
        if not callable(label):
            raise DeclarationError(
                f"{self.path / 'model.py'} has no function `label`, so nothing says what {self.name} predicts. "
                "Add `def label(column, ...)` that gives a float array, NaN where a decision has no label.",
                model=self.name,
            )
        return label  # type: ignore[no-any-return]

    def label(self, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """Compute the label of each row, shape (n,); NaN where a row has none."""
        wanted = self.label_columns
        for name in wanted:
            if name not in columns:
                raise UnknownNameError(f"label column of {self.name}", name, known=columns)
        return np.asarray(self._label(**{name: columns[name] for name in wanted}), dtype=np.float64)

    def _read(self, file: str, holds: str, *, mend: str = SCAFFOLD) -> str:
        try:
            return (self.path / file).read_text()
        except FileNotFoundError:
            raise DeclarationError(
                f"{self.path / file} is missing; it says {holds}. {mend}",
                model=self.name,
            ) from None

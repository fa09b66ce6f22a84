"""What a challenger must show before it may go live."""

from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from mlops_assets.digests import sha256_json
from mlops_assets.errors import DeclarationError
from mlops_assets.evaluation.behaviour import BehaviourPolicy
from mlops_assets.evaluation.fairness import FairnessPolicy
from mlops_assets.evaluation.measures import MEASURES, Terms
from mlops_assets.evaluation.metrics import named
from mlops_assets.evaluation.value import BusinessValue
from mlops_assets.records import Task
from mlops_assets.statistics.inputs import Clusters

Evidence = Literal["shown", "likely", "not_refuted"]


class GatePolicy(BaseModel, frozen=True, extra="forbid"):
    """What a challenger must show on held-out time before it may go live. Fixed, and digested, before it is trained."""

    primary_metric: str = Field(default="auc", description="The metric that decides; see MEASURES.")
    non_inferiority_margin: float | None = Field(
        default=None,
        ge=0,
        description="Loss against the champion, in the metric's unit, that does not matter. Metrics without a unit "
        "have a default; for rmse, mae and value it must be declared.",
    )
    allow_shown_loss: bool = Field(
        default=False,
        description="Let a challenger pass that is shown to be worse, if within the margin. Small losses add up.",
    )
    minimum_gain: float | None = Field(
        default=None,
        ge=0,
        description="If set, the challenger must be better than the champion by more than this.",
    )
    champion_evidence: Evidence = Field(
        default="shown",
        description="How surely the margin is kept, or the gain exceeded: `shown` wants the whole interval on the "
        "right side, `likely` the estimate, `not_refuted` any part of it. Where rows count by day, two weeks are only "
        "fourteen draws, on which little can be shown.",
    )
    minimum_advantage: float = Field(
        default=0.0, description="Advantage over the simple baseline that the challenger must exceed."
    )
    baseline_evidence: Evidence = Field(
        default="not_refuted",
        description="How surely it must; by default a challenger is refused once the simple model is shown to be "
        "its equal.",
    )
    guards: Mapping[str, float] | None = Field(
        default=None,
        description="Other metrics with the loss forgiven in each: a challenger is refused that is shown to lose more, "
        "against the champion or, without one, a constant. By default the log loss with 0.01 where scores are "
        "probabilities: their order says nothing of how far off they are.",
    )
    suspicious_gain: float | None = Field(
        default=0.5,
        gt=0,
        description="Share of what the champion lacks to the best value there is; a gain of more is shown to a person. "
        "Only for metrics with a best value.",
    )
    suspicious_advantage: float | None = Field(
        default=0.9, gt=0, description="The same share of what the simple baseline lacks."
    )
    maximum_looks: int = Field(
        default=20, ge=1, description="Challengers that one hold-out may judge before a person has to agree."
    )
    worst_allowed: float | None = Field(
        default=None, description="Worst value of the primary metric with which a model may go live."
    )
    slice_columns: tuple[str, ...] = Field(default=(), description="Columns whose levels are looked at one by one.")
    slice_minimum_rows: int = Field(default=300, ge=2, description="Rows below which a slice is small, and not judged.")
    maximum_slice_drop: float | None = Field(
        default=None, ge=0, description="Loss against the champion on any one slice that is refused if beyond chance."
    )
    maximum_class_drop: float | None = Field(
        default=None,
        ge=0,
        description="Loss against the champion in telling any one class from the rest (its AUC) that is refused if "
        "beyond chance; of several classes only.",
    )
    minimum_rows: int = Field(default=1000, ge=2, description="Held-out rows without which nothing is concluded.")
    minimum_per_class: int = Field(default=100, ge=2, description="Held-out rows of either class, for binary models.")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Confidence of every interval.")
    resamples: int = Field(default=1000, ge=100, description="Draws of the bootstrap, where no formula is known.")
    behaviour: BehaviourPolicy = Field(default=BehaviourPolicy(), description="How it must behave, whatever its score.")
    fairness: FairnessPolicy = Field(default=FairnessPolicy(), description="Groups whose decisions are compared.")

    @model_validator(mode="after")
    def _metric_can_judge(self) -> Self:
        known = named(self.primary_metric)
        judging = sorted(name for name, each in MEASURES.items() if each.gain and each.task == known.task)
        if known.gain is None:
            raise DeclarationError(
                f"{self.primary_metric!r} is reported, but no model is judged by it. Use one of {', '.join(judging)}.",
                metric=self.primary_metric,
            )
        if known.margin is None and self.non_inferiority_margin is None and self.minimum_gain is None:
            raise DeclarationError(
                f"`non_inferiority_margin` is missing: {self.primary_metric!r} is counted in the unit of the label or "
                "of the value, so only you can say which loss does not matter.",
                metric=self.primary_metric,
            )
        for name in self.guards or {}:
            if named(name).gain is None or named(name).task != known.task:
                raise DeclarationError(
                    f"`guards` names {name!r}, by which no {known.task} model is judged. "
                    f"Use some of {', '.join(judging)}.",
                    metric=name,
                )
        return self

    @model_validator(mode="after")
    def _limits_bind_something(self) -> Self:
        if self.maximum_slice_drop is not None and not self.slice_columns:
            raise DeclarationError(
                "`maximum_slice_drop` is set, but there is no slice to hold it against, so nothing would ever be "
                "refused. Name `slice_columns`, or leave the limit out."
            )
        return self

    @property
    def columns_beside(self) -> tuple[str, ...]:
        """The columns that slices and groups are told by; they stand beside the features, and no model sees them."""
        return tuple(dict.fromkeys((*self.slice_columns, *self.fairness.columns)))

    @property
    def guarded(self) -> Mapping[str, float]:
        """The other metrics that must not be lost, with the loss forgiven in each."""
        if self.guards is not None:
            return self.guards
        loss = {"binary": "log_loss", "multiclass": "multiclass_log_loss"}.get(named(self.primary_metric).task)
        return {loss: 0.01} if loss and self.primary_metric != loss else {}

    @property
    def margin(self) -> float:
        """The loss against the champion that does not matter."""
        declared = self.non_inferiority_margin
        return declared if declared is not None else named(self.primary_metric).margin or 0.0

    @property
    def wanted(self) -> float:
        """The size of the difference to the champion that the policy turns on; 0 where it turns on the sign."""
        return self.minimum_gain if self.minimum_gain is not None else self.margin

    def terms(
        self,
        value: BusinessValue | None,
        *,
        classes: Sequence[str] = (),
        quantile: float | None = None,
        clusters: Clusters = None,
        seed: int = 7,
    ) -> Terms:
        """Give the terms on which scores are measured for this gate; see `Terms`."""
        trade = value or BusinessValue()
        return Terms(
            value=trade,
            confidence=self.confidence,
            resamples=self.resamples,
            seed=seed,
            clusters=clusters,
            quantile=quantile,
            worth=trade.worth_of(classes),
        )

    def require_task(self, task: Task) -> None:
        """Refuse a policy that judges another kind of model.

        Raises:
            DeclarationError: It does.
        """
        self.fairness.require_task(task)
        if self.maximum_class_drop is not None and task != "multiclass":
            raise DeclarationError(
                f"`maximum_class_drop` is of models of several classes, and this one is {task}. Leave it out.",
                task=task,
            )
        if named(self.primary_metric).task != task:
            fitting = sorted(name for name, each in MEASURES.items() if each.task == task and each.gain)
            raise DeclarationError(
                f"`primary_metric` {self.primary_metric!r} does not exist for a {task} model. "
                f"Use one of {', '.join(fitting)}.",
                metric=self.primary_metric,
                task=task,
            )

    def require_quantile(self, quantile: float | None) -> None:
        """Refuse a policy that judges a model of means by a quantile, or one of a quantile by how far it is off.

        Args:
            quantile: What the model forecasts; None if it is a mean, a chance or a class.

        Raises:
            DeclarationError: It does.
        """
        asking = [name for name in (self.primary_metric, *self.guarded) if named(name).needs == "quantile"]
        if asking and quantile is None:
            raise DeclarationError(
                f"The gate judges by `{asking[0]}`, which is of models that forecast a quantile, and this one "
                "forecasts none. Declare `objective: quantile` and its `alpha` among `params`, or another metric.",
                metric=asking[0],
            )
        if (
            quantile is not None
            and self.primary_metric != "pinball"
            and not (quantile == 0.5 and self.primary_metric == "mae")
        ):
            raise DeclarationError(
                f"The model forecasts the quantile {quantile:g}, and `primary_metric: {self.primary_metric}` asks how "
                "far its answers are off, by which the better forecast of a quantile loses. Judge it by `pinball`.",
                metric=self.primary_metric,
                quantile=quantile,
            )


def policy_sha256(policy: GatePolicy, value: BusinessValue) -> str:
    """Give the digest of everything that was decided before the scores were seen."""
    return sha256_json({"gate": policy.model_dump(mode="json"), "value": value.model_dump(mode="json")})

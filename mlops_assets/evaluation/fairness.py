"""How a model comes out for groups of people, as numbers: which of them must be alike is for the policy to say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.evaluation.levels import levels_of, rows_by_level
from mlops_assets.evaluation.measures import Terms
from mlops_assets.records import Fairness, FairnessGap, GroupRates, Metric, Task
from mlops_assets.statistics import Array, StatisticsInputError, mean_interval, rate, rate_interval
from mlops_assets.statistics.inputs import Clusters, Mask
from mlops_assets.statistics.intervals import Rows

FairnessMeasure = Literal[
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equalized_odds_difference",
    "equal_opportunity_difference",
    "mean_error_difference",
    "mean_absolute_error_difference",
]
RATES = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision")
DECISIONS: dict[FairnessMeasure, tuple[str, ...]] = {  # the rates whose gaps between groups each measure is made of
    "demographic_parity_difference": ("selection_rate",),
    "demographic_parity_ratio": ("selection_rate",),
    "equalized_odds_difference": ("true_positive_rate", "false_positive_rate"),
    "equal_opportunity_difference": ("true_positive_rate",),
}
FORECASTS: dict[FairnessMeasure, tuple[str, ...]] = {
    "mean_error_difference": ("bias",),
    "mean_absolute_error_difference": ("mae",),
}
Rated = Callable[[Rows, Terms], tuple[Metric, ...]]  # the rates of some of the rows


def compared(task: Task) -> Mapping[FairnessMeasure, tuple[str, ...]]:
    """Give what can be compared between groups, of a kind of model."""
    return FORECASTS if task == "regression" else DECISIONS


class FairnessPolicy(BaseModel, frozen=True, extra="forbid"):
    """Which columns tell groups apart, what is compared between them, and how far apart they may lie."""

    columns: tuple[str, ...] = Field(
        default=(),
        description="Columns that tell groups apart; such as contracts tag `protected` may stand here, for no model "
        "learns from them.",
    )
    measures: tuple[FairnessMeasure, ...] = Field(
        default=(),
        description="What is compared between the groups of a column; by default all there is for this kind of model.",
    )
    maximum_difference: float | None = Field(
        default=None,
        ge=0,
        description="If set, a challenger is refused once a difference between groups is larger, or a ratio smaller "
        "than 1 less this; of a forecast number, in its unit. Which measure must hold is a decision about people: name "
        "it in `measures`.",
    )

    @model_validator(mode="after")
    def _limits_bind_something(self) -> Self:
        if self.maximum_difference is not None and not self.columns:
            raise DeclarationError(
                "`fairness.maximum_difference` is set, but there is no column to hold it against, so nothing would "
                "ever be refused. Name `columns`, or leave the limit out."
            )
        return self

    def require_task(self, task: Task) -> None:
        """Refuse what cannot be compared for this kind of model.

        Raises:
            DeclarationError: A measure is of decisions and nothing is decided, or the limit can never be exceeded.
        """
        known = compared(task)
        for measure in self.measures:
            if measure not in known:
                raise DeclarationError(
                    f"`fairness` names {measure!r}, which does not exist for a {task} model, so nothing would be "
                    f"compared. Use some of {', '.join(known)}.",
                    task=task,
                    measure=measure,
                )
        if task != "regression" and (self.maximum_difference or 0) > 1:
            raise DeclarationError(
                f"`fairness.maximum_difference` is {self.maximum_difference:g}, and shares never lie further "
                "apart than 1, so nothing would ever be refused. Write 0.1 for ten per cent.",
                maximum_difference=self.maximum_difference,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What is compared between groups of one kind of model: the rates of some rows, of each class if there are several.

    `rated` has one entry by the name of each class, and otherwise one by no name.
    """

    task: Task
    rated: Mapping[str, Rated]


def outcomes_of(
    task: Task, y: Array, score: Array, *, classes: Sequence[str] = (), threshold: float | None = None, terms: Terms
) -> Outcomes:
    """Give what comes out for people: decisions of yes or no, answers that name a class, or errors of a forecast.

    Of a model without a threshold, the highest scores up to the capacity are decided yes.

    Args:
        task: What kind of model.
        y: Labels, shape (n,).
        score: Scores, shape (n,), or of k classes (n, k).
        classes: Names of the classes.
        threshold: The score from which a binary model decides yes.
        terms: On what terms.
    """
    if task == "regression":
        return Outcomes(task=task, rated={"": lambda rows, on: _errors(y[rows], score[rows], on)})
    if task == "multiclass":
        answered = score.argmax(axis=1)
        return Outcomes(
            task=task, rated={name: _decisions(y == place, answered == place) for place, name in enumerate(classes)}
        )
    if threshold is None:
        threshold = float(np.quantile(score, 1 - terms.value.capacity_share))
    return Outcomes(task=task, rated={"": _decisions(y, score >= threshold)})


def look_into_groups(
    policy: FairnessPolicy, outcomes: Outcomes, *, columns: Mapping[str, Any], minimum_rows: int, terms: Terms
) -> Fairness | None:
    """Give the rates of every group and the gaps between groups; None where no group is declared.

    Groups with fewer than `minimum_rows` rows are told, but not compared: of three people, none or all are selected.

    Args:
        policy: What is compared.
        outcomes: What comes out for people.
        columns: The values of the columns that the policy names.
        minimum_rows: Rows without which a group is small.
        terms: On what terms.

    Raises:
        UnknownNameError: A column is not given.

    Sources: Hardt, Price and Srebro, NeurIPS (2016) 3315, for equal opportunity and equalized odds; Feldman, Friedler,
    Moeller, Scheidegger and Venkatasubramanian, KDD (2015) 259, for the ratio; gaps as Fairlearn takes them.
    """
    if not policy.columns:
        return None
    groups: list[GroupRates] = []
    gaps: list[FairnessGap] = []
    unmeasured: list[str] = []
    made_of = compared(outcomes.task)
    for column in policy.columns:
        if column not in columns:
            raise UnknownNameError("fairness column", column, known=columns)
        people = rows_by_level(levels_of(columns[column]))
        for of, rated in outcomes.rated.items():
            found = [
                GroupRates(
                    column=column,
                    group=group,
                    n=len(rows),
                    rates=rated(rows, terms.on(rows)),
                    small=len(rows) < minimum_rows,
                    of=of,
                )
                for group, rows in people
            ]
            groups += found
            large = [group for group in found if not group.small]
            for measure in policy.measures or made_of:
                value = _gap(measure, made_of[measure], large)
                if value is None:
                    said = f"{measure} of {column}" + (f" for {of}" if of else "")
                    unmeasured.append(f"{said}: fewer than two groups have {minimum_rows:,} rows and a case to count")
                    continue
                limit = policy.maximum_difference
                if limit is not None and measure.endswith("_ratio"):
                    limit = 1 - limit
                gaps.append(FairnessGap(column=column, measure=measure, value=value, limit=limit, of=of))
    return Fairness(groups=tuple(groups), gaps=tuple(gaps), unmeasured=tuple(unmeasured))


def _errors(y: Array, score: Array, terms: Terms) -> tuple[Metric, ...]:
    """Give how far forecasts for one group are off, over days where there are several."""
    clusters = _several(terms)
    found = []
    for name, off in {"bias": score - y, "mae": np.abs(score - y)}.items():
        low, high = (None, None)
        if off.size > 1:
            low, high = mean_interval(off, confidence=terms.confidence, clusters=clusters)
        found.append(Metric(name=name, value=float(off.mean()), n=off.size, low=low, high=high))
    return tuple(found)


def _decisions(happened: Array | Mask, decided: Mask) -> Rated:
    return lambda rows, terms: _rates(np.asarray(happened[rows], dtype=np.float64), decided[rows], terms)


def _several(terms: Terms) -> Clusters:
    """Give the clusters if there are two or more."""
    return None if terms.clusters is None or np.unique(terms.clusters).size < 2 else terms.clusters


def _rates(y: Array, decided: Mask, terms: Terms) -> tuple[Metric, ...]:
    """Give the rates of one group that exist, with Wilson's intervals, or over days where there are several."""
    clusters = _several(terms)
    found = []
    for name in RATES:
        try:
            value = rate(name, y, decided)
        except StatisticsInputError:
            continue  # nobody is positive, say
        certain = value in (0, 1)  # sums over days would give an interval without width
        low, high = rate_interval(name, y, decided, confidence=terms.confidence, clusters=None if certain else clusters)
        found.append(Metric(name=name, value=value, n=len(y), low=low, high=high))
    return tuple(found)


def _gap(measure: FairnessMeasure, made_of: Sequence[str], groups: Sequence[GroupRates]) -> float | None:
    """Give the largest gap between groups; None where a rate exists for fewer than two."""
    gaps = []
    for name in made_of:
        values = [metric.value for group in groups for metric in group.rates if metric.name == name]
        if len(values) < 2:
            return None
        high, low = max(values), min(values)
        gaps.append((low / high if high else 1.0) if measure.endswith("_ratio") else high - low)
    return max(gaps)

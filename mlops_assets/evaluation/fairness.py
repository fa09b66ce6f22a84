"""How decisions come out for groups of people, as numbers: which of them must be alike is for the policy to say."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.evaluation.levels import levels_of, rows_by_level
from mlops_assets.evaluation.measures import Terms
from mlops_assets.records import Fairness, FairnessGap, GroupRates, Metric
from mlops_assets.statistics import Array, StatisticsInputError, rate, rate_interval
from mlops_assets.statistics.inputs import Mask

FairnessMeasure = Literal[
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equalized_odds_difference",
    "equal_opportunity_difference",
]
RATES = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision")
COMPARED: dict[FairnessMeasure, tuple[str, ...]] = {  # the rates whose gaps between groups each measure is made of
    "demographic_parity_difference": ("selection_rate",),
    "demographic_parity_ratio": ("selection_rate",),
    "equalized_odds_difference": ("true_positive_rate", "false_positive_rate"),
    "equal_opportunity_difference": ("true_positive_rate",),
}


class FairnessPolicy(BaseModel, frozen=True, extra="forbid"):
    """Which columns tell groups apart, what is compared between them, and how far apart they may lie."""

    columns: tuple[str, ...] = Field(
        default=(),
        description="Columns that tell groups apart; such as contracts tag `protected` may stand here, for no model "
        "learns from them.",
    )
    measures: tuple[FairnessMeasure, ...] = Field(
        default=tuple(COMPARED), description="What is compared between the groups of a column."
    )
    maximum_difference: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="If set, a challenger is refused once a difference between groups is larger, or a ratio smaller "
        "than 1 less this. Which measure must hold is a decision about people: name it in `measures`.",
    )

    @model_validator(mode="after")
    def _limits_bind_something(self) -> Self:
        if self.maximum_difference is not None and not (self.columns and self.measures):
            raise DeclarationError(
                "`fairness.maximum_difference` is set, but there is no column or no measure to hold it against, so "
                "nothing would ever be refused. Name `columns`, or leave the limit out."
            )
        return self


def look_into_groups(
    policy: FairnessPolicy,
    y: Array,
    decided: Mask,
    *,
    columns: Mapping[str, Any],
    minimum_rows: int,
    terms: Terms,
) -> Fairness | None:
    """Give the rates of every group and the gaps between groups; None where no group is declared.

    Groups with fewer than `minimum_rows` rows are told, but not compared: of three people, none or all are selected.

    Args:
        policy: What is compared.
        y: Labels, shape (n,).
        decided: What the model decides, shape (n,).
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
    for column in policy.columns:
        if column not in columns:
            raise UnknownNameError("fairness column", column, known=columns)
        found = [
            GroupRates(
                column=column,
                group=group,
                n=len(rows),
                rates=_rates(y[rows], decided[rows], terms.on(rows)),
                small=len(rows) < minimum_rows,
            )
            for group, rows in rows_by_level(levels_of(columns[column]))
        ]
        groups += found
        compared = [group for group in found if not group.small]
        for measure in policy.measures:
            value = _gap(measure, compared)
            if value is None:
                unmeasured.append(
                    f"{measure} of {column}: fewer than two groups have {minimum_rows:,} rows and a case to count"
                )
                continue
            limit = policy.maximum_difference
            if limit is not None and measure.endswith("_ratio"):
                limit = 1 - limit
            gaps.append(FairnessGap(column=column, measure=measure, value=value, limit=limit))
    return Fairness(groups=tuple(groups), gaps=tuple(gaps), unmeasured=tuple(unmeasured))


def _rates(y: Array, decided: Mask, terms: Terms) -> tuple[Metric, ...]:
    """Give the rates of one group that exist, with Wilson's intervals, or over days where there are several."""
    clusters = terms.clusters
    if clusters is not None and np.unique(clusters).size < 2:
        clusters = None
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


def _gap(measure: FairnessMeasure, groups: list[GroupRates]) -> float | None:
    """Give the largest gap between groups; None where a rate exists for fewer than two."""
    gaps = []
    for name in COMPARED[measure]:
        values = [metric.value for group in groups for metric in group.rates if metric.name == name]
        if len(values) < 2:
            return None
        high, low = max(values), min(values)
        gaps.append((low / high if high else 1.0) if measure.endswith("_ratio") else high - low)
    return max(gaps)

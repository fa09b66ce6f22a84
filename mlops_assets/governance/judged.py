"""A version that was judged, with all that is needed to tell people what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mlops_assets.governance.words import MEASURES, plain, words_of
from mlops_assets.records import (
    Comparison,
    EvaluationReport,
    Metric,
    ModelVersion,
    Portrait,
    TrainingSet,
    Verdict,
    quantile_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """What decisions are worth, as declared: how many can be acted on, what a hit brings and a false alarm costs.

    Of several classes `answers` says what each answer brings, by the class that came and the class answered.
    """

    capacity_share: float
    value_of_hit: float
    cost_of_false_alarm: float
    unit: str
    answers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict on one version, beside the version that was live then.

    `things` names what decisions are about, in the plural, `label` what is predicted; `learning` holds the losses per
    round of the fit. `trade` is None where nothing was declared. `links` are addresses of pages elsewhere, by name.
    """

    report: EvaluationReport
    portrait: Portrait
    training_set: TrainingSet
    things: str
    description: str = ""
    label: str = ""
    owner: str = ""
    primary_metric: str = ""
    trade: Trade | None = None
    before: ModelVersion | None = None
    before_set: TrainingSet | None = None
    learning: Mapping[str, Sequence[float]] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> ModelVersion:
        """The version that was judged."""
        return self.report.challenger

    @property
    def other(self) -> str:
        """What it is held against: the version live then, or the simple model where none was."""
        if self.report.champion_sha256 is None:
            return "a simple model"
        return f"version {self.before.version}" if self.before else "the version before"

    @property
    def other_metrics(self) -> tuple[Metric, ...]:
        """The measures of what it is held against."""
        return self.report.champion_metrics if self.report.champion_sha256 else self.report.baseline_metrics


VERDICTS: Final[Mapping[Verdict, tuple[str, str]]] = {
    "pass": ("may go live", "passed"),
    "review": ("needs review", "part"),
    "fail": ("refused", "blocked"),
}


def verdict_of(judged: Judged) -> tuple[str, str]:
    """Give the verdict in a word or two, and how it is to look: `passed`, `part` or `blocked`."""
    return VERDICTS[judged.report.verdict]


def headline(judged: Judged) -> str:
    """Say in one sentence what the verdict is and what the version is worth beside the one before."""
    said, look = verdict_of(judged)
    head = f"Version {judged.version.version} {'is refused' if look == 'blocked' else said}"
    if look != "passed" and judged.before is not None:
        head += f", and version {judged.before.version} stays"
    found = {gain.metric: gain for gain in judged.portrait.gains}
    mine, others = (
        {m.name: m for m in metrics} for metrics in (judged.report.challenger_metrics, judged.other_metrics)
    )
    if "precision_at_capacity" in mine and "precision_at_capacity" in others:
        return f"{head}: {_hits(judged, mine, others)}{_worth(judged, found.get('value_per_1000'))}."
    if "multiclass_accuracy" in mine and "multiclass_accuracy" in others:
        right = _answers(judged, mine, others, found.get("multiclass_accuracy"))
        return f"{head}: {right}{_worth(judged, found.get('answers_per_1000'))}."
    if "coverage" in mine and "pinball" in others:
        return f"{head}: {_holding(judged, mine, others)}."
    if "mae" in mine and "mae" in others:
        return f"{head}: {_errors(judged, mine['mae'], others['mae'], found.get('mae'))}."
    name = judged.primary_metric
    if name in mine and name in others:
        words = words_of(name)
        return (
            f"{head}: {words.title.lower()} is {words.form(mine[name].value)}, "
            f"where {judged.other} has {words.form(others[name].value)}."
        )
    return f"{head}."


def _hits(judged: Judged, mine: Mapping[str, Metric], others: Mapping[str, Metric]) -> str:
    one, two = (round(100 * metrics["precision_at_capacity"].value) for metrics in (mine, others))
    beside = "as many as with" if one == two else f"{abs(one - two)} {'more' if one > two else 'fewer'} than with"
    return f"of 100 {judged.things} it flags, {one} are hits, {beside} {judged.other}"


def _answers(judged: Judged, mine: Mapping[str, Metric], others: Mapping[str, Metric], gain: Comparison | None) -> str:
    one, two = (round(100 * metrics["multiclass_accuracy"].value) for metrics in (mine, others))
    beside = "as many as" if one == two else f"{abs(one - two)} {'more' if one > two else 'fewer'} than"
    return f"of 100 {judged.things} it gets {one} right, {beside} {judged.other}{_chance(gain) if one != two else ''}"


def _chance(gain: Comparison | None) -> str:
    return ", a difference that may be chance" if gain and gain.low <= 0 <= gain.high else ""


def _worth(judged: Judged, gain: Comparison | None) -> str:
    if judged.trade is None or gain is None:
        return ""
    more = "more" if gain.difference >= 0 else "less"
    return f", worth {judged.trade.unit} {plain(abs(gain.difference))} {more} per 1,000 {judged.things}{_chance(gain)}"


def _holding(judged: Judged, mine: Mapping[str, Metric], others: Mapping[str, Metric]) -> str:
    meant = quantile_of(judged.report.challenger.params)
    share = mine["pinball"].value / others["pinball"].value - 1 if others["pinball"].value else 0.0
    loss = "as much as" if abs(share) < 0.005 else f"{100 * abs(share):.0f} % {'less' if share < 0 else 'more'} than"
    return (
        f"of 100 {judged.things}, {100 * mine['coverage'].value:.0f} stay at or below their forecast"
        f"{'' if meant is None else f' where {100 * meant:g} are meant to'}, "
        f"and its misses cost {loss} those of {judged.other}"
    )


def _errors(judged: Judged, mine: Metric, other: Metric, gain: Comparison | None) -> str:
    share = abs(mine.value - other.value) / other.value if other.value else 0.0
    change = f"{100 * share:.0f} % {'less' if mine.value < other.value else 'more'} than"
    beside = "as much as" if share < 0.005 else change
    off = MEASURES["mae"].form(mine.value)
    return f"its forecasts are off by {off} on average, {beside} with {judged.other}{_chance(gain)}"

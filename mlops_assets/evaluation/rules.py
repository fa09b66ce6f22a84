"""The rules of the gate, each kept or broken with its reason in words, and what else a reader should know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_assets.errors import examples
from mlops_assets.evaluation.held_out import HeldOut
from mlops_assets.evaluation.measures import Terms
from mlops_assets.evaluation.metrics import compare, named
from mlops_assets.evaluation.policy import Evidence, GatePolicy
from mlops_assets.evaluation.slices import SliceFindings
from mlops_assets.records import BehaviourResult, Classes, Comparison, Fairness, ModelVersion, Verdict
from mlops_assets.statistics import Array, StatisticsInputError, smallest_detectable

_WORDS: dict[Evidence, dict[bool, str]] = {
    "shown": {True: "shown", False: "not shown"},
    "likely": {True: "likely", False: "not likely"},
    "not_refuted": {True: "not refuted", False: "refuted"},
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the gate, kept or broken, in words; where it is `doubtful`, a person may let a broken one go."""

    kept: bool
    text: str
    doubtful: bool = False

    @property
    def verdict(self) -> Verdict:
        """What follows from it alone."""
        return "pass" if self.kept else "review" if self.doubtful else "fail"

    @property
    def sentence(self) -> str:
        """The rule as it stands in the report."""
        return f"{SAID[self.verdict]}: {self.text}"


DOUBTFUL = ("stability",)
SAID: dict[Verdict, str] = {"fail": "Refused", "review": "Needs review", "pass": "Passed"}


def verdict_of(rules: Sequence[Rule]) -> Verdict:
    """Give the worst that follows from any rule."""
    found = {rule.verdict for rule in rules}
    return next((verdict for verdict in SAID if verdict in found), "pass")


def in_words(rules: Sequence[Rule]) -> list[str]:
    """Give the rules as sentences, what speaks against the challenger first."""
    order = list(SAID)
    return [rule.sentence for rule in sorted(rules, key=lambda rule: order.index(rule.verdict))]


def enough_rows(policy: GatePolicy, held: HeldOut) -> list[Rule]:
    """Ask for enough held-out rows, and enough of each class."""
    n = len(held.y)
    rules = [
        Rule(n >= policy.minimum_rows, f"{n:,} held-out rows, where at least {policy.minimum_rows:,} are asked for.")
    ]
    if held.per_class:
        fewer = min(held.per_class)
        rarest = "rarer" if held.task == "binary" else "rarest"
        rules.append(
            Rule(
                fewer >= policy.minimum_per_class,
                f"{fewer:,} of the {rarest} class among them, where at least {policy.minimum_per_class:,} are "
                "asked for.",
            )
        )
    return rules


def unmeasurable(nothing: StatisticsInputError) -> list[Rule]:
    """Refuse whoever was to be judged on rows that do not tell what the policy asks for."""
    return [Rule(False, f"these rows do not tell what the policy asks for. {nothing}")]


def good_enough(policy: GatePolicy, y: Array, challenger: Array, terms: Terms) -> list[Rule]:
    """Hold the primary metric against the worst value allowed."""
    if policy.worst_allowed is None:
        return []
    known = named(policy.primary_metric)
    found = known.value(y, challenger, terms)
    kept = found >= policy.worst_allowed if known.higher_is_better else found <= policy.worst_allowed
    least = f"at {'least' if known.higher_is_better else 'most'} {policy.worst_allowed:.4g}"
    return [Rule(kept, f"{policy.primary_metric} is {found:.4g}, where {least} is asked for.")]


def weighed(policy: GatePolicy, held: HeldOut, found: Comparison) -> Rule:
    """Hold a comparison against what is asked for: no loss beyond the margin, a gain, or an advantage.

    A loss that is neither ruled out nor shown on rows too few for it is for a person to weigh.
    """
    if found.other == "constant":
        return above_constant(policy, found)
    spoken = _spoken(found, policy.confidence)
    if found.other == "champion" and found.high < 0 and not policy.allow_shown_loss:
        return Rule(False, f"{spoken}; the challenger is shown to be worse.")
    evidence = policy.baseline_evidence if found.other == "baseline" else policy.champion_evidence
    counted = {"shown": found.low, "likely": found.difference, "not_refuted": found.high}[evidence]
    if found.other == "baseline":
        kept, claim = counted > policy.minimum_advantage, f"is ahead by more than {policy.minimum_advantage:.4g}"
    elif policy.minimum_gain is not None:
        kept, claim = counted > policy.minimum_gain, f"gains more than {policy.minimum_gain:.4g}"
    else:
        kept, claim = counted >= -policy.margin, f"loses no more than the margin of {policy.margin:.4g}"
    if found.other == "champion" and evidence == "shown" and not kept and _too_coarse(policy, held, found):
        text = f"{spoken}; that it {claim} is not shown, nor refuted, and these rows are too few to tell."
        return Rule(False, text, doubtful=True)
    return Rule(kept, f"{spoken}; that it {claim} is {_WORDS[evidence][kept]}.")


def above_constant(policy: GatePolicy, found: Comparison) -> Rule:
    """Ask that the challenger is shown to be worth more than one answer for all."""
    spoken = _spoken(found, policy.confidence)
    if found.low > 0:
        return Rule(True, f"{spoken}; that it is worth more than one answer for all is shown.")
    return Rule(
        False, f"{spoken}; that it is worth more than one answer for all is not shown.", doubtful=found.high > 0
    )


def well_behaved(results: Sequence[BehaviourResult]) -> list[Rule]:
    """Hold the behavioural tests against what they allow; a person may let a model go that answers unlike the last."""
    broken = [Rule(False, each.words, doubtful=each.name in DOUBTFUL) for each in results if not each.passed]
    if results and not broken:
        return [Rule(True, f"all {len(results)} behavioural tests.")]
    return broken


def guarded(policy: GatePolicy, y: Array, challenger: Array, others: Mapping[Any, Array], terms: Terms) -> list[Rule]:
    """Refuse a loss in another metric that is shown to be more than forgiven, so that no gain hides it."""
    other = "champion" if "champion" in others else "constant"
    if other not in others:
        return []
    rules = []
    for metric, forgiven in policy.guarded.items():
        try:
            found = compare(metric, y, challenger, others[other], terms)
        except StatisticsInputError as nothing:
            rules.append(
                Rule(False, f"whether {metric} is worse than the {other}'s is not known. {nothing}", doubtful=True)
            )
            continue
        ends = f"{_percent(terms.confidence)} interval of the gain {found.low:.4g} to {found.high:.4g}"
        if found.high < -forgiven:
            rules.append(
                Rule(False, f"{metric} is shown to be worse than the {other}'s by more than {forgiven:g} ({ends}).")
            )
        else:
            rules.append(
                Rule(True, f"{metric} is not shown to be worse than the {other}'s by more than {forgiven:g} ({ends}).")
            )
    return rules


def unharmed_slices(policy: GatePolicy, held: HeldOut, found: SliceFindings) -> list[Rule]:
    """Refuse a drop on a slice that is larger than allowed and too large to be chance; what is unknown is doubtful."""
    if policy.maximum_slice_drop is None or held.champion is None:
        return []
    broken = [
        f"{drop.column}={drop.level} by {drop.drop:.4g} on {drop.n:,} rows (p = {drop.p_value:.2g})"
        for drop in sorted(found.drops, key=lambda drop: -drop.drop)
        if drop.drop > policy.maximum_slice_drop and drop.p_value < 1 - policy.confidence
    ]
    allowed = f"more than {policy.maximum_slice_drop:.4g} and beyond chance"
    rules = []
    if broken:
        text = f"{policy.primary_metric} fell {allowed} against the champion on {examples(broken)}."
        rules.append(Rule(False, text))
    elif found.drops:
        rules.append(Rule(True, f"on none of {len(found.drops)} slices did {policy.primary_metric} fall {allowed}."))
    compared = {drop.column for drop in found.drops}
    if unknown := [column for column in policy.slice_columns if column not in compared]:
        text = (
            f"whether {policy.primary_metric} fell {allowed} is not known of {examples(unknown)}: none of its slices "
            f"has the {policy.slice_minimum_rows:,} rows that are asked for and a number on them."
        )
        rules.append(Rule(False, text, doubtful=True))
    return rules


def unharmed_classes(policy: GatePolicy, found: Classes | None) -> list[Rule]:
    """Refuse a class that the challenger tells from the rest worse than the champion by more than allowed."""
    if policy.maximum_class_drop is None or found is None or found.results[0].gain.other != "champion":
        return []
    broken = [
        f"{each.name} by {-each.gain.difference:.4g} (p = {each.gain.p_value:.2g})"
        for each in sorted(found.results, key=lambda each: each.gain.difference)
        if -each.gain.difference > policy.maximum_class_drop and each.gain.p_value < 1 - policy.confidence
    ]
    allowed = f"more than {policy.maximum_class_drop:.4g} and beyond chance"
    if broken:
        return [
            Rule(False, f"classes are told from the rest worse than by the champion by {allowed}: {examples(broken)}.")
        ]
    return [
        Rule(
            True, f"none of {len(found.results)} classes is told from the rest worse than by the champion by {allowed}."
        )
    ]


def fair_enough(policy: GatePolicy, found: Fairness | None) -> list[Rule]:
    """Refuse groups that lie further apart than was declared; whether those that are too small do is for a person."""
    if found is None or policy.fairness.maximum_difference is None:
        return []
    broken = [
        f"{gap.measure} of {gap.column}{f' for {gap.of}' if gap.of else ''} is {gap.value:.3g}, where "
        f"{'at least' if gap.measure.endswith('_ratio') else 'at most'} {gap.limit:.3g} is asked for"
        for gap in found.gaps
        if not gap.kept
    ]
    rules = []
    if broken:
        rules.append(Rule(False, f"groups lie too far apart: {examples(broken)}."))
    elif found.gaps:
        rules.append(Rule(True, f"groups lie no further apart than declared in any of {len(found.gaps)} comparisons."))
    if found.unmeasured:
        text = (
            f"whether groups lie further apart than declared is not known of {examples(found.unmeasured)}. "
            "Hold out more days, or set `slice_minimum_rows` lower."
        )
        rules.append(Rule(False, text, doubtful=True))
    return rules


def worth_knowing(
    policy: GatePolicy, held: HeldOut, comparisons: tuple[Comparison, ...], found: SliceFindings
) -> list[str]:
    """Say what these rows could have shown, and what was not looked at."""
    notes = []
    among = f" in {held.days:,} clusters" if held.days else ""
    for each in comparisons:
        if each.other == "constant":
            continue
        least = smallest_detectable(each.low, each.high, confidence=policy.confidence, freedom=held.freedom)
        note = (
            f"Note: with these {each.n:,} rows{among}, a true difference of {least:.4g} in {each.metric} to the "
            f"{each.other} would be noticed four times in five."
        )
        if each.other == "champion" and policy.champion_evidence == "shown" and least > policy.wanted > 0:
            note += (
                f" The policy turns on {policy.wanted:.4g}, which is finer, so a challenger that deserves to pass may "
                "well be held up: hold out more days, ask for less, or let `champion_evidence: likely` do."
            )
        notes.append(note)
    if not any(each.other == "champion" for each in comparisons):
        notes.append("Note: no champion is live, so only the baseline and the absolute rules apply.")
    if found.unmeasured:
        notes.append(f"Note: {policy.primary_metric} does not exist on {examples(found.unmeasured)}.")
    return notes


def identical(challenger: ModelVersion, champion_sha256: str | None) -> list[str]:
    """Say so when nothing has changed."""
    if challenger.sha256 != champion_sha256:
        return []
    return ["Note: the challenger is the champion itself, byte for byte."]


def _too_coarse(policy: GatePolicy, held: HeldOut, found: Comparison) -> bool:
    """Tell whether these rows could not have shown what the policy turns on, and do not refute it either."""
    least = smallest_detectable(found.low, found.high, confidence=policy.confidence, freedom=held.freedom)
    bound = policy.minimum_gain if policy.minimum_gain is not None else -policy.margin
    return least > policy.wanted > 0 and found.high > bound


def _spoken(found: Comparison, confidence: float) -> str:
    """Say a comparison in words."""
    other = f"the {found.other}'s"
    apart = f"{'better' if found.difference > 0 else 'worse'} than {other} by {abs(found.difference):.4g}"
    return (
        f"{found.metric} is {apart if found.difference else f'equal to {other}'} "
        f"({_percent(confidence)} interval of the gain {found.low:.4g} to {found.high:.4g})"
    )


def _percent(share: float) -> str:
    """Give a confidence with all of its digits: 97.5 % is not 98 %."""
    return f"{100 * share:.4g}%"

"""The promotion gate: one pure function from labels, scores and a policy to a verdict with its reasons."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mlops_assets.digests import sha256_json
from mlops_assets.errors import EvaluationError, UnknownNameError
from mlops_assets.evaluation.details import CloserLook, Details, look_closer
from mlops_assets.evaluation.doubts import (
    bereft,
    changed_since,
    corrected,
    looked,
    one_label,
    seen_often,
    suspected,
    too_good,
)
from mlops_assets.evaluation.held_out import HeldOut
from mlops_assets.evaluation.measures import Terms
from mlops_assets.evaluation.metrics import compare, evaluate, named
from mlops_assets.evaluation.policy import GatePolicy, policy_sha256
from mlops_assets.evaluation.rules import (
    Rule,
    enough_rows,
    fair_enough,
    good_enough,
    guarded,
    identical,
    in_words,
    unharmed_classes,
    unharmed_slices,
    unmeasurable,
    verdict_of,
    weighed,
    well_behaved,
    worth_knowing,
)
from mlops_assets.evaluation.slices import look_into_slices
from mlops_assets.evaluation.value import BusinessValue
from mlops_assets.records import (
    BehaviourResult,
    Comparison,
    EvaluationReport,
    Metric,
    ModelVersion,
    SliceResult,
    Window,
    quantile_of,
)
from mlops_assets.statistics import Array, StatisticsInputError
from mlops_assets.statistics.inputs import Clusters

Other = Literal["champion", "baseline", "constant"]


def judge(
    policy: GatePolicy,
    *,
    challenger: ModelVersion,
    champion_sha256: str | None,
    window: Window,
    y: npt.ArrayLike,
    challenger_scores: npt.ArrayLike,
    champion_scores: npt.ArrayLike | None,
    baseline_scores: npt.ArrayLike,
    constant: npt.ArrayLike | None = None,
    behaviour: Callable[[], Sequence[BehaviourResult]] = tuple,
    looks: int = 1,
    changed: Sequence[str] = (),
    suspicions: Sequence[str] = (),
    slices: Mapping[str, Any] | None = None,
    details: Details | None = None,
    value: BusinessValue | None = None,
    clusters: Clusters = None,
    seed: int = 7,
) -> EvaluationReport:
    """Judge a challenger on rows that neither it nor the champion has learnt from.

    With no champion only the baseline and the absolute rules apply. Rows that cannot tell what the policy asks for, for
    they are of one class or of one day, refuse it.

    Args:
        policy: What must be shown.
        challenger: The version judged; its task decides the metrics.
        champion_sha256: Bundle digest of what is live, if anything is.
        window: The held-out span that the rows come from.
        y: Labels, shape (n,).
        challenger_scores: Scores of the challenger, shape (n,): probabilities, or forecast numbers; of k classes
            shape (n, k).
        champion_scores: Scores of the champion on the same rows, exactly when there is a champion.
        baseline_scores: Scores of the simple model on the same rows.
        constant: The one score that knows only how common the label was in training; without it nothing is compared.
        behaviour: Gives what the behavioural tests found; called last, so that they may run meanwhile.
        looks: How many different challengers these rows have judged, this one included.
        changed: Fields of policy or value that were others before training began.
        suspicions: What is odd about the rows, a sentence each.
        slices: Values of each column in `slice_columns` and `fairness.columns`, arrays or Arrow columns of n.
        details: What is known beside labels and scores; without it no slices are sought and no decisions measured.
        value: What decisions are worth; by default a hit in the top tenth counts one point.
        clusters: What rows of like fate share, say their day, shape (n,); intervals are then honest about it.
        seed: Of the bootstrap.

    Raises:
        EvaluationError: Rows do not belong together, or a champion's scores are missing.
        DeclarationError: The policy judges another kind of model.
        UnknownNameError: A slice column is not given.
        StatisticsInputError: A label or score is NaN, or a probability is none.
    """
    policy.require_task(challenger.task)
    if (champion_scores is None) != (champion_sha256 is None):
        raise EvaluationError(
            "A champion needs both its digest and its scores, but only one of them was given; judged without the "
            "other, the challenger would be let through unseen, or the report would not say what it beat.",
            champion_sha256=champion_sha256,
        )
    trade = value or BusinessValue()
    known = details or Details()
    quantile = quantile_of(challenger.params)
    policy.require_quantile(quantile)
    terms = policy.terms(value, classes=known.classes, quantile=quantile, clusters=clusters, seed=seed)
    held = HeldOut.of(
        challenger.task,
        y=y,
        challenger=challenger_scores,
        champion=champion_scores,
        baseline=baseline_scores,
        clusters=clusters,
    )
    columns = _columns(policy, slices or {}, len(held.y))
    try:
        found = _findings(
            policy, challenger, held, constant=constant, columns=columns, details=known, terms=terms, looks=looks
        )
    except StatisticsInputError as nothing:
        found = _Findings(rules=unmeasurable(nothing))
    behaved = tuple(behaviour())
    rules = [
        *enough_rows(policy, held),
        *found.rules,
        *well_behaved(behaved),
        *seen_often(policy, looks),
        *changed_since(changed),
        *suspected(suspicions),
    ]
    notes = [*identical(challenger, champion_sha256), *found.notes]
    verdict = verdict_of(rules)
    report = EvaluationReport(
        model=challenger.model,
        sha256="",
        challenger=challenger,
        champion_sha256=champion_sha256,
        window=window,
        policy_sha256=policy_sha256(policy, trade),
        passed=verdict == "pass",
        reasons=(*in_words(rules), *notes),
        verdict=verdict,
        behaviour=behaved,
        challenger_metrics=found.challenger_metrics,
        champion_metrics=found.champion_metrics,
        baseline_metrics=found.baseline_metrics,
        comparisons=found.comparisons,
        slices=found.slices,
        calibration=found.closer.calibration,
        value_curve=found.closer.value_curve,
        discovered=found.closer.discovered,
        fairness=found.closer.fairness,
        classes=found.closer.classes,
    )
    return replace(report, sha256=_findings_sha256(report))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Findings:
    """What the held-out rows have shown, and the rules and notes that rest on it."""

    rules: Sequence[Rule]
    notes: Sequence[str] = ()
    challenger_metrics: tuple[Metric, ...] = ()
    champion_metrics: tuple[Metric, ...] = ()
    baseline_metrics: tuple[Metric, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    slices: tuple[SliceResult, ...] = ()
    closer: CloserLook = field(default_factory=CloserLook)


def _findings(
    policy: GatePolicy,
    challenger: ModelVersion,
    held: HeldOut,
    *,
    constant: npt.ArrayLike | None,
    columns: Mapping[str, Any],
    details: Details,
    terms: Terms,
    looks: int,
) -> _Findings:
    """Measure the challenger and all that it is held against.

    Raises:
        StatisticsInputError: These rows do not tell what the policy asks for.
    """
    held.require_chance()
    answer = (
        None if constant is None else np.broadcast_to(np.asarray(constant, dtype=np.float64), held.challenger.shape)
    )
    others: tuple[tuple[Other, Array | None], ...]
    others = (("champion", held.champion), ("baseline", held.baseline), ("constant", answer))
    compared = {other: scores for other, scores in others if scores is not None}
    strict = corrected(policy, looks)
    at_looks = replace(terms, confidence=strict.confidence)
    comparisons = tuple(
        _comparison(policy.primary_metric, held, other, scores, at_looks) for other, scores in compared.items()
    )
    values = {other: named(policy.primary_metric).value(held.y, scores, terms) for other, scores in compared.items()}
    parts = look_into_slices(
        policy.primary_metric,
        held.y,
        held.challenger,
        held.champion,
        columns={name: columns[name] for name in policy.slice_columns},
        minimum_rows=policy.slice_minimum_rows,
        terms=terms,
    )
    closer = look_closer(
        policy,
        challenger,
        held.y,
        held.challenger,
        held.champion,
        held.baseline,
        columns=columns,
        details=details,
        terms=terms,
    )
    deciding = replace(terms, threshold=details.threshold)
    of_champion = replace(deciding, threshold=details.champion_threshold)
    return _Findings(
        rules=[
            *good_enough(policy, held.y, held.challenger, terms),
            *(weighed(strict, held, each) for each in comparisons),
            *guarded(policy, held.y, held.challenger, compared, terms),
            *unharmed_slices(policy, held, parts),
            *unharmed_classes(policy, closer.classes),
            *(doubt for each in comparisons for doubt in too_good(policy, each, values[each.other])),
            *one_label(held.y),
            *bereft(parts),
            *fair_enough(policy, closer.fairness),
        ],
        notes=[
            *looked(looks, strict.confidence),
            *worth_knowing(strict, held, comparisons, parts),
        ],
        challenger_metrics=evaluate(held.task, held.y, held.challenger, deciding),
        champion_metrics=() if held.champion is None else evaluate(held.task, held.y, held.champion, of_champion),
        baseline_metrics=evaluate(held.task, held.y, held.baseline, replace(deciding, threshold=None)),
        comparisons=comparisons,
        slices=parts.results,
        closer=closer,
    )


def _columns(policy: GatePolicy, given: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Give the columns that the policy names."""
    for name in policy.columns_beside:
        if name not in given:
            raise UnknownNameError("slice column", name, known=given)
        if len(given[name]) != n:
            raise EvaluationError(
                f"Slice column {name!r} has {len(given[name])} values for {n} rows, so they do not belong together. "
                "Take it from the same held-out rows as the labels.",
                column=name,
            )
    return {name: given[name] for name in policy.columns_beside}


def _comparison(metric: str, held: HeldOut, other: Other, scores: Array, terms: Terms) -> Comparison:
    """Give the paired comparison of the challenger with `other`."""
    found = compare(metric, held.y, held.challenger, scores, terms)
    return Comparison(
        other=other,
        metric=metric,
        difference=found.value,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        n=len(held.y),
    )


def _findings_sha256(report: EvaluationReport) -> str:
    """Give the digest of what was found; a tracking run's id, which differs between equal runs, is no finding."""
    facts = {each.name: getattr(report, each.name) for each in fields(report)}
    return sha256_json({**facts, "sha256": None, "challenger": report.challenger.sha256})

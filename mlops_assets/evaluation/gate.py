"""The promotion gate: one pure function from labels, scores and a policy to a verdict with its reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mlops_assets.digests import sha256_json
from mlops_assets.errors import EvaluationError, UnknownNameError
from mlops_assets.evaluation.details import Details, look_closer, with_what_it_decides
from mlops_assets.evaluation.doubts import bereft, changed_since, corrected, looked, seen_often, suspected, too_good
from mlops_assets.evaluation.measures import Terms
from mlops_assets.evaluation.metrics import compare, evaluate, named
from mlops_assets.evaluation.policy import GatePolicy, policy_sha256
from mlops_assets.evaluation.rules import (
    enough_rows,
    fair_enough,
    good_enough,
    guarded,
    identical,
    in_words,
    unharmed_classes,
    unharmed_slices,
    verdict_of,
    weighed,
    well_behaved,
    worth_knowing,
)
from mlops_assets.evaluation.slices import look_into_slices
from mlops_assets.evaluation.value import BusinessValue
from mlops_assets.records import BehaviourResult, Comparison, EvaluationReport, ModelVersion, Task, Window
from mlops_assets.statistics import Array
from mlops_assets.statistics.inputs import Clusters, finite, labels, same_length
from mlops_assets.statistics.multiclass import class_codes, class_probabilities

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
    behaviour: Sequence[BehaviourResult] = (),
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

    With no champion only the baseline and the absolute rules apply.

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
        behaviour: What the behavioural tests found.
        looks: How many different challengers these rows have judged, this one included.
        changed: Fields of policy or value that were others before training began.
        suspicions: What is odd about the rows, a sentence each.
        slices: Values of each column in `slice_columns` and `fairness.columns`, arrays or Arrow columns of n.
        details: What is known beside labels and scores; without it no slices are sought and no decisions measured.
        value: What decisions are worth; by default a hit in the top tenth counts one point.
        clusters: What rows of like fate share, say their day, shape (n,); intervals are then honest about it.
        seed: Of the bootstrap.

    Raises:
        EvaluationError: Rows do not belong together, hold one class only, or a champion's scores are missing.
        UnknownNameError: A slice column is not given.
        StatisticsInputError: A label or score is NaN, or a probability is none.
    """
    policy.require_task(challenger.task)
    trade = value or BusinessValue()
    known = details or Details()
    terms = policy.terms(value, classes=known.classes, clusters=clusters, seed=seed)
    rows = _Rows.of(challenger.task, y, challenger_scores, champion_scores, baseline_scores, champion_sha256, clusters)
    columns = _columns(policy, slices or {}, len(rows.y))
    answer = (
        None if constant is None else np.broadcast_to(np.asarray(constant, dtype=np.float64), rows.challenger.shape)
    )
    others: tuple[tuple[Other, Array | None], ...]
    others = (("champion", rows.champion), ("baseline", rows.baseline), ("constant", answer))
    compared = {other: scores for other, scores in others if scores is not None}
    strict = corrected(policy, looks)
    at_looks = replace(terms, confidence=strict.confidence)
    comparisons = tuple(
        _comparison(policy.primary_metric, rows, other, scores, at_looks) for other, scores in compared.items()
    )
    values = {other: named(policy.primary_metric).value(rows.y, scores, terms) for other, scores in compared.items()}
    found = look_into_slices(
        policy.primary_metric,
        rows.y,
        rows.challenger,
        rows.champion,
        columns=columns,
        minimum_rows=policy.slice_minimum_rows,
        terms=terms,
    )
    count = None if clusters is None else len(np.unique(clusters))
    closer = look_closer(
        policy,
        challenger,
        rows.y,
        rows.challenger,
        rows.champion,
        rows.baseline,
        columns=slices or {},
        details=known,
        terms=terms,
    )
    deciding = with_what_it_decides(terms, challenger, known.threshold)
    rules = [
        *enough_rows(policy, challenger.task, rows.y),
        *good_enough(policy, rows.y, rows.challenger, terms),
        *(weighed(strict, each, clusters=count) for each in comparisons),
        *guarded(policy, rows.y, rows.challenger, compared, terms),
        *unharmed_slices(policy, found),
        *unharmed_classes(policy, closer.classes),
        *well_behaved(behaviour),
        *(doubt for each in comparisons for doubt in too_good(policy, each, values[each.other])),
        *bereft(found),
        *seen_often(policy, looks),
        *changed_since(changed),
        *suspected(suspicions),
        *fair_enough(policy, closer.fairness),
    ]
    notes = [
        *identical(challenger, champion_sha256),
        *looked(looks, strict.confidence),
        *worth_knowing(strict, comparisons, found, clusters=count),
    ]
    verdict = verdict_of(rules)
    report = EvaluationReport(
        model=challenger.model,
        sha256="",
        challenger=challenger,
        champion_sha256=champion_sha256,
        window=window,
        challenger_metrics=evaluate(challenger.task, rows.y, rows.challenger, deciding),
        champion_metrics=()
        if rows.champion is None
        else evaluate(challenger.task, rows.y, rows.champion, replace(deciding, threshold=known.champion_threshold)),
        baseline_metrics=evaluate(challenger.task, rows.y, rows.baseline, replace(deciding, threshold=None)),
        comparisons=comparisons,
        slices=found.results,
        policy_sha256=policy_sha256(policy, trade),
        passed=verdict == "pass",
        reasons=(*in_words(rules), *notes),
        verdict=verdict,
        behaviour=tuple(behaviour),
        calibration=closer.calibration,
        value_curve=closer.value_curve,
        discovered=closer.discovered,
        fairness=closer.fairness,
        classes=closer.classes,
    )
    return replace(report, sha256=_findings_sha256(report))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Labels and scores that belong together."""

    y: Array
    challenger: Array
    champion: Array | None
    baseline: Array

    @classmethod
    def of(
        cls,
        task: Task,
        y: npt.ArrayLike,
        challenger: npt.ArrayLike,
        champion: npt.ArrayLike | None,
        baseline: npt.ArrayLike,
        champion_sha256: str | None,
        clusters: Clusters,
    ) -> "_Rows":
        if (champion is None) != (champion_sha256 is None):
            raise EvaluationError(
                "A champion needs both its digest and its scores, but only one of them was given; judged without the "
                "other, the challenger would be let through unseen, or the report would not say what it beat.",
                champion_sha256=champion_sha256,
            )
        if task == "multiclass":
            return cls._of_classes(y, challenger, champion, baseline, clusters)
        truth = labels(y).astype(np.float64) if task == "binary" else finite(y, name="y")
        scores = {"challenger_scores": challenger, "baseline_scores": baseline}
        if champion is not None:
            scores["champion_scores"] = champion
        checked = {name: finite(values, name=name) for name, values in scores.items()}
        same_length(y=truth, **checked, **_clusters(clusters))
        if task == "binary" and min(truth.sum(), len(truth) - truth.sum()) < 2:
            raise EvaluationError(
                f"Of {len(truth)} held-out rows {int(truth.sum())} are positive, so nothing tells the classes apart "
                "and no metric exists. Hold out more days, or check the label.",
                rows=len(truth),
                positives=int(truth.sum()),
            )
        return cls(
            y=truth,
            challenger=checked["challenger_scores"],
            champion=checked.get("champion_scores"),
            baseline=checked["baseline_scores"],
        )

    @classmethod
    def _of_classes(
        cls,
        y: npt.ArrayLike,
        challenger: npt.ArrayLike,
        champion: npt.ArrayLike | None,
        baseline: npt.ArrayLike,
        clusters: Clusters,
    ) -> "_Rows":
        ours = class_probabilities(challenger, name="challenger_scores")
        truth = class_codes(y, classes=ours.shape[1])
        simple = class_probabilities(baseline, name="baseline_scores")
        theirs = None if champion is None else np.asarray(champion, dtype=np.float64)
        for name, scores in {"champion": theirs, "baseline": simple}.items():
            if scores is not None and scores.shape[1:] != ours.shape[1:]:
                raise EvaluationError(
                    f"The challenger gives {ours.shape[1]} probabilities a row and the {name} scores of shape "
                    f"{scores.shape[1:]}, so they are not models of the same classes and no row compares them. A model "
                    "keeps its classes: give one with others a name of its own.",
                    shapes=(ours.shape, scores.shape),
                )
        of_champion = {} if theirs is None else {"champion_scores": class_probabilities(theirs, name="champion_scores")}
        same_length(y=truth, challenger=ours, baseline=simple, **of_champion, **_clusters(clusters))
        if np.bincount(truth, minlength=ours.shape[1]).min() < 2:
            raise EvaluationError(
                f"Of {len(truth)} held-out rows {np.bincount(truth, minlength=ours.shape[1]).tolist()} are of each "
                "class, and with fewer than two of one nothing tells it apart. Hold out more days, or check the label.",
                rows=len(truth),
            )
        return cls(
            y=truth.astype(np.float64), challenger=ours, champion=of_champion.get("champion_scores"), baseline=simple
        )


def _clusters(clusters: Clusters) -> dict[str, npt.NDArray[Any]]:
    return {} if clusters is None else {"clusters": clusters}


def _columns(policy: GatePolicy, given: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Give the columns that the policy names, in its order."""
    for name in policy.columns_beside:
        if name not in given:
            raise UnknownNameError("slice column", name, known=given)
        if len(given[name]) != n:
            raise EvaluationError(
                f"Slice column {name!r} has {len(given[name])} values for {n} rows, so they do not belong together. "
                "Take it from the same held-out rows as the labels.",
                column=name,
            )
    return {name: given[name] for name in policy.slice_columns}


def _comparison(metric: str, rows: _Rows, other: Other, scores: Array, terms: Terms) -> Comparison:
    """Give the paired comparison of the challenger with `other`."""
    found = compare(metric, rows.y, rows.challenger, scores, terms)
    return Comparison(
        other=other,
        metric=metric,
        difference=found.value,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        n=len(rows.y),
    )


def _findings_sha256(report: EvaluationReport) -> str:
    """Give the digest of what was found; a tracking run's id, which differs between equal runs, is no finding."""
    facts = {each.name: getattr(report, each.name) for each in fields(report)}
    return sha256_json({**facts, "sha256": None, "challenger": report.challenger.sha256})

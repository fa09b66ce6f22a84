"""What no sum can settle, so that a person has to look: gains too good to be true, a hold-out seen too often."""

from collections.abc import Sequence

import numpy as np

from mlops_assets.errors import examples
from mlops_assets.evaluation.metrics import named
from mlops_assets.evaluation.policy import GatePolicy
from mlops_assets.evaluation.rules import Rule
from mlops_assets.evaluation.slices import SliceFindings
from mlops_assets.records import Comparison
from mlops_assets.statistics import Array


def too_good(policy: GatePolicy, found: Comparison, other_value: float) -> list[Rule]:
    """Doubt a shown gain that makes good most of what the other lacks; leaks look like that."""
    limit = {"champion": policy.suspicious_gain, "baseline": policy.suspicious_advantage}.get(found.other)
    lacking = _lacking(policy.primary_metric, other_value)
    if limit is None or lacking is None or found.low <= 0 or found.difference <= limit * lacking:
        return []
    share = f"{found.difference / lacking:.0%}" if lacking > 0 else "more than all"
    return [
        Rule(
            False,
            f"{found.metric} makes good {share} of what the {found.other} lacks, where {limit:.0%} is too good to be "
            "true at once. Look for a feature that knows the outcome, or for a change in the label.",
            doubtful=True,
        )
    ]


def one_label(y: Array) -> list[Rule]:
    """Doubt labels that are all the same; a number hardly ever comes out alike on every row."""
    if np.ptp(y) > 0:
        return []
    text = f"all {len(y):,} held-out labels are {y[0]:.6g}, which is no chance. Do its outcomes still come in?"
    return [Rule(False, text, doubtful=True)]


def bereft(found: SliceFindings) -> list[Rule]:
    """Doubt labels of which a large slice has one kind only."""
    if not found.bereft:
        return []
    return [
        Rule(
            False,
            f"all labels are the same on {examples(found.bereft)}, which is no chance. Do its outcomes still come in?",
            doubtful=True,
        )
    ]


def seen_often(policy: GatePolicy, looks: int) -> list[Rule]:
    """Doubt what was found on a hold-out that was looked at again and again: the best of many is partly luck."""
    if looks <= policy.maximum_looks:
        return []
    return [
        Rule(
            False,
            f"this hold-out was looked at {looks} times, where {policy.maximum_looks} are allowed; the best of so many "
            "is partly luck. Wait for days that nobody has looked at.",
            doubtful=True,
        )
    ]


def changed_since(changed: Sequence[str]) -> list[Rule]:
    """Doubt a verdict by thresholds that were others when training began."""
    if not changed:
        return []
    return [
        Rule(
            False,
            f"{examples(changed)} of gate or value changed since the first training on these rows, when the result "
            "could be known. The audit log has both.",
            doubtful=True,
        )
    ]


def suspected(suspicions: Sequence[str]) -> list[Rule]:
    """Doubt rows that look as if something had happened to them on their way."""
    return [Rule(False, sentence, doubtful=True) for sentence in suspicions]


def corrected(policy: GatePolicy, looks: int) -> GatePolicy:
    """Give the policy with the confidence that `looks` at the same rows ask for, after Bonferroni."""
    return policy.model_copy(update={"confidence": 1 - (1 - policy.confidence) / looks}) if looks > 1 else policy


def looked(looks: int, confidence: float) -> list[str]:
    """Say so when the hold-out is not new."""
    if looks <= 1:
        return []
    return [
        f"Note: this hold-out was looked at {looks} times, so comparisons are made at {confidence:.4g} confidence, "
        "which allows for that."
    ]


def _lacking(metric: str, value: float) -> float | None:
    """Give how far `value` is from the best there is; None where nobody knows the best."""
    known = named(metric)
    if not known.higher_is_better:
        return value  # an error or a loss, 0 at best
    return 1 - value if known.margin is not None else None  # a share, 1 at best; worth in a unit has no end

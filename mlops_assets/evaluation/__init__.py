"""Judges a challenger on held-out time, beside the champion and the simple baseline.

Knows labels and scores only, not where they come from. Every number has an interval where one is known, and every
verdict its reasons in words, so that a refusal can be read, argued with and derived again.
"""

from mlops_assets.evaluation.behaviour import BehaviourPolicy, Subject, behave, within_budget
from mlops_assets.evaluation.details import Details
from mlops_assets.evaluation.fairness import FairnessPolicy
from mlops_assets.evaluation.gate import judge
from mlops_assets.evaluation.levels import Levels, binned, coded, levels_of
from mlops_assets.evaluation.measures import MEASURES, Measure, Terms
from mlops_assets.evaluation.metrics import compare, evaluate, measure
from mlops_assets.evaluation.policy import GatePolicy, policy_sha256
from mlops_assets.evaluation.portrait import curves, gains
from mlops_assets.evaluation.renamed import renamed
from mlops_assets.evaluation.slices import SliceDrop, SliceFindings, look_into_slices
from mlops_assets.evaluation.value import BusinessValue

__all__ = [
    "MEASURES",
    "BehaviourPolicy",
    "BusinessValue",
    "Details",
    "FairnessPolicy",
    "GatePolicy",
    "Levels",
    "Measure",
    "SliceDrop",
    "SliceFindings",
    "Subject",
    "Terms",
    "behave",
    "binned",
    "coded",
    "compare",
    "curves",
    "evaluate",
    "gains",
    "judge",
    "levels_of",
    "look_into_slices",
    "measure",
    "policy_sha256",
    "renamed",
    "within_budget",
]

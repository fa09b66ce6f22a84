"""A version with its evidence, for tests to change one thing at a time."""

from dataclasses import replace
from datetime import UTC, datetime

from mlops_assets.governance import Charter, Evidence, Importance
from mlops_assets.records import (
    Comparison,
    Dossier,
    EvaluationReport,
    FeatureVectorSpec,
    Metric,
    ModelVersion,
    SliceResult,
    TableVersion,
    TrainingSet,
    VectorFeature,
    Window,
)

NOW = datetime(2013, 5, 1, 12, tzinfo=UTC)


def day(month: int, number: int) -> datetime:
    """A day of 2013."""
    return datetime(2013, month, number, tzinfo=UTC)


VERSION = ModelVersion(
    model="flight_delay",
    version=3,
    sha256="b" * 64,
    task="binary",
    training_set_sha256="7" * 64,
    params={"num_leaves": 31, "objective": "binary"},
    cut_off=day(5, 1),
    reproducibility={"lightgbm": "4.7.0", "git": "abc123"},
    mlflow_run_id="run1",
    mlflow_url="http://127.0.0.1:5000/#/runs/run1",
)
TRAINING_SET = TrainingSet(
    model="flight_delay",
    table="flight_delay/training_set",
    version=12,
    sha256="7" * 64,
    rows=84_000,
    cut_off=day(5, 1),
    train=Window(start=day(1, 1), end=day(4, 15), rows=80_000, label_mean=0.2345),
    holdout=Window(start=day(4, 15), end=day(5, 1), rows=4_000, label_mean=0.25),
    spec=FeatureVectorSpec(
        request=(),
        views=(),
        features=(
            VectorFeature(name="dep_hour", origin="on_demand"),
            VectorFeature(name="carrier_delay", origin="stored"),
        ),
        code_sha256="c" * 64,
    ),
    sources=(TableVersion(table="features/carrier_delays", version=120, sha256="5" * 64, rows=1_920),),
)
EVALUATION = EvaluationReport(
    model="flight_delay",
    sha256="e" * 64,
    challenger=VERSION,
    champion_sha256="a" * 64,
    window=TRAINING_SET.holdout,
    challenger_metrics=(
        Metric(name="auc", value=0.71234, n=4000, low=0.69, high=0.7345),
        Metric(name="value", value=12_345.6, n=4000),
    ),
    champion_metrics=(Metric(name="auc", value=0.70, n=4000, low=0.68, high=0.72),),
    baseline_metrics=(Metric(name="auc", value=0.65, n=4000),),
    comparisons=(
        Comparison(other="champion", metric="auc", difference=0.0123, low=0.001, high=0.024, p_value=0.0004, n=4000),
        Comparison(other="baseline", metric="auc", difference=0.06, low=0.05, high=0.07, p_value=0.012, n=4000),
    ),
    slices=(
        SliceResult(column="carrier", level="UA", metric=Metric(name="auc", value=0.73, n=700), small=False),
        SliceResult(column="carrier", level="HA", metric=Metric(name="auc", value=0.6, n=9), small=True),
    ),
    policy_sha256="9" * 64,
    passed=True,
    reasons=("AUC is 0.012 above the champion's.", "It beats the simple baseline."),
)
CHARTER = Charter(
    purpose="Tells two hours ahead which flights will be late.",
    users="The operations desk, to place spare crews.",
    affected="Passengers of flights that get no spare crew.",
    out_of_scope="Paying compensation.",
    limits="Knows nothing of strikes.",
    rationale="Late by 15 minutes is what the regulator counts.",
    risks="Stale weather; the endpoint marks it and the desk is told.",
    oversight="The desk may overrule every flag.",
)
EVIDENCE = Evidence(
    evaluation=EVALUATION,
    training_set=TRAINING_SET,
    risk_tier="high",
    charter=CHARTER,
    owners=("team:operations",),
    business_value={"value_of_hit": 40.0, "cost_of_false_alarm": 6},
    importance=(
        Importance(feature="dep_hour", mean_abs=0.3, share=0.75),
        Importance(feature="carrier_delay", mean_abs=0.1, share=0.25),
    ),
)
DOSSIER = Dossier(
    model="flight_delay",
    sha256="d" * 64,
    model_version=VERSION,
    evaluation_sha256=EVALUATION.sha256,
    path="dossiers/flight_delay/3",
    risk_tier="high",
    missing=(),
)


def evidence(**changes: object) -> Evidence:
    """The evidence, complete for every tier, with `changes`."""
    return replace(EVIDENCE, **changes)


def evidence_with_evaluation(**changes: object) -> Evidence:
    """The evidence with a changed evaluation."""
    return replace(EVIDENCE, evaluation=replace(EVALUATION, **changes))


def evidence_with_charter(**changes: str) -> Evidence:
    """The evidence with changed texts."""
    return replace(EVIDENCE, charter=CHARTER.model_copy(update=changes))

"""A model that is calibrated and looked at closely, from its declaration to the endpoint."""

import json
from dataclasses import replace

import pytest
from dagster import AssetCheckSeverity

from mlops_assets.evaluation import BusinessValue, FairnessPolicy
from mlops_assets.features.join import DECISION_TIME
from mlops_assets.governance import Event
from mlops_assets.orchestration.steps.datasets.training_sets import HOLDOUT, training_rows_of
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.records import EvaluationReport, Portrait
from mlops_assets.scoring import CALIBRATION_PART
from mlops_assets.serving.served_model import ServedModel
from mlops_assets.training import trainer_named
from mlops_assets_tests._shop import FEATURES_PY, MODEL


@pytest.fixture
def judged(shop):
    """A version that is calibrated, decides where it pays and compares branches; its policies await a person."""
    declared = shop.folder.declaration
    result = shop.release(
        training=declared.training.model_copy(update={"calibration": "platt", "validation_days": 7}),
        value=BusinessValue(capacity_share=1, value_of_hit=30, cost_of_false_alarm=10),
        gate=declared.gate.model_copy(update={"fairness": FairnessPolicy(columns=("branch",))}),
    )
    return shop, result.output_for_node(f"{MODEL}__training_set"), result.output_for_node(f"{MODEL}__evaluation")


def test_a_calibrated_version_is_served_as_it_was_judged(judged):
    """The endpoint's scores are the calibrated ones, in every bit, and it decides by what acting is worth."""
    shop, training_set, report = judged
    stores, sha256 = shop.home, report.challenger.sha256
    bundle = LoadedBundle.of(stores, MODEL, sha256)
    release = replace(stores.releases.current(MODEL), bundle_sha256=sha256)
    served = ServedModel(release, bundle.parts, stores.online, max_instances=100)
    held = training_rows_of(stores, training_set, part=HOLDOUT)
    asked = served.decoder.columns(held.select(["branch", "amount"]).slice(0, 20).to_pylist())

    answered = served.score(asked, held[DECISION_TIME][0].as_py(), 20)

    assert CALIBRATION_PART in bundle.parts
    assert answered.scores == bundle.score(answered.vectors).tolist()
    assert answered.scores != trainer_named("lightgbm").score(bundle.parts, answered.vectors).tolist()
    assert answered.decisions == [score >= 0.25 for score in answered.scores]


def test_its_report_shows_calibration_value_slices_and_groups(judged):
    """And is read back from its record as it was written."""
    shop, _, report = judged

    kept = shop.home.records.get(("evaluations", MODEL), report.challenger.sha256, EvaluationReport)

    assert kept == report
    assert report.calibration.method == "platt"
    assert sum(bin.rows for bin in report.calibration.bins) == report.window.rows
    assert len(report.value_curve) == 50
    assert {each.group for each in report.fairness.groups} == {"east", "north", "south"}
    assert {name for each in report.discovered for name in each.columns} <= {
        *("branch", "amount", "dear", "return_rate_7d"),
    }
    assert {"accuracy", "average_precision"} <= {metric.name for metric in report.challenger_metrics}


def test_without_a_word_about_calibration_the_bundle_has_no_such_part(shop):
    """As before: scores are the trainer's."""
    release = shop.home.releases.current(MODEL)
    bundle = LoadedBundle.of(shop.home, MODEL, release.bundle_sha256)

    assert CALIBRATION_PART not in bundle.parts
    assert bundle.calibration == "none"


SILENT_PY = """\
PARAMS = {{"num_iterations": 20, "num_leaves": 7, "min_data_in_leaf": 20}}


def label(returned, order_id):
    return [{scale} * back * (order[:10] < "{until}") for back, order in zip(returned, order_id)]
"""
SILENT = {  # outcomes as they are until a day and 0 from then on, the days held out, and another metric
    "one class": (MODEL, 1.0, "2024-01-20", 7, {}),
    "one day": (MODEL, 1.0, "2025-01-01", 1, {}),
    "one number": ("minutes", 10.0, "2024-01-20", 7, {"primary_metric": "mae", "non_inferiority_margin": 1.0}),
}


@pytest.mark.parametrize(
    ("kind", "verdict", "said"),
    [
        ("one class", "fail", "Of 416 held-out rows 0 are positive"),
        ("one day", "fail", "All 58 held-out rows are of one day"),
        ("one number", "review", "all 416 held-out labels are 0, which is no chance"),
    ],
)
def test_a_hold_out_that_tells_nothing_ends_in_a_verdict(shop, tmp_path, kind, verdict, said):
    """With its sentence on the check, on the page and in the audit log; what is live stays."""
    name, scale, until, days, metric = SILENT[kind]
    path = tmp_path / name
    path.mkdir()
    (path / "features.py").write_text(FEATURES_PY)
    (path / "model.py").write_text(SILENT_PY.format(scale=scale, until=until))
    declared, live = shop.folder.declaration, shop.home.releases.current(MODEL)
    window = declared.training.window.model_copy(update={"holdout_days": days})

    result = shop.release(
        path=path,
        task="regression" if metric else "binary",
        training=declared.training.model_copy(update={"window": window}),
        gate=declared.gate.model_copy(update={"minimum_rows": 10, **metric}),
    )

    check, report = shop.checks(result)["promotion_gate"], result.output_for_node(f"{name}__evaluation")
    assert report.verdict == verdict
    assert check.severity == (AssetCheckSeverity.ERROR if verdict == "fail" else AssetCheckSeverity.WARN)
    assert said in check.description
    assert said in shop.home.report_path(name, report.challenger.sha256).read_text()
    event = {"fail": Event.GATE_REFUSED, "review": Event.GATE_LEFT_OPEN}[verdict]
    assert [each.event for each in shop.home.state.audit_entries(model=name)].count(event) == 1
    assert shop.home.releases.current(MODEL) == live


def test_report_and_model_card_name_the_same_shares(shop):
    """Of as many held-out decisions, which both say, once the dossier has looked at more than the gate did."""
    bundle = shop.home.releases.current(MODEL).bundle_sha256
    portrait = shop.home.records.get(("portraits", MODEL), bundle, Portrait)
    facts = json.loads((shop.home.root / "dossiers" / MODEL / bundle / "dossier.json").read_text())
    card = (shop.home.root / "dossiers" / MODEL / bundle / "model_card.md").read_text()

    page = shop.home.report_path(MODEL, bundle).read_text()

    assert [(each["feature"], each["share"]) for each in facts["importance"]] == list(portrait.importance)
    assert "How much each moves the scores of 416 orders" in page
    assert "How much each moves the score of 416 held-out decisions" in card

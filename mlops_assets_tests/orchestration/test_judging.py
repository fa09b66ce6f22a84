"""A model that is calibrated and looked at closely, from its declaration to the endpoint."""

from dataclasses import replace

import pytest

from mlops_assets.evaluation import BusinessValue, FairnessPolicy
from mlops_assets.features.join import DECISION_TIME
from mlops_assets.orchestration.steps.datasets.training_sets import HOLDOUT, training_rows_of
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.records import EvaluationReport
from mlops_assets.scoring import CALIBRATION_PART
from mlops_assets.serving.served_model import ServedModel
from mlops_assets.training import trainer_named
from mlops_assets_tests._shop import MODEL


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

"""The dossier: what has to be in it, and that it is the same for the same evidence."""

import json
from dataclasses import replace

import pytest

from mlops_assets.digests import canonical_json, sha256_bytes
from mlops_assets.errors import GovernanceError
from mlops_assets.governance import REQUIREMENTS, build_dossier, dossier_record, missing_evidence
from mlops_assets.records import Metric
from mlops_assets_tests.governance._evidence import (
    EVALUATION,
    EVIDENCE,
    TRAINING_SET,
    VERSION,
    evidence,
    evidence_with_charter,
    evidence_with_evaluation,
)


@pytest.mark.parametrize("tier", ["minimal", "limited", "high"])
def test_complete_evidence_is_complete_for_every_tier(tier):
    """Nothing is asked for that cannot be given."""
    assert missing_evidence(evidence(risk_tier=tier)) == ()


def test_each_tier_asks_for_all_that_the_one_below_asks_for():
    """More risk never needs less evidence."""
    names = {tier: {requirement.name for requirement in needed} for tier, needed in REQUIREMENTS.items()}

    assert names["minimal"] < names["limited"] < names["high"]


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        (evidence_with_evaluation(challenger_metrics=()), ("metrics", "intervals")),
        (evidence_with_evaluation(reasons=()), ("gate reasons",)),
        (evidence(training_set=replace(TRAINING_SET, sources=())), ("data versions",)),
        (
            evidence_with_evaluation(challenger=replace(VERSION, reproducibility={})),
            ("reproducibility record",),
        ),
        (evidence(owners=(" ",)), ("owner",)),
        (evidence_with_charter(purpose=" "), ("purpose",)),
        (evidence_with_charter(limits=""), ("limits",)),
        (evidence(importance=()), ("feature importance",)),
        (evidence(unexplained="Nobody knows."), ("exact explanations",)),
        (evidence_with_evaluation(challenger_metrics=(Metric(name="auc", value=0.7, n=9),)), ("intervals",)),
        (
            evidence_with_evaluation(comparisons=EVALUATION.comparisons[:1]),
            ("comparison with the baseline",),
        ),
        (evidence_with_evaluation(slices=()), ("slices",)),
        (evidence(business_value={}), ("business value",)),
        (evidence_with_charter(users=""), ("users",)),
        (evidence_with_charter(affected=""), ("affected people",)),
        (evidence_with_charter(out_of_scope=""), ("uses out of scope",)),
        (evidence_with_charter(rationale=""), ("rationale",)),
        (evidence_with_charter(risks=""), ("risks",)),
        (evidence_with_charter(oversight=""), ("oversight",)),
    ],
)
def test_what_is_lacking_is_named(lacking, named):
    """One thing taken away is one thing missing."""
    assert missing_evidence(lacking) == named


def test_a_model_of_minimal_risk_needs_no_human_text():
    """Everything asked for is measured by the pipeline itself."""
    bare = evidence(risk_tier="minimal", owners=(), business_value={}, importance=(), charter=type(EVIDENCE.charter)())

    assert missing_evidence(bare) == ()


def test_the_same_evidence_gives_the_same_files():
    """A dossier written again keeps its digest, and an approval of it stays good."""
    first = dossier_record(EVIDENCE, build_dossier(EVIDENCE), path="somewhere")
    again = dossier_record(evidence(), build_dossier(evidence()), path="elsewhere")

    assert first.sha256 == again.sha256


@pytest.mark.parametrize(
    "changed",
    [
        evidence_with_charter(limits="None."),
        evidence_with_evaluation(reasons=("No reason.",)),
        evidence(risk_tier="limited"),
        evidence(owners=("somebody",)),
        evidence(business_value={"value_of_hit": 41.0}),
        evidence(importance=EVIDENCE.importance[::-1]),
        evidence(training_set=replace(TRAINING_SET, rows=84_001)),
    ],
)
def test_other_evidence_gives_another_digest(changed):
    """Every fact and every text is under the digest that is approved."""
    assert (
        dossier_record(changed, build_dossier(changed), path="p").sha256
        != dossier_record(EVIDENCE, build_dossier(EVIDENCE), path="p").sha256
    )


def test_the_files_are_canonical_facts_and_a_card():
    """What machines read is canonical JSON, what people read is Markdown."""
    files = build_dossier(EVIDENCE)

    facts = json.loads(files["dossier.json"])
    assert set(files) == {"dossier.json", "model_card.md"}
    assert canonical_json(facts) == files["dossier.json"]
    assert facts["model_version"]["sha256"] == VERSION.sha256
    assert facts["evaluation"]["challenger_metrics"][0]["low"] == 0.69
    assert all(facts["requirements"].values())


def test_the_record_names_version_evaluation_and_what_is_missing():
    """What the approval reads."""
    lacking = evidence_with_charter(risks="")

    dossier = dossier_record(lacking, build_dossier(lacking), path="dossiers/flight_delay/3")

    assert (dossier.model, dossier.model_version, dossier.evaluation_sha256) == (
        "flight_delay",
        VERSION,
        EVALUATION.sha256,
    )
    assert (dossier.path, dossier.risk_tier, dossier.missing) == ("dossiers/flight_delay/3", "high", ("risks",))
    assert dossier.sha256 != sha256_bytes(build_dossier(lacking)["dossier.json"])


def test_a_number_without_canonical_form_is_refused():
    """A NaN would make a digest that nobody can check."""
    broken = evidence_with_evaluation(challenger_metrics=(Metric(name="auc", value=float("nan"), n=1),))

    with pytest.raises(GovernanceError, match="NaN"):
        build_dossier(broken)


def test_evidence_of_two_versions_is_refused():
    """An evaluation and a training set that do not belong together prove nothing."""
    with pytest.raises(GovernanceError, match="mixed versions"):
        evidence(training_set=replace(TRAINING_SET, sha256="0" * 64))

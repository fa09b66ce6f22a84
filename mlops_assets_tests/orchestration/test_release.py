"""From training set to endpoint: what is refused, pending or broken on the way never touches what is live."""

import shutil
from datetime import timedelta

import dagster as dg
import pytest

from mlops_assets.cli.people import bring_back, decide_about
from mlops_assets.cli.showing import verify_audit
from mlops_assets.deployment import EndpointGoneError
from mlops_assets.errors import DeploymentError, GovernanceError, UnknownNameError
from mlops_assets.evaluation import BusinessValue, GatePolicy
from mlops_assets.governance import ApprovalPolicy, Charter, Event, gaps
from mlops_assets.orchestration import steps
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.record_io import RecordIO
from mlops_assets.orchestration.release_chain import release_assets
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.tags import AS_OF_TAG, REQUESTER_TAG
from mlops_assets.records import Approval, Dossier, EvaluationReport, ModelVersion, TrainingSet
from mlops_assets_tests._shop import LIVE, MODEL, Shop, days, failed_steps, keys, materialized, served, the_end_of

WEEK = days("2024-01-29", 7)
LATER = the_end_of(WEEK[-1])  # a week after the first release, with a week's new orders in
IMPOSSIBLE = GatePolicy(minimum_rows=100, minimum_per_class=20, worst_allowed=0.9999, resamples=100)
HIGH = {
    "risk_tier": "high",
    "charter": Charter(
        purpose="Pack what will come back less dearly.",
        users="The packers.",
        affected="Nobody but the packers.",
        out_of_scope="Whom to sell to.",
        limits="A made-up shop.",
        rationale="The branch and the price are known.",
        risks="Too little padding.",
        oversight="A packer may always add padding.",
    ),
}
BOSS, MAKER = "boss@shop.example", "maker@shop.example"


@pytest.fixture(scope="module")
def a_week_later(shop_project, grown, tmp_path_factory):
    """A home a week after the first release, to be copied."""
    home = tmp_path_factory.mktemp("later") / "home"
    shutil.copytree(grown, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_HOME", str(home))
        shop = Shop.on(shop_project, home)
        for day in WEEK:
            shop.land(day)
        assert not shop.bring_in(*WEEK)
        shop.at(LATER)
    return home


@pytest.fixture
def later(shop_project, a_week_later, tmp_path):
    """The shop a week after its first release: a challenger trained now is another model."""
    shutil.copytree(a_week_later, tmp_path / "home")
    return Shop.on(shop_project, tmp_path / "home")


def live(shop):
    """What answers, by the release file, by MLflow's alias and by the endpoint itself."""
    release = shop.home.releases.current(MODEL)
    return release, shop.home.tracking.alias_of(MODEL, "champion")


def events(shop):
    return [entry.event for entry in shop.home.state.audit_entries(model=MODEL)]


# --- the gate -------------------------------------------------------------------------------------


def test_a_refused_challenger_leaves_release_alias_and_endpoint_as_they_were(later):
    """The run fails where the gate stands; nothing behind it is made, and the champion answers on."""
    before, seen = live(later), len(events(later))

    with served(later) as endpoint:
        asked = endpoint.client.get(f"/models/{MODEL}").json()
        result = later.release(at=LATER, gate=IMPOSSIBLE)
        answered = endpoint.client.get(f"/models/{MODEL}").json()

    assert failed_steps(result) == {f"{MODEL}__evaluation"}
    assert materialized(result) == {f"{MODEL}/{stage}" for stage in ("training_set", "model", "evaluation")}
    assert live(later) == before
    assert answered == asked
    assert events(later)[seen:] == [Event.TRAINING_STARTED, Event.MODEL_TRAINED, Event.GATE_REFUSED]


def test_a_refusal_is_an_error_of_a_blocking_check_with_its_reasons(later):
    """The reasons are on the check, in the record and in the audit log, word for word."""
    check = later.checks(later.release(at=LATER, gate=IMPOSSIBLE))["promotion_gate"]

    report = later.home.records.get((MODEL, "evaluation"), None, EvaluationReport)
    refusal = later.home.state.audit_entries(model=MODEL)[-1]
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert not report.passed
    assert check.description == " ".join(report.reasons)
    assert refusal.data["reasons"] == list(report.reasons)
    assert "0.9999" in check.description


def test_mlflow_and_dagster_lead_to_each_other(later, monkeypatch):
    """The run names the Dagster run, by address where one is known, and both parts of its training set."""
    monkeypatch.setenv("MLOPS_DAGSTER_URL", "http://dagster.example:3000/")

    result = later.release(at=LATER, gate=IMPOSSIBLE)

    version = later.home.records.get((MODEL, "model"), None, ModelVersion)
    run = later.home.tracking._client().get_run(version.mlflow_run_id)
    assert run.data.tags["dagster_run_id"] == result.run_id
    assert run.data.tags["dagster_run_url"] == f"http://dagster.example:3000/runs/{result.run_id}"
    assert run.data.tags["mlflow.note.content"].startswith("Version 2 is refused")
    inputs = [each.dataset.name for each in run.inputs.dataset_inputs]
    assert {f"{MODEL}/training_set (train)", f"{MODEL}/training_set (holdout)", "validated/orders"} <= set(inputs)


def test_a_refused_challenger_has_its_report(later):
    """In the home, in short on Dagster's page, and with its pictures among the files of its run in MLflow."""
    result = later.release(at=LATER, gate=IMPOSSIBLE)

    report = later.home.records.get((MODEL, "evaluation"), None, EvaluationReport)
    page = later.home.report_path(MODEL, report.challenger.sha256)
    [shown] = result.asset_materializations_for_node(f"{MODEL}__evaluation")
    client = later.home.tracking._client()
    files = {file.path for file in client.list_artifacts(report.challenger.mlflow_run_id)}
    assert "Version 2 is refused, and version 1 stays" in page.read_text()
    assert "Version 2 is refused, and version 1 stays" in shown.metadata["headline"].value
    assert shown.metadata["report"].value == str(page)
    assert "version 1 | version 2" in shown.metadata["what changed"].value
    assert shown.metadata["verdict"].value == "fail"
    assert shown.metadata["why"].value.startswith("- Refused: ")
    assert "|  | version 2 | version 1 |" in shown.metadata["measures"].value
    assert "| Ranking | 0." in shown.metadata["measures"].value
    assert {"report.html", "plots", "bundle"} <= files


@pytest.mark.parametrize("stage", ["dossier", "approval", "endpoint"])
def test_what_the_gate_refused_cannot_be_brought_live_by_hand(later, stage):
    """Materializing what comes behind the gate on Dagster's page never deploys the version that was refused."""
    later.release(at=LATER, gate=IMPOSSIBLE)
    refused = later.home.records.get((MODEL, "evaluation"), None, EvaluationReport).challenger.sha256
    chain = {"dossier": ("dossier", "approval", "endpoint"), "approval": ("approval", "endpoint")}

    with served(later):
        later.materialize(*(f"{MODEL}/{name}" for name in chain.get(stage, ("endpoint",))), at=LATER)

    assert later.home.releases.current(MODEL).bundle_sha256 != refused
    assert gaps(later.home.state.audit_entries()) == ()


def test_a_better_challenger_goes_live_and_says_what_it_replaces(later):
    """Version, generation, alias and audit log agree."""
    before, _ = live(later)

    with served(later) as endpoint:
        result = later.release(at=LATER)
        answered = endpoint.client.get(f"/models/{MODEL}").json()

    release, alias = live(later)
    assert result.success
    assert (release.version, release.generation) == (2, 2)
    assert release.previous_bundle_sha256 == before.bundle_sha256
    assert alias == release.bundle_sha256 == answered["bundle_sha256"]
    assert gaps(later.home.state.audit_entries()) == ()


def test_the_endpoint_tells_what_its_score_means(shop):
    """In the words of the model's own label."""
    with served(shop) as endpoint:
        about = endpoint.client.get(f"/models/{MODEL}").json()

    assert about["label"] == "1 for an order that comes back."
    assert about["decision_rule"] == "none: the score is the answer"


def test_too_few_rows_stop_the_chain_before_a_model_is_fitted(later):
    """A blocking check on the training set; no version is registered."""
    window = later.folder.declaration.training.window.model_copy(update={"minimum_rows": 10**6})
    training = later.folder.declaration.training.model_copy(update={"window": window})

    result = later.release(at=LATER, training=training)

    check = later.checks(result)["enough_rows"]
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert failed_steps(result) == {f"{MODEL}__training_set"}
    assert len(later.home.state.versions(MODEL)) == 1


def test_without_an_endpoint_nothing_is_released(later):
    """The message says how to start one; what is live stays so, and the failure is on record."""
    before = live(later)

    result = later.release(at=LATER)

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failed_steps(result) == {f"{MODEL}__endpoint"}
    assert "mlops up" in str(failure.step_failure_data.error.cause)
    assert live(later) == before
    assert events(later)[-1] == Event.DEPLOYMENT_FAILED


def test_the_same_data_and_cut_off_give_the_same_version(shop):
    """A run that is retried makes no second version, and its challenger is the champion itself."""
    with served(shop):
        result = shop.release(at=LIVE)

    assert result.success
    assert [version.version for version in shop.home.state.versions(MODEL)] == [1]
    assert shop.home.releases.current(MODEL).version == 1


# --- approval ---------------------------------------------------------------------------------------


def release_high(shop, **options):
    return shop.release(at=LATER, tags={REQUESTER_TAG: MAKER}, **HIGH, gate=sliced(shop), value=trade(), **options)


def sliced(shop):
    return shop.folder.declaration.gate.model_copy(update={"slice_columns": ("branch",), "slice_minimum_rows": 50})


def trade():
    return BusinessValue(capacity_share=0.3, value_of_hit=10, cost_of_false_alarm=3)


def approve_and_go_on(shop, *, by=BOSS, at=LATER, **policies):
    """What a person does: approve the dossier they read, then materialize approval and endpoint."""
    dossier = shop.home.records.get((MODEL, "dossier"), None, Dossier)
    decide_about(shop.project, MODEL, digest=dossier.sha256, who=by, reason="read it", approve=True)
    folder = ModelFolder(shop.folder.path, shop.folder.declaration.model_copy(update={**HIGH, **policies}))
    home = HomeResource(path=str(shop.home.root))
    return dg.materialize(
        release_assets(folder),
        selection=keys(f"{MODEL}/approval", f"{MODEL}/endpoint"),
        instance=shop.instance,
        resources={"home": home, "io_manager": RecordIO(home=home)},
        tags={AS_OF_TAG: at.isoformat()},  # a run launched on Dagster's page does not say who asked for the model
        raise_on_error=False,
    )


def test_a_model_of_high_risk_waits_for_a_person(later):
    """The run fails at the approval, which says what to read and which command lets it through."""
    before = live(later)

    with served(later):
        result = release_high(later)

    check = later.checks(result)["granted"]
    dossier = later.home.records.get((MODEL, "dossier"), None, Dossier)
    assert failed_steps(result) == {f"{MODEL}__approval"}
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert f"mlops approve {MODEL} --digest {dossier.sha256}" in check.description
    assert live(later) == before
    assert events(later)[-1] == Event.APPROVAL_REQUESTED


def test_an_approval_lets_exactly_this_digest_through(later):
    """The boss reads the dossier and approves it; approval and endpoint then go through."""
    with served(later):
        release_high(later)
        result = approve_and_go_on(later)

    given = later.home.records.get((MODEL, "approval"), None, Approval)
    assert result.success
    assert (given.granted, given.by) == (True, BOSS)
    assert later.home.releases.current(MODEL).bundle_sha256 == given.model_version.sha256
    assert events(later)[-4:] == [
        Event.APPROVAL_GIVEN,
        Event.APPROVAL_GRANTED,
        Event.DEPLOYMENT_STARTED,
        Event.DEPLOYMENT_COMPLETED,
    ]
    assert gaps(later.home.state.audit_entries()) == ()


@pytest.mark.parametrize(("days", "goes_live"), [(0.1, True), (ApprovalPolicy().valid_days + 1, False)])
def test_a_run_started_again_finds_what_people_decided_since(later, days, goes_live):
    """It keeps its time, which was before anybody could decide; an approval that has lapsed by now does not count."""
    with served(later):
        release_high(later)
        dossier = later.home.records.get((MODEL, "dossier"), None, Dossier)
        later.at(LATER + timedelta(hours=1))
        decide_about(later.project, MODEL, digest=dossier.sha256, who=BOSS, reason="read it", approve=True)
        later.at(LATER + timedelta(hours=1, days=days))
        result = release_high(later)

    release, entries = later.home.releases.current(MODEL), later.home.state.audit_entries(model=MODEL)
    assert result.success is goes_live
    assert (release.bundle_sha256 == dossier.model_version.sha256) is goes_live
    assert goes_live or "lapsed" in later.checks(result)["granted"].description
    assert not goes_live or entries[-1].at >= next(e.at for e in entries if e.event == Event.APPROVAL_GIVEN)


# --- what the gate leaves open ----------------------------------------------------------------------


def doubtful(shop, **changed):
    """Give a gate that finds any advantage too good to be true."""
    return shop.folder.declaration.gate.model_copy(update={"suspicious_advantage": 1e-6, **changed})


def test_what_the_gate_leaves_open_is_documented_and_waits_for_a_person(later):
    """The gate's check warns with the reason, the approval blocks and says what to read and what to type."""
    before = live(later)

    with served(later):
        checks = later.checks(result := later.release(at=LATER, gate=doubtful(later)))

    report = later.home.records.get((MODEL, "evaluation"), None, EvaluationReport)
    gate, granted = checks["promotion_gate"], checks["granted"]
    assert (report.verdict, report.passed) == ("review", False)
    assert (gate.passed, gate.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (granted.passed, granted.severity, granted.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert report.reasons[0].startswith("Needs review: ")
    assert report.reasons[0] in granted.description
    assert f"mlops approve {MODEL} --digest" in granted.description
    assert failed_steps(result) == {f"{MODEL}__approval"}
    assert live(later) == before
    assert Event.GATE_LEFT_OPEN in events(later)


def test_a_person_may_let_go_on_what_the_gate_left_open(later):
    """Whatever the risk tier; and the story of the version has no gap."""
    with served(later):
        later.release(at=LATER, gate=doubtful(later))
        result = approve_and_go_on(later, risk_tier="limited", charter=later.folder.declaration.charter)

    given = later.home.records.get((MODEL, "approval"), None, Approval)
    assert result.success
    assert (given.granted, given.by) == (True, BOSS)
    assert later.home.releases.current(MODEL).bundle_sha256 == given.model_version.sha256
    assert gaps(later.home.state.audit_entries()) == ()


def test_leave_by_rule_does_not_outlive_a_doubt(later):
    """Judged again and left open, a version that had passed does not go live on the approval it had."""
    later.release(at=LATER)  # no endpoint runs: it passed, was approved by rule and did not go live
    given = later.home.records.get((MODEL, "approval"), None, Approval)
    training_set = later.home.records.get((MODEL, "training_set"), None, TrainingSet)
    again = ModelFolder(later.folder.path, later.folder.declaration.model_copy(update={"gate": doubtful(later)}))
    steps.evaluate(again, later.home, training_set, given.model_version, at=LATER)

    with served(later), pytest.raises(DeploymentError, match="has no leave to go live: Needs review"):
        steps.deploy(again, later.home, given, at=LATER)


def test_a_threshold_changed_once_the_result_is_known_leaves_a_trace_and_asks_a_person(later):
    """Before the fit the policy went on record; what was changed since is told field by field."""
    with served(later):
        later.release(at=LATER, gate=IMPOSSIBLE)
        eased = IMPOSSIBLE.model_copy(update={"worst_allowed": 0.5, "champion_evidence": "not_refuted"})
        later.release(at=LATER, gate=eased)

    report = later.home.records.get((MODEL, "evaluation"), None, EvaluationReport)
    entries = later.home.state.audit_entries(model=MODEL)
    told = [entry for entry in entries if entry.event == Event.POLICY_CHANGED]
    promised = [entry for entry in entries if entry.event == Event.TRAINING_STARTED]
    assert report.verdict == "review"
    assert "gate.worst_allowed" in report.reasons[0]
    assert told[-1].data["changed"]["gate.worst_allowed"] == [0.9999, 0.5]
    assert (told[-1].data["promised_sha256"], told[-1].data["policy_sha256"]) == (
        promised[-2].data["policy_sha256"],
        report.policy_sha256,
    )


def test_every_challenger_that_a_hold_out_has_judged_counts_as_a_look(later):
    """The same one judged again does not; the best of many is one of many, whichever was tried first."""
    later.release(at=LATER)
    training_set = later.home.records.get((MODEL, "training_set"), None, TrainingSet)
    declared = later.folder.declaration
    tried = []
    for seed in (1, 2):
        training = declared.training.model_copy(update={"seed": seed})
        folder = ModelFolder(later.folder.path, declared.model_copy(update={"training": training}))
        tried.append(steps.fit_model(folder, later.home, training_set, tags={}, requester="me"))
        steps.evaluate(folder, later.home, training_set, tried[-1], at=LATER)

    again = steps.evaluate(later.folder, later.home, training_set, tried[0], at=LATER)

    assert any("looked at 3 times" in reason for reason in again.reasons)


def test_whoever_asked_for_a_version_cannot_approve_it(later):
    """Nor can somebody who is not among the approvers."""
    before = live(later)

    with served(later):
        release_high(later)
        own = approve_and_go_on(later, by=MAKER)
        other = approve_and_go_on(later, by=BOSS, approval=ApprovalPolicy(approvers=("owner@shop.example",)))

    assert not own.success
    assert not other.success
    assert live(later) == before


def test_an_approval_of_another_digest_is_refused_at_the_command_line(later):
    """The digest of the bundle, or of an older dossier, is not what was to be read."""
    with served(later):
        release_high(later)
    dossier = later.home.records.get((MODEL, "dossier"), None, Dossier)

    with pytest.raises(GovernanceError, match="the bundle's digest, not the dossier's"):
        decide_about(
            later.project, MODEL, digest=dossier.model_version.sha256, who=BOSS, reason="read it", approve=True
        )

    assert later.home.state.approvals(MODEL, dossier.model_version.sha256) == ()


def test_a_rejection_holds_for_good(later):
    """A later approval by another does not lift it."""
    with served(later):
        release_high(later)
        dossier = later.home.records.get((MODEL, "dossier"), None, Dossier)
        decide_about(later.project, MODEL, digest=dossier.sha256, who="owner@shop.example", reason="no", approve=False)
        result = approve_and_go_on(later)

    assert not result.success
    assert "owner@shop.example rejected this version" in later.checks(result)["granted"].description


def test_an_incomplete_dossier_of_high_risk_stops_before_anybody_is_asked(later):
    """Without users, risks and oversight there is nothing to approve."""
    result = later.release(at=LATER, risk_tier="high")

    check = later.checks(result)["complete"]
    assert failed_steps(result) == {f"{MODEL}__dossier"}
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert "oversight" in check.description
    assert "risks" in check.description


def test_a_version_waits_for_an_endpoint_that_comes_back(later, monkeypatch):
    """A killed endpoint is no fault of the version, so the run does not fail for it."""
    monkeypatch.setattr("mlops_assets.orchestration.release_chain.ENDPOINT_WAIT_S", 0.05)
    deploy, attempts = steps.deploy, []

    def gone_twice(*given, **named):
        attempts.append(named["at"])
        if len(attempts) < 3:
            raise EndpointGoneError("nobody answers")
        return deploy(*given, **named)

    monkeypatch.setattr(steps, "deploy", gone_twice)
    with served(later):
        result = later.release(at=LATER)

    assert result.success
    assert attempts == [LATER] * 3
    assert live(later)[0].version == 2


# --- going back -----------------------------------------------------------------------------------


def test_a_rollback_puts_the_version_before_live_and_is_on_record(later):
    """With who did it and why; the endpoint answers with the old digest under a new generation."""
    first, _ = live(later)
    with served(later) as endpoint:
        later.release(at=LATER)

        back = bring_back(later.project, MODEL, reason="boxes came back broken", who=BOSS)
        answered = endpoint.client.get(f"/models/{MODEL}").json()

    intended, entry = later.home.state.audit_entries(model=MODEL)[-2:]
    assert answered["bundle_sha256"] == back.bundle_sha256 == first.bundle_sha256
    assert (back.version, back.generation) == (1, 3)
    assert (entry.event, entry.actor, entry.data["reason"]) == (Event.ROLLED_BACK, BOSS, "boxes came back broken")
    assert (intended.event, intended.actor) == (Event.DEPLOYMENT_STARTED, BOSS)  # a kill in between leaves no riddle
    assert gaps(later.home.state.audit_entries()) == ()


def test_after_a_rollback_the_champion_is_the_version_that_answers(later):
    """By every record that says which version is champion."""
    first, _ = live(later)
    with served(later):
        later.release(at=LATER)
        bring_back(later.project, MODEL, reason="boxes came back broken", who=BOSS)

    assert live(later)[1] == first.bundle_sha256


def test_there_is_nothing_to_go_back_to_after_the_first_release(shop):
    """And nothing is changed or recorded."""
    before = events(shop)

    with served(shop), pytest.raises(DeploymentError, match="no earlier version"):
        bring_back(shop.project, MODEL, reason="a test", who=BOSS)

    assert events(shop) == before


def test_a_model_that_is_not_there_is_told_with_those_that_are(shop):
    """A typing mistake at the command line."""
    with pytest.raises(UnknownNameError, match=f"Did you mean '{MODEL}'"):
        bring_back(shop.project, "come_back", reason="a test", who=BOSS)


# --- the audit log ----------------------------------------------------------------------------------


def test_a_life_by_the_book_has_no_gaps(shop, capsys):
    """Training, gate and approval come before the deployment, and the chain is whole."""
    verify_audit(shop.project)

    assert "none changed, nothing live without its evidence" in capsys.readouterr().out


def test_a_deployment_without_evidence_is_found(shop):
    """Somebody wrote a release past the pipeline and its deployment into the log."""
    subject = {"model": MODEL, "version": 9, "bundle_sha256": "f" * 64}
    shop.home.state.audit_append(
        Event.DEPLOYMENT_COMPLETED, actor="mallory", subject=subject, data={"generation": 2}, at=LATER
    )

    (gap,) = gaps(shop.home.state.audit_entries())

    assert gap.entry.actor == "mallory"
    assert gap.missing == (Event.MODEL_TRAINED, Event.GATE_PASSED, Event.APPROVAL_GRANTED)

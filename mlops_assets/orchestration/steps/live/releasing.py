"""From a judged version to what answers requests: documented, approved, brought live, or brought back."""

from datetime import datetime

import msgspec

from mlops_assets.deployment import TARGETS, Target
from mlops_assets.errors import DeploymentError, GovernanceError, MlopsError
from mlops_assets.governance import (
    BY_RULE,
    Event,
    Evidence,
    build_dossier,
    dossier_record,
)
from mlops_assets.governance import evaluate as evaluate_approval
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.training_sets import HOLDOUT, some_of, training_rows_of
from mlops_assets.orchestration.steps.datasets.vectorizing import Look
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.fitting.noting import PIPELINE, note
from mlops_assets.orchestration.steps.gate.reporting import explain_better, what_moves
from mlops_assets.records import Approval, Dossier, Endpoint, EvaluationReport, ModelVersion, TrainingSet
from mlops_assets.stores.home import Home
from mlops_assets.stores.releases import Release

EXPLAINED_ROWS = 2000  # enough for a ranking of features; contributions cost a hundred times a score


def write_dossier(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, report: EvaluationReport, *, at: datetime
) -> tuple[Dossier, str]:
    """Write the evidence of a version into its folder; give its record and the model card.

    Raises:
        GovernanceError: The gate refused the version, so nothing may follow from it.
    """
    declared, version = folder.declaration, report.challenger
    if report.verdict == "fail":
        # The check has stopped its own run, but Dagster lets anybody materialize what comes after it.
        raise GovernanceError(
            f"The gate refused {version.model} version {version.version}, so there is nothing to approve or deploy: "
            f"{report.reasons[0]} Train a better one, or change the gate in defs.yaml and evaluate again.",
            model=version.model,
            version=version.version,
        )
    bundle = LoadedBundle.of(stores, folder.name, version.sha256)
    held = training_rows_of(stores, training_set, part=HOLDOUT)
    explained = some_of(held, EXPLAINED_ROWS)
    importance, unexplained = what_moves(bundle, Look(bundle.vectorizer, stores).vectors(explained))
    evidence = Evidence(
        evaluation=report,
        training_set=training_set,
        risk_tier=declared.risk_tier,
        charter=declared.charter,
        owners=(declared.owner,) if declared.owner else (),
        business_value=declared.value.model_dump() if declared.value else {},
        importance=importance,
        explained_rows=explained.num_rows,
        unexplained=unexplained,
        predicts=declared.description,
        label=folder.label_meaning,
    )
    files = build_dossier(evidence)
    path = stores.write_dossier(folder.name, version.sha256, files)
    explain_better(folder, stores, version.sha256, importance, rows=explained.num_rows)
    made = dossier_record(evidence, files, path=str(path))
    stores.records.put(("dossiers", folder.name), version.sha256, made)
    note(
        stores,
        Event.DOSSIER_WRITTEN,
        version,
        {"dossier_sha256": made.sha256, "risk_tier": made.risk_tier, "missing": list(made.missing)},
        at=at,
    )
    return made, files["model_card.md"].decode()


def decide_approval(folder: ModelFolder, stores: Home, dossier: Dossier, *, at: datetime, now: datetime) -> Approval:
    """Say whether this version may go live, by rule or by what people decided about it.

    A run that is started again keeps its time, `at`. What people decided after that is judged as of `now`.
    """
    version = dossier.model_version
    decisions = stores.state.approvals(folder.name, version.sha256)
    if any(decision.at > at for decision in decisions):
        at = max(at, now)
    given = evaluate_approval(
        folder.declaration.approval,
        version,
        dossier,
        decisions,
        at,
        requester=_requester(stores, version),
    )
    note(
        stores,
        Event.APPROVAL_GRANTED if given.granted else Event.APPROVAL_REQUESTED,
        version,
        {"dossier_sha256": dossier.sha256, "by": given.by, "reason": given.reason},
        at=at,
    )
    return given


def deploy(folder: ModelFolder, stores: Home, approval: Approval, *, at: datetime) -> Endpoint:
    """Bring an approved version live; what was live before answers until then, and after a failure.

    Raises:
        DeploymentError: Approval is missing, the gate's newest word on the version is no, no endpoint runs, or the
            version did not come live.
    """
    version = approval.model_version
    verdict = stores.records.get(("evaluations", folder.name), version.sha256, EvaluationReport)
    left_open = verdict.verdict == "review" and approval.by == BY_RULE
    if not approval.granted or verdict.verdict == "fail" or left_open:
        raise DeploymentError(
            f"{version.model} version {version.version} has no leave to go live: "
            f"{verdict.reasons[0] if approval.granted else approval.reason}",
            model=version.model,
        )
    before = stores.releases.current(folder.name)
    note(stores, Event.DEPLOYMENT_STARTED, version, {"approval_sha256": approval.sha256}, at=at)
    try:
        live = _target(folder, stores).deploy(
            Release(
                model=folder.name,
                version=version.version,
                bundle_sha256=version.sha256,
                previous_version=before.version if before else None,
                previous_bundle_sha256=before.bundle_sha256 if before else None,
                generation=before.generation + 1 if before else 1,
                at=at,
            )
        )
    except MlopsError as error:
        note(stores, Event.DEPLOYMENT_FAILED, version, {"reason": str(error)}, at=at)
        raise
    note(
        stores,
        Event.DEPLOYMENT_COMPLETED,
        version,
        {"generation": live.generation, "replaces": live.previous_bundle_sha256, "version": live.version},
        at=at,
    )
    if version.mlflow_run_id:
        stores.tracking.set_alias(folder.name, version.mlflow_run_id, version.sha256, "champion")
    return live


def roll_back(folder: ModelFolder, stores: Home, *, by: str, reason: str, at: datetime) -> Endpoint:
    """Bring the version before the current one back, and put on record who did it and why.

    Raises:
        DeploymentError: There is none, or it did not come live.
    """
    before = stores.releases.current(folder.name)
    if before and before.previous_bundle_sha256:  # on record before it is done: a kill in between leaves no riddle
        stores.state.audit_append(
            Event.DEPLOYMENT_STARTED,
            actor=by,
            subject={"model": folder.name, "bundle_sha256": before.previous_bundle_sha256},
            data={"replaces": before.bundle_sha256, "reason": reason},
            at=at,
        )
    live = _target(folder, stores).rollback(folder.name, at=at)
    stores.state.audit_append(
        Event.ROLLED_BACK,
        actor=by,
        subject={"model": folder.name, "bundle_sha256": live.bundle_sha256},
        data={"generation": live.generation, "version": live.version, "reason": reason},
        at=at,
    )
    version = stores.records.get(("versions", folder.name), live.bundle_sha256, ModelVersion)
    if version.mlflow_run_id:
        stores.tracking.set_alias(folder.name, version.mlflow_run_id, version.sha256, "champion")
    return live


def in_use_since(stores: Home, view: str) -> datetime | None:
    """Tell when a model that reads `view` first went live; None if none has."""
    first = []
    for model in stores.releases.models():
        readers = {v.bundle_sha256 for v in stores.state.versions(model) if view in _views_of(v.record_json)}
        for entry in stores.state.audit_entries(model=model):
            if entry.event == Event.DEPLOYMENT_COMPLETED and entry.subject["bundle_sha256"] in readers:
                first.append(entry.at)
                break
    return min(first, default=None)


def _views_of(training_set: str) -> set[str]:
    return {view.name for view in msgspec.json.decode(training_set, type=TrainingSet).spec.views}


def _requester(stores: Home, version: ModelVersion) -> str:
    """Name who first asked for a version; the run that asks for its approval may be another, started by anybody."""
    asked = (
        entry.data["requested_by"]
        for entry in stores.state.audit_entries(model=version.model)
        if entry.event == Event.MODEL_TRAINED and entry.subject["bundle_sha256"] == version.sha256
    )
    return str(next(asked, PIPELINE))


def _target(folder: ModelFolder, stores: Home) -> Target[Release]:
    policy = folder.declaration.rollout
    if stores.endpoint_url is None:
        raise DeploymentError(
            f"No endpoint is known, so {folder.name} cannot go live; what is live stays so. Start the stack with "
            "`mlops up`, or name the endpoint in MLOPS_ENDPOINT_URL.",
            model=folder.name,
        )
    return TARGETS[policy.target](stores.releases, url=stores.endpoint_url, policy=policy)

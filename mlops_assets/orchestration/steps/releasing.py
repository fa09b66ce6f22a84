"""From a fitted model to what answers requests: judged, documented, approved, brought live, or brought back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.deployment import TARGETS, Target
from mlops_assets.errors import DeploymentError, GovernanceError, MlopsError
from mlops_assets.evaluation import judge
from mlops_assets.features.columns import as_arrays
from mlops_assets.features.join import DECISION_TIME, training_rows
from mlops_assets.governance import Event, Evidence, build_dossier, dossier_record, global_importance
from mlops_assets.governance import evaluate as evaluate_approval
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.bundles import LoadedBundle
from mlops_assets.orchestration.steps.learning import HOLDOUT, LABEL, TRAIN, training_rows_of
from mlops_assets.records import Approval, Dossier, Endpoint, EvaluationReport, ModelVersion, TrainingSet
from mlops_assets.stores.home import Home
from mlops_assets.stores.releases import Release
from mlops_assets.training import fit_baseline

EXPLAINED_ROWS = 2000  # enough for a ranking of features; contributions cost a hundred times a score
PIPELINE = "pipeline"


def evaluate(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, challenger: ModelVersion, *, at: datetime
) -> EvaluationReport:
    """Judge the challenger beside champion and baseline on the held-out rows, and put the verdict on record."""
    declared, name = folder.declaration, folder.name
    held = training_rows_of(stores, training_set, part=HOLDOUT)
    learnt = training_rows_of(stores, training_set, part=TRAIN)
    bundle = LoadedBundle.of(stores, name, challenger.sha256)
    vectors = _vectors(bundle, held, stores)
    release = stores.releases.current(name)
    champion = LoadedBundle.of(stores, name, release.bundle_sha256) if release else None
    baseline = fit_baseline(
        _vectors(bundle, learnt, stores),
        learnt[LABEL].to_numpy(),
        task=declared.task,
        categorical=bundle.vectorizer.categorical,
    )
    report = judge(
        declared.gate,
        challenger=challenger,
        champion_sha256=champion.sha256 if champion else None,
        window=training_set.holdout,
        y=held[LABEL].to_numpy(),
        challenger_scores=bundle.score(vectors),
        champion_scores=champion.score(_vectors(champion, held, stores)) if champion else None,
        baseline_scores=baseline.score(vectors),
        slices={column: np.asarray(held[column].to_pylist(), dtype=object) for column in declared.gate.slice_columns},
        value=declared.value,
        clusters=days_of_rows(held),
    )
    stores.records.put(("evaluations", name), challenger.sha256, report)
    judged = {
        "holdout": report.challenger_metrics,
        "champion": report.champion_metrics,
        "baseline": report.baseline_metrics,
    }
    if challenger.mlflow_run_id:
        stores.tracking.log_metrics(
            challenger.mlflow_run_id, {f"{who}.{m.name}": m.value for who, metrics in judged.items() for m in metrics}
        )
    _record(
        stores,
        Event.GATE_PASSED if report.passed else Event.GATE_REFUSED,
        challenger,
        {
            "evaluation_sha256": report.sha256,
            "policy_sha256": report.policy_sha256,
            "champion_sha256": report.champion_sha256,
            "reasons": list(report.reasons),
        },
        at=at,
    )
    return report


def write_dossier(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, report: EvaluationReport, *, at: datetime
) -> tuple[Dossier, str]:
    """Write the evidence of a version into its folder; give its record and the model card.

    Raises:
        GovernanceError: The gate refused the version, so nothing may follow from it.
    """
    declared, version = folder.declaration, report.challenger
    if not report.passed:
        # The check has stopped its own run, but Dagster lets anybody materialize what comes after it.
        raise GovernanceError(
            f"The gate refused {version.model} version {version.version}, so there is nothing to approve or deploy: "
            f"{report.reasons[0]} Train a better one, or change the gate in defs.yaml and evaluate again.",
            model=version.model,
            version=version.version,
        )
    bundle = LoadedBundle.of(stores, folder.name, version.sha256)
    held = training_rows_of(stores, training_set, part=HOLDOUT)
    sample = held.slice(0, EXPLAINED_ROWS)
    evidence = Evidence(
        evaluation=report,
        training_set=training_set,
        risk_tier=declared.risk_tier,
        charter=declared.charter,
        owners=(declared.owner,) if declared.owner else (),
        business_value=declared.value.model_dump() if declared.value else {},
        importance=global_importance(bundle.contributions(_vectors(bundle, sample, stores)), bundle.vectorizer.names),
    )
    files = build_dossier(evidence)
    path = stores.write_dossier(folder.name, version.sha256, files)
    made = dossier_record(evidence, files, path=str(path))
    stores.records.put(("dossiers", folder.name), version.sha256, made)
    _record(
        stores,
        Event.DOSSIER_WRITTEN,
        version,
        {"dossier_sha256": made.sha256, "risk_tier": made.risk_tier, "missing": list(made.missing)},
        at=at,
    )
    return made, files["model_card.md"].decode()


def decide_approval(folder: ModelFolder, stores: Home, dossier: Dossier, *, at: datetime) -> Approval:
    """Say whether this version may go live, by rule or by what people decided about it."""
    version = dossier.model_version
    given = evaluate_approval(
        folder.declaration.approval,
        version,
        dossier,
        stores.state.approvals(folder.name, version.sha256),
        at,
        requester=_requester(stores, version),
    )
    _record(
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
    if not approval.granted or not verdict.passed:
        raise DeploymentError(
            f"{version.model} version {version.version} has no leave to go live: "
            f"{verdict.reasons[0] if approval.granted else approval.reason}",
            model=version.model,
        )
    before = stores.releases.current(folder.name)
    _record(stores, Event.DEPLOYMENT_STARTED, version, {"approval_sha256": approval.sha256}, at=at)
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
        _record(stores, Event.DEPLOYMENT_FAILED, version, {"reason": str(error)}, at=at)
        raise
    _record(
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


def days_of_rows(rows: pa.Table) -> npt.NDArray[np.datetime64]:
    """Give the day of each decision: what happens on one day happens to all its rows."""
    days: npt.NDArray[np.datetime64] = rows[DECISION_TIME].to_numpy().astype("datetime64[D]")
    return days


def _vectors(bundle: LoadedBundle, rows: pa.Table, stores: Home) -> npt.NDArray[np.float64]:
    """Give the vectors a bundle would have seen, by its own code; views the rows were not joined with are looked up."""
    plan = bundle.vectorizer.plan
    if any(field.name not in rows.column_names for field in plan.inputs):
        bare = rows.select([*(field.name for field in plan.module.request), DECISION_TIME])
        rows = training_rows(plan, bare, {v.name: stores.tables.read(f"features/{v.name}") for v in plan.views})
    return bundle.vectorizer.vector(as_arrays(rows, plan.inputs))


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


def _record(stores: Home, event: Event, version: ModelVersion, data: Mapping[str, Any], *, at: datetime) -> None:
    stores.state.audit_once(
        event,
        actor=PIPELINE,
        subject={"model": version.model, "version": version.version, "bundle_sha256": version.sha256},
        data=dict(data),
        at=at,
    )

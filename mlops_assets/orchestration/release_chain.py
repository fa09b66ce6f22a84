"""The way of a version from its training set to the endpoint: six assets, one run, one cut-off.

    training_set -> model -> evaluation -> dossier -> approval -> endpoint

A blocking check stops the run where a promise is broken, so a refused challenger never touches what is live.
"""

import dagster as dg
from pydantic import BaseModel

from mlops_assets.deployment import EndpointGoneError
from mlops_assets.digests import sha256_bytes, sha256_json
from mlops_assets.orchestration import steps
from mlops_assets.orchestration.declaring import DECLARATION, FOLDER
from mlops_assets.orchestration.freshness import stale
from mlops_assets.orchestration.metadata import (
    bullet_list,
    clean,
    metric_metadata,
    schema,
    traced,
)
from mlops_assets.orchestration.model_asset import OfModel, asset_of, check_of, key_of
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.origins import of_training_set, plan_as_trained
from mlops_assets.orchestration.record_io import record_type
from mlops_assets.orchestration.report_metadata import report_metadata
from mlops_assets.orchestration.resources import HomeResource, as_of, now
from mlops_assets.orchestration.tags import BY_PEOPLE, REQUESTER_TAG, TRIGGER_TAG
from mlops_assets.records import (
    Approval,
    Dossier,
    Endpoint,
    EvaluationReport,
    ModelVersion,
    TrainingSet,
)
from mlops_assets.stores.home import Home
from mlops_assets.stores.tracking import DAGSTER_URL_TAG
from mlops_assets.training import OWN

# What a trainer of the model's own may fit with, and how Dagster calls the pictures it has of them.
FRAMEWORKS = ("torch", "tensorflow", "jax", "xgboost", "catboost", "lightgbm", "scikit-learn")
KINDS = {"sklearn": "scikitlearn", "scikit-learn": "scikitlearn", "torch": "pytorch"}
ENDPOINT_WAIT_S = 5.0  # three times, longer than it takes a supervisor to end all processes once one has died
RELEASE_CHAIN = ("training_set", "model", "evaluation", "dossier", "approval", "endpoint")
_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


def release_assets(folder: ModelFolder) -> list[dg.AssetsDefinition]:
    """Build the chain from training set to endpoint."""
    return [asset(folder) for asset in (_training_set, _model, _evaluation, _dossier, _approval, _endpoint)]


def _shared(folder: ModelFolder, stage: str, *sources: str, **policies: BaseModel | None) -> OfModel:
    """Give what an asset of the chain says; its code version is that of `sources` and of what is promised."""
    promised = {key: policy.model_dump(mode="json") if policy else None for key, policy in policies.items()}
    code_version = sha256_bytes("".join([*sources, sha256_json(promised)]).encode())[:12]
    return asset_of(folder, stage, code_version=code_version)


def _kind(folder: ModelFolder) -> str:
    """Name what fits the model, as Dagster has a picture of it."""
    trainer = folder.declaration.training.trainer
    if trainer == OWN:
        trainer = next((name for name in FRAMEWORKS if name in folder.trainer_needs), "python")
    return KINDS.get(trainer, trainer)


def _check(folder: ModelFolder, stage: str, name: str, description: str) -> dg.AssetCheckSpec:
    return check_of(folder, stage, name, description, blocking=True)


def _training_set(folder: ModelFolder) -> dg.AssetsDefinition:
    declared, name = folder.declaration, folder.name

    @dg.asset(
        dagster_type=record_type(TrainingSet),
        **_shared(folder, "training_set", folder.features_source, folder.model_source, training=declared.training),
        deps=[["validated", declared.decisions.table], *(["features", view] for view in declared.views)],
        description="Labelled decisions with every feature as it was known at the moment of the decision.",
        kinds={"python", "delta"},
        check_specs=[
            _check(folder, "training_set", "leakage", "No feature knows the future, the label or its copies."),
            _check(folder, "training_set", "enough_rows", "Enough labelled rows to learn from and to judge on."),
            _check(
                folder,
                "training_set",
                "fresh_data",
                "What is learnt from is no older than declared, unless a person asks.",
            ),
        ],
        pool="training",
    )
    def training_set(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
        stores, cut_off = home.open(), as_of(context, home.open())
        old = stale(home.promised(name), stores, cut_off)
        made, findings = steps.build_training_set(folder, stores, cut_off=cut_off)
        columns = stores.tables.version(made.table, made.version).columns
        least = declared.training.window.minimum_rows
        counted = f"{made.train.rows:,} rows to learn from, where at least {least:,} are asked for"
        return dg.MaterializeResult(
            value=made,
            data_version=dg.DataVersion(made.sha256),
            metadata={
                **clean(
                    {
                        "dagster/row_count": made.rows,
                        "train_rows": made.train.rows,
                        "holdout_rows": made.holdout.rows,
                        "label_mean": made.train.label_mean,
                        "cut_off": made.cut_off,
                        "features": len(made.spec.features),
                        "delta_version": made.version,
                        "sha256": made.sha256,
                        "read from": {source.table: [source.version, source.sha256[:12]] for source in made.sources},
                    }
                ),
                **traced(
                    {"dagster/column_schema": schema(columns, {})},
                    of_training_set(folder, plan_as_trained(folder, made.spec)),
                ),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="leakage",
                    passed=not findings,
                    description="; ".join(findings) or "nothing in the training set knows more than the decision did",
                ),
                dg.AssetCheckResult(check_name="enough_rows", passed=made.train.rows >= least, description=counted),
                dg.AssetCheckResult(
                    check_name="fresh_data",
                    passed=not old,
                    # Whoever asks for a training knows why; only what nobody asked for has to wait.
                    severity=_WARN if context.run.tags.get(TRIGGER_TAG, BY_PEOPLE) == BY_PEOPLE else _ERROR,
                    description="; ".join(old.values()) or "nothing is older than declared",
                ),
            ],
        )

    return training_set


def _model(folder: ModelFolder) -> dg.AssetsDefinition:
    declared = folder.declaration

    @dg.asset(
        dagster_type=record_type(ModelVersion),
        **_shared(
            folder,
            "model",
            folder.features_source,
            folder.model_source,
            folder.trainer_source or "",
            training=declared.training,
        ),
        ins={"training_set": dg.AssetIn(key_of(folder, "training_set"))},
        description=declared.description,
        kinds={_kind(folder), "mlflow"},
        metadata={DECLARATION: declared.model_dump_json(), FOLDER: str(folder.path)},
        check_specs=[
            _check(folder, "model", "reproducible", "All it takes to make the same model again is on record.")
        ],
        pool="training",
    )
    def model(context: dg.AssetExecutionContext, home: HomeResource, training_set: TrainingSet) -> dg.MaterializeResult:
        stores = home.open()
        made = steps.fit_model(
            folder,
            stores,
            training_set,
            tags=_way_back(stores, context.run.run_id),
            requester=context.run.tags.get(REQUESTER_TAG, steps.PIPELINE),
        )
        doubts = steps.unrepeatable(made)
        return dg.MaterializeResult(
            value=made,
            data_version=dg.DataVersion(made.sha256),
            metadata=clean(
                {
                    "version": made.version,
                    "bundle sha256": made.sha256,
                    "cut_off": made.cut_off,
                    "parameters": made.params,
                    "reproducibility": made.reproducibility,
                    "MLflow run": dg.MetadataValue.url(made.mlflow_url) if made.mlflow_url else made.mlflow_run_id,
                }
            ),
            check_results=[
                dg.AssetCheckResult(
                    check_name="reproducible",
                    passed=not doubts,
                    description="; ".join(doubts) or "every fact is on record, and the trainer fits alike twice",
                )
            ],
        )

    return model


def _evaluation(folder: ModelFolder) -> dg.AssetsDefinition:
    declared, name = folder.declaration, folder.name

    @dg.asset(
        dagster_type=record_type(EvaluationReport),
        **_shared(folder, "evaluation", *folder.own_tests.values(), gate=declared.gate, value=declared.value),
        ins={"training_set": dg.AssetIn(key_of(folder, "training_set")), "model": dg.AssetIn(key_of(folder, "model"))},
        description="Challenger, champion, simple baseline and a constant on the same held-out time.",
        kinds={"python"},
        check_specs=[_check(folder, "evaluation", "promotion_gate", "May this challenger replace what is live?")],
    )
    def evaluation(
        context: dg.AssetExecutionContext, home: HomeResource, training_set: TrainingSet, model: ModelVersion
    ) -> dg.MaterializeResult:
        stores = home.open()
        report = steps.evaluate(folder, stores, training_set, model, at=as_of(context, stores))
        page = stores.report_path(name, model.sha256)
        return dg.MaterializeResult(
            value=report,
            data_version=dg.DataVersion(report.sha256),
            metadata={
                **report_metadata(steps.judged(folder, stores, model.sha256), path=str(page)),
                **metric_metadata(report.challenger_metrics),
                **metric_metadata(report.champion_metrics, prefix="champion "),
                "reasons": bullet_list(report.reasons),
                "holdout_rows": report.window.rows,
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="promotion_gate",
                    passed=report.passed,
                    # What it leaves open goes on to be documented, and waits for a person at the approval.
                    severity=_WARN if report.verdict == "review" else _ERROR,
                    description=" ".join(report.reasons),
                    metadata={
                        **clean({f"{c.metric} gain over {c.other}": c.difference for c in report.comparisons}),
                        "reasons": bullet_list(report.reasons),
                    },
                )
            ],
        )

    return evaluation


def _dossier(folder: ModelFolder) -> dg.AssetsDefinition:
    declared = folder.declaration

    @dg.asset(
        dagster_type=record_type(Dossier),
        **_shared(folder, "dossier"),
        ins={stage: dg.AssetIn(key_of(folder, stage)) for stage in ("training_set", "evaluation")},
        description="The evidence for this version: model card, explanations, evaluation, data versions.",
        kinds={"markdown"},
        check_specs=[
            _check(folder, "dossier", "complete", f"Everything the risk tier {declared.risk_tier!r} asks for is there.")
        ],
    )
    def dossier(
        context: dg.AssetExecutionContext, home: HomeResource, training_set: TrainingSet, evaluation: EvaluationReport
    ) -> dg.MaterializeResult:
        made, card = steps.write_dossier(folder, home.open(), training_set, evaluation, at=as_of(context, home.open()))
        return dg.MaterializeResult(
            value=made,
            data_version=dg.DataVersion(made.sha256),
            metadata=clean(
                {
                    "version": made.model_version.version,
                    "risk tier": made.risk_tier,
                    "missing": ", ".join(made.missing) or "nothing",
                    "left to a person": "\n".join(made.review) or None,
                    "model card": dg.MetadataValue.md(card),
                    "folder": dg.MetadataValue.path(made.path),
                    "sha256": made.sha256,
                    "bundle sha256": made.model_version.sha256,
                }
            ),
            check_results=[
                dg.AssetCheckResult(
                    check_name="complete",
                    passed=not made.missing,
                    description=f"missing: {', '.join(made.missing)}"
                    if made.missing
                    else f"all is there that the risk tier {made.risk_tier!r} asks for",
                )
            ],
        )

    return dossier


def _approval(folder: ModelFolder) -> dg.AssetsDefinition:
    declared = folder.declaration

    @dg.asset(
        dagster_type=record_type(Approval),
        **_shared(folder, "approval", approval=declared.approval),
        ins={"dossier": dg.AssetIn(key_of(folder, "dossier"))},
        description="Leave to deploy exactly this bundle: by rule below high risk, by a person above.",
        kinds={"python"},
        check_specs=[_check(folder, "approval", "granted", "Granted for exactly this digest, and not expired.")],
    )
    def approval(context: dg.AssetExecutionContext, home: HomeResource, dossier: Dossier) -> dg.MaterializeResult:
        stores = home.open()
        given = steps.decide_approval(folder, stores, dossier, at=as_of(context, stores), now=now(stores))
        return dg.MaterializeResult(
            value=given,
            data_version=dg.DataVersion(given.sha256),
            metadata=clean(
                {
                    "version": given.model_version.version,
                    "granted": given.granted,
                    "by": given.by,
                    "reason": given.reason,
                    "bundle sha256": given.model_version.sha256,
                    "dossier sha256": given.dossier_sha256,
                }
            ),
            check_results=[dg.AssetCheckResult(check_name="granted", passed=given.granted, description=given.reason)],
        )

    return approval


def _endpoint(folder: ModelFolder) -> dg.AssetsDefinition:
    declared, name = folder.declaration, folder.name

    @dg.asset(
        dagster_type=record_type(Endpoint),
        **_shared(folder, "endpoint", rollout=declared.rollout),
        ins={"approval": dg.AssetIn(key_of(folder, "approval"))},
        description="What answers requests now.",
        kinds={"http"},
        check_specs=[_check(folder, "endpoint", "live", "The endpoint answers with this digest and the right scores.")],
        pool="deployment",
    )
    def endpoint(context: dg.AssetExecutionContext, home: HomeResource, approval: Approval) -> dg.MaterializeResult:
        try:
            # A run that is started again keeps its time, and people may have approved since.
            at = max(as_of(context, home.open()), approval.at)
            live = steps.deploy(folder, home.open(), approval, at=at)
        except EndpointGoneError as error:
            # It may be on its way back; if the whole stack is going, the run is tried again at the next start.
            raise dg.RetryRequested(max_retries=3, seconds_to_wait=ENDPOINT_WAIT_S) from error
        return dg.MaterializeResult(
            value=live,
            data_version=dg.DataVersion(live.bundle_sha256),
            metadata=clean(
                {
                    "endpoint": dg.MetadataValue.url(f"{live.url}/models/{name}"),
                    "version": live.version,
                    "generation": live.generation,
                    "bundle sha256": live.bundle_sha256,
                    "replaces": live.previous_bundle_sha256,
                }
            ),
            check_results=[
                dg.AssetCheckResult(
                    check_name="live", passed=True, description=f"version {live.version} answers at {live.url}"
                )
            ],
        )

    return endpoint


def _way_back(stores: Home, run_id: str) -> dict[str, str]:
    """Give the tags that lead from MLflow to the run of Dagster; an address only where its pages are known."""
    url = stores.settings.get("MLOPS_DAGSTER_URL")
    return {"dagster_run_id": run_id, **({DAGSTER_URL_TAG: f"{url.rstrip('/')}/runs/{run_id}"} if url else {})}

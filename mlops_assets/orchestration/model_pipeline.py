"""`ModelPipeline`: one folder becomes the whole life of a model.

    training_set -> model -> evaluation -> dossier -> approval -> endpoint        one run, one cut-off
    predictions -> parity, drift, performance                                             one run per window
    reproduction                                                                          what is live, once a week

Each asset is a shell: it takes records, calls one step, and returns the record that step made. A blocking check stops
the run where a promise is broken, so a refused challenger never touches what is live.
"""

from typing import Any

import dagster as dg
from pydantic import BaseModel

from mlops_assets.deployment import EndpointGoneError
from mlops_assets.digests import sha256_bytes, sha256_json
from mlops_assets.orchestration import steps
from mlops_assets.orchestration.declaring import DECLARATION, FOLDER, attributes_model, declare
from mlops_assets.orchestration.freshness import stale
from mlops_assets.orchestration.metadata import (
    bullet_list,
    clean,
    column_lineage,
    metric_metadata,
    metric_table,
    schema,
    table_metadata,
)
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.origins import of_predictions, of_training_set, plan_as_trained
from mlops_assets.orchestration.partitions import span_of
from mlops_assets.orchestration.raw_table import folder_of
from mlops_assets.orchestration.record_io import record_type
from mlops_assets.orchestration.report_metadata import report_metadata
from mlops_assets.orchestration.reproduction import reproduction_asset
from mlops_assets.orchestration.resources import HomeResource, as_of
from mlops_assets.orchestration.scaffolding import ModelPipelineScaffolder
from mlops_assets.records import (
    Approval,
    Dossier,
    DriftReport,
    Endpoint,
    EvaluationReport,
    ModelVersion,
    ParityReport,
    PerformanceReport,
    TableVersion,
    TrainingSet,
)
from mlops_assets.stores.home import Home
from mlops_assets.stores.tracking import DAGSTER_URL_TAG

TRIGGER_TAG = "mlops/trigger"  # what called for this release; absent where a person started the run
BY_PEOPLE = "request"  # the trigger of what people ask for
REQUESTER_TAG = "mlops/requested_by"  # who asked for this release: a person, or the sensor
TRAINER_KINDS = {"sklearn": "scikitlearn", "torch": "pytorch"}  # where Dagster has a picture under another name
ENDPOINT_WAIT_S = 5.0  # three times, longer than it takes a supervisor to end all processes once one has died
RELEASE_CHAIN = ("training_set", "model", "evaluation", "dossier", "approval", "endpoint")
_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
PARITY_SAMPLE = 2_000  # predictions of a window that are computed again
WATCH_CHAIN = ("predictions", "parity", "drift", "performance")


@dg.scaffold_with(ModelPipelineScaffolder)
class ModelPipeline(dg.Component, dg.Resolvable):
    """A model's whole life from one folder: `defs.yaml` (promises), `features.py` and `model.py` (what it is)."""

    def __init__(self, declaration: ModelDeclaration) -> None:
        self.declaration = declaration

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Give the schema of `attributes:`."""
        return attributes_model(ModelDeclaration)

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "ModelPipeline":
        """Build the component from YAML."""
        return cls(declare(ModelDeclaration, attributes, context))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the assets of the model; its name is its folder's."""
        folder = ModelFolder(folder_of(context), self.declaration)
        return dg.Definitions(assets=[*release_assets(folder), *watch_assets(folder), reproduction_asset(folder)])


def release_assets(folder: ModelFolder) -> list[dg.AssetsDefinition]:
    """Build the chain from training set to endpoint."""
    declared, name = folder.declaration, folder.name
    keys = {stage: dg.AssetKey([name, stage]) for stage in RELEASE_CHAIN}

    def shared(stage: str, *sources: str, **policies: BaseModel | None) -> dict[str, Any]:
        promised = {key: policy.model_dump(mode="json") if policy else None for key, policy in policies.items()}
        return {
            "key": keys[stage],
            "group_name": name,
            "owners": [declared.owner] if declared.owner else None,
            "code_version": sha256_bytes("".join([*sources, sha256_json(promised)]).encode())[:12],
            "op_tags": {"mlops/model": name},
        }

    def check(stage: str, check_name: str, description: str) -> dg.AssetCheckSpec:
        return dg.AssetCheckSpec(check_name, asset=keys[stage], blocking=True, description=description)

    @dg.asset(
        dagster_type=record_type(TrainingSet),
        **shared("training_set", folder.features_source, folder.model_source, training=declared.training),
        deps=[["validated", declared.decisions.table], *(["features", view] for view in declared.views)],
        description="Labelled decisions with every feature as it was known at the moment of the decision.",
        kinds={"duckdb", "delta"},
        check_specs=[
            check("training_set", "leakage", "No feature knows the future, the label or its copies."),
            check("training_set", "enough_rows", "Enough labelled rows to learn from and to judge on."),
            check("training_set", "fresh_data", "What is learnt from is no older than declared, unless a person asks."),
        ],
        pool="training",
    )
    def training_set(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
        stores, cut_off = home.open(), as_of(context, home.open())
        old = stale(home.promised(name), stores, cut_off)
        made, findings = steps.build_training_set(folder, stores, cut_off=cut_off)
        columns = stores.tables.version(made.table, made.version).columns
        least = declared.training.window.minimum_rows
        short = (
            f"{made.train.rows} rows to learn from, fewer than the {least} declared" if made.train.rows < least else ""
        )
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
                "dagster/column_schema": schema(columns, {}),
                **column_lineage(of_training_set(folder, plan_as_trained(folder, made.spec))),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="leakage",
                    passed=not findings,
                    description="; ".join(findings) or "nothing in the training set knows more than the decision did",
                ),
                dg.AssetCheckResult(check_name="enough_rows", passed=not short, description=short or "enough rows"),
                dg.AssetCheckResult(
                    check_name="fresh_data",
                    passed=not old,
                    # Whoever asks for a training knows why; only what nobody asked for has to wait.
                    severity=_WARN if context.run.tags.get(TRIGGER_TAG, BY_PEOPLE) == BY_PEOPLE else _ERROR,
                    description="; ".join(old.values()) or "no older than declared",
                ),
            ],
        )

    @dg.asset(
        dagster_type=record_type(ModelVersion),
        **shared("model", folder.features_source, folder.model_source, training=declared.training),
        ins={"training_set": dg.AssetIn(keys["training_set"])},
        description=declared.description,
        kinds={TRAINER_KINDS.get(declared.training.trainer, declared.training.trainer), "mlflow"},
        metadata={DECLARATION: declared.model_dump_json(), FOLDER: str(folder.path)},
        check_specs=[check("model", "reproducible", "All it takes to make the same model again is on record.")],
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

    @dg.asset(
        dagster_type=record_type(EvaluationReport),
        **shared("evaluation", *folder.own_tests.values(), gate=declared.gate, value=declared.value),
        ins={"training_set": dg.AssetIn(keys["training_set"]), "model": dg.AssetIn(keys["model"])},
        description="Challenger, champion, simple baseline and a constant on the same held-out time.",
        kinds={"python"},
        check_specs=[check("evaluation", "promotion_gate", "May this challenger replace what is live?")],
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
                "comparison": metric_table(
                    {
                        f"challenger v{model.version}": report.challenger_metrics,
                        **({"champion": report.champion_metrics} if report.champion_metrics else {}),
                        "baseline": report.baseline_metrics,
                    }
                ),
                "reasons": bullet_list(report.reasons),
                "behaviour": bullet_list([f"{each.name}: {each.words}" for each in report.behaviour]),
                **clean({"verdict": report.verdict, "holdout_rows": report.window.rows}),
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

    @dg.asset(
        dagster_type=record_type(Dossier),
        **shared("dossier"),
        ins={stage: dg.AssetIn(keys[stage]) for stage in ("training_set", "evaluation")},
        description="The evidence for this version: model card, explanations, evaluation, data versions.",
        kinds={"markdown"},
        check_specs=[
            check("dossier", "complete", f"Everything the risk tier {declared.risk_tier!r} asks for is there.")
        ],
    )
    def dossier(
        context: dg.AssetExecutionContext, home: HomeResource, training_set: TrainingSet, evaluation: EvaluationReport
    ) -> dg.MaterializeResult:
        made, card = steps.write_dossier(folder, home.open(), training_set, evaluation, at=as_of(context, home.open()))
        return dg.MaterializeResult(
            value=made,
            data_version=dg.DataVersion(made.sha256),
            metadata={
                "model card": dg.MetadataValue.md(card),
                "folder": dg.MetadataValue.path(made.path),
                "sha256": made.sha256,
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="complete",
                    passed=not made.missing,
                    description=f"missing: {', '.join(made.missing)}" if made.missing else "complete",
                )
            ],
        )

    @dg.asset(
        dagster_type=record_type(Approval),
        **shared("approval", approval=declared.approval),
        ins={"dossier": dg.AssetIn(keys["dossier"])},
        description="Leave to deploy exactly this bundle: by rule below high risk, by a person above.",
        kinds={"python"},
        check_specs=[check("approval", "granted", "Granted for exactly this digest, and not expired.")],
    )
    def approval(context: dg.AssetExecutionContext, home: HomeResource, dossier: Dossier) -> dg.MaterializeResult:
        given = steps.decide_approval(folder, home.open(), dossier, at=as_of(context, home.open()))
        return dg.MaterializeResult(
            value=given,
            data_version=dg.DataVersion(given.sha256),
            metadata=clean({"granted": given.granted, "by": given.by, "reason": given.reason}),
            check_results=[dg.AssetCheckResult(check_name="granted", passed=given.granted, description=given.reason)],
        )

    @dg.asset(
        dagster_type=record_type(Endpoint),
        **shared("endpoint", rollout=declared.rollout),
        ins={"approval": dg.AssetIn(keys["approval"])},
        description="What answers requests now.",
        kinds={"http"},
        check_specs=[check("endpoint", "live", "The endpoint answers with this digest and the right scores.")],
        pool="deployment",
    )
    def endpoint(context: dg.AssetExecutionContext, home: HomeResource, approval: Approval) -> dg.MaterializeResult:
        try:
            live = steps.deploy(folder, home.open(), approval, at=as_of(context, home.open()))
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

    return [training_set, model, evaluation, dossier, approval, endpoint]


def _way_back(stores: Home, run_id: str) -> dict[str, str]:
    """Give the tags that lead from MLflow to the run of Dagster; an address only where its pages are known."""
    url = stores.settings.get("MLOPS_DAGSTER_URL")
    return {"dagster_run_id": run_id, **({DAGSTER_URL_TAG: f"{url.rstrip('/')}/runs/{run_id}"} if url else {})}


def watch_assets(folder: ModelFolder) -> list[dg.AssetsDefinition]:
    """Build what watches the model, one partition per window."""
    declared, name = folder.declaration, folder.name
    windows = declared.monitor.windows
    keys = {stage: dg.AssetKey([name, stage]) for stage in WATCH_CHAIN}
    shared: dict[str, Any] = {
        "group_name": name,
        "owners": [declared.owner] if declared.owner else None,
        "partitions_def": windows.definition(),
        "code_version": sha256_json(declared.monitor.model_dump(mode="json"))[:12],
        "op_tags": {"mlops/model": name},
    }

    @dg.asset(
        key=keys["predictions"],
        dagster_type=record_type(TableVersion),
        deps=[dg.AssetDep([name, "endpoint"])],
        description="Every prediction the endpoint answered in this window, sealed from its log.",
        kinds={"delta"},
        check_specs=[
            dg.AssetCheckSpec("volume", asset=keys["predictions"], description="As many predictions as expected."),
            dg.AssetCheckSpec(
                "payload", asset=keys["predictions"], description="Inputs that the model has learnt to read."
            ),
        ],
        **shared,
    )
    def predictions(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
        stores = home.open()
        span = span_of(context.partition_key, length=windows.length)
        sealed, volume, payload = steps.seal_predictions(folder, stores, span)
        return dg.MaterializeResult(
            value=sealed,
            data_version=dg.DataVersion(sealed.sha256),
            metadata={
                **table_metadata(sealed, partitioned=True),
                **column_lineage(of_predictions(stores, name)),
            },
            check_results=[_warning("volume", volume), _warning("payload", payload)],
        )

    @dg.asset(
        key=keys["parity"],
        dagster_type=record_type(ParityReport),
        ins={"sealed": dg.AssetIn(keys["predictions"])},
        deps=[dg.AssetDep(["features", view], partition_mapping=dg.AllPartitionMapping()) for view in declared.views],
        description="Served vectors computed again from the stored tables, as known at each decision.",
        kinds={"duckdb"},
        check_specs=[
            dg.AssetCheckSpec("bit_for_bit", asset=keys["parity"], description="Served as training would have seen it.")
        ],
        **shared,
    )
    def parity(context: dg.AssetExecutionContext, home: HomeResource, sealed: TableVersion) -> dg.MaterializeResult:
        stores = home.open()
        rows = steps.sealed_predictions(stores, name, version=sealed.version, partitions=[context.partition_key])
        report = steps.check_parity(folder, stores, rows, at_most=PARITY_SAMPLE)
        return dg.MaterializeResult(
            value=report,
            data_version=dg.DataVersion(sha256_json(report)),
            metadata=clean({"vectors": report.n, "equal": report.equal, "differing by feature": report.differing}),
            check_results=[_parity_verdict(report)],
        )

    @dg.asset(
        key=keys["drift"],
        dagster_type=record_type(DriftReport),
        ins={"sealed": dg.AssetIn(keys["predictions"])},
        description="How far features and scores have moved from the training profile.",
        kinds={"python"},
        check_specs=[
            dg.AssetCheckSpec("drift", asset=keys["drift"], description="No feature, nor the score, keeps moving.")
        ],
        **shared,
    )
    def drift(context: dg.AssetExecutionContext, home: HomeResource, sealed: TableVersion) -> dg.MaterializeResult:
        stores = home.open()
        report = steps.measure_drift(folder, stores, sealed, span_of(context.partition_key, length=windows.length))
        standing = steps.standing_alerts(folder, stores, report)
        drifted = [column for column in report.columns if column.drifted]
        metric = declared.monitor.metric
        return dg.MaterializeResult(
            value=report,
            data_version=dg.DataVersion(report.sha256),
            metadata=clean(
                {
                    "rows": report.rows,
                    "features drifted": len(drifted),
                    f"score {metric}": report.score.values.get(metric) if report.score else None,
                    f"largest feature {metric}": max((c.values.get(metric, 0.0) for c in report.columns), default=0.0),
                    "features that moved": [f"{c.column}: {metric} {c.values.get(metric, 0):.2f}" for c in drifted],
                    "columns": {column.column: column.values for column in report.columns},
                }
            ),
            check_results=[_warning("drift", [str(alert) for alert in standing])],
        )

    @dg.asset(
        key=keys["performance"],
        dagster_type=record_type(PerformanceReport),
        ins={"sealed": dg.AssetIn(keys["predictions"])},
        deps=[dg.AssetDep(["validated", declared.decisions.table], partition_mapping=dg.AllPartitionMapping())],
        description="What the predictions of this window were worth, now that the labels are in.",
        kinds={"python"},
        check_specs=[
            dg.AssetCheckSpec(
                "as_promised", asset=keys["performance"], description="As good as the evaluation promised."
            )
        ],
        **shared,
    )
    def performance(
        context: dg.AssetExecutionContext, home: HomeResource, sealed: TableVersion
    ) -> dg.MaterializeResult:
        report = steps.measure_performance(
            folder, home.open(), sealed, span_of(context.partition_key, length=windows.length)
        )
        lost = (
            [f"{report.metrics[0].name} {report.metrics[0].value:.3f} against {report.expected.value:.3f} promised"]
            if report.degraded and report.expected
            else []
        )
        return dg.MaterializeResult(
            value=report,
            data_version=dg.DataVersion(report.sha256),
            metadata={
                **metric_metadata(report.metrics),
                **clean({"rows": report.rows, "label_coverage": report.coverage, "degraded": report.degraded}),
            },
            check_results=[_warning("as_promised", lost)],
        )

    return [predictions, parity, drift, performance]


def _parity_verdict(report: ParityReport) -> dg.AssetCheckResult:
    first = report.first
    return dg.AssetCheckResult(
        check_name="bit_for_bit",
        passed=report.equal == report.n,
        description=f"{report.n - report.equal} of {report.n} vectors differ, first {first.feature} of request "
        f"{first.key} at {first.time}: {first.served!r} was served, {first.recomputed!r} is recomputed; {first.cause}"
        if first
        else f"{report.n} vectors, all equal in every bit",
    )


def _warning(name: str, findings: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=not findings,
        severity=_WARN,
        description="; ".join(findings)[:2000] or "nothing to report",
        metadata={"findings": bullet_list(findings)} if findings else {},
    )

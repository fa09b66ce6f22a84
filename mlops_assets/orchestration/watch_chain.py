"""What watches a model: four assets with one partition per window of predictions.

    predictions -> parity, drift, performance

Their checks warn and block nothing: what is live stays live, and the sensor weighs what was found.
"""

import dagster as dg

from mlops_assets.digests import sha256_json
from mlops_assets.orchestration import steps
from mlops_assets.orchestration.metadata import (
    bullet_list,
    clean,
    metric_metadata,
    table_metadata,
    traced,
)
from mlops_assets.orchestration.model_asset import OfModel, asset_of, check_of, key_of
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.origins import of_predictions
from mlops_assets.orchestration.partitions import span_of
from mlops_assets.orchestration.record_io import record_type
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.records import (
    DriftReport,
    ParityReport,
    PerformanceReport,
    Span,
    TableVersion,
)

PARITY_SAMPLE = 2_000  # predictions of a window that are computed again
WATCH_CHAIN = ("predictions", "parity", "drift", "performance")


def watch_assets(folder: ModelFolder) -> list[dg.AssetsDefinition]:
    """Build what watches the model."""
    return [asset(folder) for asset in (_predictions, _parity, _drift, _performance)]


def _shared(folder: ModelFolder, stage: str) -> OfModel:
    return asset_of(folder, stage, code_version=sha256_json(folder.declaration.monitor.model_dump(mode="json"))[:12])


def _window(folder: ModelFolder, context: dg.AssetExecutionContext) -> Span:
    return span_of(context.partition_key, length=folder.declaration.monitor.windows.length)


def _predictions(folder: ModelFolder) -> dg.AssetsDefinition:
    @dg.asset(
        **_shared(folder, "predictions"),
        partitions_def=folder.declaration.monitor.windows.definition(),
        dagster_type=record_type(TableVersion),
        deps=[key_of(folder, "endpoint")],
        description="Every prediction the endpoint answered in this window, sealed from its log.",
        kinds={"delta"},
        check_specs=[
            check_of(folder, "predictions", "volume", "As many predictions as expected."),
            check_of(folder, "predictions", "payload", "Inputs that the model has learnt to read."),
        ],
    )
    def predictions(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
        stores = home.open()
        sealed, volume, payload = steps.seal_predictions(folder, stores, _window(folder, context))
        return dg.MaterializeResult(
            value=sealed,
            data_version=dg.DataVersion(sealed.sha256),
            metadata=traced(table_metadata(sealed, partitioned=True), of_predictions(stores, folder.name)),
            check_results=[_warning("volume", volume), _warning("payload", payload)],
        )

    return predictions


def _parity(folder: ModelFolder) -> dg.AssetsDefinition:
    declared, name = folder.declaration, folder.name

    @dg.asset(
        **_shared(folder, "parity"),
        partitions_def=declared.monitor.windows.definition(),
        dagster_type=record_type(ParityReport),
        ins={"sealed": dg.AssetIn(key_of(folder, "predictions"))},
        deps=[dg.AssetDep(["features", view], partition_mapping=dg.AllPartitionMapping()) for view in declared.views],
        description="Served vectors computed again from the stored tables, as known at each decision.",
        kinds={"python"},
        check_specs=[check_of(folder, "parity", "bit_for_bit", "Served as training would have seen it.")],
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

    return parity


def _drift(folder: ModelFolder) -> dg.AssetsDefinition:
    declared = folder.declaration

    @dg.asset(
        **_shared(folder, "drift"),
        partitions_def=declared.monitor.windows.definition(),
        dagster_type=record_type(DriftReport),
        ins={"sealed": dg.AssetIn(key_of(folder, "predictions"))},
        description="How far features and scores have moved from the training profile.",
        kinds={"python"},
        check_specs=[check_of(folder, "drift", "drift", "No feature, nor the score, keeps moving.")],
    )
    def drift(context: dg.AssetExecutionContext, home: HomeResource, sealed: TableVersion) -> dg.MaterializeResult:
        stores = home.open()
        report = steps.measure_drift(folder, stores, sealed, _window(folder, context))
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

    return drift


def _performance(folder: ModelFolder) -> dg.AssetsDefinition:
    declared = folder.declaration

    @dg.asset(
        **_shared(folder, "performance"),
        partitions_def=declared.monitor.windows.definition(),
        dagster_type=record_type(PerformanceReport),
        ins={"sealed": dg.AssetIn(key_of(folder, "predictions"))},
        deps=[dg.AssetDep(["validated", declared.decisions.table], partition_mapping=dg.AllPartitionMapping())],
        description="What the predictions of this window were worth, now that the labels are in.",
        kinds={"python"},
        check_specs=[check_of(folder, "performance", "as_promised", "As good as the evaluation promised.")],
    )
    def performance(
        context: dg.AssetExecutionContext, home: HomeResource, sealed: TableVersion
    ) -> dg.MaterializeResult:
        report = steps.measure_performance(folder, home.open(), sealed, _window(folder, context))
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

    return performance


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
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(findings)[:2000] or "nothing to report",
        metadata={"findings": bullet_list(findings)} if findings else {},
    )

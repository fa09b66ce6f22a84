"""Runs of Dagster told in OpenLineage's events: who made which version of what, from what, and what the checks said.

An asset is a job and a dataset of the same name. Each run makes two events of an asset, START and COMPLETE or FAIL, and
two more of its checks, whose run reads the asset. What is told of a run is the same each time it is told, down to the
run ids, so a receiver that hears it twice keeps it once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import dagster as dg
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState, set_producer
from openlineage.client.facet_v2 import (
    DatasetFacet,
    OutputDatasetFacet,
    RunFacet,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    schema_dataset,
    tags_run,
)

set_producer("urn:mlops-assets:orchestration")  # of events and facets alike: what in all the world said this
INPUT_VERSION, OWN_VERSION = "dagster/input_data_version/", "dagster/data_version"
TOLD = {
    dg.DagsterEventType.STEP_START,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}
SHOWN_OF_A_MESSAGE = 2000


@dataclass
class _Asset:
    """What the event log of a run says of one asset."""

    key: str
    step: str | None = None
    made: dg.AssetMaterialization | None = None
    made_at: float = 0.0
    partitions: list[str] = field(default_factory=list)
    checks: list[dg.AssetCheckEvaluation] = field(default_factory=list)
    checked_at: float = 0.0


def events_of(run: dg.DagsterRun, log: Iterable[dg.EventLogEntry], *, namespace: str) -> list[RunEvent]:
    """Give the events of a run that has ended, in the order things happened."""
    assets: dict[str, _Asset] = {}
    started: dict[str | None, float] = {}
    failed: dict[str | None, tuple[float, str]] = {}
    for entry in log:
        event = entry.dagster_event
        if event is None:
            continue
        kind = event.event_type
        if kind is dg.DagsterEventType.STEP_START:
            started.setdefault(entry.step_key, entry.timestamp)
        elif kind is dg.DagsterEventType.STEP_FAILURE:
            failed[entry.step_key] = entry.timestamp, _message(event)
        elif kind is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            asset = assets.setdefault(check.asset_key.to_user_string(), _Asset(check.asset_key.to_user_string()))
            asset.step, asset.checked_at = (
                asset.step or entry.step_key,
                entry.timestamp,
            )  # some have a step of their own
            asset.checks.append(check)
        elif event.asset_key is not None:
            asset = assets.setdefault(event.asset_key.to_user_string(), _Asset(event.asset_key.to_user_string()))
            asset.step = entry.step_key
            if kind is dg.DagsterEventType.ASSET_MATERIALIZATION:
                asset.made, asset.made_at = event.step_materialization_data.materialization, entry.timestamp
                asset.partitions += [asset.made.partition] if asset.made.partition else []
    tell = _Teller(run, namespace)
    told = [
        event
        for asset in assets.values()
        if asset.step in started
        for event in tell.asset(asset, started[asset.step], failed.get(asset.step))
    ]
    return sorted(told, key=lambda event: event.eventTime)


@dataclass(frozen=True)
class _Teller:
    """Puts what is known of the assets of one run into events."""

    dagster_run: dg.DagsterRun
    namespace: str

    def asset(self, asset: _Asset, started: float, failed: tuple[float, str] | None) -> Iterator[RunEvent]:
        if asset.made is not None:
            tags = asset.made.tags or {}
            inputs = [
                InputDataset(self.namespace, tag.removeprefix(INPUT_VERSION), facets=_version(version))
                for tag, version in sorted(tags.items())
                if tag.startswith(INPUT_VERSION)
            ]
            output = OutputDataset(
                self.namespace,
                asset.key,
                facets=self._facets(asset.made),
                outputFacets=_statistics(asset.made.metadata),
            )
            yield self._event(RunState.START, asset.key, started, asset, inputs=inputs)
            yield self._event(RunState.COMPLETE, asset.key, asset.made_at, asset, inputs=inputs, outputs=[output])
        elif failed is not None:
            error = error_message_run.ErrorMessageRunFacet(failed[1], "PYTHON")
            output = OutputDataset(self.namespace, asset.key)
            yield self._event(RunState.START, asset.key, started, asset)
            yield self._event(RunState.FAIL, asset.key, failed[0], asset, outputs=[output], errorMessage=error)
        if asset.checks:
            checked = InputDataset(
                self.namespace,
                asset.key,
                facets=_version((asset.made.tags or {}).get(OWN_VERSION) if asset.made else None),
                inputFacets={"dataQualityAssertions": _assertions(asset.checks)},
            )
            name = f"{asset.key}/checks"
            sound = all(check.passed or check.severity is dg.AssetCheckSeverity.WARN for check in asset.checks)
            end = RunState.COMPLETE if sound else RunState.FAIL
            yield self._event(RunState.START, name, started, asset)
            yield self._event(end, name, asset.checked_at, asset, inputs=[checked])

    def _event(
        self,
        state: RunState,
        job: str,
        at: float,
        asset: _Asset,
        *,
        inputs: Sequence[InputDataset] = (),
        outputs: Sequence[OutputDataset] = (),
        **facets: RunFacet,
    ) -> RunEvent:
        whole = self.dagster_run
        facets["parent"] = parent_run.ParentRunFacet(
            run=parent_run.Run(runId=whole.run_id), job=parent_run.Job(self.namespace, whole.job_name)
        )
        if asset.partitions:
            first, last = min(asset.partitions), max(asset.partitions)
            which = first if first == last else f"{first}..{last}"
            facets["tags"] = tags_run.TagsRunFacet([tags_run.TagsRunFacetFields("partition", which, "DAGSTER")])
        kind = job_type_job.JobTypeJobFacet(processingType="BATCH", integration="DAGSTER", jobType="ASSET")
        return RunEvent(
            eventType=state,
            eventTime=datetime.fromtimestamp(at, UTC).isoformat(),
            run=Run(str(uuid5(NAMESPACE_URL, f"{whole.run_id}/{job}")), facets=facets),
            job=Job(self.namespace, job, facets={"jobType": kind}),
            inputs=list(inputs),
            outputs=list(outputs),
        )

    def _facets(self, made: dg.AssetMaterialization) -> dict[str, DatasetFacet]:
        facets = _version((made.tags or {}).get(OWN_VERSION))
        columns = made.metadata.get("dagster/column_schema")
        if isinstance(columns, dg.TableSchemaMetadataValue):
            facets["schema"] = schema_dataset.SchemaDatasetFacet(
                fields=[
                    schema_dataset.SchemaDatasetFacetFields(column.name, column.type, column.description)
                    for column in columns.schema.columns
                ]
            )
        lineage = made.metadata.get("dagster/column_lineage")
        if isinstance(lineage, dg.TableColumnLineageMetadataValue):
            facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
                fields={
                    column: column_lineage_dataset.Fields(
                        inputFields=[
                            column_lineage_dataset.InputField(
                                self.namespace, dep.asset_key.to_user_string(), dep.column_name
                            )
                            for dep in deps
                        ]
                    )
                    for column, deps in lineage.column_lineage.deps_by_column.items()
                    if deps
                }
            )
        return facets


def _version(sha256: str | None) -> dict[str, DatasetFacet]:
    """Give the facet of a version: the digest of what is there, as Dagster's data version has it."""
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(sha256)} if sha256 else {}


def _statistics(metadata: Mapping[str, Any]) -> dict[str, OutputDatasetFacet]:
    rows = metadata.get("dagster/row_count") or metadata.get("dagster/partition_row_count")
    if rows is None:
        return {}
    facet = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=int(rows.value))
    return {"outputStatistics": facet}


def _assertions(
    checks: Iterable[dg.AssetCheckEvaluation],
) -> data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet:
    newest = {check.check_name: check for check in checks}
    return data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
        assertions=[
            data_quality_assertions_dataset.Assertion(
                assertion=name,
                success=check.passed,
                severity=check.severity.value.lower(),
                description=(check.description or "")[:SHOWN_OF_A_MESSAGE] or None,
            )
            for name, check in newest.items()
        ]
    )


def _message(event: dg.DagsterEvent) -> str:
    failure = event.step_failure_data
    said = failure.user_failure_data.description if failure.user_failure_data else None
    if not said:
        cause = failure.error
        while cause and cause.cause:
            cause = cause.cause
        said = cause.message if cause else "failed"
    return said.strip()[:SHOWN_OF_A_MESSAGE]

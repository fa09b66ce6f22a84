"""`RawTable`: data arrives, is kept as it came, and is let through its contract or held in quarantine.

raw/<table> -> validated/<table>
            -> quarantine/<table>     only when rows were refused
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic import BaseModel, Field

from mlops_assets.digests import sha256_json
from mlops_assets.errors import examples
from mlops_assets.governance import Event
from mlops_assets.orchestration.declaring import attributes_model, declare
from mlops_assets.orchestration.metadata import clean, table_metadata
from mlops_assets.orchestration.partitions import DailyPartitions, span_of
from mlops_assets.orchestration.record_io import record_type
from mlops_assets.orchestration.resources import HomeResource, as_of
from mlops_assets.orchestration.scaffolding import RawTableScaffolder
from mlops_assets.records import TableVersion
from mlops_assets.sources import AnySource, FileSource
from mlops_assets.stores.home import Home
from mlops_assets.validation import Contract, Validation, validate
from mlops_assets.validation.suite import QualitySuite, SuiteResult, check

DECLARATION = "mlops/declaration"
FOLDER = "mlops/folder"
WHOLE = None  # the "partition" of a table that has none


class TableDeclaration(BaseModel, frozen=True, extra="forbid"):
    """What `defs.yaml` may say of a raw table."""

    table: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$", description="The table's name; assets are raw/<table> and validated/<table>."
    )
    description: str = ""
    owner: str | None = Field(default=None, description="An e-mail address or team:<name>.")
    source: AnySource
    contract: Contract
    partitions: DailyPartitions | None = Field(default=None, description="Leave out for a table that is read whole.")
    suite: str | None = Field(default=None, description="File with a Great Expectations suite, beside defs.yaml.")
    arrives_within_hours: float | None = Field(
        default=None, gt=0, description="A day's newest row must not be older than this at the end of the day."
    )
    arrival_column: str | None = Field(default=None, description="The column that says when a row arrived.")


@dg.scaffold_with(RawTableScaffolder)
class RawTable(dg.Component, dg.Resolvable):
    """A table from a source, kept as it came, validated against its contract, its bad rows quarantined."""

    def __init__(self, declaration: TableDeclaration) -> None:
        self.declaration = declaration

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Give the schema of `attributes:`."""
        return attributes_model(TableDeclaration)

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "RawTable":
        """Build the component from YAML."""
        return cls(declare(TableDeclaration, attributes, context))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the assets raw, validated and quarantine."""
        return dg.Definitions(assets=table_assets(self.declaration, folder=context.path))


def table_assets(declared: TableDeclaration, *, folder: Path) -> Sequence[dg.AssetsDefinition]:
    """Build the assets of one table; `folder` is where its `defs.yaml` stands."""
    folder = folder if folder.is_dir() else folder.parent
    partitions = declared.partitions.definition() if declared.partitions else None
    shared: dict[str, Any] = {
        "group_name": folder.name,
        "owners": [declared.owner] if declared.owner else None,
        "code_version": sha256_json(declared.model_dump(mode="json"))[:12],
    }
    raw_key, good_key, bad_key = (dg.AssetKey([stage, declared.table]) for stage in ("raw", "validated", "quarantine"))
    suite = QualitySuite.load(folder / declared.suite) if declared.suite else None
    backfill = dg.BackfillPolicy.single_run() if partitions else None

    @dg.asset(
        key=raw_key,
        dagster_type=record_type(TableVersion),
        metadata={DECLARATION: declared.model_dump_json(), FOLDER: str(folder)},
        description=f"{declared.description}\n\nAs it came from: {declared.source.kind} {places(declared.source)}".strip(),
        kinds={declared.source.kind, "delta"},
        partitions_def=partitions,
        backfill_policy=backfill,
        check_specs=[
            dg.AssetCheckSpec("arrived", asset=raw_key, blocking=True, description="Rows came, and not too old.")
        ],
        pool="tables",
        **shared,
    )
    def raw(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
        stores = home.open()
        keys = context.partition_keys if partitions else [WHOLE]
        variables = {"here": str(folder), "landing": str(stores.landing)}
        batches = {
            key: declared.source.read(span_of(key) if key else None, variables={**variables, "partition": key or ""})
            for key in keys
        }
        version = write(stores, f"raw/{declared.table}", batches)
        faults = [fault for key, rows in batches.items() if (fault := lateness(rows, key, declared))]
        return dg.MaterializeResult(
            value=version,
            data_version=dg.DataVersion(version.sha256),
            metadata=table_metadata(version, partitioned=bool(partitions)),
            check_results=[
                dg.AssetCheckResult(
                    check_name="arrived",
                    passed=not faults,
                    description="; ".join(faults) or "rows are there and fresh",
                    metadata={"rows": version.rows},
                )
            ],
        )

    @dg.multi_asset(
        name=f"validate_{declared.table}",
        specs=[
            dg.AssetSpec(
                good_key,
                deps=[raw_key],
                skippable=True,
                description=f"Rows of raw/{declared.table} that keep the contract.",
                kinds={"pandera", "delta"},
                partitions_def=partitions,
                **shared,
            ),
            dg.AssetSpec(
                bad_key,
                deps=[raw_key],
                skippable=True,
                description=f"Rows of raw/{declared.table} that break the contract, each with its reasons.",
                kinds={"delta"},
                partitions_def=partitions,
                **shared,
            ),
        ],
        partitions_def=partitions,
        backfill_policy=backfill,
        check_specs=[
            dg.AssetCheckSpec("contract", asset=good_key, blocking=True, description="Pandera: structure and rows."),
            *(
                [
                    dg.AssetCheckSpec(
                        "quality", asset=good_key, blocking=True, description=f"Great Expectations: {suite.name}"
                    )
                ]
                if suite
                else []
            ),
        ],
        pool="tables",
    )
    def validated(context: dg.AssetExecutionContext, home: HomeResource) -> Any:
        stores = home.open()
        keys = context.partition_keys if partitions else [WHOLE]
        name = declared.table
        batches = {
            key: judge(stores.tables.read(f"raw/{name}", partitions=key and [key]), declared, suite) for key in keys
        }
        passed = {key: batch for key, batch in batches.items() if not batch.blocked}
        blocked = {key: batch for key, batch in batches.items() if batch.blocked}
        refused = {
            key: batch.validation.quarantined for key, batch in batches.items() if batch.validation.quarantined.num_rows
        }

        if refused or stores.tables.exists(f"quarantine/{name}"):
            held = write(
                stores, f"quarantine/{name}", {key: batch.validation.quarantined for key, batch in batches.items()}
            )
            if refused:
                yield dg.MaterializeResult(
                    asset_key=bad_key,
                    data_version=dg.DataVersion(held.sha256),
                    metadata={
                        **table_metadata(held, partitioned=bool(partitions)),
                        **clean({"rules": _total(batches.values()), "partitions": list(refused)}),
                    },
                )
                stores.state.audit_append(
                    Event.DATA_QUARANTINED,
                    actor="pipeline",
                    subject={"table": name},
                    data={"rows": held.rows, "rules": _total(batches.values()), "partitions": list(map(str, refused))},
                    at=as_of(context, stores),
                )
        version = (
            write(stores, f"validated/{name}", {key: batch.validation.good for key, batch in passed.items()})
            if passed
            else None
        )
        checks = _checks(good_key, batches, suite)
        if version:
            yield dg.MaterializeResult(
                asset_key=good_key,
                data_version=dg.DataVersion(version.sha256),
                metadata={
                    **table_metadata(version, partitioned=bool(partitions)),
                    "quarantined": sum(rows.num_rows for rows in refused.values()),
                },
                check_results=checks if not blocked else None,
            )
        if blocked:
            reasons = [f"{key or name}: {batch.why}" for key, batch in blocked.items()]
            stores.state.audit_append(
                Event.DATA_BLOCKED,
                actor="pipeline",
                subject={"table": name},
                data={"reasons": reasons[:20], "partitions": list(map(str, blocked))},
                at=as_of(context, stores),
            )
            yield from checks
            raise dg.Failure(
                f"{len(blocked)} of {len(batches)} batches of {name} broke the contract as a whole, so nothing of them went on; "
                f"what was validated before stays. Mend the source and materialize raw/{name} again: {examples(reasons)}",
                allow_retries=False,
            )

    return [raw, validated]


@dataclass(frozen=True, slots=True)
class JudgedBatch:
    """What contract and suite say of one batch."""

    validation: Validation
    suite: SuiteResult | None

    @property
    def blocked(self) -> bool:
        """Tell whether nothing of this batch may go on."""
        return self.validation.blocked or (self.suite is not None and not self.suite.passed)

    @property
    def why(self) -> str:
        """Say in words why the batch is blocked."""
        faults = [self.validation.summary] if self.validation.blocked else []
        if self.suite is not None and not self.suite.passed:
            faults.append(unmet(self.suite))
        return "; ".join(faults)


def places(source: AnySource) -> str:
    """Say where a source reads from."""
    return ", ".join(source.paths) if isinstance(source, FileSource) else source.query


def judge(rows: pa.Table, declared: TableDeclaration, suite: QualitySuite | None) -> JudgedBatch:
    """Hold one batch against its contract, and what passes against its suite."""
    validation = validate(rows, declared.contract, table=declared.table)
    return JudgedBatch(validation, check(validation.good, suite) if suite and not validation.blocked else None)


def unmet(result: SuiteResult) -> str:
    """Say which expectations a batch does not meet."""
    failed = [r for r in result.results if not r.success]
    return f"{result.suite}: " + examples(
        f"{r.name} of {r.column or 'the table'}: {r.observed}, expected {r.expected}" for r in failed
    )


def lateness(rows: pa.Table, key: str | None, declared: TableDeclaration) -> str | None:
    """Say what is wrong with the arrival of a batch, None if nothing is."""
    if not rows.num_rows:
        return f"{key or declared.table}: no rows came"
    if key is None or declared.arrives_within_hours is None or declared.arrival_column is None:
        return None
    newest = max(rows[declared.arrival_column].drop_null().to_pylist(), default=None)
    limit = span_of(key).end - timedelta(hours=declared.arrives_within_hours)
    if newest is None or newest < limit:
        return f"{key}: the newest row came at {newest}, before {limit}"
    return None


def write(stores: Home, table: str, batches: Mapping[str | None, pa.Table]) -> TableVersion:
    """Keep the batches of one run in one commit, each under its partition."""
    if WHOLE in batches:
        return stores.tables.write(table, batches[WHOLE])
    return stores.tables.write_partitions(table, {key: rows for key, rows in batches.items() if key is not None})


def _total(batches: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for batch in batches:
        for rule, count in batch.validation.counts.items():
            total[rule] = total.get(rule, 0) + count
    return total


def _checks(
    key: dg.AssetKey, batches: Mapping[str | None, JudgedBatch], suite: QualitySuite | None
) -> list[dg.AssetCheckResult]:
    broken = {name: batch for name, batch in batches.items() if batch.validation.blocked}
    results = [
        dg.AssetCheckResult(
            asset_key=key,
            check_name="contract",
            passed=not broken,
            description="; ".join(f"{name or ''} {batch.validation.summary}".strip() for name, batch in broken.items())[
                :2000
            ]
            or "every batch keeps its contract",
            metadata=clean(
                {"batches": len(batches), "blocked": len(broken), "quarantined rows by rule": _total(batches.values())}
            ),
        )
    ]
    if suite:
        judged = [batch.suite for batch in batches.values() if batch.suite]
        failed = [result for result in judged if not result.passed]
        results.append(
            dg.AssetCheckResult(
                asset_key=key,
                check_name="quality",
                passed=not failed,
                description="; ".join(unmet(result) for result in failed)[:2000] or f"{suite.name}: met by every batch",
                metadata=clean(
                    {
                        "batches": len(judged),
                        "failed": len(failed),
                        "expectations": [asdict(result) for result in judged[-1].results] if judged else [],
                    }
                ),
            )
        )
    return results

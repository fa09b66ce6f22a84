"""`RawTable`: data arrives, is kept as it came, and is let through its contract or held in quarantine.

raw/<table> -> validated/<table>
            -> quarantine/<table>     only when rows were refused
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field

from mlops_assets.digests import sha256_json
from mlops_assets.errors import examples
from mlops_assets.orchestration.declaring import DECLARATION, FOLDER, attributes_model, declare
from mlops_assets.orchestration.metadata import clean, expectations_table, table_metadata, traced
from mlops_assets.orchestration.origins import of_copy
from mlops_assets.orchestration.partitions import freshness_policy
from mlops_assets.orchestration.record_io import record_type
from mlops_assets.orchestration.resources import HomeResource, as_of
from mlops_assets.orchestration.scaffolding import RawTableScaffolder
from mlops_assets.orchestration.steps.intake.arriving import note_read_whole
from mlops_assets.orchestration.steps.intake.contracts import refusal_of
from mlops_assets.orchestration.steps.intake.ingesting import Judged, ingest, judge
from mlops_assets.orchestration.steps.intake.redriving import waive
from mlops_assets.orchestration.steps.intake.standing import Key
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.records import TableVersion
from mlops_assets.validation.suite import QualitySuite


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
        return dg.Definitions(assets=table_assets(self.declaration, folder=folder_of(context)))


class Waiver(dg.Config):
    """What a person waives of the batches of a run: `waive` names rules, as the quarantine and its page do."""

    waive: list[str] = Field(default=[], description="Rules that hold no row of these batches back any more.")
    reason: str = Field(default="", description="Why; it goes into the audit log.")
    by: str = Field(default="", description="Who waives them; it goes into the audit log.")


def folder_of(context: dg.ComponentLoadContext) -> Path:
    """Give the folder in which a component's `defs.yaml` stands."""
    path = Path(context.path)
    return path if path.is_dir() else path.parent


def table_assets(declared: TableDeclaration, *, folder: Path) -> Sequence[dg.AssetsDefinition]:
    """Build the assets of one table; `folder` is where its `defs.yaml` stands."""
    partitions = declared.partitions.definition() if declared.partitions else None
    backfill = dg.BackfillPolicy.single_run() if partitions else None
    raw_key, good_key, bad_key = (dg.AssetKey([stage, declared.table]) for stage in ("raw", "validated", "quarantine"))
    suite = QualitySuite.load(folder / declared.suite) if declared.suite else None
    meaning = {name: rule.meaning for name, rule in declared.contract.columns.items()}
    copied = of_copy(f"raw/{declared.table}", declared.contract.columns)
    shared: dict[str, Any] = {
        "group_name": folder.name,
        "owners": [declared.owner] if declared.owner else None,
        "code_version": sha256_json(declared.model_dump(mode="json"))[:12],
        "partitions_def": partitions,
    }
    fresh = freshness_policy(declared.stale, declared.partitions)

    def keys(context: dg.AssetExecutionContext) -> Sequence[Key]:
        return context.partition_keys if partitions else [None]

    @dg.asset(
        key=raw_key,
        dagster_type=record_type(TableVersion),
        metadata={DECLARATION: declared.model_dump_json(), FOLDER: str(folder)},
        description=f"{declared.description}\n\nFrom {declared.places}".strip(),
        kinds={declared.source.kind, "delta"},
        backfill_policy=backfill,
        freshness_policy=fresh,
        check_specs=[
            dg.AssetCheckSpec(
                "contract_version", asset=raw_key, blocking=True, description="Who relied on the contract still may."
            ),
            dg.AssetCheckSpec("arrived", asset=raw_key, blocking=True, description="Rows came, and not too old."),
            dg.AssetCheckSpec("volume", asset=raw_key, blocking=True, description="About as many rows as usual."),
            dg.AssetCheckSpec("structure", asset=raw_key, blocking=True, description="Columns as the contract says."),
        ],
        pool="tables",
        **shared,
    )
    def raw(context: dg.AssetExecutionContext, home: HomeResource) -> Iterator[Any]:
        stores = home.open()
        if refused := refusal_of(declared, stores):
            yield _check(raw_key, "contract_version", {None: refused})
            raise dg.Failure(refused, allow_retries=False)
        came = ingest(declared, stores, keys(context), folder=folder, at=as_of(context, stores))
        checks = [
            _check(raw_key, "contract_version", {}),
            _check(raw_key, "arrived", came.late),
            _volume(raw_key, declared, came.odd),
            _check(raw_key, "structure", came.misfits),
        ]
        if came.version is None:
            yield from checks
            raise refusal(declared, came.misfits)
        if not partitions:
            note_read_whole(stores, came.version.table, as_of(context, stores))
        yield dg.MaterializeResult(
            value=came.version,
            data_version=dg.DataVersion(came.version.sha256),
            metadata=table_metadata(came.version, partitioned=bool(partitions), meaning=meaning),
            check_results=checks,
        )

    def spec(key: dg.AssetKey, description: str, *kinds: str) -> dg.AssetSpec:
        return dg.AssetSpec(key, deps=[raw_key], skippable=True, description=description, kinds={*kinds}, **shared)

    blocking = {"quality": True, "quality_warnings": False} if suite else {}

    @dg.multi_asset(
        name=f"validate_{declared.table}",
        specs=[
            spec(
                good_key, f"Rows of raw/{declared.table} that keep the contract.", "pandera", "delta"
            ).replace_attributes(freshness_policy=fresh),
            spec(bad_key, f"Rows of raw/{declared.table} that break it, each with its reasons.", "delta"),
        ],
        partitions_def=partitions,
        backfill_policy=backfill,
        check_specs=[
            dg.AssetCheckSpec(
                "contract",
                asset=good_key,
                blocking=True,
                description="Every row keeps the contract, or is held in quarantine.",
            ),
            *(
                dg.AssetCheckSpec(
                    name, asset=good_key, blocking=blocks, description=f"Suite {suite.name if suite else ''}."
                )
                for name, blocks in blocking.items()
            ),
        ],
        pool="tables",
    )
    def validated(context: dg.AssetExecutionContext, config: Waiver, home: HomeResource) -> Iterator[Any]:
        stores = home.open()
        if refused := refusal_of(declared, stores):
            yield _check(good_key, "contract", {None: refused})
            raise dg.Failure(refused, allow_retries=False)
        at = as_of(context, stores)
        for key in keys(context) if config.waive else ():
            waive(declared, suite, stores, key, rules=config.waive, reason=config.reason, by=config.by, at=at)
        judged = judge(declared, stores, keys(context), suite, at=at)
        if judged.held and judged.refused_rows:
            yield dg.MaterializeResult(
                asset_key=bad_key,
                data_version=dg.DataVersion(judged.held.sha256),
                metadata={
                    **traced(table_metadata(judged.held, partitioned=bool(partitions), meaning=meaning), copied),
                    **clean({"rules": judged.rules}),
                },
            )
        checks = _verdicts(good_key, judged, suite)
        if judged.version and not partitions:
            note_read_whole(stores, judged.version.table, as_of(context, stores))
        if judged.version:
            yield dg.MaterializeResult(
                asset_key=good_key,
                data_version=dg.DataVersion(judged.version.sha256),
                metadata={
                    **traced(table_metadata(judged.version, partitioned=bool(partitions), meaning=meaning), copied),
                    **clean({"quarantined": judged.refused_rows, "waived": judged.waived or None}),
                    "quality_report": dg.MetadataValue.path(judged.newest_page),
                },
                check_results=[] if judged.blocked else checks,
            )
        if judged.blocked:
            yield from checks
            raise refusal(declared, judged.blocked)

    return [raw, validated]


def refusal(declared: TableDeclaration, reasons: Mapping[Key, str]) -> dg.Failure:
    """Give the failure of a run some of whose batches may not go on."""
    return dg.Failure(
        f"{len(reasons)} batches of {declared.table} are not what is promised of them, so nothing of them went on; "
        f"what was there before stays. Mend the source and materialize raw/{declared.table} again. "
        + examples(f"{key}: {reason}" if key else reason for key, reason in reasons.items()),
        allow_retries=False,
    )


def _check(key: dg.AssetKey, name: str, faults: Mapping[Key, str]) -> dg.AssetCheckResult:
    said = "; ".join(f"{partition}: {fault}" if partition else fault for partition, fault in faults.items())
    return dg.AssetCheckResult(
        asset_key=key, check_name=name, passed=not faults, description=said[:2000] or "as it should be"
    )


def _volume(key: dg.AssetKey, declared: TableDeclaration, faults: Mapping[Key, str]) -> dg.AssetCheckResult:
    blocks = declared.volume.on_fault == "block"
    severity = dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN
    return _check(key, "volume", faults)._replace(severity=severity)


def _verdicts(key: dg.AssetKey, judged: Judged, suite: QualitySuite | None) -> list[dg.AssetCheckResult]:
    shown = {"quality_report": dg.MetadataValue.path(judged.newest_page)}
    contract = _check(key, "contract", judged.blocked_by_contract)
    if contract.passed:
        held = f"{judged.refused_rows:,} rows are held in quarantine, the others keep it"
        contract = contract._replace(description=held if judged.refused_rows else "every row keeps it")
    found = clean({"quarantined rows": judged.refused_rows, "by rule": judged.rules, "waived": judged.waived or None})
    results = [contract._replace(metadata={**found, **shown})]
    if suite:
        quality, warnings = (
            _check(key, "quality", judged.blocked_by_suite),
            _check(key, "quality_warnings", judged.warnings),
        )
        table = {"expectations": expectations_table(judged.newest.expectations), **shown}
        results.append(quality._replace(metadata=table))
        results.append(warnings._replace(metadata=table, severity=dg.AssetCheckSeverity.WARN))
    return results

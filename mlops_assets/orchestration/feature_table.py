"""`FeatureTable`: a feature view, computed once, read by training from its table and by the endpoint online."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import dagster as dg
import pyarrow as pa
from pydantic import BaseModel, Field, model_validator

from mlops_assets.digests import sha256_json
from mlops_assets.features.definition import ViewDefinition
from mlops_assets.features.redefinition import computation_of
from mlops_assets.features.revision import revise
from mlops_assets.features.view import PartitionedTable, compute, compute_many
from mlops_assets.orchestration.declaring import DECLARATION, FOLDER, attributes_model, declare
from mlops_assets.orchestration.metadata import table_metadata, traced
from mlops_assets.orchestration.origins import of_view
from mlops_assets.orchestration.partitions import DailyPartitions, span_of
from mlops_assets.orchestration.raw_table import folder_of
from mlops_assets.orchestration.record_io import record_type
from mlops_assets.orchestration.resources import HomeResource, as_of
from mlops_assets.orchestration.scaffolding import FeatureTableScaffolder
from mlops_assets.orchestration.steps.datasets.training_sets import VIEWS
from mlops_assets.orchestration.steps.intake import defining
from mlops_assets.orchestration.steps.intake.arriving import note_read_whole
from mlops_assets.orchestration.steps.intake.ingesting import write
from mlops_assets.orchestration.steps.intake.reopening import made_of
from mlops_assets.orchestration.steps.intake.standing import Key
from mlops_assets.orchestration.steps.live.answering import other_shapes
from mlops_assets.orchestration.steps.live.redefined import not_of_one
from mlops_assets.orchestration.steps.live.releasing import in_use_since
from mlops_assets.orchestration.view_attributes import complete
from mlops_assets.records import Span, TableVersion
from mlops_assets.stores.home import Home
from mlops_assets.stores.tables import WHOLE

STAMPS = {"event_time": "When the row was true.", "known_at": "From when on a decision may look it up."}


class FeatureTableDeclaration(ViewDefinition, frozen=True, extra="forbid"):
    """What `defs.yaml` may say of a feature view, and how it is partitioned."""

    partitions: DailyPartitions | None = Field(default=None, description="As the tables it is computed from.")
    retention_days: float | None = Field(
        default=None, ge=1, description="How long old versions are kept; for ever if left out."
    )

    @model_validator(mode="after")
    def _windows_end_with_a_partition(self) -> Self:
        if self.aggregates and not self.partitions:
            raise ValueError("aggregates look back from the end of a partition, so the view needs `partitions`")
        return self


@dg.scaffold_with(FeatureTableScaffolder)
class FeatureTable(dg.Component, dg.Resolvable):
    """A feature view as an asset: computed per partition, kept as a table, projected into the online store."""

    def __init__(self, declaration: FeatureTableDeclaration) -> None:
        self.declaration = declaration

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Give the schema of `attributes:`."""
        return attributes_model(FeatureTableDeclaration)

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "FeatureTable":
        """Build the component from YAML."""
        return cls(declare(FeatureTableDeclaration, attributes, context, complete=complete))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the asset features/<view>."""
        return dg.Definitions(assets=[view_asset(self.declaration, folder=folder_of(context))])


def view_asset(declared: FeatureTableDeclaration, *, folder: Path) -> dg.AssetsDefinition:
    """Build the asset of one feature view."""
    partitions = declared.partitions.definition() if declared.partitions else None
    key = dg.AssetKey(["features", declared.name])

    @dg.asset(
        key=key,
        dagster_type=record_type(TableVersion),
        deps=[_upstream(table, declared, partitioned=partitions is not None) for table in declared.tables.values()],
        description=declared.description,
        group_name=folder.name,
        owners=[declared.owner] if declared.owner else None,
        kinds={declared.python.frames if declared.python else "duckdb", "delta"},
        # What is not said is left out, so that an option added to the product makes no view look changed.
        code_version=sha256_json(declared.model_dump(mode="json", exclude_defaults=True))[:12],
        metadata={DECLARATION: declared.model_dump_json(), FOLDER: str(folder)},
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
        check_specs=[
            dg.AssetCheckSpec(
                "keys_known_once", asset=key, blocking=True, description="No two rows of a key share known_at."
            ),
            dg.AssetCheckSpec(
                "one_definition", asset=key, description="All days, and what is live, are of one definition of each."
            ),
        ],
        pool="tables",
    )
    def features(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
        stores = home.open()
        keys: Sequence[Key] = context.partition_keys if partitions else [None]
        version, online = refresh_view(declared, stores, keys, at=as_of(context, stores))
        mixed = not_of_one(stores, computation_of(declared))
        return dg.MaterializeResult(
            value=version,
            data_version=dg.DataVersion(version.sha256),
            metadata={
                **traced(
                    table_metadata(version, partitioned=bool(partitions), meaning=STAMPS | declared.describe),
                    of_view(declared, _columns_of(declared, stores)),
                ),
                "keys_refreshed_online": online,
            },
            # `compute` refuses ties, so whatever was written passed.
            check_results=[
                dg.AssetCheckResult(check_name="keys_known_once", passed=True, metadata={"rows": version.rows}),
                dg.AssetCheckResult(
                    check_name="one_definition",
                    passed=not mixed,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=" ".join(mixed) or "every day is computed as declared, and live models learnt that",
                ),
            ],
        )

    return features


def refresh_view(
    declared: FeatureTableDeclaration, stores: Home, keys: Sequence[Key], *, at: datetime
) -> tuple[TableVersion, int]:
    """Compute the partitions `keys` of a view, for the endpoint and for training; give the table and the rows online.

    The table comes last: a day counts as in when its table has it, so what a kill cuts off before is done again.
    """
    notes = made_of(stores.tables, [f"validated/{table}" for table in declared.tables.values()], keys)
    rows, view = compute_partitions(declared, stores, keys, at=at), declared.record()
    definition = defining.take_into_use(stores, computation_of(declared))
    notes = {key: {**note, defining.NOTE: definition} for key, note in notes.items()}
    stores.records.put(VIEWS, view.name, view)
    offered = pa.concat_tables(rows.values())
    for shape in other_shapes(stores, view):
        stores.online.write(shape, offered)
    online = stores.online.write(view, offered)
    version = write(stores, f"features/{declared.name}", rows, notes=notes)
    if declared.partitions is None:
        note_read_whole(stores, version.table, at)
    return version, online


def compute_partitions(
    declared: FeatureTableDeclaration, stores: Home, keys: Sequence[Key], *, at: datetime
) -> Mapping[Key, pa.Table]:
    """Compute the rows of a view for the partitions `keys` from the stored tables it reads.

    Once a model that reads the view is live, rows that are late or come again are known from `at` on, when they came.
    Before, no endpoint looked for them, and the archive is taken to have been in time.
    """
    spans: dict[Key, Span] = {key: span_of(key) for key in keys if key}
    tables = {
        alias: _read(f"validated/{table}", declared, stores, list(spans.values()))
        for alias, table in declared.tables.items()
    }
    rows: dict[Key, pa.Table] = (
        {**compute_many(declared, tables, {**spans})} if spans else {None: compute(declared, tables)}
    )
    live_since = in_use_since(stores, declared.name)
    if live_since is None:
        return rows
    late = [key for key in keys if _is_late(declared, key, live_since=live_since, at=at)]
    view = declared.record()
    return rows | {key: revise(view, rows[key], before=_there(stores, declared, key), at=at) for key in late}


def _is_late(declared: ViewDefinition, key: Key, *, live_since: datetime, at: datetime) -> bool:
    """Tell whether an endpoint may have looked for a partition before `at`, when it came in or came again."""
    if key is None:
        return at > live_since
    end = span_of(key).end
    return at > end + declared.available_after and end + declared.ttl >= live_since


def _there(stores: Home, declared: ViewDefinition, key: Key) -> pa.Table | None:
    """Give a partition, or the whole of a table that has none, without what is computed otherwise by now.

    None if it was never written.
    """
    table = f"features/{declared.name}"
    contents = stores.tables.contents(table) if stores.tables.exists(table) else {}
    if (key or WHOLE) not in contents:
        return None
    rows = stores.tables.read(table, partitions=[key] if key else None)
    changed = defining.otherwise(stores, computation_of(declared), {key or WHOLE: contents[key or WHOLE]})
    return rows.drop_columns([name for name in rows.column_names if name in changed.get(key or WHOLE, {})])


def _read(table: str, declared: ViewDefinition, stores: Home, spans: Sequence[Span]) -> PartitionedTable:
    """Read what the partitions may look at: from the first day's look-back to the last day."""
    if not spans or not stores.tables.partitions(table):
        return stores.tables.read(table)
    first = min(span.start for span in spans) - timedelta(days=declared.lookback_days)
    last = max(span.start for span in spans)
    return stores.tables.read_partitions(table, since=first.date().isoformat(), until=last.date().isoformat())


def _upstream(table: str, declared: ViewDefinition, *, partitioned: bool) -> dg.AssetDep:
    key = dg.AssetKey(["validated", table])
    if not partitioned:
        return dg.AssetDep(key)
    return dg.AssetDep(
        key,
        partition_mapping=dg.TimeWindowPartitionMapping(
            start_offset=-declared.lookback_days, end_offset=0, allow_nonexistent_upstream_partitions=True
        ),
    )


def _columns_of(declared: ViewDefinition, stores: Home) -> dict[str, list[str]]:
    return {
        table: [column.name for column in stores.tables.version(f"validated/{table}").columns]
        for table in declared.tables.values()
    }

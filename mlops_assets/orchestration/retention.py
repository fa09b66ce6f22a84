"""Retention as declared, table by table, and the schedule that carries it out once a day."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import dagster as dg

from mlops_assets.orchestration.feature_table import FeatureTableDeclaration
from mlops_assets.orchestration.metadata import clean as safe
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.partitions import DAY
from mlops_assets.orchestration.resources import HomeResource, now
from mlops_assets.orchestration.steps.archive.keeping import Deletion, Retention, clean
from mlops_assets.orchestration.table_declaration import TableDeclaration


def declared_retention(
    tables: Mapping[str, tuple[Path, TableDeclaration]],
    views: Mapping[str, tuple[Path, FeatureTableDeclaration]],
    models: Mapping[str, ModelFolder],
) -> tuple[Retention, ...]:
    """Give what `retention_days` in the declarations means for each stored table."""
    found: list[Retention] = []
    for _, table in tables.values():
        if days := table.retention_days:
            day = DAY if table.partitions else None
            found += [Retention(table=f"{stage}/{table.table}", days=days, partition=day) for stage in _ROWS_STAY]
            found += [Retention(table=f"quarantine/{table.table}", days=days, partition=day, rows_too=True)]
    for _, view in views.values():
        if days := view.retention_days:
            day = DAY if view.partitions else None
            found += [Retention(table=f"features/{view.name}", days=days, partition=day)]
    for name, folder in models.items():
        if days := folder.declaration.retention_days:
            window: timedelta = folder.declaration.monitor.windows.length
            found += [
                Retention(table=f"{name}/training_set", days=days),
                Retention(table=f"{name}/predictions", days=days, partition=window, rows_too=True, logged_by=name),
            ]
    return tuple(found)


_ROWS_STAY = ("raw", "validated")


def retention_schedule(declared: tuple[Retention, ...]) -> dg.ScheduleDefinition:
    """Build the schedule that deletes what is older than declared; `MLOPS_RETENTION_CRON` moves it (default: 03:17)."""

    @dg.op(
        name="delete_what_is_older", pool="tables", description="As `retention_days` is declared; see `mlops table`."
    )
    def delete(context: dg.OpExecutionContext, home: HomeResource) -> None:
        stores = home.open()
        deleted = [each for each in clean(stores, declared, now=now(stores)) if not each.nothing]
        for each in deleted:
            context.log.info(said(each))
        context.add_output_metadata(safe({each.table: said(each) for each in deleted}))

    @dg.job(name="retention", description="Deletes what is older than declared, and nothing that is protected.")
    def retention() -> None:
        delete()

    return dg.ScheduleDefinition(
        name="retention",
        job=retention,
        cron_schedule=os.environ.get("MLOPS_RETENTION_CRON", "17 3 * * *"),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Deletes what is older than declared.",
    )


def said(deletion: Deletion) -> str:
    """Say what goes, and what stays although it is as old, in one line."""
    parts = [
        f"{len(deletion.versions)} old versions ({deletion.files} files)" if deletion.files else "",
        f"rows of {_span(deletion.partitions)}" if deletion.partitions else "",
        f"logged predictions of {_span(deletion.log_days)}" if deletion.log_days else "",
        f"{len(deletion.records)} records" if deletion.records else "",
    ]
    gone = ", ".join(part for part in parts if part) or "nothing"
    kept = "; ".join(f"version {version} stays: {', '.join(why)}" for version, why in deletion.protected.items())
    return f"{deletion.table}, before {deletion.before:%Y-%m-%d %H:%M}: {gone}{f'; {kept}' if kept else ''}"


def _span(keys: tuple[str, ...]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"

"""A project's folder of declarations, as one Dagster code location."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import dagster as dg
import msgspec
from pydantic import BaseModel

from mlops_assets.features.tracing import require_traced_inputs
from mlops_assets.orchestration.declaring import DECLARATION, FOLDER
from mlops_assets.orchestration.feature_table import FeatureTableDeclaration
from mlops_assets.orchestration.freshness import Inputs, freshness_checks, freshness_sensor
from mlops_assets.orchestration.kept_from_models import require_kept_from_models
from mlops_assets.orchestration.known_names import require_known_names
from mlops_assets.orchestration.lineage_export import lineage_sensors
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.origins import plan_of
from mlops_assets.orchestration.record_io import RecordIO
from mlops_assets.orchestration.release_chain import RELEASE_CHAIN
from mlops_assets.orchestration.reproduction import REPRODUCTION, reproduce_schedule
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.retention import declared_retention, retention_schedule
from mlops_assets.orchestration.schedules import refresh_schedule, whole_tables_schedule
from mlops_assets.orchestration.sensors import retrain_sensor, tick_interval_s, watch_sensor
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.orchestration.tags import PURPOSE_TAG
from mlops_assets.orchestration.watch_chain import WATCH_CHAIN
from mlops_assets.orchestration.yaml_files import require_readable
from mlops_assets.stores.home import DEFAULT_HOME
from mlops_assets.validation import Promise

REFRESH_JOB, REFRESH_WHOLE_JOB, RELEASE_JOB, REPRODUCE_JOB = "refresh", "refresh_whole", "release", "reproduce"
COMPONENTS = tuple(
    f"mlops_assets.orchestration.{name}" for name in ("Entity", "FeatureTable", "ModelPipeline", "RawTable")
)
DATA_STAGES = ("raw", "validated", "quarantine", "features")

D = TypeVar("D", bound=BaseModel)


def project_definitions(path: str | Path) -> dg.Definitions:
    """Load everything declared below the project's `defs/`, with the stores, sensors and schedule it needs.

    `path` is any file or folder inside the project, usually `__file__` of its `definitions.py`.
    """
    project = dg.ComponentTree.for_project(path_within_project=Path(path))
    require_readable(project.defs_module_path, components=COMPONENTS)
    loaded = dg.load_from_defs_folder(path_within_project=Path(path))
    declared = dg.Definitions.merge(loaded, _resources(promises={}))
    models = declared_models(declared)
    tables, views = declared_tables(declared), declared_views(declared)
    require_known_names(declared, tables=tables, views=views, models=models)
    for folder in models.values():
        require_traced_inputs(plan_of(folder, {name: view.record() for name, (_, view) in views.items()}))
    require_kept_from_models(tables=tables, views=views, models=models)
    daily, inputs = daily_tables(declared), Inputs.declared(tables, views)
    jobs, sensors, schedules = [], lineage_sensors(), []
    promises = list(inputs.promises.values())
    ages = freshness_checks(promises)  # the sensor's to tell; of what was brought in just now, nobody need ask
    if models:
        release = dg.define_asset_job(RELEASE_JOB, selection=_chain(models, RELEASE_CHAIN))
        # A job has one partitions definition, so models watched in other windows get a job of their own.
        windows = sorted({folder.declaration.monitor.windows for folder in models.values()}, key=str)
        watched = {w: {n: f for n, f in models.items() if f.declaration.monitor.windows == w} for w in windows}
        names = {w: f"watch_{w.every}s" + (f"_{n}" if n else "") for n, w in enumerate(windows)}
        watch = {w: dg.define_asset_job(names[w], selection=_chain(watched[w], WATCH_CHAIN)) for w in windows}
        reproduce = dg.define_asset_job(REPRODUCE_JOB, selection=_chain(models, [REPRODUCTION]))
        jobs += [release, *watch.values(), reproduce]
        schedules += [reproduce_schedule(models, job_name=REPRODUCE_JOB)]
        sensors += [retrain_sensor(models, job_name=RELEASE_JOB, inputs=inputs), watch_sensor(models, jobs=watch)]
    if daily:
        jobs += [
            dg.define_asset_job(
                REFRESH_JOB, selection=_without(ages, daily_assets(declared)), tags={PURPOSE_TAG: REFRESH_JOB}
            )
        ]
        schedules += [refresh_schedule(daily, sources=tables, job_name=REFRESH_JOB)]
    if whole := whole_tables(declared):
        selected = _without(ages, dg.AssetSelection.assets(*[table.split("/") for table in whole]))
        jobs += [dg.define_asset_job(REFRESH_WHOLE_JOB, selection=selected, tags={PURPOSE_TAG: REFRESH_WHOLE_JOB})]
        schedules += [whole_tables_schedule(whole, sources=tables, job_name=REFRESH_WHOLE_JOB)]
    if promises:
        sensors += [freshness_sensor(promises, interval_s=tick_interval_s())]
    if kept := declared_retention(tables, views, models):
        schedules += [retention_schedule(kept)]
    return dg.Definitions.merge(
        loaded,
        _resources(promises={name: inputs.of(folder.declaration) for name, folder in models.items()}),
        dg.Definitions(asset_checks=ages, jobs=jobs, sensors=sensors, schedules=schedules),
    )


def _without(checks: Sequence[dg.AssetChecksDefinition], selection: dg.AssetSelection) -> dg.AssetSelection:
    return selection - dg.AssetSelection.checks(*checks) if checks else selection


def _resources(*, promises: Mapping[str, Sequence[Promise]]) -> dg.Definitions:
    """Give what runs need; `promises` say how fresh what each model learns from has to be."""
    home = HomeResource(
        path=os.environ.get("MLOPS_HOME") or DEFAULT_HOME,
        promises={name: msgspec.json.encode(promised).decode() for name, promised in promises.items()},
    )
    return dg.Definitions(
        resources={"home": home, "io_manager": RecordIO(home=home)},
        # Light steps: a spawned process per step costs seconds, a function call a tenth of one.
        executor=dg.in_process_executor,
    )


def _chain(models: Iterable[str], stages: Iterable[str]) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*[[name, stage] for name in models for stage in stages])


def declared_models(defs: dg.Definitions) -> dict[str, ModelFolder]:
    """Give the folder and the promises of every model, read back from the asset that carries them."""
    return {
        spec.key.path[0]: ModelFolder(
            Path(spec.metadata[FOLDER]), ModelDeclaration.model_validate_json(spec.metadata[DECLARATION])
        )
        for spec in defs.resolve_all_asset_specs()
        if DECLARATION in spec.metadata and spec.key.path[-1] == "model"
    }


def declared_tables(defs: dg.Definitions) -> dict[str, tuple[Path, TableDeclaration]]:
    """Give the folder and the declaration of every raw table, read back from the asset that carries them."""
    return _declared(defs, TableDeclaration, stage="raw")


def declared_views(defs: dg.Definitions) -> dict[str, tuple[Path, FeatureTableDeclaration]]:
    """Give the folder and the declaration of every feature view, read back from the asset that carries them."""
    return _declared(defs, FeatureTableDeclaration, stage="features")


def _declared(defs: dg.Definitions, kind: type[D], *, stage: str) -> dict[str, tuple[Path, D]]:
    return {
        spec.key.path[-1]: (Path(spec.metadata[FOLDER]), kind.model_validate_json(spec.metadata[DECLARATION]))
        for spec in defs.resolve_all_asset_specs()
        if DECLARATION in spec.metadata and spec.key.path[0] == stage
    }


def daily_assets(defs: dg.Definitions) -> dg.AssetSelection:
    """Select what a day's data goes through: raw, validated, quarantine and feature tables with day partitions."""
    return dg.AssetSelection.assets(
        *[
            spec.key
            for spec in defs.resolve_all_asset_specs()
            if spec.key.path[0] in DATA_STAGES and spec.partitions_def is not None
        ]
    )


def daily_tables(defs: dg.Definitions) -> dict[str, dg.TimeWindowPartitionsDefinition]:
    """Give the partitions of every table that a day's data must have reached to be in, by the table's name.

    Quarantines are none of them: nothing but bad rows ever reaches those.
    """
    return {
        spec.key.to_user_string(): spec.partitions_def
        for spec in defs.resolve_all_asset_specs()
        if spec.key.path[0] in {"raw", "validated", "features"}
        and isinstance(spec.partitions_def, dg.TimeWindowPartitionsDefinition)
    }


def whole_tables(defs: dg.Definitions) -> list[str]:
    """Name the tables, quarantines and views without partitions, in the order of their names."""
    return sorted(
        spec.key.to_user_string()
        for spec in defs.resolve_all_asset_specs()
        if spec.key.path[0] in DATA_STAGES and spec.partitions_def is None
    )

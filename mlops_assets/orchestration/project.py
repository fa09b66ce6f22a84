"""A project's folder of declarations, as one Dagster code location."""

import os
from pathlib import Path

import dagster as dg

from mlops_assets.orchestration.declaring import DECLARATION, FOLDER
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.record_io import RecordIO
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.schedules import refresh_schedule
from mlops_assets.orchestration.sensors import PURPOSE_TAG, retrain_sensor, watch_sensor
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.stores.home import DEFAULT_HOME

REFRESH_JOB = "refresh"
DATA_STAGES = ("raw", "validated", "quarantine", "features")


def project_definitions(path: str | Path) -> dg.Definitions:
    """Load everything declared below the project's `defs/`, with the stores, sensors and schedule it needs.

    `path` is any file or folder inside the project, usually `__file__` of its `definitions.py`.
    """
    home = HomeResource(path=os.environ.get("MLOPS_HOME") or DEFAULT_HOME)
    declared = dg.Definitions.merge(
        dg.load_from_defs_folder(path_within_project=Path(path)),
        dg.Definitions(
            resources={"home": home, "io_manager": RecordIO(home=home)},
            # Light steps: a spawned process per step costs seconds, a function call a tenth of one.
            executor=dg.in_process_executor,
        ),
    )
    models = declared_models(declared)
    days = {
        name: table.partitions.definition()
        for name, (_, table) in declared_tables(declared).items()
        if table.partitions
    }
    watching = dg.Definitions(sensors=[retrain_sensor(models), watch_sensor(models)] if models else [])
    if not days:
        return dg.Definitions.merge(declared, watching)
    daily = dg.define_asset_job(REFRESH_JOB, selection=daily_assets(declared), tags={PURPOSE_TAG: "refresh"})
    refreshing = dg.Definitions(jobs=[daily], schedules=[refresh_schedule(days, job_name=REFRESH_JOB)])
    return dg.Definitions.merge(declared, watching, refreshing)


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
    return {
        spec.key.path[-1]: (
            Path(spec.metadata[FOLDER]),
            TableDeclaration.model_validate_json(spec.metadata[DECLARATION]),
        )
        for spec in defs.resolve_all_asset_specs()
        if DECLARATION in spec.metadata and spec.key.path[0] == "raw"
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

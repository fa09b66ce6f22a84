"""Dagster's settings in a home: the project's own, or the default ones, and where its log rests."""

from pathlib import Path
from typing import Final

import yaml

from mlops_assets.stores._atomic import write_file

DEFAULT_DAGSTER_YAML: Final = Path(__file__).with_name("dagster.yaml")
EVENTS_AT_ONCE: Final = {"DAGSTER_EVENT_BATCH_SIZE": "100"}  # what a run says of many partitions is stored as one

_STORAGES = {"storage", "run_storage", "event_log_storage", "schedule_storage"}
_HELD_OPEN = """
storage: # the files of Dagster's default, held open
  custom:
    module: mlops_assets.cli.dagster_storage
    class: HeldOpenStorage
    config: {base_dir: {env: DAGSTER_HOME}}
"""


def lay_out_dagster(home: Path, project: Path) -> Path:
    """Write the settings for `home`, the project's own if it has some, and give the folder they are in.

    Where they name no storage, Dagster's SQLite files are held open (`dagster_storage`).
    """
    own = project / "dagster.yaml"
    settings = (own if own.exists() else DEFAULT_DAGSTER_YAML).read_text()
    if not _STORAGES & set(yaml.safe_load(settings) or {}):
        settings += _HELD_OPEN
    folder = home / "dagster"
    write_file(folder / "dagster.yaml", settings.encode())
    return folder

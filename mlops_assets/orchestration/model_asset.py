"""What every asset of a model says of itself, whatever it does."""

from typing import TypedDict

import dagster as dg

from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.tags import MODEL_TAG


class OfModel(TypedDict):
    """Arguments of `dg.asset` that say which asset of which model it is, and whose."""

    key: dg.AssetKey
    group_name: str
    owners: list[str] | None
    op_tags: dict[str, str]
    code_version: str | None


def check_of(
    folder: ModelFolder, stage: str, name: str, description: str, *, blocking: bool = False
) -> dg.AssetCheckSpec:
    """Declare a check of one asset of a model."""
    return dg.AssetCheckSpec(name, asset=key_of(folder, stage), blocking=blocking, description=description)


def key_of(folder: ModelFolder, stage: str) -> dg.AssetKey:
    """Give the key of one asset of a model."""
    return dg.AssetKey([folder.name, stage])


def asset_of(folder: ModelFolder, stage: str, *, code_version: str | None = None) -> OfModel:
    """Give what an asset of a model says, to be passed on as `**asset_of(…)`."""
    owner = folder.declaration.owner
    return {
        "key": key_of(folder, stage),
        "group_name": folder.name,
        "owners": [owner] if owner else None,
        "op_tags": {MODEL_TAG: folder.name},
        "code_version": code_version,
    }

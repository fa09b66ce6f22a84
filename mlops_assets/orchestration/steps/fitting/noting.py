"""What happened to a version, on its way into the audit log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlops_assets.governance import Event
from mlops_assets.records import ModelVersion
from mlops_assets.stores.home import Home

PIPELINE = "pipeline"


def note(stores: Home, event: Event, version: ModelVersion, data: Mapping[str, Any], *, at: datetime) -> None:
    """Put on record, once, what happened to a version."""
    stores.state.audit_once(
        event,
        actor=PIPELINE,
        subject={"model": version.model, "version": version.version, "bundle_sha256": version.sha256},
        data=dict(data),
        at=at,
    )

"""Bringing a version live and back: the rollout as a pure state machine, and one file per target that obeys it."""

from typing import Any

from mlops_assets.deployment.local import LocalTarget
from mlops_assets.deployment.rollout import Rollout, RolloutPolicy, Sighting, State
from mlops_assets.deployment.target import EndpointGoneError, Release, Releases, Target

TARGETS: dict[str, type[LocalTarget[Any]]] = {
    "local": LocalTarget,
}

__all__ = [
    "TARGETS",
    "EndpointGoneError",
    "LocalTarget",
    "Release",
    "Releases",
    "Rollout",
    "RolloutPolicy",
    "Sighting",
    "State",
    "Target",
]

"""What speaks for a version, who let it go live, and what happened to it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlops_assets.records.training import ModelVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """The evidence for one model version; `path` is the folder, `sha256` digests its files.

    `review` is what the gate leaves to a person, in words.
    """

    model: str
    sha256: str
    model_version: ModelVersion
    evaluation_sha256: str
    path: str
    risk_tier: str
    missing: tuple[str, ...]
    review: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Leave to deploy exactly one bundle digest, by rule or by a person."""

    model: str
    sha256: str
    model_version: ModelVersion
    dossier_sha256: str
    granted: bool
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecision:
    """What a person decided about exactly one bundle and the one dossier that describes it."""

    model: str
    bundle_sha256: str
    dossier_sha256: str
    approve: bool
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that happened, as the audit log keeps it; `sha256` covers all the rest and the entry before it.

    `subject` says what it happened to (`model`, `version`, `bundle_sha256` …), `data` what is worth knowing about it.
    """

    seq: int
    previous_sha256: str
    sha256: str
    event: str
    actor: str
    subject: dict[str, Any]
    data: dict[str, Any]
    at: datetime

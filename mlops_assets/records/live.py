"""What answers requests, how it fares, and whether that calls for another training."""

from dataclasses import dataclass, field
from datetime import datetime

from mlops_assets.records.evaluation import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What answers requests for a model now. `generation` counts every change of what is live."""

    model: str
    sha256: str
    version: int
    bundle_sha256: str
    previous_bundle_sha256: str | None
    url: str
    generation: int
    live_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """How far one feature, or the score, has moved from the training profile; one value per metric."""

    column: str
    n: int
    values: dict[str, float]
    drifted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """A window of predictions against the training profile. `sha256` digests the findings."""

    model: str
    sha256: str
    bundle_sha256: str
    start: datetime
    end: datetime
    rows: int
    columns: tuple[ColumnDrift, ...]
    score: ColumnDrift | None
    sufficient: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityDifference:
    """One value that was served otherwise than it is recomputed, None for no value; `cause` says why, in words."""

    feature: str
    key: str
    time: str
    served: float | None
    recomputed: float | None
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """How many of `n` vectors are equal in every bit; `differing` counts the others by feature."""

    n: int
    equal: int
    differing: dict[str, int] = field(default_factory=dict)
    first: ParityDifference | None = None

    @property
    def identical(self) -> bool:
        """Whether vectors were compared and all are equal."""
        return 0 < self.n == self.equal


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceReport:
    """Realised performance of a window once labels are in, beside what the evaluation promised.

    `coverage` is the share of the window's predictions whose label is known.
    """

    model: str
    sha256: str
    bundle_sha256: str
    start: datetime
    end: datetime
    rows: int
    coverage: float
    metrics: tuple[Metric, ...]
    expected: Metric | None
    degraded: bool
    sufficient: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingDecision:
    """Why a model was, or was not, asked to retrain. `answers` is the digest of the evidence it answers, once."""

    model: str
    retrain: bool
    trigger: str
    reason: str
    answers: str
    decided_at: datetime

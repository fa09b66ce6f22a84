"""Drift of a window against the training profile, and the rule by which repeated drift becomes an alert.

One drifted window means little: a day's flights share its weather, and some column of thirty is always unusual. An
alert is raised only when a column drifts in several of the last windows, and cleared only when it has calmed down well
below what raised it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import BaseModel, Field, field_validator, model_validator

from mlops_assets.digests import sha256_json
from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.monitoring.drift_metrics import DRIFT_METRICS, DriftMetric
from mlops_assets.monitoring.profile import CLASS_SCORE, SCORE, ColumnProfile, Profile
from mlops_assets.records import ColumnDrift, DriftReport

SEVERE_TIMES_FLOOR = 5.0
CALM_TIMES_FLOOR = 0.5


class MonitorPolicy(BaseModel, frozen=True, extra="forbid"):
    """What counts as drift, and how often it has to be seen before anybody is told."""

    metric: str = Field(default="psi", description="Drift metric that is judged; all that apply are measured.")
    categorical_metric: str = Field(
        default="psi", description="Drift metric judged on categories if `metric` is for numbers."
    )
    floors: dict[str, float] = Field(
        default_factory=dict, description="Effect from which a column counts as drifted, by metric; default: its own."
    )
    minimum_rows: int = Field(default=500, ge=1, description="Rows below which a window is not judged.")
    raise_after: int = Field(default=3, ge=1, description="Drifted windows, of the last `out_of`, that raise an alert.")
    out_of: int = Field(
        default=5, ge=1, description="Windows looked back on; that many calm ones in a row clear an alert."
    )
    watch: tuple[str, ...] | None = Field(
        default=None, description="Columns watched beside the score; default: every feature."
    )
    ignore: tuple[str, ...] = Field(
        default=(), description="Columns left out, such as those that only follow the calendar."
    )

    @field_validator("metric", "categorical_metric")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in DRIFT_METRICS:
            raise UnknownNameError("drift metric", name, known=DRIFT_METRICS)
        return name

    @field_validator("floors")
    @classmethod
    def _known_floors(cls, floors: dict[str, float]) -> dict[str, float]:
        for name, floor in floors.items():
            cls._known(name)
            if floor <= 0:
                raise DeclarationError(f"The floor of {name!r} is {floor}: every window would drift. Give more than 0.")
        return floors

    @model_validator(mode="after")
    def _obeyable(self) -> "MonitorPolicy":
        if "categorical" not in DRIFT_METRICS[self.categorical_metric].kinds:
            raise DeclarationError(
                f"categorical_metric {self.categorical_metric!r} measures numbers only, and categories have no order. "
                f"Use one of {', '.join(n for n, m in DRIFT_METRICS.items() if 'categorical' in m.kinds)}."
            )
        if self.raise_after > self.out_of:
            raise DeclarationError(
                f"raise_after is {self.raise_after} but only {self.out_of} windows are looked back on, so no alert "
                "could ever be raised. Raise out_of, or lower raise_after."
            )
        return self

    def watches(self, column: str) -> bool:
        """Tell whether `column` is looked at; the score always is, and those of the classes."""
        if column == SCORE or column.startswith(CLASS_SCORE):
            return True
        return column not in self.ignore and (self.watch is None or column in self.watch)

    def strength(self, values: dict[str, float]) -> float:
        """Give the judged effect among measured `values` in multiples of its floor: from 1 on, the column drifted."""
        metric = DRIFT_METRICS[self.metric]
        if metric.effect not in values:
            metric = DRIFT_METRICS[self.categorical_metric]
        return values[metric.effect] / self.floors.get(metric.name, metric.floor)


def compare(
    policy: MonitorPolicy,
    reference: Profile,
    current: Profile,
    *,
    model: str,
    bundle_sha256: str,
    start: datetime,
    end: datetime,
) -> DriftReport:
    """Measure how far each watched column of a window has moved from the training profile.

    A window with too few rows is measured as far as it goes but not judged: no column drifted, `sufficient` is false.

    Raises:
        UnknownNameError: The policy watches or ignores a column that the profile does not have.
        MonitoringError: The window was counted in other cells than the training profile.
    """
    for name in (*(policy.watch or ()), *policy.ignore):
        if name not in reference.columns:
            raise UnknownNameError("column", name, known=reference.columns)
    sufficient = current.rows >= policy.minimum_rows
    found = {
        name: _column_drift(policy, column, current.columns[name], judged=sufficient)
        for name, column in reference.columns.items()
        if current.rows and policy.watches(name)
    }
    score = found.pop(SCORE, None)
    report = DriftReport(
        model=model,
        sha256="",
        bundle_sha256=bundle_sha256,
        start=start,
        end=end,
        rows=current.rows,
        columns=tuple(found.values()),
        score=score,
        sufficient=sufficient,
    )
    return replace(report, sha256=sha256_json(report))


def measure_all(reference: ColumnProfile, current: ColumnProfile) -> dict[str, float]:
    """Give every value of every metric that applies to this kind of column."""
    metrics: Iterable[DriftMetric] = DRIFT_METRICS.values()
    values: dict[str, float] = {}
    for metric in metrics:
        if reference.cells.kind in metric.kinds:
            values |= metric.measure(reference, current)
    return values


def _column_drift(
    policy: MonitorPolicy, reference: ColumnProfile, current: ColumnProfile, *, judged: bool
) -> ColumnDrift:
    values = measure_all(reference, current)
    return ColumnDrift(
        column=reference.name, n=current.rows, values=values, drifted=judged and policy.strength(values) >= 1
    )


# --- persistence ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftAlert:
    """A column that keeps drifting. `strength` is its newest effect in multiples of the floor."""

    column: str
    since: datetime
    windows: int
    strength: float

    @property
    def severe(self) -> bool:
        """Whether the effect is several times what counts as drift."""
        return self.strength >= SEVERE_TIMES_FLOOR

    def __str__(self) -> str:
        how = "far from" if self.severe else "away from"
        return (
            f"{self.column} has been {how} training since {self.since:%Y-%m-%d}, {self.windows} windows: "
            f"{self.strength:.1f} times what counts as drift"
        )


@dataclass(frozen=True, slots=True)
class AlertState:
    """What the rule remembers of one live model: the newest effects of each column, and what is raised."""

    bundle_sha256: str = ""
    seen_until: datetime | None = None
    strengths: dict[str, tuple[float, ...]] = field(default_factory=dict)
    raised: dict[str, DriftAlert] = field(default_factory=dict)

    def after(self, report: DriftReport, policy: MonitorPolicy) -> "AlertState":
        """Give the state once `report` is in.

        A window too small to judge changes nothing, nor does one that overlaps what was seen: the same day would count
        twice. A new model starts anew.
        """
        before = self if report.bundle_sha256 == self.bundle_sha256 else AlertState(report.bundle_sha256)
        if not report.sufficient or (before.seen_until and report.start < before.seen_until):
            return before
        strengths, raised = {}, {}
        for column in (*report.columns, *((report.score,) if report.score else ())):
            name = column.column
            recent = (*before.strengths.get(name, ()), policy.strength(column.values))[-policy.out_of :]
            strengths[name] = recent
            if alert := _alert(name, recent, before.raised.get(name), report.end, policy):
                raised[name] = alert
        return AlertState(report.bundle_sha256, report.end, strengths, raised)


def alerts(policy: MonitorPolicy, reports: Iterable[DriftReport]) -> tuple[DriftAlert, ...]:
    """Give the alerts standing after `reports` (oldest first), the strongest first."""
    state = AlertState()
    for report in reports:
        state = state.after(report, policy)
    return tuple(sorted(state.raised.values(), key=lambda alert: (-alert.strength, alert.column)))


def _alert(
    column: str, recent: tuple[float, ...], standing: DriftAlert | None, now: datetime, policy: MonitorPolicy
) -> DriftAlert | None:
    drifted = sum(strength >= 1 for strength in recent)
    if standing:
        calm = len(recent) == policy.out_of and all(strength < CALM_TIMES_FLOOR for strength in recent)
        return None if calm else replace(standing, windows=standing.windows + 1, strength=recent[-1])
    if drifted >= policy.raise_after:
        return DriftAlert(column=column, since=now, windows=drifted, strength=recent[-1])
    return None

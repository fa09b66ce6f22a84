"""The nouns that travel between assets: small, frozen, and carrying the SHA-256 of what they name.

Bytes stay in the stores; a record says which bytes, by digest, and what they came from. Times are UTC.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from mlops_assets.errors import DeclarationError

Task = Literal["binary", "multiclass", "regression"]
Params = dict[str, str | int | float | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a stored table; `dtype` is the Arrow name (`float64`, `string`, `timestamp[us, tz=UTC]` …)."""

    name: str
    dtype: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableVersion:
    """One version of a stored table, or of the partitions of it that one write replaced.

    `sha256` digests the content written (Arrow IPC in the declared schema), never the file bytes.
    `partitions` maps each partition written to its own digest; empty for an unpartitioned table.
    """

    table: str
    version: int
    sha256: str
    rows: int
    columns: tuple[Column, ...] = ()
    partitions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractVersion:
    """A contract that a table's rows were judged by: `contract` as declared, without what is left to its default."""

    table: str
    version: int
    sha256: str
    contract: dict[str, Any]
    since: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, closed at the start and open at the end; both ends are aware.

    >>> Span.day("2013-02-08").end.isoformat()
    '2013-02-09T00:00:00+00:00'
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment.tzinfo is None:
                raise DeclarationError(
                    f"The {name} of a span, {moment.isoformat()}, has no time zone, so it names no moment. "
                    f"Give it one, such as datetime.UTC.",
                    **{name: moment},
                )
        if self.end <= self.start:
            raise DeclarationError(
                f"A span must end after it starts, but {self.end.isoformat()} is not after {self.start.isoformat()}. "
                f"Swap the two, or leave out the span to read everything.",
                start=self.start,
                end=self.end,
            )

    @classmethod
    def day(cls, partition: str) -> "Span":
        """Give the UTC day named by a partition key, `YYYY-MM-DD`."""
        start = datetime.strptime(partition, "%Y-%m-%d").replace(tzinfo=UTC)
        return cls(start, start + timedelta(days=1))

    @property
    def partition(self) -> str:
        """Give the key of the day on which the span starts."""
        return self.start.astimezone(UTC).date().isoformat()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span of decision times, closed at the start and open at the end, and the labelled rows found in it."""

    start: datetime
    end: datetime
    rows: int
    label_mean: float


# --- data quality ---------------------------------------------------------------------------------

Severity = Literal["error", "warn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationResult:
    """What one expectation of a suite found in a batch.

    `observed` of a rule on each value is the share of values that obey it. One of severity `warn` blocks nothing.
    """

    name: str
    column: str | None
    success: bool
    observed: float | str | None
    expected: str
    severity: Severity = "error"
    why: str = ""

    @property
    def rule(self) -> str:
        """Give the name under which it may be waived."""
        return f"{self.column or 'table'}.{self.name}"

    @property
    def blocks(self) -> bool:
        """Whether it keeps the batch from going on, unless it is waived."""
        return not self.success and self.severity == "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchQuality:
    """What was found in a batch when it was judged: of `rows` that came, `quarantined` break some of `rules`.

    Args:
        partition: The batch's day; None of a table that is read whole.
        at: When it was judged.
        rules: Each rule that held rows back, with how many.
        waived: Each waived rule that rows break, with how many.
        waivers: The rules that were waived by then, broken or not.
        blocked: Why nothing of the batch goes on; None if it does.
        expectations: What the quality suite found, in its order; empty without a suite, or where it was not asked.
    """

    table: str
    partition: str | None
    at: datetime
    rows: int
    quarantined: int
    rules: dict[str, int] = field(default_factory=dict)
    waived: dict[str, int] = field(default_factory=dict)
    waivers: tuple[str, ...] = ()
    blocked: str | None = None
    expectations: tuple[ExpectationResult, ...] = ()


# --- features -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A typed name: a request field, a key or a stored feature.

    `dtype` is one of `float64`, `int64`, `string`, `timestamp`. Only `float64` and `string` may be null.
    """

    name: str
    dtype: Literal["float64", "int64", "string", "timestamp"]
    nullable: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureView:
    """Stored features of one entity: the keys that find a row, how long it is good for, when it is known.

    A row answers a decision at time t when `known_at <= t` and `t - ttl_s <= event_time <= t`, both ends included.
    Where none does, a feature is null, or what `defaults` says.
    """

    name: str
    keys: tuple[Field, ...]
    features: tuple[Field, ...]
    ttl_s: float
    defaults: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorFeature:
    """One slot of the feature vector. `levels` is None for a number, else the category levels in code order."""

    name: str
    origin: Literal["request", "stored", "on_demand"]
    levels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureVectorSpec:
    """Everything that fixes a model's input vector: names, order, types, levels, views and the code's digest."""

    request: tuple[Field, ...]
    views: tuple[FeatureView, ...]
    features: tuple[VectorFeature, ...]
    code_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """Labelled rows with features as known at their decision times, frozen at a cut-off.

    `table` and `version` find the rows; `sha256` digests them. `sources` are the versions they were joined from.
    """

    model: str
    table: str
    version: int
    sha256: str
    rows: int
    cut_off: datetime
    train: Window
    holdout: Window
    spec: FeatureVectorSpec
    sources: tuple[TableVersion, ...]


# --- models and their judgement -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One set of parameters that was tried: `loss` is the lowest on the validation rows, after `rounds` rounds.

    One that was `pruned` was behind the others and cut short; its loss is that of the last look at it.
    """

    number: int
    params: Params
    loss: float
    rounds: int
    pruned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A fitted model at rest. `sha256` is the digest of its whole bundle; `version` counts up per model."""

    model: str
    version: int
    sha256: str
    task: Task
    training_set_sha256: str
    params: Params
    cut_off: datetime
    reproducibility: dict[str, str]
    mlflow_run_id: str | None = None
    mlflow_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What people wrote of a model, as it was when a version was fitted, so that it can be fitted without their folder.

    `declaration` is `attributes` of defs.yaml with every default, and the parameters of model.py among them.
    """

    model: str
    declaration: dict[str, Any]
    features: str
    model_py: str


ReproductionLevel = Literal[
    "not on record", "recorded", "equal here", "equal across threads", "equal across threads and machines"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What came of fitting a version again from its record; `level` is the most that is shown of it.

    Args:
        sha256: Digest of the bundle on record.
        level: "recorded" where all that is needed is known, but what was made differs or could not be made.
        fits: Digest of the bundle that was made, by the number of threads.
        causes: What differs and why it does, in words; empty if all is equal.
        notes: What else is worth knowing, such as that rows were not joined anew.
        elsewhere: Circumstances that are others than on record, of an equal bundle too, in words.
        missing: Facts that are not on record.
        parts: Parts of the bundle that differ on any number of threads.
    """

    model: str
    version: int
    sha256: str
    at: datetime
    level: ReproductionLevel
    fits: dict[int, str]
    causes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether every fit gave the bundle on record."""
        return self.level.startswith("equal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A measured number with its 95 % interval (None where none is known) over `n` rows."""

    name: str
    value: float
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A paired comparison on the same rows: `difference` = challenger minus other, in favour when positive."""

    other: Literal["champion", "baseline", "constant"]
    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceResult:
    """One metric on one slice of the held-out rows; `small` marks too few rows to say much."""

    column: str
    level: str
    metric: Metric
    small: bool


Verdict = Literal["pass", "fail", "review"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourResult:
    """What a behavioural test found: `observed` over `n` rows, where no more than `allowed` was to be."""

    name: str
    n: int
    observed: float
    allowed: float
    passed: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredSlice:
    """A part of the held-out rows that a search found to be among the worst, by one or two columns.

    `value` is the mean of `measure` in it, `elsewhere` that of all other rows, `difference` one less the other. The
    p-value holds for all slices that were looked at.
    """

    columns: tuple[str, ...]
    levels: tuple[str, ...]
    measure: str
    value: float
    elsewhere: float
    difference: float
    low: float
    high: float
    p_value: float
    n: int
    small: bool

    @property
    def name(self) -> str:
        """Give the slice in words, for example `origin=EWR, hour=18 to 20`."""
        return ", ".join(f"{column}={level}" for column, level in zip(self.columns, self.levels, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Rows whose scores lie together: the mean score, the share that came true and its interval."""

    rows: int
    mean_score: float
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Whether scores come true as often as they say: a table to plot, the expected error, and how it was calibrated."""

    bins: tuple[CalibrationBin, ...]
    ece: Metric
    method: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuePoint:
    """What acting on the `share` of highest scores, those from `threshold` on, is worth per 1,000 decisions."""

    share: float
    threshold: float
    value_per_1000: float
    low: float
    high: float
    precision: float
    recall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRates:
    """How decisions come out for one group; `small` marks too few rows to compare it with others."""

    column: str
    group: str
    n: int
    rates: tuple[Metric, ...]
    small: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FairnessGap:
    """How far groups of one column lie apart in one measure, and the most that was declared, if anything was."""

    column: str
    measure: str
    value: float
    limit: float | None = None

    @property
    def kept(self) -> bool:
        """Whether no limit is exceeded; of a ratio, none undercut."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.measure.endswith("_ratio") else self.value <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """Decisions by group, where groups are declared; `unmeasured` says in words what could not be compared."""

    groups: tuple[GroupRates, ...]
    gaps: tuple[FairnessGap, ...]
    unmeasured: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """A challenger judged on held-out time, beside the champion, the simple baseline and a constant.

    `reasons` says in words, one sentence each, why the verdict is what it is. `review` leaves it to a person; `passed`
    is whether it is `pass`.
    """

    model: str
    sha256: str
    challenger: ModelVersion
    champion_sha256: str | None
    window: Window
    challenger_metrics: tuple[Metric, ...]
    champion_metrics: tuple[Metric, ...]
    baseline_metrics: tuple[Metric, ...]
    comparisons: tuple[Comparison, ...]
    slices: tuple[SliceResult, ...]
    policy_sha256: str
    passed: bool
    reasons: tuple[str, ...]
    verdict: Verdict = "fail"
    behaviour: tuple[BehaviourResult, ...] = ()
    calibration: Calibration | None = None
    value_curve: tuple[ValuePoint, ...] = ()
    discovered: tuple[DiscoveredSlice, ...] = ()
    fairness: Fairness | None = None

    def __post_init__(self) -> None:
        # The one cannot say otherwise than the other; reports of before there were three verdicts have `passed` alone.
        object.__setattr__(self, "verdict", "pass" if self.passed else "review" if self.verdict == "review" else "fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Points of a line, and where they are known the ends of each point's 95 % interval."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """What a judged version is shown by, beside the numbers it is judged by.

    `curves` are named by what they show, then by whose they are: `challenger`, `champion` or `baseline`. `gains` are
    differences in what a business owner counts in. `importance` ranks features by their share in moving scores, empty
    where a trainer cannot explain.
    """

    model: str
    bundle_sha256: str
    curves: dict[str, dict[str, Curve]] = field(default_factory=dict)
    gains: tuple[Comparison, ...] = ()
    importance: tuple[tuple[str, float], ...] = ()


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


# --- watching -------------------------------------------------------------------------------------


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


# --- evidence -------------------------------------------------------------------------------------


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

"""How a challenger was judged on held-out time."""

from dataclasses import dataclass, field
from typing import Literal

from mlops_assets.records.spans import Window
from mlops_assets.records.training import ModelVersion


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
class BehaviourResult:
    """What a behavioural test found: `observed` over `n` rows, where no more than `allowed` was to be."""

    name: str
    n: int
    observed: float
    allowed: float
    passed: bool
    words: str


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
    """How decisions come out for one group; `small` marks too few rows to compare it with others.

    Of several classes `of` names the one whose answers are meant.
    """

    column: str
    group: str
    n: int
    rates: tuple[Metric, ...]
    small: bool
    of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FairnessGap:
    """How far groups of one column lie apart in one measure, and the most that was declared, if anything was.

    Of several classes `of` names the one whose answers are meant.
    """

    column: str
    measure: str
    value: float
    limit: float | None = None
    of: str = ""

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


Verdict = Literal["pass", "fail", "review"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassResult:
    """How one class is told from all others: its measures over `n` rows of it, and the paired gain in its AUC.

    The p-value of the gain is Holm's over all classes.
    """

    name: str
    n: int
    metrics: tuple[Metric, ...]
    gain: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """What was found of each class, and how often each was answered: `confusion` has a row for each that came."""

    results: tuple[ClassResult, ...]
    confusion: tuple[tuple[int, ...], ...]


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
    classes: Classes | None = None

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
    differences in what a business owner counts in. `importance` ranks features by their share in moving the scores of
    so many held-out rows; of how many was not noted always.
    """

    model: str
    bundle_sha256: str
    curves: dict[str, dict[str, Curve]] = field(default_factory=dict)
    gains: tuple[Comparison, ...] = ()
    importance: tuple[tuple[str, float], ...] = ()
    explained_rows: int = 0

"""How a model answers when its inputs change: what a good score on held-out rows does not tell.

Every test gives what it observed and what is allowed, and is passed when the one does not exceed the other. Moves of
the score are told in its own standard deviations, so that one bound suits probabilities and minutes alike; orders are
compared by Spearman's rank correlation, and what is bounded is how much of 1 is lost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from mlops_assets.errors import MlopsError, UnknownNameError
from mlops_assets.records import BehaviourResult, Task
from mlops_assets.statistics import Array

SAMPLE = 256  # rows that are changed and scored again, spread evenly over the hold-out
STEPS = 5  # values from the lowest to the highest that a feature with a direction is set to
SLIGHT, NOTICEABLE = 0.01, 0.05  # noise: how far among its values a feature is moved, as a share of them
STILL = 0.01  # a move of the score by less, in its standard deviations, is none

Score = Callable[[Array], Array]


class BehaviourPolicy(BaseModel, frozen=True, extra="forbid"):
    """How a model must behave, whatever its score; what is left out of YAML is tested with these bounds."""

    invariant: tuple[str, ...] = Field(default=(), description="Features whose value must not matter.")
    invariance: float = Field(
        default=0.05,
        ge=0,
        description="How far the score may move, in its standard deviations, in 19 of 20 rows when an invariant "
        "feature has another row's value.",
    )
    direction: Mapping[str, Literal["up", "down"]] = Field(
        default={}, description="Features that may move the score one way only while they rise."
    )
    violations: float = Field(
        default=0.05, ge=0, le=1, description="Share of steps that may go against a declared direction."
    )
    sensitivity: float = Field(
        default=0.25,
        ge=0,
        description="Mean move of the score, in its standard deviations, when any one number is moved by about a "
        "hundredth of the values it has.",
    )
    noise: float = Field(
        default=0.2,
        ge=0,
        le=2,
        description="Order of the scores (1 - rank correlation) that may be lost when all numbers are moved by about a "
        "twentieth of their values.",
    )
    missing: float = Field(
        default=1.2,
        ge=0,
        le=2,
        description="Order of the scores that may be lost when any one feature that can be missing is: 1 is all of "
        "it, 2 the reverse.",
    )
    stability: float = Field(
        default=0.7,
        ge=0,
        le=2,
        description="Order of the champion's scores that the challenger may lose; beyond it a person has to agree.",
    )
    lowest: float | None = Field(
        default=None,
        description="Lowest score there may be; by default 0, and for a number the lowest label learnt from less half "
        "the range of labels.",
    )
    highest: float | None = Field(default=None, description="Highest score there may be; by default as the lowest.")
    latency_ms: float = Field(
        default=10.0, gt=0, description="Processor time per row, features included, that an answer may take."
    )
    bundle_mb: float = Field(default=100.0, gt=0, description="Size that a bundle may have, in millions of bytes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model under test: how it scores vectors, and what is known of them.

    `optional` are the positions of features that may be missing in life: stored ones, categories with a level not seen
    before, nullable fields. `labels` are the lowest and highest label it learnt from.
    """

    task: Task
    score: Score
    names: Sequence[str]
    categorical: Sequence[int] = ()
    optional: Sequence[int] = ()
    labels: tuple[float, float] = (0.0, 1.0)


def behave(
    policy: BehaviourPolicy,
    subject: Subject,
    X: Array,
    *,
    scores: Array,
    parent_scores: Array | None = None,
    capacity_share: float = 0.1,
    seed: int = 7,
) -> tuple[BehaviourResult, ...]:
    """Test a model on held-out vectors and on changed copies of some of them.

    Args:
        policy: What is allowed.
        subject: The model.
        X: Vectors, shape (n, d).
        scores: What it gives for them, shape (n,) or (n, k).
        parent_scores: What the champion gives for them, if there is one.
        capacity_share: Share of decisions that are acted on, to count those that changed.
        seed: Of the noise.

    Raises:
        UnknownNameError: The policy names a feature that the model does not have.
    """
    for name in (*policy.invariant, *policy.direction):
        if name not in subject.names:
            raise UnknownNameError("feature", name, known=subject.names)
    rows = np.unique(np.linspace(0, len(X) - 1, SAMPLE).astype(np.intp))
    trial = _Trial(subject, X[rows], scores[rows], spread=_spread(scores))
    return (
        *_in_range(policy, subject, scores),
        *trial.missing(policy),
        *trial.noise(policy, X, np.random.default_rng(seed)),
        *(trial.invariance(policy, name) for name in policy.invariant),
        *(trial.direction(policy, name, X) for name in policy.direction),
        *_stability(policy, scores, parent_scores, capacity_share),
    )


def within_budget(policy: BehaviourPolicy, *, latency_ms: float, bundle_bytes: int) -> tuple[BehaviourResult, ...]:
    """Hold what an answer costs against its budget, in whole budgets: no two runs take the same time to the last digit.

    >>> [each.passed for each in within_budget(BehaviourPolicy(), latency_ms=0.2, bundle_bytes=3_000_000)]
    [True, True]
    """
    times = ceil(latency_ms / policy.latency_ms)
    size = bundle_bytes / 1e6
    return (
        _found("latency", 1, times, 1, f"a row takes {times} times the {policy.latency_ms:g} ms allowed or less"),
        _found("size", 1, size, policy.bundle_mb, f"the bundle has {size:.3g} MB, of {policy.bundle_mb:g} allowed"),
    )


@dataclass(frozen=True, slots=True)
class _Trial:
    """Some rows and their scores, to be changed and scored again."""

    subject: Subject
    rows: Array
    scores: Array
    spread: float

    def missing(self, policy: BehaviourPolicy) -> tuple[BehaviourResult, ...]:
        """Take away what may be missing in life, one feature at a time and all at once."""
        taken = [[j] for j in self.subject.optional] + [list(self.subject.optional)]
        if not self.subject.optional:
            return ()
        try:
            changed = self._again([_with(self.rows, dict.fromkeys(columns, np.nan)) for columns in taken])
        except (MlopsError, ValueError) as error:
            return (_found("missing values", len(self.rows), 1, 0, f"a row with a missing value fails: {error}"),)
        strange = sum(int((~np.isfinite(each)).any()) for each in changed)
        text = f"{strange} of {len(taken)} ways of missing values give a score that is no number"
        finite = _found("missing values", len(self.rows), strange, 0, text)
        if strange:
            return (finite,)
        lost = [_order_lost(self.scores, each) for each in changed[:-1]]
        worst = int(np.argmax(lost))
        text = (
            f"without {self.subject.names[taken[worst][0]]} {lost[worst]:.2f} of the order of scores is lost, where "
            f"{policy.missing:g} is allowed"
        )
        return finite, _found("one feature missing", len(self.rows), lost[worst], policy.missing, text)

    def noise(self, policy: BehaviourPolicy, X: Array, generator: np.random.Generator) -> list[BehaviourResult]:
        """Shake the numbers, one at a time slightly and all together noticeably."""
        numbers = [j for j in range(X.shape[1]) if j not in set(self.subject.categorical)]
        if not numbers:
            return []
        drawn = generator.normal(size=self.rows.shape)
        single = [_with(self.rows, {j: _moved(self.rows[:, j], X[:, j], SLIGHT * drawn[:, j])}) for j in numbers]
        together = _with(self.rows, {j: _moved(self.rows[:, j], X[:, j], NOTICEABLE * drawn[:, j]) for j in numbers})
        *moved, shaken = self._again([*single, together])
        moves = [float(self._moves(each).mean()) for each in moved]
        worst, lost = int(np.argmax(moves)), _order_lost(self.scores, shaken)
        return [
            _found(
                "sensitivity",
                len(self.rows),
                moves[worst],
                policy.sensitivity,
                f"slight noise on {self.subject.names[numbers[worst]]} moves the score by {moves[worst]:.2g} of its "
                f"standard deviations on average, where {policy.sensitivity:g} is allowed",
            ),
            _found(
                "noise",
                len(self.rows),
                lost,
                policy.noise,
                f"noise on all numbers costs {lost:.2g} of the order of scores, where {policy.noise:g} is allowed",
            ),
        ]

    def invariance(self, policy: BehaviourPolicy, name: str) -> BehaviourResult:
        """Give every row another row's value of a feature that must not matter."""
        j = list(self.subject.names).index(name)
        (changed,) = self._again([_with(self.rows, {j: np.roll(self.rows[:, j], len(self.rows) // 3 + 1)})])
        moved = float(np.quantile(self._moves(changed), 0.95))
        text = (
            f"another value of {name} moves the score by up to {moved:.2g} of its standard deviations in 19 of 20 "
            f"rows, where {policy.invariance:g} is allowed"
        )
        return _found(f"invariance of {name}", len(self.rows), moved, policy.invariance, text)

    def direction(self, policy: BehaviourPolicy, name: str, X: Array) -> BehaviourResult:
        """Let a feature rise from its lowest to its highest usual value, and count the steps the wrong way."""
        j, way = list(self.subject.names).index(name), policy.direction[name]
        values = np.unique(np.nanquantile(X[:, j], np.linspace(0.02, 0.98, STEPS)))
        ladder = np.stack(self._again([_with(self.rows, {j: np.full(len(self.rows), value)}) for value in values]))
        steps = np.diff(ladder, axis=0) * (1 if way == "up" else -1)
        wrong = float((steps < -STILL * self.spread).mean()) if steps.size else 0.0
        text = (
            f"{wrong:.1%} of steps go against the score going {way} with {name}, where {policy.violations:.1%} are "
            "allowed"
        )
        return _found(f"direction of {name}", len(self.rows), wrong, policy.violations, text)

    def _again(self, variants: Sequence[Array]) -> list[Array]:
        """Score all variants in one call: loading a model costs more than scoring some thousand rows."""
        scores = self.subject.score(np.concatenate(variants))
        return np.split(scores, len(variants))

    def _moves(self, changed: Array) -> Array:
        moved = np.abs(changed - self.scores) / self.spread
        return moved if moved.ndim == 1 else moved.max(axis=1)


def _in_range(policy: BehaviourPolicy, subject: Subject, scores: Array) -> tuple[BehaviourResult, ...]:
    low, high = (0.0, 1.0) if subject.task != "regression" else _widened(subject.labels)
    low, high = low if policy.lowest is None else policy.lowest, high if policy.highest is None else policy.highest
    outside = float((~((scores >= low) & (scores <= high))).mean())
    text = f"{outside:.2%} of scores are not between {low:.6g} and {high:.6g}"
    return (_found("range", len(scores), outside, 0, text),)


def _stability(
    policy: BehaviourPolicy, scores: Array, parent: Array | None, capacity_share: float
) -> tuple[BehaviourResult, ...]:
    if parent is None or parent.shape != scores.shape:
        return ()
    lost = _order_lost(parent, scores)
    flips = ""
    if scores.ndim == 1:
        ours, theirs = (each >= np.quantile(each, 1 - capacity_share) for each in (scores, parent))
        flips = f" and {float((ours != theirs).mean()):.1%} of decisions at capacity changed"
    text = f"{lost:.2f} of the champion's order of scores is lost{flips}, where {policy.stability:g} may be"
    return (_found("stability", len(scores), lost, policy.stability, text),)


def _widened(labels: tuple[float, float]) -> tuple[float, float]:
    low, high = labels
    return low - (high - low) / 2, high + (high - low) / 2


def _with(rows: Array, columns: Mapping[int, Array | float]) -> Array:
    changed = rows.copy()
    for j, values in columns.items():
        changed[:, j] = values
    return changed


def _moved(values: Array, among: Array, shares: Array) -> Array:
    """Give other values there are, a share of them further up or down.

    What is nothing on most days stays nothing: noise added to it would make values there never are.
    """
    known = np.sort(among[~np.isnan(among)])
    if not known.size:
        return values
    middle = (np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right") - 1) / 2
    places = np.clip(np.rint(middle + shares * known.size), 0, known.size - 1).astype(np.intp)
    return np.where(np.isnan(values), np.nan, known[places])


def _spread(scores: Array) -> float:
    """Give the standard deviation of the scores; 1 where all are the same, so that a move counts as it is."""
    return float(scores.std(axis=0).mean()) or 1.0


def _order_lost(before: Array, after: Array) -> float:
    """Give 1 less Spearman's correlation, the mean over classes; all of it where either is the same for all."""
    from scipy.stats import rankdata  # a second of import, for every process that loads the project

    if before.ndim > 1:
        return float(np.mean([_order_lost(before[:, k], after[:, k]) for k in range(before.shape[1])]))
    if np.ptp(before) == 0 or np.ptp(after) == 0:
        return float(not np.array_equal(before, after))
    ranks: npt.NDArray[np.float64] = np.corrcoef(rankdata(before), rankdata(after))
    return float(1 - ranks[0, 1])


def _found(name: str, n: int, observed: float, allowed: float, words: str) -> BehaviourResult:
    """Give the result, rounded so that the last bits of another machine make no other report."""
    observed = float(f"{observed:.6g}")
    return BehaviourResult(
        name=name, n=n, observed=observed, allowed=float(allowed), passed=observed <= allowed, words=f"{words}."
    )

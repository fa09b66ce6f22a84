"""What a measure is, and how most come by their intervals and comparisons: as means of rows, or drawn again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mlops_assets import statistics
from mlops_assets.evaluation.measures.terms import Kept, Terms
from mlops_assets.records import Task
from mlops_assets.statistics import Array, Difference, Interval
from mlops_assets.statistics.resampling import Statistic, Units

Value = Callable[[Array, Array, Terms], float]
Drawn = Callable[[Array, Array, Terms, Units], Statistic]  # the value on drawn rows, from their weights
Ends = Callable[[Array, Array, Terms], Interval | None]
Gain = Callable[[Array, Array, Array, Terms], Difference]
Influenced = Callable[[Array, Array, Terms], tuple[float, Array]]  # the value, and what each row adds to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure of scores against labels.

    `gain` compares a first score with a second on the same rows, in favour of the first when positive; None where the
    measure is told but nobody is judged by it. `margin` is the loss that a gate forgives unless told otherwise; None
    where it depends on the unit of the label, so that only a person can say it. `needs` names the term without which
    it does not exist.
    """

    task: Task
    value: Value
    interval: Ends
    gain: Gain | None = None
    higher_is_better: bool = True
    margin: float | None = None
    needs: Literal["threshold", "quantile", "worth"] | None = None

    def exists(self, terms: Terms) -> bool:
        """Whether what it needs is among the terms."""
        return self.needs is None or getattr(terms, self.needs) is not None


def plain(value: Callable[[Array, Array], float]) -> Value:
    """Give the value of a function that asks for no terms."""
    return lambda y, score, terms: value(y, score)


def needed(value: Kept | None) -> Kept:
    """Give a term without which a measure does not exist."""
    assert value is not None  # `evaluate` leaves out the measures that need it
    return value


def mean(losses: Callable[[Array, Array], Array]) -> Ends:
    """Give the interval of a mean of one loss per row."""
    return lambda y, score, terms: statistics.mean_interval(
        losses(y, score), confidence=terms.confidence, clusters=terms.clusters
    )


def mean_gain(losses: Callable[[Array, Array], Array]) -> Gain:
    """Give the paired comparison of a mean of one loss per row: what the second loses more than the first."""
    return lambda y, first, second, terms: statistics.mean_difference(
        losses(y, second), losses(y, first), confidence=terms.confidence, clusters=terms.clusters
    )


def seeded(interval: Callable[..., Interval]) -> Ends:
    """Give the interval that a function of the statistics draws by a bootstrap of its own."""
    return lambda y, score, terms: interval(
        y, score, seed=terms.seed, resamples=terms.resamples, confidence=terms.confidence, clusters=terms.clusters
    )


def resampled(drawn: Drawn) -> Ends:
    """Give the bootstrap's interval of any value."""

    def ends(y: Array, score: Array, terms: Terms) -> Interval:
        units = terms.units(len(y))
        return statistics.drawn_interval(
            drawn(y, score, terms, units),
            units,
            seed=terms.seed,
            resamples=terms.resamples,
            confidence=terms.confidence,
        )

    return ends


def resampled_gain(drawn: Drawn, *, sign: int = 1) -> Gain:
    """Give the bootstrap's paired comparison of any value; `sign` is -1 where lower is better."""

    def gain(y: Array, first: Array, second: Array, terms: Terms) -> Difference:
        units = terms.units(len(y))
        of_first, of_second = drawn(y, first, terms, units), drawn(y, second, terms, units)
        return statistics.drawn_difference(
            lambda weights: sign * (of_first(weights) - of_second(weights)),
            units,
            seed=terms.seed,
            resamples=terms.resamples,
            confidence=terms.confidence,
        )

    return gain


def share_of(found: Influenced) -> Ends:
    """Give the interval of a number between 0 and 1 from what each row adds to it."""

    def ends(y: Array, score: Array, terms: Terms) -> Interval:
        value, adds = found(y, score, terms)
        ends = statistics.wald(value, influence=adds, confidence=terms.confidence, clusters=terms.clusters)
        return Interval(max(0.0, ends.low), min(1.0, ends.high))

    return ends


def share_gain(found: Influenced) -> Gain:
    """Give the paired comparison of two such numbers from what each row adds to either."""

    def gain(y: Array, first: Array, second: Array, terms: Terms) -> Difference:
        (value, adds), (other, adds_other) = found(y, first, terms), found(y, second, terms)
        return statistics.wald(
            value - other, influence=adds - adds_other, confidence=terms.confidence, clusters=terms.clusters
        )

    return gain

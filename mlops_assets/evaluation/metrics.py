"""Measures scores against labels, alone and in pairs."""

from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.evaluation.measures import MEASURES, Measure, Terms
from mlops_assets.records import Metric, Task
from mlops_assets.statistics import Array, Difference, StatisticsInputError


def evaluate(task: Task, y: Array, score: Array, terms: Terms) -> tuple[Metric, ...]:
    """Measure everything there is to say about scores for this task.

    Where decisions have a worth there is also `value`, that of all of them together. Left out are measures that need a
    threshold, a quantile or a worth where there is none, and those that do not exist on these rows, as R² where all
    labels are equal and the precision of decisions that nobody met.

    Args:
        task: What kind of model: labels are 0 and 1, codes of classes or numbers, scores probabilities or numbers.
        y: Labels, shape (n,).
        score: Scores, shape (n,), or of k classes (n, k).
        terms: On what terms.

    Raises:
        StatisticsInputError: None exists: too few rows, NaN, or scores that are no probabilities.
    """
    found: dict[str, Metric] = {}
    lacking: StatisticsInputError | None = None
    for name, known in MEASURES.items():
        if known.task == task and known.exists(terms):
            try:
                found[name] = measure(name, y, score, terms)
            except StatisticsInputError as reason:
                lacking = reason
    if lacking and not found:
        raise lacking
    for per_1000 in ("value_per_1000", "answers_per_1000"):
        if per_1000 in found:
            found["value"] = _in_all(found[per_1000])
    return tuple(found.values())


def measure(name: str, y: Array, score: Array, terms: Terms) -> Metric:
    """Give one metric with its interval.

    Raises:
        UnknownNameError: There is no such measure.
        StatisticsInputError: It does not exist for these rows.
    """
    known = named(name)
    ends = known.interval(y, score, terms)
    low, high = ends if ends else (None, None)
    return Metric(name=name, value=known.value(y, score, terms), n=len(y), low=low, high=high)


def compare(name: str, y: Array, challenger: Array, other: Array, terms: Terms) -> Difference:
    """Give the paired difference in one measure on the same rows, in favour of the challenger when positive.

    Raises:
        UnknownNameError: There is no such measure.
        DeclarationError: It is one nobody is judged by.
        StatisticsInputError: It does not exist for these rows.
    """
    known = named(name)
    if known.gain is None:
        raise DeclarationError(
            f"{name!r} is reported, but no model is judged by it: it says how scores are off, not which are better. "
            f"Use one of {', '.join(sorted(other for other, each in MEASURES.items() if each.gain))}.",
            measure=name,
        )
    return known.gain(y, challenger, other, terms)


def named(name: str) -> Measure:
    """Give the measure called `name`.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in MEASURES:
        raise UnknownNameError("metric", name, known=MEASURES)
    return MEASURES[name]


def _in_all(per_1000: Metric) -> Metric:
    """Give the value of all decisions together."""
    assert per_1000.low is not None
    assert per_1000.high is not None
    scale = per_1000.n / 1000
    return Metric(
        name="value",
        value=per_1000.value * scale,
        n=per_1000.n,
        low=per_1000.low * scale,
        high=per_1000.high * scale,
    )

"""Measures, spans and differences in the words of somebody who decides and does not reckon."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from mlops_assets.records import Metric, SliceResult, Span, Window


def plain(value: float) -> str:
    """Give a number as people write it: no more digits than tell something.

    >>> [plain(value) for value in (1234.5, 12.345, 0.012345, -0.5)]
    ['1,234', '12.3', '0.0123', '-0.5']
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.3g}"


def percent(value: float) -> str:
    """Give a share of one as per cent.

    >>> percent(0.4567)
    '45.7 %'
    """
    return f"{100 * value:.1f} %"


def whole_percent(value: float) -> str:
    """Give a share of one as per cent without decimals.

    >>> whole_percent(0.4567)
    '46 %'
    """
    return f"{100 * value:.0f} %"


def three_digits(value: float) -> str:
    """Give a number below one as it is quoted of models."""
    return f"{value:.3f}"


def one_digit(value: float) -> str:
    """Give a number of cases among a hundred."""
    return f"{value:.1f}"


def signed(value: float, form: Callable[[float], str] = plain) -> str:
    """Give a difference with its sign; one too small to be seen has none.

    >>> [signed(value, three_digits) for value in (0.0123, -0.0123, -0.0001)]
    ['+0.012', '-0.012', '0.000']
    """
    written = form(abs(value))
    return written if not float(written.replace(",", "")) else f"{'+' if value > 0 else '-'}{written}"


@dataclass(frozen=True, slots=True)
class Words:
    """A measure for people: its title, what it says, how its numbers are written, and whether more of it is better."""

    title: str
    said: str
    form: Callable[[float], str] = three_digits
    higher_is_better: bool = True


MEASURES: Final = {
    "auc": Words("Ranking", "how often a hit gets a higher score than a miss; 0.5 is a coin"),
    "log_loss": Words("Surprise", "how far probabilities are from what came, in log loss", higher_is_better=False),
    "brier": Words("Squared error", "of probabilities against what came (Brier)", higher_is_better=False),
    "ece": Words("Calibration error", "how far stated probabilities are from true shares", percent, False),
    "precision_at_capacity": Words("Hits among those flagged", "when the capacity is used up", percent),
    "recall_at_capacity": Words("Share of all hits found", "when the capacity is used up", percent),
    "value_per_1000": Words("Value per 1,000", "decisions, in the declared unit", plain),
    "value": Words("Value of all held-out decisions", "in the declared unit", plain),
    "average_precision": Words("Average precision", "hits among those flagged, averaged over all thresholds"),
    "accuracy": Words("Right decisions", "at the model's threshold", percent),
    "balanced_accuracy": Words("Right decisions, balanced", "each class counting the same", percent),
    "f1": Words("F1", "of precision and recall at the model's threshold"),
    "precision": Words("Hits among those flagged", "at the model's threshold", percent),
    "true_positive_rate": Words("Share of all hits found", "at the model's threshold", percent),
    "true_negative_rate": Words("Share of others let be", "at the model's threshold", percent),
    "false_positive_rate": Words("Share of others flagged", "at the model's threshold", percent, False),
    "selection_rate": Words("Share flagged", "at the model's threshold", percent),
    "pinball": Words("Pinball loss", "of a forecast quantile", plain, False),
    "coverage": Words("Coverage", "share of cases below the forecast quantile", percent),
    "macro_auc": Words(
        "Ranking of classes", "how often a case scores higher for its class than others do; 0.5 is a coin"
    ),
    "multiclass_log_loss": Words(
        "Surprise", "how far probabilities are from what came, in log loss", three_digits, False
    ),
    "multiclass_accuracy": Words("Right answers", "share of cases in which the most probable class came", percent),
    "top_label_ece": Words(
        "Calibration error of answers", "how far an answer's probability is from how often it is right", percent, False
    ),
    "classwise_ece": Words("Calibration error of classes", "the same of every class, on average", percent, False),
    "answers_per_1000": Words("Value per 1,000", "answers, in the declared unit", plain),
    "rmse": Words("Typical error", "root of the mean squared error; large errors count more", plain, False),
    "mae": Words("Mean error", "how far forecasts are off on average", plain, False),
    "bias": Words("Tilt", "how far forecasts are too high on average", plain),
    "r2": Words("Explained", "share of the ups and downs that the forecast follows", percent),
}


def words_of(name: str) -> Words:
    """Give the words for a measure; one that has none yet goes by its name.

    >>> words_of("macro_f1").title
    'Macro f1'
    """
    return MEASURES.get(name) or Words(name.replace("_", " ").capitalize(), "", plain)


def measured(metric: Metric) -> str:
    """Give a measure's number with its interval."""
    form = words_of(metric.name).form
    if metric.low is None or metric.high is None:
        return form(metric.value)
    return f"{form(metric.value)} ({form(metric.low)} to {form(metric.high)})"


def weakest_first(parts: Iterable[SliceResult]) -> list[SliceResult]:
    """Give parts of the rows in order of the measure taken on them, the weakest first."""

    def strength(part: SliceResult) -> float:
        return part.metric.value if words_of(part.metric.name).higher_is_better else -part.metric.value

    return sorted(parts, key=strength)


def days(window: Window | Span) -> str:
    """Give a span of whole days with both ends in it.

    >>> from datetime import UTC, datetime
    >>> days(Span(datetime(2013, 4, 9, tzinfo=UTC), datetime(2013, 4, 16, tzinfo=UTC)))
    '9 to 15 April 2013'
    """
    start, last = window.start, max(window.start, window.end - timedelta(seconds=1))
    if start.date() == last.date():
        return f"{start.day} {start:%B %Y}"
    if (start.year, start.month) == (last.year, last.month):
        return f"{start.day} to {last.day} {last:%B %Y}"
    year = "" if start.year == last.year else f" {start.year}"
    return f"{start.day} {start:%B}{year} to {last.day} {last:%B %Y}"

"""What was found in parts of the rows, as a section of the report."""

from collections.abc import Iterable
from html import escape
from typing import Final

from mlops_assets import pages
from mlops_assets.governance.judged import Judged
from mlops_assets.governance.words import measured, plain, weakest_first, whole_percent, words_of
from mlops_assets.records import DiscoveredSlice, Metric, SliceResult

WORST: Final = 12  # slices shown before the rest
CHANCE: Final = 0.05  # what is likelier by luck than this, is said to be
LOOKS: Final = {
    "bias": "too high by, on average",
    "overconfidence": "surer of its answers than they are right, by",
    "excess_log_loss": "surer of itself than it may be (log loss beyond what its probabilities announce)",
    "squared_error": "squared error",
    "coverage_gap": "the truth stays at or below its forecast more often than it should, by",
    "pinball": "pinball loss",
    "loss_to_champion": "loses more than the version before, by",
}


def weak(judged: Judged) -> str:
    """Show the slices that were declared, and below them those that a search found to be worst."""
    declared, searched = _declared(judged), _searched(judged)
    if not declared and not searched:
        return ""
    return f"<h2>Where it is weaker and stronger</h2>{declared}{searched}"


def _declared(judged: Judged) -> str:
    found = judged.report.slices
    if not found:
        return ""
    words, ordered = words_of(found[0].metric.name), weakest_first(found)
    ends = _reach(ordered)
    whole = next((m.value for m in judged.report.challenger_metrics if m.name == found[0].metric.name), None)
    rows = [_slice(each, ends, whole) for each in ordered]
    told = "" if whole is None else f" The upright line marks all {escape(judged.things)}: {words.form(whole)}."
    head = ("", judged.things, words.title, "")
    rest = ""
    if more := rows[WORST:]:
        shown = pages.table(head, more, numbers=(1, 2))
        rest = f"<details><summary>{len(more)} more</summary>{shown}</details>"
    return (
        f"<p class=dim>{escape(words.title)}: {escape(words.said)}. "
        f"Weakest first.{told}</p>{pages.table(head, rows[:WORST], numbers=(1, 2))}{rest}"
    )


def _searched(judged: Judged) -> str:
    found = judged.report.discovered
    if not found:
        return ""
    shown = [each for each in found if each.p_value < CHANCE]
    if not shown:
        worst = found[0]
        return (
            f"<p>A search over all features and pairs of them found no part where it does worse than chance explains; "
            f"nearest to it came {escape(worst.name)}, on {worst.n:,} {escape(judged.things)}.</p>"
        )
    rows = (_discovered(each) for each in shown[:WORST])
    head = ("Found by a search", judged.things, "there", "elsewhere")
    return (
        "<p class=dim>Looked for among all features and pairs of them; luck would show something like it in fewer than "
        f"{whole_percent(CHANCE)} of searches.</p>{pages.table(head, rows, numbers=(1, 2, 3))}"
    )


def _discovered(part: DiscoveredSlice) -> tuple[str, str, str, str]:
    few = " <span class=warns>few</span>" if part.small else ""
    look = LOOKS.get(part.measure) or words_of(part.measure).title
    return (
        f"{escape(part.name)}{few}<small>{escape(look)}</small>",
        f"{part.n:,}",
        f"{plain(part.value)}<small>{plain(part.low)} to {plain(part.high)} apart</small>",
        plain(part.elsewhere),
    )


def cell(metric: Metric | None) -> str:
    """Give a measure as a cell, its interval in small print."""
    if metric is None:
        return "–"
    value, _, reach = measured(metric).partition(" (")
    ends = reach.removesuffix(")").replace(" %", "&nbsp;%")  # where a phone breaks the line, no sign stands alone
    return f"{value}<small>{ends}</small>" if reach else value


def _slice(part: SliceResult, ends: tuple[float, float], whole: float | None) -> tuple[str, str, str, str]:
    metric, few = part.metric, " <span class=warns>few</span>" if part.small else ""
    low, high = (metric.value if end is None else end for end in (metric.low, metric.high))
    drawn = pages.spread(metric.value, low, high, ends=ends, tone="second" if part.small else "first", zero=whole)
    return f"{escape(part.column)} {escape(part.level)}{few}", f"{metric.n:,}", cell(metric), drawn


def _reach(parts: Iterable[SliceResult]) -> tuple[float, float]:
    numbers = [
        end for part in parts for end in (part.metric.low, part.metric.value, part.metric.high) if end is not None
    ]
    return min(numbers), max(numbers)

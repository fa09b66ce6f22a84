"""The pictures of a report, drawn from the curves that were recorded."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from mlops_assets import pages
from mlops_assets.governance.judged import Judged
from mlops_assets.governance.words import plain, whole_percent
from mlops_assets.records import Curve

TONES: Final[Mapping[str, pages.Tone]] = {"challenger": "first", "champion": "second", "baseline": "faint"}


MOST_CLASSES: Final = 6  # drawn one by one
OF_CLASSES: Final = {
    "reliability": "does it mean what it says?",
    "roc": "ROC",
    "precision_recall": "precision and recall",
}

SAID_OF_A_CLASS: Final = "Of the probability of this class, against all others together."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How a curve is drawn: its title, what the picture says, its axes, whose lines, and with what beside them."""

    title: str
    said: str
    x: pages.Axis
    y: pages.Axis
    whose: tuple[str, ...] = ("challenger", "champion", "baseline")
    diagonal: str = ""
    at_capacity: bool = False
    dots: bool = False


def pictures(judged: Judged) -> dict[str, str]:
    """Give each picture that can be drawn, with its title, as a piece of the page."""
    plans = _plans(judged)
    return {name: pages.panel(plans[name].title, drawn, plans[name].said) for name, drawn in _charts(judged, plans)}


def picture_files(judged: Judged) -> dict[str, bytes]:
    """Give each picture as an SVG file of its own, by file name."""
    return {
        f"{re.sub(r'[^0-9A-Za-z]+', '_', name)}.svg": pages.picture(drawn)
        for name, drawn in _charts(judged, _plans(judged))
    }


def _charts(judged: Judged, plans: Mapping[str, _Plan]) -> Iterator[tuple[str, str]]:
    known = dict(judged.portrait.curves)
    if points := judged.report.value_curve:
        with_ends = Curve(
            x=tuple(point.share for point in points),
            y=tuple(point.value_per_1000 for point in points),
            low=tuple(point.low for point in points),
            high=tuple(point.high for point in points),
        )
        known["value"] = {**known.get("value", {}), "challenger": with_ends}
    if calibration := judged.report.calibration:
        bins = calibration.bins
        known["reliability"] = {
            "challenger": Curve(
                x=tuple(bin.mean_score for bin in bins),
                y=tuple(bin.rate for bin in bins),
                low=tuple(bin.low for bin in bins),
                high=tuple(bin.high for bin in bins),
            )
        }
    if judged.learning:
        known["learning"] = {
            name: Curve(x=tuple(float(turn) for turn in range(1, len(losses) + 1)), y=tuple(losses))
            for name, losses in judged.learning.items()
            if losses
        }
    for name, plan in plans.items():
        if curves := known.get(name):
            yield name, _chart(judged, plan, curves)


def _chart(judged: Judged, plan: _Plan, curves: Mapping[str, Curve]) -> str:
    names = {
        "challenger": f"version {judged.version.version}",
        "champion": judged.other,
        "baseline": "simple model",
    }
    wanted = plan.whose or tuple(curves)
    lines = [
        pages.Line(
            name=names.get(who, who.replace("_", " ")),
            x=curves[who].x,
            y=curves[who].y,
            tone=TONES.get(who, "first" if place == 0 else "second"),
            band=(curves[who].low, curves[who].high) if curves[who].low and place == 0 else None,
            dots=plan.dots and place == 0,
        )
        for place, who in enumerate(wanted)
        if who in curves
    ]
    if plan.diagonal:
        ends = _diagonal(plan, lines)
        lines.append(pages.Line(name=plan.diagonal, x=ends, y=ends, tone="faint"))
    mark = None
    if plan.at_capacity and judged.trade:
        mark = pages.Mark(judged.trade.capacity_share, f"capacity {whole_percent(judged.trade.capacity_share)}")
    return pages.chart(lines, x=plan.x, y=plan.y, mark=mark, said=plan.title)


def _diagonal(plan: _Plan, lines: list[pages.Line]) -> tuple[float, float]:
    reach = [value for line in lines for value in line.x]
    low = min(reach) if plan.x.low is None else plan.x.low
    high = max(reach) if plan.x.high is None else plan.x.high
    return low, high


def _method(judged: Judged) -> str:
    """Say how scores were calibrated, if they were."""
    calibration = judged.report.calibration
    if calibration is None or calibration.method == "none":
        return ""
    return f"Scores are calibrated ({calibration.method}) on days that judged nothing."


def _plans(judged: Judged) -> dict[str, _Plan]:
    """Give how each picture is drawn; those of yes or no also serve each of several classes against the rest."""
    plans = _plans_of_one(judged)
    found = judged.report.classes
    commonest = sorted(found.results, key=lambda each: -each.n)[:MOST_CLASSES] if found else ()
    for name, title in OF_CLASSES.items():
        for each in commonest:
            plans[f"{name} of {each.name}"] = replace(plans[name], title=f"{each.name}: {title}", said=SAID_OF_A_CLASS)
    return plans


def _plans_of_one(judged: Judged) -> dict[str, _Plan]:
    things, unit = judged.things, judged.trade.unit if judged.trade else "points"
    per = f"share of {things} acted on, riskiest first"
    whole = pages.Axis(title=per, low=0, high=1, form=whole_percent)
    return {
        "value": _Plan(
            title=f"Value per 1,000 {things}",
            said="By how many are acted on; the shade is the 95 % interval. Where the line falls, one more costs more "
            "than it brings.",
            x=whole,
            y=pages.Axis(title=unit, form=plain),
            at_capacity=True,
        ),
        "found": _Plan(
            title="Hits found",
            said="By how many are acted on, those with the highest scores first.",
            x=whole,
            y=pages.Axis(title="of all hits", low=0, high=1, form=whole_percent),
            at_capacity=True,
        ),
        "within": _Plan(
            title="How far off forecasts are",
            said="So many forecasts are off by no more than that.",
            x=pages.Axis(title="share of forecasts", low=0, high=1, form=whole_percent),
            y=pages.Axis(title="off by at most", low=0, form=plain),
        ),
        "reliability": _Plan(
            title="Does it mean what it says?",
            said="What came true by what was forecast, in tenths of the rows; the shade is the 95 % interval. "
            + _method(judged),
            x=pages.Axis(title="probability stated", low=0, form=whole_percent),
            y=pages.Axis(title="share that came true", low=0, form=whole_percent),
            whose=("challenger",),
            diagonal="perfect",
            dots=True,
        ),
        "forecasts": _Plan(
            title="What came, by what was forecast",
            said="In tenths of the rows; the shade holds four cases of five.",
            x=pages.Axis(title="forecast", form=plain),
            y=pages.Axis(title="came", form=plain),
            whose=("challenger",),
            diagonal="perfect",
            dots=True,
        ),
        "roc": _Plan(
            title="ROC",
            said="Hits found by false alarms raised, over all thresholds.",
            x=pages.Axis(title="false alarms, of all that are no hits", low=0, high=1, form=whole_percent),
            y=pages.Axis(title="found, of all hits", low=0, high=1, form=whole_percent),
        ),
        "precision_recall": _Plan(
            title="Precision and recall",
            said="How many of those flagged are hits, by how many of all hits are found.",
            x=pages.Axis(title="recall", low=0, high=1, form=whole_percent),
            y=pages.Axis(title="precision", low=0, high=1, form=whole_percent),
        ),
        "residuals": _Plan(
            title="Residuals",
            said="Forecast minus truth by forecast, in tenths of the rows; the shade holds four cases of five.",
            x=pages.Axis(title="forecast", form=plain),
            y=pages.Axis(title="too high by", form=plain),
            whose=("challenger",),
            dots=True,
        ),
        "learning": _Plan(
            title="Learning curve",
            said="Loss per round of the fit.",
            x=pages.Axis(title="round", form=plain),
            y=pages.Axis(title="loss", form=plain),
            whose=(),
        ),
    }

"""Class by class: how well each is told from the rest, and for which others it is taken."""

from collections.abc import Mapping
from html import escape

from mlops_assets import pages
from mlops_assets.governance.judged import Judged
from mlops_assets.governance.report_findings import cell
from mlops_assets.governance.words import signed, three_digits, whole_percent
from mlops_assets.records import Classes, ClassResult

COLUMNS = ("true_positive_rate", "precision", "auc", "ece")
HEAD = ("found of them", "right when answered", "ranking", "calibration error")


def classes(judged: Judged, drawn: Mapping[str, str]) -> str:
    """Show what was found of each class; of a model without classes there is no such section."""
    found = judged.report.classes
    if found is None:
        return ""
    head = ("", judged.things, *HEAD, f"ranking against {_other(judged, found)}")
    panels = "".join(picture for name, picture in drawn.items() if name.startswith("reliability of "))
    return (
        "<h2>Class by class</h2>"
        f"{pages.table(head, (_line(each) for each in found.results), numbers=range(1, len(head)))}"
        f"<h3>What is taken for what</h3>{_confusion(judged, found)}"
        f"{f'<div class=pair>{panels}</div>' if panels else ''}"
    )


def _other(judged: Judged, found: Classes) -> str:
    return "the simple model" if found.results[0].gain.other == "baseline" else judged.other


def _line(each: ClassResult) -> tuple[str, ...]:
    measured = {metric.name: metric for metric in each.metrics}
    gain = each.gain
    chance = "may be chance" if gain.p_value >= 0.05 else "beyond chance"
    return (
        escape(each.name),
        f"{each.n:,}",
        *(cell(measured.get(name)) for name in COLUMNS),
        f"{signed(gain.difference, three_digits)}<small>{chance}</small>",
    )


def _confusion(judged: Judged, found: Classes) -> str:
    """Lay out how many of each class were answered as which, each row shaded by the shares of its class."""
    names = [each.name for each in found.results]
    lines = []
    for name, row in zip(names, found.confusion, strict=True):
        whole = sum(row) or 1
        lines.append(
            (escape(name), *(pages.shade(f"{count:,}", whole_percent(count / whole), count / whole) for count in row))
        )
    table = pages.table(("came", *(f"answered {name}" for name in names)), lines, numbers=range(1, len(names) + 1))
    return (
        f"<p class=dim>How many {escape(judged.things)} of each class got which answer, and their share of the class; "
        f"what is right stands on the diagonal.</p>{table}"
    )

"""How a version comes out for groups of people, as a section of the report."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from mlops_assets import pages
from mlops_assets.governance.judged import Judged
from mlops_assets.governance.report_findings import cell
from mlops_assets.governance.words import percent, plain, words_of
from mlops_assets.records import FairnessGap, GroupRates

SAID: Final = {
    "demographic_parity_difference": "shares flagged lie apart by",
    "demographic_parity_ratio": "the lowest share flagged is of the highest",
    "equal_opportunity_difference": "shares of hits found lie apart by",
    "equalized_odds_difference": "shares of hits found, or of others flagged, lie apart by",
    "mean_error_difference": "mean errors, too high or too low, lie apart by",
    "mean_absolute_error_difference": "forecasts are off by amounts that lie apart by",
}


def groups(judged: Judged) -> str:
    """Show how decisions, answers or errors come out for groups of people, where such are declared."""
    fairness = judged.report.fairness
    if fairness is None:
        return ""
    named = list(dict.fromkeys((*(gap.of for gap in fairness.gaps), *(group.of for group in fairness.groups))))
    parts = [
        _part(
            judged,
            of,
            [group for group in fairness.groups if group.of == of],
            [gap for gap in fairness.gaps if gap.of == of],
        )
        for of in named
    ]
    untold = "".join(f"<li>{escape(said)}</li>" for said in fairness.unmeasured)
    return f"<h2>Groups of people</h2>{''.join(parts)}{f'<ul>{untold}</ul>' if untold else ''}"


def _part(judged: Judged, of: str, found: Sequence[GroupRates], gaps: Iterable[FairnessGap]) -> str:
    names = list(dict.fromkeys(metric.name for group in found for metric in group.rates))
    head = ("", judged.things, *(words_of(name).title for name in names))
    table = pages.table(head, (_group(group, names) for group in found), numbers=range(1, len(head)))
    title = f"<h3>Answered {escape(of)}</h3>" if of else ""
    return f"{title}<ul>{''.join(map(_gap, gaps))}</ul>{table}"


def _group(group: GroupRates, names: Iterable[str]) -> tuple[str, ...]:
    rates = {metric.name: metric for metric in group.rates}
    few = " <span class=warns>few</span>" if group.small else ""
    return f"{escape(group.column)} {escape(group.group)}{few}", f"{group.n:,}", *(cell(rates.get(n)) for n in names)


def _gap(gap: FairnessGap) -> str:
    ratio, number = gap.measure.endswith("_ratio"), plain if "error" in gap.measure else percent
    name = gap.measure.replace("_", " ")
    said = f"By {gap.column}, {SAID.get(gap.measure, name)} {number(gap.value)}"
    if gap.limit is None:
        return f"<li>{escape(said)} <span class=dim>({escape(name)})</span></li>"
    mark = "<span class=met>Kept</span>" if gap.kept else "<span class=failed>Broken</span>"
    limit = f"at {'least' if ratio else 'most'} {number(gap.limit)}"
    return f"<li>{mark} {escape(said)}, where {limit} is asked for. <span class=dim>({escape(name)})</span></li>"

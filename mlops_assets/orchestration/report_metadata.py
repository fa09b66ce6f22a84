"""What Dagster's page of an evaluation says before its numbers: headline, why, what changed, where it is weakest."""

from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import Any, Final

import dagster as dg

from mlops_assets.governance import Judged, changes, headline, measured, weakest_first, words_of

WEAKEST: Final = 5
LINE: Final = 56  # letters


def report_metadata(found: Judged, *, path: str) -> dict[str, Any]:
    """Give the report in short, the `path` of its page, and where MLflow shows it."""
    report = found.report
    against = [reason for reason in report.reasons if not reason.startswith(("Passed: ", "Note: "))]
    failed = [f"{each.name}: {each.words}" for each in report.behaviour if not each.passed]
    shown: dict[str, Any] = {
        "headline": _bold(headline(found)),
        "verdict": report.verdict,
        "why": _list(against) if against else "It keeps all rules that were set before it was trained.",
        "report": dg.MetadataValue.path(path),
    }
    if found.version.mlflow_url:
        shown["report in MLflow"] = dg.MetadataValue.url(f"{found.version.mlflow_url}/artifacts/report.html")
    shown["measures"] = _measures(found)
    if found.before and (differing := list(changes(found))):
        head = ("", f"version {found.before.version}", f"version {found.version.version}")
        shown["what changed"] = _table(head, differing)
    if parts := weakest_first(report.slices)[:WEAKEST]:
        rows = [(f"{part.column} {part.level}", f"{part.metric.n:,}", measured(part.metric)) for part in parts]
        shown["weakest slices"] = _table(("", found.things, words_of(parts[0].metric.name).title), rows)
    if report.behaviour:
        shown["behaviour"] = _list(failed) if failed else f"It passed all {len(report.behaviour)} tests."
    return shown


def _bold(text: str) -> dg.MarkdownMetadataValue:
    """Show a sentence in lines that Dagster's column has room for; a long path below would keep it from wrapping."""
    return dg.MetadataValue.md("  \n".join(f"**{_cell(line)}**" for line in wrap(text, LINE)))


def _measures(found: Judged) -> dg.MarkdownMetadataValue:
    """Lay the measures beside those of what it is held against; Dagster's column is narrow, so without intervals."""
    others = {metric.name: metric for metric in found.other_metrics}
    rows = []
    for metric in found.report.challenger_metrics:
        words, other = words_of(metric.name), others.get(metric.name)
        rows.append((words.title, words.form(metric.value), words.form(other.value) if other else "–"))
    return _table(("", f"version {found.version.version}", found.other), rows)


def _list(lines: Iterable[str]) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md("\n".join(f"- {_cell(line)}" for line in lines))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> dg.MarkdownMetadataValue:
    lines = [head, ["---"] * len(head), *rows]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")

"""What Dagster's page of an evaluation says before its numbers: the headline, what changed, where it is weakest."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import dagster as dg

from mlops_assets.governance import Judged, changes, headline, measured, weakest_first, words_of

WEAKEST: Final = 5


def report_metadata(found: Judged, *, path: str) -> dict[str, Any]:
    """Give the report in short, the `path` of its page, and where MLflow shows it."""
    shown: dict[str, Any] = {
        "headline": dg.MetadataValue.md(f"**{_cell(headline(found))}**"),
        "report": dg.MetadataValue.path(path),
    }
    if found.version.mlflow_url:
        shown["report in MLflow"] = dg.MetadataValue.url(f"{found.version.mlflow_url}/artifacts/report.html")
    if found.before and (differing := list(changes(found))):
        head = ("", f"version {found.before.version}", f"version {found.version.version}")
        shown["what changed"] = _table(head, differing)
    if parts := weakest_first(found.report.slices)[:WEAKEST]:
        rows = [(f"{part.column} {part.level}", f"{part.metric.n:,}", measured(part.metric)) for part in parts]
        shown["weakest slices"] = _table(("", found.things, words_of(parts[0].metric.name).title), rows)
    return shown


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> dg.MarkdownMetadataValue:
    lines = [head, ["---"] * len(head), *rows]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")

"""What a request to erase somebody's data touches, as text and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

from mlops_assets.cli.project import Project
from mlops_assets.errors import GovernanceError, UnknownNameError, examples
from mlops_assets.lineage import Node
from mlops_assets.orchestration.steps.archive.subjects import Subject, Touched, key_columns, touched_by

HEADINGS = {
    "table": "tables",
    "online": "online rows",
    "log": "logged predictions",
    "version": "model versions trained on it",
    "computed": "views computed from its rows, without its name",
}


def show_subject(project: Project, key: str, *, column: str | None, as_json: bool) -> str:
    """Say what holds rows of a key.

    Raises:
        UnknownNameError: The column is none of any table.
        GovernanceError: No row has the key, or several columns do.
    """
    subject = Subject(key=key, column=_column(project, key, column), also={})
    subject = Subject(key=key, column=subject.column, also=_renamed(project, subject.column))
    views = [view.record() for _, view in project.views.values()]
    touched = list(touched_by(subject, project.home, views=views, models=project.models))
    touched += _computed_from(project, {each.name for each in touched})
    if as_json:
        found = {"key": key, "column": subject.column, "touched": [asdict(each) for each in touched]}
        return json.dumps(found, indent=2)
    return "\n".join([f"{subject.column} {key!r} is held by", *_lines(touched)])


def _column(project: Project, key: str, column: str | None) -> str:
    known = {name for _, table in project.tables.values() for name in table.contract.columns}
    if column is not None:
        if column not in known:
            raise UnknownNameError("column", column, known=known)
        return column
    candidates = sorted(_naming(project) & known)
    found = key_columns(project.home, candidates, key)
    if len(found) == 1:
        return found[0]
    if found:
        raise GovernanceError(
            f"{key!r} stands in several columns, {', '.join(found)}, which need not mean the same. "
            "Say which one is meant with --column.",
            columns=found,
        )
    raise GovernanceError(
        f"No row has {key!r} in a column that names something: {', '.join(candidates)}. Check how it is spelt; if "
        "another column holds it, name that with --column.",
        columns=candidates,
    )


def _naming(project: Project) -> set[str]:
    """Give the columns that name what rows are about: unique ones, keys of decisions and keys of views."""
    unique = {name for _, t in project.tables.values() for name, rule in t.contract.columns.items() if rule.unique}
    decisions = {folder.declaration.decisions.key for folder in project.models.values()}
    views = {name for _, view in project.views.values() for name in view.keys}
    return unique | decisions | views


def _renamed(project: Project, column: str) -> dict[str, str]:
    """Give the views that keep the column as a key under another name."""
    renamed = {}
    for name, (_, view) in project.views.items():
        for key in view.keys:
            origins = project.lineage.origins(Node("view", f"features/{name}", key))
            if key != column and [origin.column for origin in origins] == [column]:
                renamed[f"features/{name}"] = key
    return renamed


def _computed_from(project: Project, holders: set[str]) -> list[Touched]:
    """Give the views that read a table which holds the key, and do not hold it themselves."""
    return [
        Touched(kind="computed", name=f"features/{name}", rows={})
        for name, (_, view) in project.views.items()
        if f"features/{name}" not in holders and holders & {f"validated/{table}" for table in view.tables.values()}
    ]


def _lines(touched: Sequence[Touched]) -> list[str]:
    if not touched:
        return ["  nothing"]
    lines = []
    for kind, found in groupby(sorted(touched, key=lambda each: list(HEADINGS).index(each.kind)), lambda e: e.kind):
        lines.append(f"  {HEADINGS[kind]}")
        lines += [f"    {each.name:<28}{_said(each)}" for each in found]
    return lines


def _said(each: Touched) -> str:
    if each.kind == "computed":
        return "as of the windows they fall into"
    total = sum(each.rows.values())
    rows = f"{total} row{'' if total == 1 else 's'}"
    parts = [name for name, count in sorted(each.rows.items()) if name and count]
    where = f" in {examples(parts)}" if parts else ""
    versions = f", versions {each.versions}" if each.versions else ""
    return f"{rows}{where}{versions}" + (f", {each.note}" if each.note else "")

"""Names that one declaration uses and another defines, checked once all of them are loaded.

A view or table that is only asked for at run time would be missed weeks later, by the first training.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.features.definition import ViewDefinition
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.table_declaration import TableDeclaration

Tables = Mapping[str, tuple[Path, TableDeclaration]]
Views = Mapping[str, tuple[Path, ViewDefinition]]


@dataclass(frozen=True, slots=True)
class Use:
    """A name used under `key` in a file of `folder`, and those that could be meant."""

    folder: Path
    key: str
    kind: str
    name: str
    known: tuple[str, ...]
    within: str = "defs.yaml"

    def __str__(self) -> str:
        file = self.folder / self.within
        place = f"{self.folder.name}/{file.name}:{line_of(self.name, file)}"
        return f"{place}: {self.key}: {UnknownNameError(self.kind, self.name, known=self.known)}"


def require_known_names(
    defs: dg.Definitions, *, tables: Tables, views: Views, models: Mapping[str, ModelFolder]
) -> None:
    """Make sure that every table, view and column a declaration names is there.

    Raises:
        DeclarationError: Some are not; the message lists each with file, line and what was probably meant.
    """
    made = defs.resolve_asset_graph().materializable_asset_keys  # a name that is only used is a key of the graph, too
    known_tables, known_views = (_names(made, stage) for stage in ("validated", "features"))
    uses = [
        *_of_views(views, tables, known_tables),
        *(use for folder in models.values() for use in _of_model(folder, tables, views, known_tables, known_views)),
    ]
    wrong = [str(use) for use in uses if use.name not in use.known]
    if wrong:
        raise DeclarationError("Nothing is loaded, for what is not there is asked for:\n  " + "\n  ".join(wrong))


def _names(keys: Iterable[dg.AssetKey], stage: str) -> tuple[str, ...]:
    return tuple(key.path[1] for key in keys if len(key.path) == 2 and key.path[0] == stage)


def _of_views(views: Views, tables: Tables, known_tables: tuple[str, ...]) -> Iterator[Use]:
    for folder, view in views.values():
        for alias, table in view.tables.items():
            yield Use(folder, f"tables.{alias}", "table", table, known_tables)
            if table in tables:
                columns = tuple(tables[table][1].contract.columns)
                for key, column in _columns_named(view, alias):
                    yield Use(folder, key, f"column of {table}", column, columns)


def _columns_named(view: ViewDefinition, alias: str) -> Iterator[tuple[str, str]]:
    """Give the columns of a table that a view names outside its SQL, and the key under which it does."""
    if view.python:
        yield from ((f"python.reads.{alias}", column) for column in view.python.reads[alias])
        yield from ((f"python.times.{each}", column) for each, column in view.python.times.items() if each == alias)
    if view.aggregates:
        yield "aggregates.time", view.aggregates.time
        yield from (("keys", key) for key in view.keys)


def _of_model(
    folder: ModelFolder, tables: Tables, views: Views, known_tables: tuple[str, ...], known_views: tuple[str, ...]
) -> Iterator[Use]:
    about = folder.declaration.decisions
    yield Use(folder.path, "decisions.table", "table", about.table, known_tables)
    for view in folder.declaration.views:
        yield Use(folder.path, "views", "feature view", view, known_views)
    if about.table in tables:
        columns = tuple(tables[about.table][1].contract.columns)
        stored = tuple(
            feature for name in folder.declaration.views if name in views for feature in views[name][1].features
        )
        for column in folder.declaration.gate.columns_beside:
            place = "gate.slice_columns" if column in folder.declaration.gate.slice_columns else "gate.fairness.columns"
            yield Use(folder.path, place, f"column of {about.table}", column, (*columns, *stored))
        for key in ("key", "time", "known_at"):
            if column := getattr(about, key):
                yield Use(folder.path, f"decisions.{key}", f"column of {about.table}", column, columns)
        for column in folder.label_columns:
            yield Use(folder.path, "label", f"column of {about.table}", column, columns, within="model.py")


def line_of(name: str, file: Path) -> int:
    """Give the first line that holds `name` as a whole word."""
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    lines = file.read_text().splitlines() if file.exists() else []
    return next((number for number, line in enumerate(lines, 1) if word.search(line)), 1)

"""Columns tagged `protected` or `audit_only` are for slices and audits: no model that would learn from one is loaded.

A request field is the column of its name in the table of decisions. A stored feature is every column its SQL computes
it from, and every column by which the SQL chooses, joins or groups the rows it counts.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from mlops_assets.errors import DeclarationError
from mlops_assets.features.definition import ViewDefinition, lineage
from mlops_assets.features.row_sources import row_sources_of
from mlops_assets.orchestration.known_names import Tables, Views, line_of
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.origins import plan_of

Column = tuple[str, str]


def require_kept_from_models(*, tables: Tables, views: Views, models: Mapping[str, ModelFolder]) -> None:
    """Make sure that no model is computed from a column that its contract keeps from models.

    Raises:
        DeclarationError: Some are; the message lists each with file, line and the path from the feature to the column.
    """
    kept: dict[Column, str] = {
        (table, column): f"{table}.{column}, which {folder.name}/defs.yaml tags {' and '.join(rule.kept_from_models)}"
        for table, (folder, declared) in tables.items()
        for column, rule in declared.contract.columns.items()
        if rule.kept_from_models
    }
    if not kept:
        return
    columns = {table: tuple(declared.contract.columns) for table, (_, declared) in tables.items()}
    wrong = [line for folder in models.values() for line in _Inputs(folder, views, columns, kept).drawn()]
    if wrong:
        raise DeclarationError(
            "Nothing is loaded, for a model would learn from what is kept from models:\n  "
            + "\n  ".join(wrong)
            + "\nTake it out of the model. To see how the model treats those it tells apart, name the column in "
            "`gate.slice_columns` or `gate.fairness.columns`, where it may stand.",
            problems=wrong,
        )


class _Inputs:
    """What a model's features are computed from, down to the columns of tables."""

    def __init__(
        self, folder: ModelFolder, views: Views, columns: Mapping[str, tuple[str, ...]], kept: Mapping[Column, str]
    ) -> None:
        self._folder = folder
        self._columns = columns
        self._kept = kept
        self._views = {name: views[name][1] for name in folder.declaration.views if name in views}
        self._plan = plan_of(folder, {name: view.record() for name, view in self._views.items()})

    def drawn(self) -> Iterator[str]:
        """Tell of each column kept from models, once and with file and line, by which way it reaches this one."""
        told = set()
        for name, path, column in [*self._paths(), *self._fields()]:
            if column in self._kept and column not in told:
                told.add(column)
                place = f"{self._folder.name}/features.py:{line_of(name, self._folder.path / 'features.py')}"
                yield f"{place}: {' <- '.join(path)} <- {self._kept[column]}"

    def _paths(self) -> Iterator[tuple[str, tuple[str, ...], Column]]:
        """Give each feature with the steps down to each column it is computed from."""
        for name in self._plan.module.features:
            for path, column in self._down(name, (f"feature {name!r}",)):
                yield name, path, column

    def _fields(self) -> Iterator[tuple[str, tuple[str, ...], Column]]:
        table = self._folder.declaration.decisions.table
        for field in self._plan.module.request:
            yield field.name, (f"request field {field.name!r}",), (table, field.name)

    def _down(self, name: str, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Column]]:
        functions = self._plan.module.functions
        if name in functions:
            for argument in functions[name].arguments:
                yield from self._down(argument, (*path, argument))
        elif name in self._stored:
            view = self._stored[name]
            for column in self._values[view.name].get(name, ()):
                yield (*path, f"view {view.name!r}"), column
            for column in self._rows[view.name]:
                yield (*path, f"the rows that view {view.name!r} counts, or finds them by"), column
        else:
            yield path, (self._folder.declaration.decisions.table, name)

    @cached_property
    def _stored(self) -> dict[str, ViewDefinition]:
        return {feature: view for view in self._views.values() for feature in view.features}

    @cached_property
    def _values(self) -> dict[str, dict[str, tuple[Column, ...]]]:
        """What each column of each view is computed from."""
        return {
            name: lineage(view, self._columns) if self._names_one(view) else {} for name, view in self._views.items()
        }

    @cached_property
    def _rows(self) -> dict[str, list[Column]]:
        """What decides the rows of each view: conditions and groups of its SQL, and the keys they are found by."""
        return {
            name: [
                *(row_sources_of(view.sql, tables=view.tables, columns=self._columns) if view.sql else ()),
                *(column for key in view.keys for column in self._values[name][key]),
            ]
            if self._names_one(view)
            else []
            for name, view in self._views.items()
        }

    def _names_one(self, view: ViewDefinition) -> bool:
        """Tell whether a view names a kept column of its tables; parsing the SQL of every view takes a while."""
        text = re.sub(r"\\.", " ", view.model_dump_json().lower())  # line ends are spelt \n, and would hide a word
        words = set(re.findall(r"\w+", text))
        return any(table in view.tables.values() and column.lower() in words for table, column in self._kept)

"""New folders: a model's three files, filled in from a data file where one is given; tables and views to fill in."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copyfile
from textwrap import fill, indent
from typing import Any, Literal

import click
import dagster as dg
import yaml
from dagster.components.component_scaffolding import scaffold_component
from pydantic import BaseModel, Field

from mlops_assets.errors import DeclarationError, MlopsError
from mlops_assets.orchestration.outline import ColumnOutline, Label, ModelOutline, require_name
from mlops_assets.orchestration.outline_of_data import outline_of_data

WIDTH = 120

DEFS_YAML = """\
type: mlops_assets.orchestration.RawTable
attributes:
  table: {name}
  description: What {name} learns from.
  source: {{kind: files, paths: [{path}]{types}}}
  contract:
    columns:
{columns}
---
type: mlops_assets.orchestration.ModelPipeline
attributes:
  description: Predicts {label}.
  task: {task}
  # `hours_before`: how long before its time a decision is taken; `known_at`: the column that says when its label came.
  decisions: {{table: {name}, key: {key}, time: {time}}}
  training: {{window: {{holdout_days: {holdout_days}, minimum_rows: {train_rows}}}}}
  # What must hold whatever the score: functions `test_...(model)` in a file `behaviour.py` beside this one. Their
  # `assert`s see the fitted model; where one fails, the gate refuses.
  gate: {{{gate}}}
  monitor: {{windows: {{every: week, start: {first_day}}}}}
"""

FEATURES_PY = '''\
"""What {name} looks at. A request holds what is known when it is made: take out whatever becomes known later."""

from datetime import datetime

from mlops_assets.features import Array, {of}

REQUEST = {{
{request}
}}


def {function}({time}: Array) -> Array:
    """{meaning}, in UTC."""
    return {of}({time})


FEATURES = ({features})
{left_out}'''

MODEL_PY = '''\
"""What {name} predicts, and how it learns."""

{imports}

PARAMS = {{"num_iterations": 100, "num_leaves": 15, "learning_rate": 0.05, "min_data_in_leaf": 20}}


def label({column}: Array) -> Array:
    """{meaning}. NaN while it is not known."""
    return {value}
'''

VIEW_YAML = """\
type: mlops_assets.orchestration.RawTable
attributes:
  table: {name}_rows
  description: What {name} is computed from. Take this half out if the table is there already.
  source: {{kind: files, paths: ["{{here}}/{name}.csv"]}}
  contract:
    columns:
      customer: {{type: string}}
      at: {{type: timestamp}}
---
type: mlops_assets.orchestration.FeatureTable
attributes:
  name: {name}
  description: What is known of each customer.
  keys: {{customer: string}}
  features: {{customer_rows: float64}}
  tables: {{seen: {name}_rows}}
  event_time: newest
  ttl: P365D
  sql: SELECT customer, count(*) AS customer_rows, max(at) AS newest FROM seen GROUP BY customer
"""

SOURCES_TO_FILL_IN: dict[str, Callable[[str], dict[str, Any]]] = {
    "files": lambda name: {"paths": [f"{{here}}/{name}.csv"]},
    "sql": lambda name: {"url": f"sqlite:///{{here}}/{name}.sqlite", "query": f"SELECT id, at FROM {name}"},
    "http": lambda name: {
        "url": f"https://example.org/{name}",
        "records": "data",
        "pages": {"kind": "cursor", "next": "next"},
        "auth": {"variable": f"{name.upper()}_TOKEN"},
        "types": {"id": "string", "at": "timestamp"},
    },
    "events": lambda name: {"id": "id", "time_column": "at", "types": {"id": "string", "at": "timestamp"}},
}
REQUEST_TYPES = {"string": "str", "timestamp": "datetime"}  # the other columns are sent as numbers


def write_model(outline: ModelOutline, folder: Path) -> None:
    """Write defs.yaml, features.py and model.py of a model into `folder`."""
    texts = {"defs.yaml": defs_yaml(outline), "features.py": features_py(outline), "model.py": model_py(outline)}
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        (folder / file).write_text(text)


def write_model_of(data: Path, folder: Path, *, key: str, time: str, label: str) -> None:
    """Write the files of a model of `data` into `folder`, whose name is the model's, beside a copy of the data."""
    write_model(outline_of_data(folder.name, data, key=key, time=time, label=label), folder)
    copyfile(data, folder / data.name)


# --- texts ----------------------------------------------------------------------------------------


def defs_yaml(outline: ModelOutline) -> str:
    """Give the text of defs.yaml: where the data come from, and what is promised."""
    amounts, task = outline.amounts, outline.label.task
    metric = {
        "binary": f"primary_metric: auc, minimum_per_class: {amounts.held_of_class}",
        "regression": f"primary_metric: rmse, non_inferiority_margin: {amounts.margin}",
    }
    types = "".join(f", types: {{{_name(name)}: {kind}}}" for name, kind in outline.types.items())
    return DEFS_YAML.format(
        name=_name(outline.name),
        path=json.dumps(outline.path, ensure_ascii=False),
        types=types,
        columns="\n".join(f"      {_name(each.name)}: {{{_rule(each, outline)}}}" for each in outline.columns),
        label=_name(outline.label.column),
        task=task,
        key=_name(outline.key),
        time=_name(outline.time),
        holdout_days=amounts.holdout_days,
        train_rows=amounts.train_rows,
        gate=f"{metric[task]}, champion_evidence: likely, minimum_rows: {amounts.held_rows}",
        first_day=outline.first_day.isoformat(),
    )


def features_py(outline: ModelOutline) -> str:
    """Give the text of features.py: every column that can be a feature, and a function as an example."""
    of, function, meaning = "hour_of_day", "hour", "Hour of the day"
    if outline.whole_days:
        of, function, meaning = "day_of_week", "weekday", "Day of the week, 0 for Monday"
    while function in {each.name for each in outline.columns}:
        function += "_"
    features = {each.name for each in outline.features}
    asked = [each for each in outline.columns if each.name in features or each.name == outline.time]
    unfit = "; ".join(f"{each.name}, {each.unfit}" for each in outline.columns if each.unfit)
    return FEATURES_PY.format(
        name=outline.name,
        of=of,
        request="\n".join(f'    "{each.name}": {_asked(each)},' for each in asked),
        function=function,
        time=outline.time,
        meaning=meaning,
        features=_tuple([*(f'"{each.name}"' for each in outline.features), function]),
        left_out=fill(f"Left out: {unfit}.", WIDTH, initial_indent="# ", subsequent_indent="# ") + "\n"
        if unfit
        else "",
    )


def model_py(outline: ModelOutline) -> str:
    """Give the text of model.py: what is predicted, as a function of columns, and the trainer's parameters."""
    label = outline.label
    meaning, value = _label(label)
    return MODEL_PY.format(
        name=outline.name,
        imports="import numpy as np\n\n" * value.startswith("np.") + "from mlops_assets.features import Array",
        column=label.column,
        meaning=meaning,
        value=value,
    )


def _label(label: Label) -> tuple[str, str]:
    column, positive = label.column, label.positive
    if label.task == "regression":
        return "The number predicted", column
    if positive is None:
        return f"1 for a row whose {column} is 1", column
    missing = f"np.equal({column}, None)" if isinstance(positive, str) else f"np.isnan({column})"
    said = json.dumps(positive, ensure_ascii=False)
    return f"1 for a row whose {column} is {said}", f"np.where({missing}, np.nan, {column} == {said})"


def _asked(column: ColumnOutline) -> str:
    kind = REQUEST_TYPES.get(column.type, "float")
    kind = f"{kind} | None" if column.nullable else kind
    return f'({kind}, "1 if so, 0 if not.")' if column.type == "bool" else kind


def _rule(column: ColumnOutline, outline: ModelOutline) -> str:
    unique = ", unique: true" if column.name == outline.key else ""
    return f"type: {column.type}{unique}" + (", nullable: true" if column.nullable else "")


def _name(text: str) -> str:
    """Give a name as YAML that reads back as this name, and not as the truth value that `on` or `no` is."""
    return text if yaml.safe_load(text) == text else json.dumps(text, ensure_ascii=False)


def _tuple(members: Iterable[str]) -> str:
    """Give the inside of a tuple, on lines of its own where one is too short."""
    inside = ", ".join(members)
    inside = inside if ", " in inside else f"{inside},"
    if len(f"FEATURES = ({inside})") <= WIDTH:
        return inside
    lines = fill(f"{inside},".replace(",,", ","), WIDTH - 4, break_on_hyphens=False, break_long_words=False)
    return f"\n{indent(lines, '    ')}\n"


# --- what `dg scaffold defs` calls ----------------------------------------------------------------


@contextmanager
def refusals_in_words(folder: Path) -> Iterator[None]:
    """Let `dg` say what is refused without a traceback, and leave no folder behind that holds nothing."""
    try:
        yield
    except MlopsError as error:
        with suppress(OSError):
            folder.rmdir()  # `dg` has made it; one with files in it stays
        raise click.ClickException(str(error)) from error


class ModelParams(BaseModel):
    """What `dg scaffold defs` may be told about the new model: all four, or none for a folder to fill in."""

    data: str | None = Field(default=None, description="CSV, JSON lines or Parquet file; a copy stands in the folder.")
    key: str | None = Field(default=None, description="Column that names a row.")
    time: str | None = Field(default=None, description="Column that says when it happened.")
    label: str | None = Field(default=None, description="Column to predict.")


class ModelPipelineScaffolder(dg.Scaffolder[ModelParams]):
    """Makes a model's folder of three files."""

    @classmethod
    def get_scaffold_params(cls) -> type[ModelParams]:
        """Give the parameters of `dg scaffold defs`."""
        return ModelParams

    def scaffold(self, request: dg.ScaffoldRequest[ModelParams]) -> None:
        """Write the three files, and a copy of the data if they are told."""
        with refusals_in_words(request.target_path):
            self._write(request)

    def _write(self, request: dg.ScaffoldRequest[ModelParams]) -> None:
        folder, told = request.target_path, request.params
        _require_folder(request, "model")
        given = {name: value for name, value in told.model_dump().items() if value is not None}
        if not given:
            return write_model(ModelOutline.blank(folder.name), folder)
        if told.data is None or told.key is None or told.time is None or told.label is None:
            lacking = ", ".join(f"--{name}" for name in ModelParams.model_fields if name not in given)
            raise DeclarationError(f"A model of a data file needs {lacking} as well. Without any, the folder is blank.")
        return write_model_of(Path(told.data), folder, key=told.key, time=told.time, label=told.label)


class TableParams(BaseModel):
    """What `dg scaffold defs` may be told about a new raw table."""

    kind: Literal["files", "sql", "http", "events"] = Field(
        default="files", description="Where its rows come from: files, sql, http or events."
    )


class RawTableScaffolder(dg.Scaffolder[TableParams]):
    """Makes a folder with one raw table to fill in."""

    @classmethod
    def get_scaffold_params(cls) -> type[TableParams]:
        """Give the parameters of `dg scaffold defs`."""
        return TableParams

    def scaffold(self, request: dg.ScaffoldRequest[TableParams]) -> None:
        """Write defs.yaml."""
        with refusals_in_words(request.target_path):
            name = require_name("table", request.target_path.name)
        kind = request.params.kind if request.params else "files"
        columns: dict[str, Any] = {"id": {"type": "string", "unique": True}, "at": {"type": "timestamp"}}
        if kind == "events":
            columns["recorded_at"] = {"type": "timestamp"}
        source = {"kind": kind, **SOURCES_TO_FILL_IN[kind](name)}
        scaffold_component(request, {"table": name, "source": source, "contract": {"columns": columns}})


class FeatureTableScaffolder(dg.Scaffolder[BaseModel]):
    """Makes a folder with one feature view to fill in, over a table to fill in."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write defs.yaml."""
        with refusals_in_words(request.target_path):
            _require_folder(request, "view")
            name = require_name("view", request.target_path.name)
        (request.target_path / "defs.yaml").write_text(VIEW_YAML.format(name=name))


def _require_folder(request: dg.ScaffoldRequest[Any], kind: str) -> None:
    if request.append or request.scaffold_format != "yaml":
        raise DeclarationError(f"A {kind} is made as a folder with a defs.yaml: leave --append and --format out.")

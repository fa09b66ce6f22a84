"""New folders: a model's three files, filled in from a data file where one is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
from dagster.components.component_scaffolding import scaffold_component
from pydantic import BaseModel, Field

from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.sources import FileSource

DEFS_YAML = """\
type: mlops_assets.orchestration.RawTable
attributes:
  table: {name}
  description: {table_description}
  source: {{kind: files, paths: ["{path}"]}}
  contract:
    columns:
{columns}
---
type: mlops_assets.orchestration.ModelPipeline
attributes:
  description: {description}
  task: {task}
  decisions: {{table: {name}, key: {key}, time: {time}}}
  training: {{holdout_days: {holdout_days}, minimum_rows: {minimum_rows}}}
  monitor: {{windows: {{every: week, start: {start}}}}}
"""

FEATURES_PY = '''\
"""What {name} looks at. Name a column, or write a function: its name is a feature, its arguments are its inputs."""

{imports}REQUEST = {{
{request}
}}


{example}FEATURES = ({features})
'''

MODEL_PY = '''\
"""What {name} predicts, and how it learns."""

PARAMS = {{"num_leaves": 31, "learning_rate": 0.1, "num_iterations": 100}}


def label({label}):
    """Give the label of each row; NaN where there is none."""
    return {label}
'''


@dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """What is known of a new model when its folder is made."""

    name: str
    path: str
    key: str
    time: str
    label: str
    task: str
    columns: Mapping[str, str]
    start: date
    holdout_days: int = 14
    minimum_rows: int = 500

    @classmethod
    def blank(cls, name: str) -> "ModelFiles":
        """Give a folder to be filled in: every name in it is an example to replace."""
        columns = {"id": "string", "at": "timestamp", "amount": "float64", "country": "string", "label": "float64"}
        return cls(
            name=name,
            path=f"{{here}}/{name}.csv",
            key="id",
            time="at",
            label="label",
            task="binary",
            columns=columns,
            start=date(2024, 1, 1),
        )

    @classmethod
    def from_data(
        cls, name: str, data: Path, *, key: str, time: str, label: str, task: str | None = None
    ) -> "ModelFiles":
        """Fill the folder in from a CSV or Parquet file.

        Raises:
            UnknownNameError: `key`, `time` or `label` is not a column of the file.
            DeclarationError: The time column holds no times, or the file no rows.
        """
        rows = FileSource(paths=(str(data),)).read(None, variables={})
        for role, column in {"key": key, "time": time, "label": label}.items():
            if column not in rows.column_names:
                raise UnknownNameError(f"{role} column of {data.name}", column, known=rows.column_names)
        columns = {field.name: _declared(field.type) for field in rows.schema}
        times = sorted(value for value in rows[time].to_pylist() if value is not None)
        if columns[time] != "timestamp" or not times:
            raise DeclarationError(
                f"column {time!r} of {data.name} holds {columns[time]}, not times, so nothing could be ordered by when it "
                "happened. Write it as ISO 8601 (2024-05-31T14:05:00Z) or name another column.",
                column=time,
            )
        labels = set(rows[label].drop_null().unique().to_pylist()[:3])
        days = max((times[-1] - times[0]).days, 1)
        return cls(
            name=name,
            path=str(data),
            key=key,
            time=time,
            label=label,
            task=task or ("binary" if labels <= {0, 1} else "regression"),
            columns=columns,
            start=times[0].date(),
            holdout_days=max(days // 5, 1),
            minimum_rows=min(500, rows.num_rows // 2),
        )

    def write(self, folder: Path, *, source: str | None = None) -> Sequence[Path]:
        """Write defs.yaml, features.py and model.py into `folder`; the data are read from `source`, if it is given."""
        if source:
            return replace(self, path=source).write(folder)
        folder.mkdir(parents=True, exist_ok=True)
        texts = {"defs.yaml": self._defs(), "features.py": self._features(), "model.py": self._model()}
        for name, text in texts.items():
            (folder / name).write_text(text)
        return [folder / name for name in texts]

    def _defs(self) -> str:
        lines = []
        for name, kind in self.columns.items():
            rules = ", unique: true" if name == self.key else ", nullable: true" if name not in {self.time} else ""
            lines.append(f"      {name}: {{type: {kind}{rules}}}")
        return DEFS_YAML.format(
            name=self.name,
            table_description=f"What {self.name} learns from.",
            path=self.path,
            columns="\n".join(lines),
            description=f"Predicts {self.label}.",
            task=self.task,
            key=self.key,
            time=self.time,
            holdout_days=self.holdout_days,
            minimum_rows=self.minimum_rows,
            start=self.start.isoformat(),
        )

    def _features(self) -> str:
        inputs = {name: kind for name, kind in self.columns.items() if name not in {self.key, self.label}}
        python = {"float64": "float", "int64": "float", "string": "str | None", "timestamp": "datetime", "bool": "bool"}
        numbers = [name for name, kind in inputs.items() if kind in {"float64", "int64"}]
        features = [f'"{name}"' for name, kind in inputs.items() if kind != "timestamp"]
        hour = f'def hour({self.time}):\n    return {self.time}.astype("datetime64[h]").astype(int) % 24\n\n\n'
        return FEATURES_PY.format(
            name=self.name,
            imports="from datetime import datetime\n\n",
            request="\n".join(f'    "{name}": {python[kind]},' for name, kind in inputs.items()),
            example=hour,
            features=", ".join([*features, "hour"]) + ("," if not numbers and not features else ""),
        )

    def _model(self) -> str:
        return MODEL_PY.format(name=self.name, label=self.label)


class ModelParams(BaseModel):
    """What `dg scaffold defs` may be told about the new model."""

    data: str | None = Field(default=None, description="A CSV or Parquet file to fill the folder in from.")
    key: str = "id"
    time: str = "at"
    label: str = "label"


class ModelPipelineScaffolder(dg.Scaffolder[ModelParams]):
    """Makes a model's folder of three files."""

    @classmethod
    def get_scaffold_params(cls) -> type[ModelParams]:
        """Give the parameters of `dg scaffold defs`."""
        return ModelParams

    def scaffold(self, request: dg.ScaffoldRequest[ModelParams]) -> None:
        """Write the three files."""
        name, params = request.target_path.name, request.params
        files = (
            ModelFiles.from_data(name, Path(params.data), key=params.key, time=params.time, label=params.label)
            if params.data
            else ModelFiles.blank(name)
        )
        files.write(request.target_path)


class RawTableScaffolder(dg.Scaffolder[BaseModel]):
    """Makes a folder with one raw table to fill in."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write defs.yaml."""
        name = request.target_path.name
        scaffold_component(
            request,
            {
                "table": name,
                "source": {"kind": "files", "paths": [f"{{here}}/{name}.csv"]},
                "contract": {"columns": {"id": {"type": "string", "unique": True}, "at": {"type": "timestamp"}}},
            },
        )


def _declared(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "timestamp"
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "int64"
    return "float64" if pa.types.is_floating(kind) or pa.types.is_decimal(kind) else "string"

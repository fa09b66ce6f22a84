"""Reads the outline of a new model off the data file it is to learn from: types, roles, how much is enough."""

from collections.abc import Mapping
from dataclasses import replace
from keyword import iskeyword
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from mlops_assets.errors import DeclarationError, SourceError, UnknownNameError, examples
from mlops_assets.features.columns import UTC_MICROSECONDS
from mlops_assets.features.join import DECISION_TIME
from mlops_assets.orchestration.outline import Amounts, ColumnOutline, Label, ModelOutline, as_name, require_name
from mlops_assets.sources import FileSource
from mlops_assets.validation.contract import ColumnType

SCAFFOLD = "`dg scaffold defs mlops_assets.orchestration.ModelPipeline NAME`"
MOST_LEVELS = 200  # a column with more different texts names things rather than sorts them into kinds
LEAST_ROWS, LEAST_DAYS, LEAST_OF_CLASS = 200, 5, 10
HELD_SHARE, MOST_HELD_ROWS, WISHED_HELD_DAYS, GAP_DAYS = 0.2, 10_000, 14, 1
POSITIVE_WORDS = {"1", "true", "t", "yes", "y"}

Times = npt.NDArray[np.datetime64]
DAY = np.timedelta64(1, "D")


def outline_of_data(name: str, data: Path, *, key: str, time: str, label: str) -> ModelOutline:
    """Give the outline of a model of a CSV, JSON lines or Parquet file, which is to stand beside defs.yaml.

    Raises:
        UnknownNameError: `key`, `time` or `label` is not a column of the file.
        DeclarationError: No model can be made of the file as it is; the message says what to change.
    """
    rows, types = _read(data, key=key, time=time, label=label)
    _require_arguments(rows.column_names, data)
    _require_unique(rows[key], key, data)
    times = _times(rows[time], time, data)
    what = _label(rows[label], label, data)
    labelled = ~np.isnat(times) & rows[label].is_valid().to_numpy()
    return ModelOutline(
        name=require_name("model", name),
        path=f"{{here}}/{data.name}",
        key=key,
        time=time,
        label=what,
        columns=tuple(
            _column(column, rows[column], is_label=column == label, has_role=column in (key, time))
            for column in rows.column_names
        ),
        first_day=np.nanmin(times).astype("datetime64[D]").item(),
        types=types,
        whole_days=bool((times == times.astype("datetime64[D]")).all()),
        amounts=_amounts(times[labelled], rows[label].filter(pa.array(labelled)), what, data),
    )


def _read(data: Path, *, key: str, time: str, label: str) -> tuple[pa.Table, dict[str, ColumnType]]:
    """Give the rows, and the types that guessing would miss: a key is a name, also where it is written in digits."""
    rows = _rows(data)
    for role, column in {"key": key, "time": time, "label": label}.items():
        if column not in rows.column_names:
            raise UnknownNameError(f"{role} column of {data.name}", column, known=rows.column_names)
    if len({key, time, label}) < 3:
        raise DeclarationError(
            f"Key {key!r}, time {time!r} and label {label!r} must be three columns: what names a row, what says when "
            "it happened, and what is to be predicted."
        )
    if pa.types.is_string(rows[key].type):
        return rows, {}
    types: dict[str, ColumnType] = {key: "string"}
    read_again = _rows(data, types)
    if not pa.types.is_string(read_again[key].type):
        raise DeclarationError(
            f"key column {key!r} of {data.name} holds {rows[key].type}, but a request names its decision in text, and "
            "the two would never meet. Write the column as strings.",
            column=key,
        )
    return read_again, types


def _rows(data: Path, types: Mapping[str, ColumnType] | None = None) -> pa.Table:
    try:
        return FileSource(paths=(str(data),), types=types or {}).read(None, variables={})
    except ValidationError:
        raise DeclarationError(
            f"{data.name} ends in nothing that says how it is written, so it cannot be read. Write the data as .csv, "
            ".jsonl or .parquet.",
            path=str(data),
        ) from None
    except SourceError as error:
        raise DeclarationError(
            f"{error} A new project is made of a file that needs none of these; the files that {SCAFFOLD} without "
            "--data makes have a `source` to set them in.",
            path=str(data),
        ) from error


def _require_arguments(names: list[str], data: Path) -> None:
    unusable = [name for name in names if not name.isidentifier() or iskeyword(name) or name == DECISION_TIME]
    if unusable:
        better = ", ".join(f"{name!r} to {as_name(name)}" for name in unusable[:3])
        raise DeclarationError(
            f"{data.name} has columns whose names cannot be used: {examples(map(repr, unusable))}. Columns are "
            f"the arguments of the functions that compute features and labels, and {DECISION_TIME!r} is the training "
            f"set's own. Rename them in the file, say {better}.",
            columns=unusable,
        )


def _require_unique(keys: pa.ChunkedArray, key: str, data: Path) -> None:
    repeated = len(keys) - pc.count_distinct(keys, mode="all").as_py()
    if repeated:
        raise DeclarationError(
            f"key column {key!r} of {data.name} repeats itself in {repeated:,} of {len(keys):,} rows, so predictions "
            "could not be joined with what came true. Name a column that tells every row from every other.",
            column=key,
            repeated=repeated,
        )


def _times(column: pa.ChunkedArray, name: str, data: Path) -> Times:
    """Give the event times, NaT where one is missing."""
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise DeclarationError(
            f"time column {name!r} of {data.name} holds {column.type}, not times, so nothing could be ordered by when "
            "it happened. Write it as ISO 8601 (2024-05-31T14:05:00Z) or name another column.",
            column=name,
        )
    times: Times = pc.cast(column, UTC_MICROSECONDS).to_numpy()
    known = times[~np.isnat(times)]
    days = float((known.max() - known.min()) / DAY) if known.size else 0.0
    if known.size < LEAST_ROWS or days < LEAST_DAYS:
        raise DeclarationError(
            f"{data.name} holds {known.size:,} rows over {days:.1f} days. Its newest part is held out to judge the "
            f"model on, and from fewer than {LEAST_ROWS} rows or {LEAST_DAYS} days nothing could be concluded. "
            "Bring more history.",
            rows=known.size,
            days=days,
        )
    return times


def _label(column: pa.ChunkedArray, name: str, data: Path) -> Label:
    """Tell what a column asks for: which of two values it will be, or a number."""
    found = pc.unique(column.drop_null()).to_pylist()
    text, number = (
        pa.types.is_string(column.type),
        pa.types.is_integer(column.type) or pa.types.is_floating(column.type),
    )
    if not (text or number or pa.types.is_boolean(column.type)) or len(found) < 2 or (text and len(found) > 2):
        raise DeclarationError(
            f"label column {name!r} of {data.name} is {column.type} with {len(found):,} different values: "
            f"{examples(map(repr, found))}. Of a file alone a model of a number or of two values can be made. Name "
            f"another column, or write one that says which of two. For several classes run {SCAFFOLD}, and see "
            "docs/trainers.md, `task: multiclass`.",
            column=name,
        )
    if len(found) > 2:
        return Label(column=name, task="regression")
    if set(found) == {0, 1}:
        return Label(column=name)
    if number:
        return Label(column=name, positive=max(found))
    spoken = [value for value in found if value.strip().lower() in POSITIVE_WORDS]
    rarer = min(found, key=lambda value: pc.sum(pc.equal(column, value)).as_py())
    return Label(column=name, positive=spoken[0] if spoken else rarer)


def _column(name: str, column: pa.ChunkedArray, *, is_label: bool, has_role: bool) -> ColumnOutline:
    """Declare a column as it is found. A label may always be missing: it may not have arrived yet."""
    kind, different = _kind(name, column.type), len(pc.unique(column.drop_null()))
    unfit = ""
    if not (is_label or has_role):
        if different < 2:
            unfit = "always the same" if different else "empty"
        elif kind == "timestamp":
            unfit = "a time, perhaps of what came later"
        elif kind == "string" and different > MOST_LEVELS:
            unfit = f"{different:,} different texts"
    nullable = is_label or (column.null_count > 0 and not has_role)
    return ColumnOutline(name=name, type=kind, nullable=nullable, unfit=unfit)


def _kind(name: str, found: pa.DataType) -> ColumnType:
    kinds: dict[ColumnType, Any] = {
        "timestamp": pa.types.is_timestamp(found) or pa.types.is_date(found),
        "bool": pa.types.is_boolean(found),
        "int64": pa.types.is_integer(found),
        "float64": pa.types.is_floating(found),
        "string": pa.types.is_string(found) or pa.types.is_null(found),
    }
    for kind, fits in kinds.items():
        if fits:
            return kind
    raise DeclarationError(
        f"column {name!r} holds {found}, which no contract knows. Leave it out of the file.", column=name
    )


# --- how much is enough ---------------------------------------------------------------------------


def _amounts(times: Times, labels: pa.ChunkedArray, label: Label, data: Path) -> Amounts:
    """Hold out the newest fifth, and ask in future for half of what there is now, up to the usual amounts."""
    end = times.max() + DAY  # where the hold-out of data that ended long ago ends (`steps.datasets.training_sets`)
    wanted = min(int(times.size * HELD_SHARE), MOST_HELD_ROWS)
    reach = float((times.max() - np.sort(times)[-wanted]) / DAY) + 1
    days = ceil(max(reach, min(WISHED_HELD_DAYS, float((times.max() - times.min()) / DAY) * HELD_SHARE)))
    held = times >= end - days * DAY
    before = times < end - (days + GAP_DAYS) * DAY
    usual = Amounts()
    amounts = Amounts(
        holdout_days=days,
        train_rows=max(min(usual.train_rows, int(before.sum()) // 2), 1),
        held_rows=max(min(usual.held_rows, int(held.sum()) // 2), 2),
    )
    if label.task == "regression":
        loss = pc.stddev(labels).as_py() / 100
        return replace(amounts, margin=round(loss, 1 - floor(log10(loss))))
    one = 1 if label.positive is None else label.positive
    positives = int(pc.equal(labels, pa.scalar(one).cast(labels.type)).to_numpy()[held].sum())
    fewer = min(positives, int(held.sum()) - positives)
    if fewer < LEAST_OF_CLASS:
        raise DeclarationError(
            f"Of the newest {int(held.sum()):,} rows of {data.name}, on which the model would be judged, {fewer} are "
            f"of the rarer of both classes of {label.column!r}. From fewer than {LEAST_OF_CLASS} nothing could be "
            "concluded. Bring more history.",
            column=label.column,
            rows=int(held.sum()),
        )
    return replace(amounts, held_of_class=min(usual.held_of_class, fewer // 2))

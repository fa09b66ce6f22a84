"""Rows of stored tables and of the online store, one column a line."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.cli.project import Project
from mlops_assets.errors import FeatureError, UnknownNameError
from mlops_assets.features.columns import ARROW, UTC_MICROSECONDS, as_arrays
from mlops_assets.features.join import DECISION_TIME, point_in_time
from mlops_assets.orchestration.resources import now
from mlops_assets.records import FeatureView
from mlops_assets.stores.home import Home

SHOWN = 5


def show_rows(
    project: Project, table: str, wanted: Mapping[str, str], *, at: datetime | None, version: int | None
) -> str:
    """Show the rows of a table that have the values `wanted`; of a view at a time, the one a decision then finds."""
    stage, _, name = table.partition("/")
    if stage != "online" and at is None:
        return _listed(_stored(project.home, table, wanted, version))
    view = project.view(name).record()
    asked = _asked(view, wanted, at=at or now(project.home))
    found = (
        _online(project.home, view, asked)
        if stage == "online"
        else point_in_time(asked, [(view, project.home.tables.read(table, version=version))])
    )
    return _listed(found)


def _stored(home: Home, table: str, wanted: Mapping[str, str], version: int | None) -> pa.Table:
    rows = home.tables.read(table, version=version)
    for column, text in wanted.items():
        if column not in rows.column_names:
            raise UnknownNameError(f"column of {table}", column, known=rows.column_names)
        rows = rows.filter(pc.equal(rows[column], _value(text, rows[column].type, column)))
    return rows


def _asked(view: FeatureView, wanted: Mapping[str, str], *, at: datetime) -> pa.Table:
    """Give the one decision that is asked about: the keys of the view and its time."""
    names = [key.name for key in view.keys]
    if sorted(wanted) != sorted(names):
        example = " ".join(f"{name}=..." for name in names)
        raise FeatureError(f"A row of view {view.name!r} is found by its keys and nothing else: give {example}.")
    keys = {key.name: pa.array([_value(wanted[key.name], ARROW[key.dtype], key.name).as_py()]) for key in view.keys}
    keys = {key.name: keys[key.name].cast(ARROW[key.dtype]) for key in view.keys}
    return pa.table({**keys, DECISION_TIME: pa.array([at], UTC_MICROSECONDS)})


def _online(home: Home, view: FeatureView, asked: pa.Table) -> pa.Table:
    """Give what the online store answers, in the columns that the join gives for the same decision."""
    at = asked[DECISION_TIME].to_numpy().astype("datetime64[us]")
    found = home.online.read(view, as_arrays(asked, view.keys), at)
    for name, column in found.items():
        asked = asked.append_column(name, pa.array(column.values.tolist()))
    first = next(iter(found.values()))
    asked = asked.append_column(f"{view.name}__status", pa.array(first.status.tolist()))
    return asked.append_column(f"{view.name}__event_time", pa.array(first.event_time).cast(UTC_MICROSECONDS))


def _value(text: str, type: pa.DataType, column: str) -> pa.Scalar:
    try:
        return pa.scalar(text).cast(type)
    except pa.ArrowInvalid as error:
        raise FeatureError(f"{text!r} is no value of {column}, which holds {type}.") from error


def _listed(rows: pa.Table) -> str:
    if not rows.num_rows:
        return "no row"
    width = max(map(len, rows.column_names)) + 2
    blocks = [
        "\n".join(f"{name:<{width}}{_plain(value)}" for name, value in row.items())
        for row in rows.slice(0, SHOWN).to_pylist()
    ]
    more = rows.num_rows - SHOWN
    return "\n\n".join([*blocks, *_more(more)])


def _more(count: int) -> Iterable[str]:
    return [f"and {count:,} rows more"] if count > 0 else []


def _plain(value: Any) -> str:
    if value is None or value != value:
        return "-"
    return value.isoformat() if isinstance(value, datetime) else str(value)

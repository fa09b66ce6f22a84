"""A Feast repository of the project's views, for those who must: one way, and never read back.

What becomes what: a key is an Entity (Feast has one key each), a view a FeatureView over a Parquet file, a model a
FeatureService. On-demand functions stay in `features.py`. Feast knows of one time per row where a view has two, and
would by default let a decision see a row before it could be looked up; so its timestamp is `known_at`, rows that were
already superseded when they became known are left out, and the ttl is shortened by the least time from `event_time` to
`known_at`. Beyond a day it is then rounded up to whole days, for Feast's DuckDB store takes no others: so long a row
may answer there that is stale here.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from pprint import pformat

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlops_assets.errors import DeclarationError, StoreError
from mlops_assets.features.view import one_thread
from mlops_assets.orchestration.feature_table import FeatureTableDeclaration
from mlops_assets.records import FeatureView
from mlops_assets.stores.home import Home

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
VALUE_TYPES = {"string": "STRING", "int64": "INT64", "timestamp": "UNIX_TIMESTAMP"}
FIELD_TYPES = {"float64": "Float64", "string": "String", "int64": "Int64", "timestamp": "UnixTimestamp"}

FEATURE_STORE_YAML = """\
project: {project}
provider: local
registry: data/registry.db
offline_store:
  type: duckdb # the dask store drops labels it finds nothing for
online_store:
  type: sqlite
  path: data/online_store.db
entity_key_serialization_version: 3
"""

HEADER = '''\
"""The feature views of {project}, exported to Feast. Change them there: this file is written anew.

`known_at` is the timestamp, so nothing is seen before it could be looked up.
"""

from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64, String, UnixTimestamp

DATA = Path(__file__).parent / "data"
'''


def to_feast_repo(
    path: Path,
    views: Iterable[FeatureTableDeclaration],
    services: Mapping[str, Mapping[str, Iterable[str]]],
    stores: Home,
    *,
    project: str,
) -> list[str]:
    """Write a Feast repository into the new folder `path`; give the names of the views in it.

    Args:
        path: A folder that is not there yet; it appears whole or not at all.
        views: The declared views; those without rows yet are left out.
        services: For each model, the features it asks for by view.
        stores: Where the rows rest.
        project: The project's name in Feast.

    Raises:
        StoreError: The folder is there already, or no view has rows.
        DeclarationError: Two views give a key of one name two dtypes, which Feast could not tell apart.
    """
    if path.exists():
        raise StoreError(f"{path} is there already, and an export never writes over anything. Name a new folder.")
    there = [view for view in views if stores.tables.exists(f"features/{view.name}")]
    if not there:
        mend = "Run `mlops refresh` first." if views else "Declare one; docs/features.md says how."
        raise StoreError(f"No feature view {'has rows yet' if views else 'is declared'}: nothing to export. {mend}")
    entities = _entities(there)
    part = path.with_name(f"{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "data").mkdir(parents=True)
    blocks = [HEADER.format(project=project), *(_entity(name, *about) for name, about in entities.items())]
    for view in there:
        rows, lag = _feast_rows(view.record(), stores.tables.read(f"features/{view.name}"))
        pq.write_table(rows, part / "data" / f"{view.name}.parquet", coerce_timestamps="us")
        blocks.append(_view(view, ttl=_feast_ttl(view.ttl - lag)))
    names = {view.name for view in there}
    blocks += [_service(model, asked, names) for model, asked in services.items() if names & asked.keys()]
    (part / "definitions.py").write_text("\n".join(blocks))
    (part / "feature_store.yaml").write_text(FEATURE_STORE_YAML.format(project=project))
    os.replace(part, path)
    return sorted(names)


def _entities(views: Iterable[FeatureTableDeclaration]) -> dict[str, tuple[str, str]]:
    """Give each key's dtype and the view that has it first."""
    found: dict[str, tuple[str, str]] = {}
    for view in views:
        for key, dtype in view.keys.items():
            other, first = found.setdefault(key, (dtype, view.name))
            if other != dtype:
                raise DeclarationError(
                    f"view {view.name!r} is found by {key!r} as {dtype}, view {first!r} as {other}. In Feast a key has "
                    "one type; rename one of them.",
                    key=key,
                )
    return found


def _feast_rows(view: FeatureView, rows: pa.Table) -> tuple[pa.Table, timedelta]:
    """Give the rows that were ever the newest of their key, and how long after its event a row was known at least."""
    keys = ", ".join(f'"{key.name}"' for key in view.keys)
    with one_thread() as connection:
        connection.register("rows", rows)
        kept = connection.sql(f"""
            SELECT * FROM rows
            WINDOW history AS (PARTITION BY {keys} ORDER BY known_at, event_time ROWS UNBOUNDED PRECEDING)
            QUALIFY event_time >= max(event_time) OVER history AND lead(known_at) OVER history IS DISTINCT FROM known_at
            ORDER BY {keys}, known_at
        """).to_arrow_table()
    lags = pc.subtract(kept["known_at"], kept["event_time"]).cast(pa.int64())
    return kept, timedelta(microseconds=pc.min(lags).as_py() or 0)


def _feast_ttl(ttl: timedelta) -> timedelta:
    """Give a ttl that is either whole days or less than one; 0 would mean for ever."""
    return -(-ttl // DAY) * DAY if ttl > DAY else max(ttl, SECOND)


def _entity(name: str, dtype: str, _: str) -> str:
    value_type = f"ValueType.{VALUE_TYPES[dtype]}"
    return f"{_variable(name, 'key')} = Entity(name={name!r}, join_keys=[{name!r}], value_type={value_type})"


def _view(view: FeatureTableDeclaration, *, ttl: timedelta) -> str:
    fields = "".join(
        f"        Field(name={name!r}, dtype={FIELD_TYPES[dtype]}, description={view.describe.get(name, '')!r}),\n"
        for name, dtype in {**view.keys, **view.features}.items()
    )
    return f"""\

{_variable(view.name, "view")} = FeatureView(
    name={view.name!r},
    description={view.description!r},
    owner={view.owner or ""!r},
    entities=[{", ".join(_variable(key, "key") for key in view.keys)}],
    ttl=timedelta(seconds={ttl.total_seconds()!r}),
    schema=[
{fields}    ],
    source=FileSource(
        name={view.name + "_rows"!r}, path=str(DATA / {view.name + ".parquet"!r}), timestamp_field="known_at"
    ),
)"""


def _service(model: str, asked: Mapping[str, Iterable[str]], there: set[str]) -> str:
    chosen = "".join(
        f"        {_variable(view, 'view')}[{pformat(list(features), width=1_000)}],\n"
        for view, features in asked.items()
        if view in there
    )
    return f"\n{_variable(model, 'service')} = FeatureService(\n    name={model!r},\n    features=[\n{chosen}    ],\n)"


def _variable(name: str, kind: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name) + f"_{kind}"

"""What a request to erase somebody's data touches: everything that holds rows of one key, old versions included."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa

from mlops_assets.features.columns import as_arrays
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.records import FeatureView, TrainingSet
from mlops_assets.stores.holding import Holding, rows_now, rows_telling, rows_with
from mlops_assets.stores.home import Home
from mlops_assets.stores.predictions import days, decode_prediction, read_predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """One thing that holds the key: `rows` of it now, by partition or day; `versions` says which old ones do, too."""

    kind: str
    name: str
    rows: Mapping[str, int]
    versions: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A key and the column it stands in; `also` maps assets that keep it under another name to that name."""

    key: str
    column: str
    also: Mapping[str, str]

    def column_of(self, asset: str) -> str:
        """Give the name under which an asset keeps the key."""
        return self.also.get(asset, self.column)


def key_columns(stores: Home, columns: Sequence[str], key: str) -> list[str]:
    """Give those of `columns` that hold `key` in any raw table."""
    tables = [table for table in stores.tables.tables() if table.startswith("raw/")]
    return [name for name in columns if any(rows_with(stores.tables, table, name, key) for table in tables)]


def touched_by(
    subject: Subject, stores: Home, *, views: Sequence[FeatureView], models: Mapping[str, ModelFolder]
) -> Iterator[Touched]:
    """Find what holds the key: tables, online rows, logged and sealed predictions, training sets, model versions."""
    sealed = {f"{name}/predictions" for name in models}
    for table in stores.tables.tables():
        if table not in sealed:
            held = rows_with(stores.tables, table, subject.column_of(table), subject.key)
            if held:
                yield _of_table("table", held)
    for view in views:
        if online := _online(subject, stores, view):
            yield Touched(kind="online", name=view.name, rows={"": online})
    for name, folder in models.items():
        yield from _of_model(subject, stores, folder, name)


def _of_table(kind: str, held: Sequence[Holding]) -> Touched:
    old = [holding for holding in held if holding.last is not None]
    first = min(holding.first for holding in held)
    last = None if len(old) < len(held) else max(holding.last for holding in old if holding.last is not None)
    until = "the newest" if last is None else str(last)
    return Touched(kind=kind, name=held[0].table, rows=dict(rows_now(list(held))), versions=f"{first} to {until}")


def _online(subject: Subject, stores: Home, view: FeatureView) -> int:
    """Count the keys of a view that hold the subject and have a row online; its table knows all there ever were."""
    table, column = f"features/{view.name}", subject.column_of(f"features/{view.name}")
    names = [field.name for field in view.keys]
    if column not in names or not stores.tables.exists(table) or not stores.online.holds(view):
        return 0
    rows = stores.tables.read(table, columns=names)
    matching = [str(value) == subject.key for value in rows[column].to_pylist()]
    known = rows.filter(pa.array(matching)).group_by(names).aggregate([])
    if not known.num_rows:
        return 0
    times = stores.online.event_time(view, as_arrays(known, view.keys))
    return int((~np.isnat(times)).sum())


def _of_model(subject: Subject, stores: Home, folder: ModelFolder, name: str) -> Iterator[Touched]:
    is_decision = subject.column == folder.declaration.decisions.key
    logged: dict[str, int] = {}
    for day in days(stores.predictions, name):
        made = map(decode_prediction, read_predictions(stores.predictions, name, day))
        hits = sum(
            (is_decision and one.request_id == subject.key) or str(one.request.get(subject.column)) == subject.key
            for one in made
        )
        logged |= {day: hits} if hits else {}
    if logged:
        yield Touched(kind="log", name=name, rows=logged)
    table = f"{name}/predictions"
    if stores.tables.exists(table):
        field = f"{json.dumps(subject.column)}:{json.dumps(subject.key, ensure_ascii=False)}"
        held = (
            rows_with(stores.tables, table, "request_id", subject.key)
            if is_decision
            else rows_telling(stores.tables, table, "request", field)
        )
        if held:
            yield _of_table("table", held)
    training = f"{name}/training_set"
    held = rows_with(stores.tables, training, subject.column, subject.key) if stores.tables.exists(training) else []
    for trained in stores.state.versions(name):
        made_from = msgspec.json.decode(trained.record_json, type=TrainingSet)
        rows = sum(holding.rows for holding in held if holding.seen_by(made_from.version))
        parts = stores.bundles.load(name, trained.bundle_sha256)
        quoted = json.dumps(subject.key, ensure_ascii=False).encode()
        named = sorted(part for part, data in parts.items() if quoted in data)
        if rows or named:
            yield Touched(
                kind="version",
                name=f"{name}@{trained.version}",
                rows={"": rows},
                note=f"{trained.bundle_sha256[:12]}" + (f", names it in {', '.join(named)}" if named else ""),
            )

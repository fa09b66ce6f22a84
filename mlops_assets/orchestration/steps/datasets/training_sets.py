"""Training sets: labelled decisions with every feature as it was known at the moment of the decision."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.errors import TrainingError, UnknownNameError
from mlops_assets.features import FeatureModule, FeaturePlan, Vectorizer, build_spec
from mlops_assets.features.columns import UTC_MICROSECONDS, as_arrays
from mlops_assets.features.join import DECISION_TIME, training_rows
from mlops_assets.features.leakage import find_leaks
from mlops_assets.features.perturbation import moved_by_the_future
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.partitions import DAY, last_complete
from mlops_assets.orchestration.steps.intake.defining import in_use, otherwise, told
from mlops_assets.records import (
    FeatureView,
    Field,
    Span,
    TableVersion,
    TrainingSet,
    Window,
)
from mlops_assets.stores.home import Home
from mlops_assets.stores.tracking import Read
from mlops_assets.training import Cut

Array = npt.NDArray[Any]

LABEL, PART, KNOWN_AT = "__label", "__part", "__known_at"
TRAIN, HOLDOUT = "train", "holdout"
VIEWS = ("views",)  # where the definition a feature table was last computed with is kept, by name


def build_training_set(folder: ModelFolder, stores: Home, *, cut_off: datetime) -> tuple[TrainingSet, list[str]]:
    """Build and keep the training set as it could have been known at `cut_off`; give it with the leaks found in it.

    Rows are in order of decision time, then key, so that the same data always gives the same digest.

    Raises:
        TrainingError: No labelled decision lies before the cut-off.
    """
    declared, name = folder.declaration, folder.name
    module = FeatureModule.load(folder.features_source, name=name)
    plan = FeaturePlan(module, _views(declared.views, stores))
    # Read at the versions that go on record, whatever is written meanwhile.
    sources = [stores.tables.version(table) for table in _tables_of(folder, plan)]
    versions = {source.table: source.version for source in sources}
    labels, beside = versions[sources[0].table], _beside(folder, plan)
    labelled = decisions(folder, module, stores, cut_off=cut_off, version=labels, beside=beside)
    first, newest = (labelled[DECISION_TIME][place].as_py() for place in (0, -1))
    # Data that ended long ago, or whose labels take long to come, would leave the days before the cut-off empty.
    window = declared.training.window
    cut = window.cut(min(cut_off - window.label_delay, newest + DAY), first=first)
    _require_one_definition(plan, stores, versions, since=cut.train.start)
    labelled = _parted(labelled, cut)
    stored = _rows_of_views(plan, stores, versions)
    rows = training_rows(plan, labelled, stored)
    learnt = rows.filter(pc.equal(rows[PART], TRAIN))
    if not learnt.num_rows:
        raise TrainingError(
            f"No labelled decision of {name} lies in the training window {cut.train.start:%Y-%m-%d} to "
            f"{cut.train.end:%Y-%m-%d}, so there is nothing to learn from. Bring in more days with `mlops refresh`, or "
            "shorten the hold-out.",
            model=name,
        )
    spec = build_spec(module, plan.views, as_arrays(learnt, plan.inputs))
    written = stores.tables.write(f"{name}/training_set", rows)
    made = TrainingSet(
        model=name,
        table=written.table,
        version=written.version,
        sha256=written.sha256,
        rows=written.rows,
        cut_off=cut_off,
        train=_window(rows, TRAIN, cut.train),
        holdout=_window(rows, HOLDOUT, cut.holdout),
        spec=spec,
        sources=tuple(replace(source, columns=(), partitions={}) for source in sources),
    )
    vectorizer = Vectorizer(spec, module)
    vectors = vectorizer.vector(as_arrays(rows, plan.inputs))
    leaks = find_leaks(
        {feature.name: vectors[:, place] for place, feature in enumerate(spec.features)},
        label=rows[LABEL].to_numpy(),
        task=declared.task,
        keys=rows[declared.decisions.key].to_pylist(),
        train=np.asarray(rows[PART].to_pylist()) == TRAIN,
        label_columns=folder.label_columns,
        inputs={each.name: rows[each.name] for each in plan.inputs},
        categorical=[feature.name for feature in spec.features if feature.levels is not None],
    )
    decided = rows.select(labelled.column_names)
    moments = [cut.holdout.start, decided[DECISION_TIME][-1].as_py()]
    moved = moved_by_the_future(vectorizer, decided, stored, vectors=vectors, moments=moments)
    return made, [*leaks, *moved]


def rebuild_training_set(folder: ModelFolder, stores: Home, made: TrainingSet, *, features_source: str) -> pa.Table:
    """Join a training set anew from the versions of the tables it was made of, by the features of its own bundle.

    `stored_digest` of the rows is `made.sha256`, unless what `defs.yaml` says of decisions and slices, or `label` of
    model.py, has changed since.

    Raises:
        TableNotFoundError: A version it was made of has been deleted.
    """
    module = FeatureModule.load(features_source, name=folder.name)
    plan = FeaturePlan(module, made.spec.views)
    versions = {source.table: source.version for source in made.sources}
    labels = versions[f"validated/{folder.declaration.decisions.table}"]
    beside = _beside(folder, plan)
    labelled = decisions(folder, module, stores, cut_off=made.cut_off, version=labels, beside=beside)
    train, holdout = (Span(window.start, window.end) for window in (made.train, made.holdout))
    return training_rows(plan, _parted(labelled, Cut(train, holdout)), _rows_of_views(plan, stores, versions))


def decisions(
    folder: ModelFolder,
    module: FeatureModule,
    stores: Home,
    *,
    cut_off: datetime,
    version: int | None = None,
    beside: Sequence[str] = (),
) -> pa.Table:
    """Give every decision whose label was known by `cut_off`: key, request fields, decision time, label and since when.

    `version` is that of the table of decisions, the newest unless told. `beside` are columns to look at slices by; no
    feature sees them, so they may be such as are kept from models.
    """
    about = folder.declaration.decisions
    table = f"validated/{about.table}"
    fields = [field.name for field in module.request]
    known_at = about.known_at or about.time
    wanted = list(dict.fromkeys([about.key, about.time, known_at, *fields, *beside, *folder.label_columns]))
    # Only days that were complete at the cut-off: whoever rebuilds this later has more, and must get the same rows.
    until = last_complete(cut_off) if stores.tables.partitions(table) else None
    rows = stores.tables.read(table, version=version, columns=wanted, until=until)
    limit = pa.scalar(cut_off, UTC_MICROSECONDS)
    rows = rows.filter(pc.less_equal(rows[known_at], limit))
    label = folder.label(label_columns_of(rows, folder))
    decided = pc.subtract(rows[about.time], pa.scalar(about.lead, pa.duration("us")))
    known = rows[known_at]
    rows = rows.select(list(dict.fromkeys([about.key, *fields, *beside])))
    rows = rows.append_column(DECISION_TIME, decided).append_column(LABEL, pa.array(label))
    rows = rows.append_column(KNOWN_AT, known)
    rows = rows.filter(pa.array(np.isfinite(label)))
    if not rows.num_rows:
        raise TrainingError(
            f"No decision of {folder.name} had a label by {cut_off:%Y-%m-%d %H:%M}, so there is nothing to learn from. "
            f"Bring in days of {about.table} with `mlops refresh`.",
            model=folder.name,
        )
    return rows.sort_by([(DECISION_TIME, "ascending"), (about.key, "ascending")])


def training_rows_of(stores: Home, training_set: TrainingSet, *, part: str) -> pa.Table:
    """Read the rows of one part of a training set, at exactly its version."""
    return stores.tables.read(training_set.table, version=training_set.version, where=pc.field(PART) == part)


def parts_of(rows: pa.Table) -> dict[str, pa.Table]:
    """Part the rows of a training set into what is learnt from and what is held out."""
    held = pc.equal(rows[PART], HOLDOUT)
    if not pc.any(held).as_py():  # as with most pieces of a table that is in order of time
        return {TRAIN: rows, HOLDOUT: rows.schema.empty_table()}  # an empty slice would hold on to all rows
    return {TRAIN: rows.filter(pc.invert(held)), HOLDOUT: rows.filter(held)}


def spread_over(rows: int, at_most: int) -> npt.NDArray[np.int64]:
    """Give the places of at most so many of the rows, evenly spread over all of them; rows are in order of time."""
    return np.unique(np.linspace(0, rows - 1, min(rows, at_most)).astype(np.int64))


def some_of(rows: pa.Table, at_most: int) -> pa.Table:
    """Give at most so many of the rows, evenly spread over all of them."""
    return rows if rows.num_rows <= at_most else rows.take(pa.array(spread_over(rows.num_rows, at_most)))


def training_set_version(training_set: TrainingSet) -> TableVersion:
    """Give the stored table of a training set."""
    return TableVersion(
        table=training_set.table, version=training_set.version, sha256=training_set.sha256, rows=training_set.rows
    )


def reads_of(training_set: TrainingSet) -> list[Read]:
    """Give what a training reads: both parts of its training set, and the tables that it was joined from."""
    table = training_set_version(training_set)
    return [
        Read(version=table, context=TRAIN, part=training_set.train),
        Read(version=table, context=HOLDOUT, part=training_set.holdout),
        *(Read(version=source, context="joined") for source in training_set.sources),
    ]


def label_columns_of(rows: pa.Table, folder: ModelFolder) -> dict[str, Array]:
    """Give the columns `label` wants: numbers as floats with NaN, booleans as booleans, strings as objects."""
    columns: dict[str, Array] = {}
    for name in folder.label_columns:
        column = rows[name]
        if pa.types.is_boolean(column.type) and not column.null_count:
            columns[name] = column.to_numpy().astype(bool)
        else:
            columns |= as_arrays(rows.select([name]), [Field(name=name, dtype=_kind(column.type), nullable=True)])
    return columns


def times_of(rows: pa.Table, column: str = DECISION_TIME) -> npt.NDArray[np.datetime64]:
    """Give the decision time of each row, or another, `datetime64[us]` in UTC."""
    times: npt.NDArray[np.datetime64] = as_arrays(rows, [Field(name=column, dtype="timestamp")])[column]
    return times


def days_of(rows: pa.Table) -> npt.NDArray[np.datetime64]:
    """Give the day of each decision: what happens on one day happens to all its rows."""
    days: npt.NDArray[np.datetime64] = rows[DECISION_TIME].to_numpy().astype("datetime64[D]")
    return days


def _tables_of(folder: ModelFolder, plan: FeaturePlan) -> list[str]:
    """Name the tables a training set is joined from, that of the decisions first."""
    return [f"validated/{folder.declaration.decisions.table}", *(f"features/{view.name}" for view in plan.views)]


def _beside(folder: ModelFolder, plan: FeaturePlan) -> list[str]:
    """Name the columns that slices are cut by and no view brings."""
    joined = {each.name for view in plan.views for each in (*view.keys, *view.features)}
    return [column for column in folder.declaration.gate.columns_beside if column not in joined]


def _rows_of_views(plan: FeaturePlan, stores: Home, versions: Mapping[str, int]) -> dict[str, pa.Table]:
    """Read the views at the versions named."""
    views = {view.name: f"features/{view.name}" for view in plan.views}
    return {name: stores.tables.read(table, version=versions[table]) for name, table in views.items()}


def _require_one_definition(plan: FeaturePlan, stores: Home, versions: Mapping[str, int], *, since: datetime) -> None:
    """Refuse days of a view on which a feature that is asked for was computed otherwise than by now, or not at all.

    Raises:
        TrainingError: A decision from `since` on may find such a day, and two features would be learnt as one.
    """
    asked = {each.name for each in plan.inputs}
    for view in plan.views:
        table, now = f"features/{view.name}", in_use(stores, view.name)
        if now is None or not stores.tables.partitions(table):
            continue
        reach = timedelta(seconds=min(view.ttl_s, since.timestamp())) + DAY
        first, contents = (since - reach).date().isoformat(), stores.tables.contents(table, versions[table])
        reached = {key: content for key, content in contents.items() if key >= first}
        found = {
            key: changed
            for key, why in otherwise(stores, now, reached).items()
            if (changed := {name: what for name, what in why.items() if name in asked})
        }
        if found:
            raise TrainingError(
                f"Of what this model may learn from, {told(view.name, found)}", view=view.name, days=list(found)
            )


def _parted(labelled: pa.Table, cut: Cut) -> pa.Table:
    """Give the decisions that are learnt from or held out, and which of both; when labels were known is not kept."""
    learnt, held = cut.parts(times_of(labelled), times_of(labelled, KNOWN_AT))
    part = np.where(learnt, TRAIN, np.where(held, HOLDOUT, ""))
    rows = labelled.drop_columns([KNOWN_AT]).append_column(PART, pa.array(part.tolist()))
    return rows.filter(pa.array(learnt | held))


def _views(names: Sequence[str], stores: Home) -> list[FeatureView]:
    known = stores.records.partitions(VIEWS)
    for name in names:
        if name not in known:
            raise UnknownNameError("materialized feature view", name, known=known)
    return [stores.records.get(VIEWS, name, FeatureView) for name in names]


def _kind(type_: pa.DataType) -> Literal["timestamp", "string", "float64"]:
    if pa.types.is_timestamp(type_):
        return "timestamp"
    return "string" if pa.types.is_string(type_) else "float64"


def _window(rows: pa.Table, part: str, span: Span) -> Window:
    labels = rows.filter(pc.equal(rows[PART], part))[LABEL]
    return Window(start=span.start, end=span.end, rows=len(labels), label_mean=float(pc.mean(labels).as_py() or 0.0))

"""From stored tables to a model version: labels, features as known at each decision, the fit, the bundle."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.digests import sha256_bytes
from mlops_assets.errors import TrainingError, UnknownNameError
from mlops_assets.features import FeatureModule, FeaturePlan, Vectorizer, build_spec
from mlops_assets.features.columns import UTC_MICROSECONDS, as_arrays, as_declared
from mlops_assets.features.join import DECISION_TIME, training_rows
from mlops_assets.features.leakage import find_leaks
from mlops_assets.features.perturbation import moved_by_the_future
from mlops_assets.governance import Event
from mlops_assets.monitoring import Profile, matrix_columns
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.partitions import DAY, last_complete
from mlops_assets.records import (
    FeatureVectorSpec,
    FeatureView,
    Field,
    ModelVersion,
    Span,
    TableVersion,
    TrainingSet,
    Window,
)
from mlops_assets.stores.home import Home
from mlops_assets.training import (
    Golden,
    TrainingPolicy,
    assemble_bundle,
    fit,
    inside,
    library_versions,
    missing_facts,
    platform_facts,
    reproducibility_record,
    trainer_named,
)

Array = npt.NDArray[Any]

LABEL, PART = "__label", "__part"
TRAIN, HOLDOUT = "train", "holdout"
GOLDEN_ROWS = 16
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
    cut = declared.training.window.cut(min(cut_off, newest + DAY), first=first)
    stored = _rows_of_views(plan, stores, versions)
    rows = _joined(plan, labelled, stored, train=cut.train, holdout=cut.holdout)
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
        inputs=[each.name for each in plan.inputs],
        categorical=[feature.name for feature in spec.features if feature.levels is not None],
    )
    decided = rows.select([*labelled.column_names, PART])
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
    return _joined(plan, labelled, _rows_of_views(plan, stores, versions), train=train, holdout=holdout)


def _tables_of(folder: ModelFolder, plan: FeaturePlan) -> list[str]:
    """Name the tables a training set is joined from, that of the decisions first."""
    return [f"validated/{folder.declaration.decisions.table}", *(f"features/{view.name}" for view in plan.views)]


def _beside(folder: ModelFolder, plan: FeaturePlan) -> list[str]:
    """Name the columns that slices are cut by and no view brings."""
    joined = {each.name for view in plan.views for each in (*view.keys, *view.features)}
    return [column for column in folder.declaration.gate.slice_columns if column not in joined]


def _rows_of_views(plan: FeaturePlan, stores: Home, versions: Mapping[str, int]) -> dict[str, pa.Table]:
    """Read the views at the versions named."""
    views = {view.name: f"features/{view.name}" for view in plan.views}
    return {name: stores.tables.read(table, version=versions[table]) for name, table in views.items()}


def _joined(
    plan: FeaturePlan, labelled: pa.Table, stored: Mapping[str, pa.Table], *, train: Span, holdout: Span
) -> pa.Table:
    """Give the decisions of both parts with their features from the rows of the views."""
    times = _times(labelled)
    in_train, in_holdout = inside(train, times), inside(holdout, times)
    part = np.where(in_train, TRAIN, np.where(in_holdout, HOLDOUT, ""))
    labelled = labelled.append_column(PART, pa.array(part.tolist())).filter(pa.array(in_train | in_holdout))
    return training_rows(plan, labelled, stored)


def decisions(
    folder: ModelFolder,
    module: FeatureModule,
    stores: Home,
    *,
    cut_off: datetime,
    version: int | None = None,
    beside: Sequence[str] = (),
) -> pa.Table:
    """Give every decision whose label was known by `cut_off`: key, request fields, decision time and label.

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
    rows = rows.select(list(dict.fromkeys([about.key, *fields, *beside])))
    rows = rows.append_column(DECISION_TIME, decided).append_column(LABEL, pa.array(label))
    rows = rows.filter(pa.array(np.isfinite(label)))
    if not rows.num_rows:
        raise TrainingError(
            f"No decision of {folder.name} had a label by {cut_off:%Y-%m-%d %H:%M}, so there is nothing to learn from. "
            f"Bring in days of {about.table} with `mlops refresh`.",
            model=folder.name,
        )
    return rows.sort_by([(DECISION_TIME, "ascending"), (about.key, "ascending")])


def fit_model(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, *, tags: Mapping[str, str], requester: str
) -> ModelVersion:
    """Fit on the training part, keep the bundle, number it, and show the run in MLflow.

    `requester` is who asked for the model; it goes on record, for nobody approves what they asked for.
    """
    declared, name = folder.declaration, folder.name
    module = FeatureModule.load(folder.features_source, name=name)
    vectorizer = Vectorizer(training_set.spec, module)
    rows = training_rows_of(stores, training_set, part=TRAIN)
    inputs = as_arrays(rows, vectorizer.plan.inputs)
    vectors, labels = vectorizer.vector(inputs), rows[LABEL].to_numpy()
    policy = policy_of(folder)
    fitted = fit(
        policy,
        vectors,
        labels,
        task=declared.task,
        times=_times(rows),
        names=vectorizer.names,
        categorical=vectorizer.categorical,
    )
    scores = trainer_named(fitted.trainer).score(fitted.parts, vectors)
    levels = {f.name: f.levels for f in training_set.spec.features if f.levels is not None}
    profile = Profile.of(matrix_columns(vectorizer.names, vectors, scores), levels=levels)
    sample = np.unique(np.linspace(0, rows.num_rows - 1, GOLDEN_ROWS).astype(np.int64))
    parts = assemble_bundle(
        fitted,
        spec=training_set.spec,
        features_source=folder.features_source,
        profile=profile.to_json(),
        golden=_golden(rows.take(pa.array(sample)), training_set.spec, scores[sample]),
        meta={
            "model": name,
            "task": declared.task,
            "training_set_sha256": training_set.sha256,
            "cut_off": training_set.cut_off,
            "label": folder.label_meaning,
            **_decision(declared, scores),
        },
    )
    sha256 = stores.bundles.save(name, parts)
    record = reproducibility_record(
        fitted,
        training_set_sha256=training_set.sha256,
        features_sha256=training_set.spec.code_sha256,
        facts=library_versions() | platform_facts(),
        **_code_facts(folder.path),
    )
    version = stores.state.register(name, sha256, msgspec.json.encode(training_set).decode())
    run_id, url = stores.tracking.log_training(
        name,
        params=fitted.params,
        metrics={"rounds": float(fitted.rounds), "train_rows": float(rows.num_rows)},
        curves=fitted.curves,
        tags={
            **tags,
            "mlops.version": str(version),
            "mlops.bundle_sha256": sha256,
            "mlops.cut_off": training_set.cut_off.isoformat(),
        },
        datasets=[training_set_version(training_set), *training_set.sources],
        artifacts=parts,
    )
    made = ModelVersion(
        model=name,
        version=version,
        sha256=sha256,
        task=declared.task,
        training_set_sha256=training_set.sha256,
        params=fitted.params,
        cut_off=training_set.cut_off,
        reproducibility=record,
        mlflow_run_id=run_id,
        mlflow_url=url,
    )
    stores.records.put(("versions", name), sha256, made)
    stores.state.audit_once(
        Event.MODEL_TRAINED,
        actor="pipeline",
        subject={"model": name, "version": version, "bundle_sha256": sha256},
        data={
            "training_set_sha256": training_set.sha256,
            "rows": rows.num_rows,
            "requested_by": requester,
            "sources": {s.table: s.sha256 for s in training_set.sources},
        },
        at=training_set.cut_off,
    )
    return made


def _decision(declared: ModelDeclaration, scores: npt.NDArray[np.float64]) -> dict[str, object]:
    """Say how a score becomes a decision; without a declared value, or of a regression, it does not."""
    if declared.value is None or declared.task != "binary":
        return {"threshold": None, "decision_rule": "none: the score is the answer"}
    share = declared.value.capacity_share
    return {
        "threshold": threshold(scores, share),
        "decision_rule": f"true where score >= threshold, which {share:.0%} of the training rows reach",
    }


def policy_of(folder: ModelFolder) -> TrainingPolicy:
    """Give the training policy with the parameters of model.py; what `defs.yaml` says of them prevails."""
    declared = folder.declaration.training
    return TrainingPolicy.model_validate({**declared.model_dump(), "params": {**folder.params, **declared.params}})


def unrecorded(version: ModelVersion) -> Sequence[str]:
    """Name the facts without which this version could not be made again."""
    return missing_facts(version.reproducibility)


def training_rows_of(stores: Home, training_set: TrainingSet, *, part: str) -> pa.Table:
    """Read the rows of one part of a training set, at exactly its version."""
    rows = stores.tables.read(training_set.table, version=training_set.version)
    return rows.filter(pc.equal(rows[PART], part))


def threshold(scores: npt.NDArray[np.float64], capacity_share: float) -> float:
    """Give the score above which a decision is flagged, such that training would have flagged the capacity."""
    return float(np.quantile(scores, 1.0 - capacity_share))


def training_set_version(training_set: TrainingSet) -> TableVersion:
    """Give the stored table of a training set."""
    return TableVersion(
        table=training_set.table, version=training_set.version, sha256=training_set.sha256, rows=training_set.rows
    )


def _views(names: Sequence[str], stores: Home) -> list[FeatureView]:
    known = stores.records.partitions(VIEWS)
    for name in names:
        if name not in known:
            raise UnknownNameError("materialized feature view", name, known=known)
    return [stores.records.get(VIEWS, name, FeatureView) for name in names]


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


def _kind(type_: pa.DataType) -> Literal["timestamp", "string", "float64"]:
    if pa.types.is_timestamp(type_):
        return "timestamp"
    return "string" if pa.types.is_string(type_) else "float64"


def _times(rows: pa.Table) -> npt.NDArray[np.datetime64]:
    times: npt.NDArray[np.datetime64] = as_arrays(rows, [Field(name=DECISION_TIME, dtype="timestamp")])[DECISION_TIME]
    return times


def _window(rows: pa.Table, part: str, span: Span) -> Window:
    labels = rows.filter(pc.equal(rows[PART], part))[LABEL]
    return Window(start=span.start, end=span.end, rows=len(labels), label_mean=float(pc.mean(labels).as_py() or 0.0))


def _golden(rows: pa.Table, spec: FeatureVectorSpec, scores: npt.NDArray[np.float64]) -> Golden:
    stored = [feature.name for view in spec.views for feature in view.features]
    request = as_declared(rows, spec.request).to_pylist()
    return Golden(
        request=request,
        stored={
            name: column
            for name, column in as_arrays(rows, [f for v in spec.views for f in v.features]).items()
            if name in stored
        },
        scores=scores,
    )


def _code_facts(folder: Path) -> dict[str, Any]:
    """Say which code and which lock file this process runs, as far as the working tree tells."""
    root = next((parent for parent in folder.parents if (parent / "pyproject.toml").exists()), folder)
    lock = root / "requirements.lock"
    return {
        "lock_sha256": sha256_bytes(lock.read_bytes()) if lock.exists() else "no lock file",
        "git_sha": os.environ.get("MLOPS_GIT_SHA") or _git(root, "rev-parse", "HEAD") or "no git commit",
        "git_dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no")),
    }


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

"""From a training set to a model version: the fit, the bundle, and what it takes to make it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.digests import sha256_table
from mlops_assets.features.columns import as_arrays, as_declared
from mlops_assets.governance import Event
from mlops_assets.monitoring import Profile, feature_columns, score_columns
from mlops_assets.orchestration.mlflow_models import mlflow_model
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.steps.bundles import LoadedBundle
from mlops_assets.orchestration.steps.promising import promise
from mlops_assets.orchestration.steps.recipes import circumstances, keep_recipe, recipe_of
from mlops_assets.orchestration.steps.reporting import LEARNING
from mlops_assets.orchestration.steps.resuming import checkpoint_of
from mlops_assets.orchestration.steps.training_sets import (
    LABEL,
    TRAIN,
    parts_of,
    reads_of,
    some_of,
    spread_over,
)
from mlops_assets.orchestration.steps.tuning import tuned
from mlops_assets.orchestration.steps.vectorizing import vectorized
from mlops_assets.records import (
    FeatureVectorSpec,
    ModelVersion,
    TrainingSet,
)
from mlops_assets.stores.home import Home
from mlops_assets.training import (
    Checkpoint,
    Fitted,
    Golden,
    TrainingPolicy,
    assemble_bundle,
    fit,
    fits_alike,
    reproducibility_record,
    score,
    tried_rows,
    why_not_again,
)

Array = npt.NDArray[Any]

GOLDEN_ROWS = 16
SCORED_ROWS = 50_000  # say how scores are spread as well as all rows do; to score those took a third of the fit


@dataclass(frozen=True, slots=True)
class Made:
    """A fitted model, the policy it was fitted by and the parts of its bundle, kept nowhere yet."""

    policy: TrainingPolicy
    fitted: Fitted
    parts: dict[str, bytes]


def make_bundle(
    folder: ModelFolder,
    training_set: TrainingSet,
    rows: pa.Table,
    *,
    threads: int | None = None,
    checkpoint: Checkpoint | None = None,
) -> Made:
    """Fit on `rows`, the training part of a training set, and assemble the bundle; nothing else is kept.

    `threads` changes the speed only; by default the trainer decides. A long fit goes on from `checkpoint`.
    """
    declared, name, policy = folder.declaration, folder.name, policy_of(folder)
    data = vectorized(folder, training_set, rows)
    fitted = fit(policy, data, own=folder.trainer_source, threads=threads, checkpoint=checkpoint)
    scored = spread_over(rows.num_rows, SCORED_ROWS)
    scores = score(fitted.trainer, fitted.parts, data.X[scored])
    levels = {f.name: f.levels for f in training_set.spec.features if f.levels is not None}
    profile = Profile.of(feature_columns(data.names, data.X), levels=levels)
    profile |= Profile.of(score_columns(scores, classes=declared.classes))
    shown = spread_over(len(scored), GOLDEN_ROWS)
    parts = assemble_bundle(
        fitted,
        spec=training_set.spec,
        features_source=folder.features_source,
        profile=profile.to_json(),
        golden=_golden(rows.take(pa.array(scored[shown])), training_set.spec, scores[shown]),
        meta={
            "model": name,
            "task": declared.task,
            "training_set_sha256": training_set.sha256,
            "label": folder.label_meaning,
            **({"classes": declared.classes} if declared.classes else {}),
            **_decision(declared, scores),
        },
    )
    return Made(policy, fitted, parts)


def fit_model(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, *, tags: Mapping[str, str], requester: str
) -> ModelVersion:
    """Fit on the training part, keep the bundle, number it, and show the run in MLflow.

    `requester` is who asked for the model; it goes on record, for nobody approves what they asked for.
    """
    declared, name = folder.declaration, folder.name
    promise(folder, stores, training_set)
    rows = parts_of(stores.tables.read(training_set.table, version=training_set.version))
    folder, trials = tuned(folder, stores, training_set, policy_of(folder), rows[TRAIN])
    checkpoint = checkpoint_of(folder, stores, training_set, policy_of(folder))
    made = make_bundle(folder, training_set, rows[TRAIN], checkpoint=checkpoint)
    fitted, parts = made.fitted, made.parts
    recipe = recipe_of(folder, made.policy)
    keep_recipe(stores, recipe)
    sha256 = stores.bundles.save(name, parts)
    record = reproducibility_record(
        fitted,
        training_set=training_set,
        rows={part: sha256_table(held) for part, held in rows.items()},
        recipe=recipe,
        parts=parts,
        circumstances=circumstances(folder.path, also=folder.trainer_needs),
        repeats=_repeats(folder, training_set, rows[TRAIN], made.policy),
    )
    version = stores.state.register(name, sha256, msgspec.json.encode(training_set).decode())
    run_id, url = stores.tracking.log_training(
        name,
        params=fitted.params,
        metrics={"rounds": float(fitted.rounds), "train_rows": float(rows[TRAIN].num_rows)},
        curves=fitted.curves,
        tags={
            **tags,
            "mlops.version": str(version),
            "mlops.bundle_sha256": sha256,
            "mlops.cut_off": training_set.cut_off.isoformat(),
        },
        datasets=reads_of(training_set),
        artifacts=parts,
        mlflow_model=mlflow_model(LoadedBundle(name, sha256, parts), some_of(rows[TRAIN], GOLDEN_ROWS)),
    )
    stores.tracking.log_trials(run_id, trials)
    result = ModelVersion(
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
    stores.records.put((LEARNING, name), sha256, fitted.curves)
    stores.records.put(("versions", name), sha256, result)
    stores.state.audit_once(
        Event.MODEL_TRAINED,
        actor="pipeline",
        subject={"model": name, "version": version, "bundle_sha256": sha256},
        data={
            "training_set_sha256": training_set.sha256,
            "rows": rows[TRAIN].num_rows,
            "requested_by": requester,
            "sources": {s.table: s.sha256 for s in training_set.sources},
            **({"trials": len(trials)} if trials else {}),
        },
        at=training_set.cut_off,
    )
    checkpoint.forget()  # last, so that whatever is killed or refused before it does not cost the fit
    return result


def _repeats(folder: ModelFolder, training_set: TrainingSet, rows: pa.Table, policy: TrainingPolicy) -> bool:
    """Tell whether the trainer gives the same bytes twice on some of the rows; on a cluster it is not asked to."""
    if policy.distributed:
        return True
    tried = rows.take(pa.array(tried_rows(rows[LABEL].to_numpy(), folder.declaration.task)))
    return fits_alike(policy, vectorized(folder, training_set, tried), own=folder.trainer_source)


def _decision(declared: ModelDeclaration, scores: npt.NDArray[np.float64]) -> dict[str, object]:
    """Say how a score becomes a decision; without a declared value, or of a regression, it does not."""
    if declared.task == "multiclass":
        return {"threshold": None, "decision_rule": "the most probable class"}
    if declared.value is None or declared.task != "binary":
        return {"threshold": None, "decision_rule": "none: the score is the answer"}
    if (pays_from := declared.value.pays_from) is not None:
        return {
            "threshold": pays_from,
            "decision_rule": f"true where score >= threshold, a chance of {pays_from:.4g}, "
            "from which acting brings more than it costs",
        }
    share = declared.value.capacity_share
    return {
        "threshold": threshold(scores, share),
        "decision_rule": f"true where score >= threshold, which {share:.0%} of the training rows reach",
    }


def policy_of(folder: ModelFolder) -> TrainingPolicy:
    """Give the training policy with the parameters of model.py; what `defs.yaml` says of them prevails."""
    declared = folder.declaration.training
    return TrainingPolicy.model_validate({**declared.model_dump(), "params": {**folder.params, **declared.params}})


def unrepeatable(version: ModelVersion) -> Sequence[str]:
    """Say what keeps anybody from making this version again; nothing if all is on record and fits repeat."""
    return why_not_again(version.reproducibility)


def threshold(scores: npt.NDArray[np.float64], capacity_share: float) -> float:
    """Give the score above which a decision is flagged, such that training would have flagged the capacity."""
    return float(np.quantile(scores, 1.0 - capacity_share))


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

"""From a training set to a model version: the fit, the bundle, and what it takes to make it again."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.features.columns import as_arrays, as_declared
from mlops_assets.governance import Event
from mlops_assets.monitoring import Profile, feature_columns, score_columns
from mlops_assets.orchestration.mlflow_models import get_ready, mlflow_model
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.steps.datasets.piecewise import blocks_given_back, memory_given_back
from mlops_assets.orchestration.steps.datasets.training_sets import reads_of, spread_over
from mlops_assets.orchestration.steps.datasets.vectorizing import Vectorized, vectorized
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.fitting.promising import promise
from mlops_assets.orchestration.steps.fitting.recipes import circumstances, keep_recipe, recipe_of
from mlops_assets.orchestration.steps.fitting.resuming import checkpoint_of
from mlops_assets.orchestration.steps.fitting.tuning import tuned
from mlops_assets.orchestration.steps.fitting.yardstick import yardstick_of
from mlops_assets.records import (
    FeatureVectorSpec,
    ModelVersion,
    TrainingSet,
)
from mlops_assets.stores.home import Home
from mlops_assets.training import (
    Fitted,
    Golden,
    TrainingData,
    TrainingPolicy,
    assemble_bundle,
    fit,
    fits_alike,
    reproducibility_record,
    score,
    tried_rows,
    why_not_again,
)

TURN_S = 0.0005
LEARNING = "learning"  # where the losses per round of a fit are kept, by model
SCORED_ROWS = 10_000  # say how scores are spread as well as all rows do; to score those took a third of the fit


def bundle_of(
    folder: ModelFolder, training_set: TrainingSet, rows: Vectorized, fitted: Fitted, profile: Profile
) -> dict[str, bytes]:
    """Give the parts of the bundle of a fitted model; `profile` is that of the features it has learnt from."""
    declared = folder.declaration
    scored = rows.data.X[spread_over(len(rows.data), SCORED_ROWS)]
    scores = score(fitted.trainer, fitted.parts, scored)
    profile |= Profile.of(score_columns(scores, classes=declared.classes))
    return assemble_bundle(
        fitted,
        spec=training_set.spec,
        features_source=folder.features_source,
        profile=profile.to_json(),
        golden=_golden(rows.shown, training_set.spec, score(fitted.trainer, fitted.parts, rows.data.X[rows.places])),
        meta={
            "model": folder.name,
            "task": declared.task,
            "training_set_sha256": training_set.sha256,
            "label": folder.label_meaning,
            **({"classes": declared.classes} if declared.classes else {}),
            **_decision(declared, scores),
        },
    )


def profile_of(training_set: TrainingSet, rows: Vectorized) -> Profile:
    """Count the features of the rows to learn from."""
    levels = {f.name: f.levels for f in training_set.spec.features if f.levels is not None}
    with memory_given_back():
        return Profile.of(feature_columns(rows.data.names, rows.data.X), levels=levels)


def fit_model(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, *, tags: Mapping[str, str], requester: str
) -> ModelVersion:
    """Fit on the training part, keep the bundle, number it, and show the run in MLflow.

    `requester` is who asked for the model; it goes on record, for nobody approves what they asked for.
    """
    declared, name = folder.declaration, folder.name
    promise(folder, stores, training_set)
    rows = vectorized(folder, training_set, stores.tables.pieces(training_set.table, version=training_set.version))
    untuned, (folder, trials) = folder, tuned(folder, stores, training_set, folder.policy, rows.data)
    policy = folder.policy
    checkpoint = checkpoint_of(folder, stores, training_set, policy)
    recipe = recipe_of(folder, policy)
    with blocks_given_back(), memory_given_back(), _turns_soon(), ThreadPoolExecutor(1) as beside:
        found = beside.submit(circumstances, folder.path, also=folder.trainer_needs)
        ready = beside.submit(get_ready, declared.training.trainer)  # takes little memory while the fit takes most
        profile = beside.submit(profile_of, training_set, rows)
        repeats: Future[bool] | None = None
        if policy.trainer == "lightgbm":  # the others fit on as many threads as are set for the whole process
            beside.submit(_ready_to_judge, untuned, stores, training_set)
            repeats = beside.submit(_repeats, folder, policy, rows.data)
        fitted = fit(policy, rows.data, own=folder.trainer_source, checkpoint=checkpoint, threads=stores.fit_threads)
        ready.result()
        parts = bundle_of(folder, training_set, rows, fitted, profile.result())
        keep_recipe(stores, recipe)
        sha256 = stores.bundles.save(name, parts)
        version = stores.state.register(name, sha256, msgspec.json.encode(training_set).decode())
        run_id, url = stores.tracking.log_training(
            name,
            params=fitted.params,
            metrics={"rounds": float(fitted.rounds), "train_rows": float(len(rows.data))},
            curves=fitted.curves,
            tags={
                **tags,
                "mlops.version": str(version),
                "mlops.bundle_sha256": sha256,
                "mlops.cut_off": training_set.cut_off.isoformat(),
            },
            datasets=reads_of(training_set),
            artifacts=parts,
            mlflow_model=mlflow_model(LoadedBundle(name, sha256, parts), rows.shown),
            about=declared.description,
        )
    stores.tracking.log_trials(run_id, trials)
    record = reproducibility_record(
        fitted,
        training_set=training_set,
        rows=rows.sha256,
        recipe=recipe,
        parts=parts,
        circumstances=found.result(),
        repeats=repeats.result() if repeats else _repeats(folder, policy, rows.data),
    )
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
            "rows": len(rows.data),
            "requested_by": requester,
            "sources": {s.table: s.sha256 for s in training_set.sources},
            **({"trials": len(trials)} if trials else {}),
        },
        at=training_set.cut_off,
    )
    checkpoint.forget()  # last, so that whatever is killed or refused before it does not cost the fit
    return result


@contextmanager
def _turns_soon() -> Iterator[None]:
    """Let threads take turns more often: between its rounds a fit waits for those beside it to give way."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _ready_to_judge(folder: ModelFolder, stores: Home, training_set: TrainingSet) -> None:
    """Make what the model will be judged beside; nobody asks how it ends, for what fails here fails there again."""
    champion = LoadedBundle.live(stores, folder.name)
    yardstick_of(folder, stores, training_set, features_source=folder.features_source, champion=champion)


def _repeats(folder: ModelFolder, policy: TrainingPolicy, data: TrainingData) -> bool:
    """Tell whether the trainer gives the same bytes twice on some of the rows; on a cluster it is not asked to."""
    if policy.distributed:
        return True
    return fits_alike(policy, data.take(tried_rows(data.y, data.task)), own=folder.trainer_source)


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

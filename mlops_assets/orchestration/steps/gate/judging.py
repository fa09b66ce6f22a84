"""A challenger judged on held-out time, beside the champion and the simple baseline, and the verdict put on record."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.evaluation import Details, GatePolicy, binned, coded, judge, levels_of
from mlops_assets.features.columns import as_arrays
from mlops_assets.features.join import DECISION_TIME, training_rows
from mlops_assets.features.repeats import Repeats
from mlops_assets.governance import Event
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.picking import Picked
from mlops_assets.orchestration.steps.datasets.piecewise import ahead, memory_given_back
from mlops_assets.orchestration.steps.datasets.training_sets import (
    HOLDOUT,
    LABEL,
    TRAIN,
    days_of,
    parts_of,
    spread_over,
)
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.fitting.noting import note
from mlops_assets.orchestration.steps.fitting.promising import changed_since, holdout_of, looks_at
from mlops_assets.orchestration.steps.gate.behaving import behaviour_of
from mlops_assets.orchestration.steps.gate.reporting import portray, show_report
from mlops_assets.orchestration.steps.gate.suspecting import handed_out_anew, sent_again, told_apart
from mlops_assets.records import EvaluationReport, ModelVersion, TrainingSet, Verdict
from mlops_assets.stores.home import Home
from mlops_assets.training import fit_baseline

Array = npt.NDArray[np.float64]

SOME_ROWS = 20_000  # from more, a straight line of a hundred weights learns nothing more

SAID: dict[Verdict, Event] = {
    "pass": Event.GATE_PASSED,
    "fail": Event.GATE_REFUSED,
    "review": Event.GATE_LEFT_OPEN,
}


def evaluate(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, challenger: ModelVersion, *, at: datetime
) -> EvaluationReport:
    """Judge the challenger beside champion and baseline on the held-out rows, and put the verdict on record."""
    declared, name = folder.declaration, folder.name
    rows = rows_to_judge(folder, stores, training_set)
    held, truth = rows.held, rows.truth
    bundle = LoadedBundle.of(stores, name, challenger.sha256)
    vectors = vectors_of(bundle, held, stores)
    release = stores.releases.current(name)
    champion = LoadedBundle.of(stores, name, release.bundle_sha256) if release else None
    entries = stores.state.audit_entries(model=name)
    with ThreadPoolExecutor(1) as beside:  # what others make of the rows, while the challenger is looked at
        champion_scored = beside.submit(_champion_scores, champion, bundle, vectors, held, stores)
        baseline_scored = beside.submit(_baseline_scores, folder, stores, bundle, vectors, rows.some)
        suspected = beside.submit(sent_again, folder, stores, rows.repeats, champion)
        scores = bundle.score(vectors)
        champion_scores = champion_scored.result()
        behaviour = behaviour_of(
            folder, bundle, held, vectors, scores=scores, champion_scores=champion_scores, learnt=truth
        )
        baseline_scores = baseline_scored.result()
        portrayed = beside.submit(
            portray, folder, stores, bundle, held, vectors, scores, champion=champion_scores, baseline=baseline_scores
        )
        suspicions = suspected.result()
        if champion:
            seen = partial(vectors_of, champion, stores=stores)
            suspicions += handed_out_anew(folder, bundle, champion, seen, learnt=rows.some, held=held)
        report = judge(
            declared.gate,
            challenger=challenger,
            champion_sha256=champion.sha256 if champion else None,
            window=training_set.holdout,
            y=held[LABEL].to_numpy(),
            challenger_scores=scores,
            champion_scores=champion_scores,
            baseline_scores=baseline_scores,
            constant=shares(truth) if declared.task == "multiclass" else float(truth.mean()),
            behaviour=behaviour,
            looks=looks_at(challenger, training_set, entries),
            changed=changed_since(folder, stores, challenger, entries, at=at),
            suspicions=suspicions,
            slices={column: held[column] for column in declared.gate.columns_beside},
            details=details_of(bundle, vectors, held, declared.gate, champion=champion),
            value=declared.value,
            clusters=days_of(held),
        )
        portrayed.result()
    stores.records.put(("evaluations", name), challenger.sha256, report)
    show_report(folder, stores, challenger.sha256)
    judged = {
        "holdout": report.challenger_metrics,
        "champion": report.champion_metrics,
        "baseline": report.baseline_metrics,
    }
    if challenger.mlflow_run_id:
        stores.tracking.log_metrics(
            challenger.mlflow_run_id, {f"{who}.{m.name}": m.value for who, metrics in judged.items() for m in metrics}
        )
    note(
        stores,
        SAID[report.verdict],
        challenger,
        {
            "evaluation_sha256": report.sha256,
            "policy_sha256": report.policy_sha256,
            "champion_sha256": report.champion_sha256,
            "holdout": holdout_of(training_set),
            "reasons": list(report.reasons),
        },
        at=at,
    )
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsToJudge:
    """What a version is judged on.

    Args:
        held: The held-out rows.
        some: Some of those learnt from, evenly spread.
        truth: The labels of all of these.
        repeats: All rows, as looked at for days that came twice.
    """

    held: pa.Table
    some: pa.Table
    truth: Array
    repeats: Repeats


def rows_to_judge(folder: ModelFolder, stores: Home, training_set: TrainingSet) -> RowsToJudge:
    """Read the rows that a version is judged on."""
    some, repeats = Picked(spread_over(training_set.train.rows, SOME_ROWS)), Repeats()
    held, labels = [], []
    with memory_given_back():
        for piece in ahead(stores.tables.pieces(training_set.table, version=training_set.version)):
            parts = parts_of(piece)
            some.see(parts[TRAIN])
            held.append(parts[HOLDOUT])
            labels.append(parts[TRAIN][LABEL].to_numpy().copy())  # what is cut from a piece would hold on to it
            repeats.see(told_apart(folder, training_set, piece), days_of(piece))
        return RowsToJudge(
            held=pa.concat_tables(held).combine_chunks(),
            some=some.table().combine_chunks(),
            truth=np.concatenate(labels),
            repeats=repeats,
        )


def _champion_scores(
    champion: LoadedBundle | None, bundle: LoadedBundle, vectors: Array, held: pa.Table, stores: Home
) -> Array | None:
    """Give how the champion scores the held-out rows; where both look at the same features, vectors are the same."""
    if champion is None:
        return None
    return champion.score(vectors if champion.spec == bundle.spec else vectors_of(champion, held, stores))


def _baseline_scores(folder: ModelFolder, stores: Home, bundle: LoadedBundle, vectors: Array, some: pa.Table) -> Array:
    """Give how the simple model scores the held-out rows, fitted on some of those learnt from."""
    baseline = fit_baseline(
        vectors_of(bundle, some, stores),
        some[LABEL].to_numpy(),
        task=folder.declaration.task,
        categorical=bundle.vectorizer.categorical,
        classes=len(folder.declaration.classes),
    )
    return baseline.score(vectors)


def shares(classes: Array) -> Array:
    """Give how common each class is, shape (k,)."""
    return np.bincount(classes.astype(np.intp)) / len(classes)


def details_of(
    bundle: LoadedBundle,
    vectors: Array,
    held: pa.Table,
    policy: GatePolicy,
    *,
    champion: LoadedBundle | None,
) -> Details:
    """Give what the gate may know of a bundle beside its scores: levels of features and slices, and its threshold."""
    searched = {column: levels_of(held[column]) for column in policy.columns_beside}
    for place, feature in enumerate(bundle.spec.features):
        values = vectors[:, place]
        searched[feature.name] = binned(values) if feature.levels is None else coded(values, feature.levels)
    return Details(
        searched=searched,
        threshold=bundle.meta.get("threshold"),
        champion_threshold=champion.meta.get("threshold") if champion else None,
        calibration=bundle.calibration,
        classes=tuple(bundle.meta.get("classes", ())),
    )


def vectors_of(bundle: LoadedBundle, rows: pa.Table, stores: Home) -> Array:
    """Give the vectors a bundle would have seen, by its own code; views the rows were not joined with are looked up."""
    plan = bundle.vectorizer.plan
    if any(field.name not in rows.column_names for field in plan.inputs):
        bare = rows.select([*(field.name for field in plan.module.request), DECISION_TIME])
        rows = training_rows(plan, bare, {v.name: stores.tables.read(f"features/{v.name}") for v in plan.views})
    return bundle.vectorizer.vector(as_arrays(rows, plan.inputs))

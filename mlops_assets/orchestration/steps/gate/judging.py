"""A challenger judged on held-out time, beside the champion and the simple baseline, and the verdict put on record."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.evaluation import Details, GatePolicy, binned, coded, judge, levels_of
from mlops_assets.governance import Event
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.training_sets import HOLDOUT, LABEL, days_of, training_rows_of
from mlops_assets.orchestration.steps.datasets.vectorizing import Look
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.fitting.noting import note
from mlops_assets.orchestration.steps.fitting.promising import changed_since, holdout_of, looks_at
from mlops_assets.orchestration.steps.fitting.yardstick import yardstick_of
from mlops_assets.orchestration.steps.gate.behaving import behaviour_of
from mlops_assets.orchestration.steps.gate.reporting import portray, show_report
from mlops_assets.records import EvaluationReport, ModelVersion, TrainingSet, Verdict
from mlops_assets.stores.home import Home

Array = npt.NDArray[np.float64]

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
    bundle = LoadedBundle.of(stores, name, challenger.sha256)
    champion = LoadedBundle.live(stores, name)
    held = training_rows_of(stores, training_set, part=HOLDOUT)
    vectors = Look(bundle.vectorizer, stores).vectors(held)
    scores = bundle.score(vectors)
    beside = yardstick_of(
        folder, stores, training_set, features_source=bundle.parts["features.py"].decode(), champion=champion
    )
    entries = stores.state.audit_entries(model=name)
    with ThreadPoolExecutor(2) as meanwhile:
        details = meanwhile.submit(details_of, bundle, vectors, held, declared.gate, champion=champion)
        behaviour = meanwhile.submit(behaviour_of, folder, bundle, held, vectors, scores=scores, beside=beside)
        portrayed = meanwhile.submit(
            portray, folder, stores, bundle, held, vectors, scores, champion=beside.champion, baseline=beside.baseline
        )
        report = judge(
            declared.gate,
            challenger=challenger,
            champion_sha256=champion.sha256 if champion else None,
            window=training_set.holdout,
            y=held[LABEL].to_numpy(),
            challenger_scores=scores,
            champion_scores=beside.champion,
            baseline_scores=beside.baseline,
            constant=beside.constant,
            behaviour=behaviour.result,
            looks=looks_at(challenger, training_set, entries),
            changed=changed_since(folder, stores, challenger, entries, at=at),
            suspicions=beside.suspicions,
            slices={column: held[column] for column in declared.gate.columns_beside},
            details=details.result(),
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

"""The evaluation report of a version: what it is drawn from, the page, and where both rest."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.errors import GovernanceError, UnexplainedError, UnknownNameError
from mlops_assets.evaluation import curves, gains
from mlops_assets.evaluation.portrait import Who
from mlops_assets.governance import (
    Importance,
    Judged,
    Trade,
    global_importance,
    headline,
    picture_files,
    render_report,
    shuffled_importance,
)
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.training_sets import LABEL, days_of, spread_over
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.fitting.learning import LEARNING
from mlops_assets.records import EvaluationReport, ModelVersion, Portrait, TrainingSet
from mlops_assets.stores.home import Home

Array = npt.NDArray[Any]

EXPLAINED_ROWS = 64  # enough to rank features by eye; contributions cost a hundred times a score
SHUFFLE_SEED = 7


def portray(
    folder: ModelFolder,
    stores: Home,
    bundle: LoadedBundle,
    held: pa.Table,
    vectors: Array,
    challenger: Array,
    *,
    champion: Array | None,
    baseline: Array,
) -> Portrait:
    """Keep what the pictures of a version are drawn from: curves and gains of the scores on the held-out rows."""
    declared = folder.declaration
    y = held[LABEL].to_numpy().astype(np.float64)
    scores: dict[Who, Array] = {"challenger": challenger, "baseline": baseline}
    if champion is not None:
        scores["champion"] = champion
    terms = declared.gate.terms(declared.value, classes=declared.classes, clusters=days_of(held))
    explained = spread_over(len(vectors), EXPLAINED_ROWS)
    ranked, _ = what_moves(bundle, vectors[explained])
    made = Portrait(
        model=folder.name,
        bundle_sha256=bundle.sha256,
        curves=curves(declared.task, y, scores, terms, classes=declared.classes),
        gains=gains(declared.task, y, scores, terms, other="baseline" if champion is None else "champion"),
        importance=tuple((each.feature, each.share) for each in ranked),
        explained_rows=len(explained),
    )
    stores.records.put(("portraits", folder.name), bundle.sha256, made)
    return made


def what_moves(bundle: LoadedBundle, vectors: npt.NDArray[np.float64]) -> tuple[tuple[Importance, ...], str]:
    """Rank the features, and say why single decisions cannot be explained if they cannot."""
    names = bundle.vectorizer.names
    try:
        return global_importance(bundle.contributions(vectors), names), ""
    except UnexplainedError as reason:
        return shuffled_importance(bundle.score, vectors, names, seed=SHUFFLE_SEED), str(reason)


def explain_better(
    folder: ModelFolder, stores: Home, bundle_sha256: str, importance: Sequence[Importance], *, rows: int
) -> None:
    """Put what a dossier found about the features, on more rows, into the portrait too, and write the page anew."""
    name = folder.name
    portrait = stores.records.find(("portraits", name), bundle_sha256, Portrait)
    shares = tuple((each.feature, each.share) for each in importance)
    if portrait is None or (portrait.importance, portrait.explained_rows) == (shares, rows):
        return
    better = replace(portrait, importance=shares, explained_rows=rows)
    stores.records.put(("portraits", name), bundle_sha256, better)
    show_report(folder, stores, bundle_sha256)


def judged(folder: ModelFolder, stores: Home, bundle_sha256: str) -> Judged:
    """Gather what is on record about the judgement of a version.

    Raises:
        RecordNotFoundError: It was never judged.
    """
    declared, name = folder.declaration, folder.name
    report = stores.records.get(("evaluations", name), bundle_sha256, EvaluationReport)
    version, before = report.challenger, report.champion_sha256
    sets = {v.bundle_sha256: v.record_json for v in stores.state.versions(name)}
    old_set = sets.get(before) if before else None
    value = declared.value
    return Judged(
        report=report,
        portrait=stores.records.find(("portraits", name), bundle_sha256, Portrait)
        or Portrait(model=name, bundle_sha256=bundle_sha256),
        training_set=msgspec.json.decode(sets[bundle_sha256], type=TrainingSet),
        things=declared.decisions.table.replace("_", " "),
        description=declared.description,
        label=folder.label_meaning,
        owner=declared.owner or "",
        primary_metric=declared.gate.primary_metric,
        trade=Trade(
            capacity_share=value.capacity_share,
            value_of_hit=value.value_of_hit,
            cost_of_false_alarm=value.cost_of_false_alarm,
            unit=value.unit,
            answers=value.answers,
        )
        if value and (value.answers or declared.task == "binary")
        else None,
        before=stores.records.find(("versions", name), before, ModelVersion) if before else None,
        before_set=msgspec.json.decode(old_set, type=TrainingSet) if old_set else None,
        learning=stores.records.find((LEARNING, name), bundle_sha256, dict[str, list[float]]) or {},
        links={"Run in MLflow": version.mlflow_url} if version.mlflow_url else {},
    )


def write_page(stores: Home, found: Judged) -> Path:
    """Write the page of a version's evaluation from what is on record, and give its path."""
    return stores.write_report(found.report.model, found.version.sha256, render_report(found).encode())


def show_report(folder: ModelFolder, stores: Home, bundle_sha256: str) -> None:
    """Write the page of a version's evaluation, and put it and its pictures to its run in MLflow."""
    found = judged(folder, stores, bundle_sha256)
    page = write_page(stores, found)
    if found.version.mlflow_run_id:
        pictures = {f"plots/{name}": drawn for name, drawn in picture_files(found).items()}
        files = {page.name: page.read_bytes(), **pictures}
        stores.tracking.log_report(found.version.mlflow_run_id, headline(found), files)


def bundle_of(stores: Home, model: str, number: int | None) -> str:
    """Give the bundle of a version that was judged: of `number`, or of the newest.

    Raises:
        UnknownNameError: There is no such version, or it was never judged.
        GovernanceError: None was judged yet.
    """
    known = set(stores.records.partitions(("evaluations", model)))
    found = {v.version: v.bundle_sha256 for v in stores.state.versions(model) if v.bundle_sha256 in known}
    if not found:
        raise GovernanceError(
            f"No version of {model} was judged yet, so there is nothing to report. "
            f"Ask for one with `mlops train {model} --reason …`.",
            model=model,
        )
    wanted = max(found) if number is None else number
    if wanted not in found:
        raise UnknownNameError(f"judged version of {model}", str(wanted), known=map(str, sorted(found)))
    return found[wanted]

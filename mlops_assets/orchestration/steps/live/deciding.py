"""One decision taken apart: what was asked and seen, what answered, and on whose word that version was live."""

from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa

from mlops_assets.errors import GovernanceError, UnexplainedError
from mlops_assets.governance import Event, Reason, reasons
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.live.proving import check_parity
from mlops_assets.orchestration.steps.live.watching import SEALED, labels_of, sealed_row
from mlops_assets.records import AuditEntry, ParityReport, TrainingSet
from mlops_assets.stores.home import Home
from mlops_assets.stores.predictions import LoggedPrediction, days, decode_prediction, read_predictions

# What happened to a version on its way to the endpoint, in this order; of each the last before the decision counts.
EVIDENCE = (
    Event.MODEL_TRAINED,
    Event.GATE_PASSED,
    Event.GATE_LEFT_OPEN,
    Event.APPROVAL_GIVEN,
    Event.APPROVAL_GRANTED,
    Event.DEPLOYMENT_COMPLETED,
    Event.ROLLED_BACK,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A logged prediction with all that stands behind it; `label` is None while it is not known.

    `reasons` are those of the score, or `unexplained` says why there are none. Of a multiclass model `label` and
    `answer` are names of classes, `probabilities` has one for each, and the reasons are those of the answer.
    """

    made: LoggedPrediction
    vector: dict[str, float | str | None]
    reasons: tuple[Reason, ...]
    unexplained: str
    training_set: TrainingSet
    evidence: tuple[AuditEntry, ...]
    parity: ParityReport
    label: float | str | None
    answer: str | None = None
    probabilities: dict[str, float] = field(default_factory=dict)


def decided(folder: ModelFolder, stores: Home, request_id: str) -> Decided:
    """Give the first answer to a request, and what stands behind it.

    Raises:
        GovernanceError: No such request is in the log.
    """
    made = _logged(folder.name, stores, request_id)
    bundle = LoadedBundle.of(stores, folder.name, made.bundle_sha256)
    trained = next(v for v in stores.state.versions(folder.name) if v.bundle_sha256 == made.bundle_sha256)
    (label,) = labels_of(folder, stores, [request_id])
    classes: list[str] = bundle.meta.get("classes", [])
    chances = dict(zip(classes, made.probabilities or (), strict=True))
    answer = max(chances, key=lambda name: chances[name]) if chances else None
    moved, unexplained = _reasons(bundle, made, classes.index(answer) if answer is not None else None)
    return Decided(
        made=made,
        vector={
            feature.name: _value(value, feature.levels)
            for feature, value in zip(bundle.spec.features, made.vector, strict=True)
        },
        reasons=moved,
        unexplained=unexplained,
        training_set=msgspec.json.decode(trained.record_json, type=TrainingSet),
        evidence=tuple(_evidence(stores, made)),
        parity=check_parity(folder, stores, pa.Table.from_pylist([sealed_row(made)], schema=SEALED)),
        label=_value(float(label), tuple(classes) or None),
        answer=answer,
        probabilities=chances,
    )


def _logged(model: str, stores: Home, request_id: str) -> LoggedPrediction:
    there = days(stores.predictions, model)
    for day in there:
        for frame in read_predictions(stores.predictions, model, day):
            if request_id.encode() in frame and (made := decode_prediction(frame)).request_id == request_id:
                return made
    raise GovernanceError(
        f"{model} answered no request {request_id!r}, so there is no decision to explain. "
        + (f"Its log has the days {there[0]} to {there[-1]}; check the id." if there else "Its log is empty."),
        model=model,
        request_id=request_id,
    )


def _reasons(bundle: LoadedBundle, made: LoggedPrediction, answer: int | None) -> tuple[tuple[Reason, ...], str]:
    try:
        (moved,) = bundle.contributions(np.array([made.vector], dtype=np.float64))
    except UnexplainedError as why:
        return (), str(why)
    return reasons(moved if answer is None else moved[answer], bundle.vectorizer.names), ""


def _value(value: float, levels: tuple[str, ...] | None) -> float | str | None:
    """Give a number as a person reads it: that of a level or a class by its name, nothing where there was none."""
    if np.isnan(value):
        return None
    return levels[int(value)] if levels is not None else value


def _evidence(stores: Home, made: LoggedPrediction) -> list[AuditEntry]:
    newest: dict[str, AuditEntry] = {}
    for entry in stores.state.audit_entries(model=made.model):
        ours = entry.subject.get("bundle_sha256") == made.bundle_sha256
        in_time = entry.data.get("generation", 0) <= made.generation  # what came live later is another story
        if ours and in_time and entry.event in EVIDENCE:
            newest[entry.event] = entry
    return sorted(newest.values(), key=lambda entry: entry.seq)

"""What was promised before a model was trained: the thresholds it is judged by, and how often its hold-out was seen.

The audit log keeps both. A threshold that is changed once the result could be known leaves a trace, and the verdict to
a person.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from mlops_assets.evaluation import BusinessValue, policy_sha256
from mlops_assets.governance import Event
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.steps.fitting.noting import PIPELINE, note
from mlops_assets.records import AuditEntry, ModelVersion, TrainingSet
from mlops_assets.stores.home import Home

JUDGED = (Event.GATE_PASSED, Event.GATE_REFUSED, Event.GATE_LEFT_OPEN)


def promise(folder: ModelFolder, stores: Home, training_set: TrainingSet) -> None:
    """Put on record, before anything is fitted, by which policy it will be judged."""
    stores.state.audit_once(
        Event.TRAINING_STARTED,
        actor=PIPELINE,
        subject={"model": folder.name},
        data={"training_set_sha256": training_set.sha256, **_policy(folder.declaration)},
        at=training_set.cut_off,
    )


def changed_since(
    folder: ModelFolder, stores: Home, version: ModelVersion, entries: Sequence[AuditEntry], *, at: datetime
) -> tuple[str, ...]:
    """Name the fields of the policy that differ from those promised before the first training on the same rows.

    `entries` are those of the model in the audit log. A change goes on record with both digests and both values. A
    version trained before promises were kept has none.
    """
    promised = next(
        (
            entry.data
            for entry in entries
            if entry.event == Event.TRAINING_STARTED
            and entry.data["training_set_sha256"] == version.training_set_sha256
        ),
        None,
    )
    now = _policy(folder.declaration)
    if promised is None or promised["policy_sha256"] == now["policy_sha256"]:
        return ()
    changed = {name: [before, after] for name, before, after in _differing(promised["policy"], now["policy"])}
    digests = {"promised_sha256": promised["policy_sha256"], "policy_sha256": now["policy_sha256"]}
    note(stores, Event.POLICY_CHANGED, version, {**digests, "changed": changed}, at=at)
    return tuple(changed)


def looks_at(version: ModelVersion, training_set: TrainingSet, entries: Sequence[AuditEntry]) -> int:
    """Count the different challengers that the hold-out has judged, this one included, by the audit log's `entries`."""
    span = holdout_of(training_set)
    seen = {
        entry.subject["bundle_sha256"]
        for entry in entries
        if entry.event in JUDGED and entry.data.get("holdout") == span
    }
    return len({*seen, version.sha256})


def holdout_of(training_set: TrainingSet) -> list[str]:
    """Name a hold-out by its ends, as the audit log does."""
    return [training_set.holdout.start.isoformat(), training_set.holdout.end.isoformat()]


def _policy(declared: ModelDeclaration) -> dict[str, Any]:
    value = declared.value or BusinessValue()
    policy = {"gate": declared.gate.model_dump(mode="json"), "value": value.model_dump(mode="json")}
    return {"policy_sha256": policy_sha256(declared.gate, value), "policy": policy}


def _differing(
    before: Mapping[str, Any], after: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, object, object]]:
    """Give the fields in which two policies differ, by their path, each with both values."""
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differing(one, other, f"{path}{name}.")
        elif one != other:
            yield f"{path}{name}", one, other

"""The events an audit log tells a model's life by, and the check that the story has no holes.

The chain that keeps entries from being changed unseen is `mlops_assets.hash_chain`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mlops_assets.records import AuditEntry


class Event(StrEnum):
    """What can happen. An entry's `subject` names it: `model`, and `bundle_sha256` where a version is meant."""

    DATA_QUARANTINED = "data.quarantined"
    DATA_BLOCKED = "data.blocked"
    DATA_WAIVED = "data.waived"  # by a person: these rules hold no row of that batch back
    DATA_CORRECTED = "data.corrected"  # by a person: these rows stand in for what the source sent
    CONTRACT_CHANGED = "contract.changed"
    TRAINING_STARTED = "training.started"  # with the policy it will be judged by, before anything is fitted
    POLICY_CHANGED = "policy.changed"  # since training began on the rows that judge
    MODEL_TRAINED = "model.trained"
    REPRODUCED = "model.reproduced"  # fitted again from its record, to the same bytes
    NOT_REPRODUCED = "model.not_reproduced"
    GATE_PASSED = "gate.passed"
    GATE_REFUSED = "gate.refused"
    GATE_LEFT_OPEN = "gate.left_open"  # to a person
    DOSSIER_WRITTEN = "dossier.written"
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_GIVEN = "approval.given"  # by one person, which may not be enough
    APPROVAL_REJECTED = "approval.rejected"
    APPROVAL_GRANTED = "approval.granted"  # the verdict: the version may go live
    DEPLOYMENT_STARTED = "deployment.started"
    DEPLOYMENT_COMPLETED = "deployment.completed"
    DEPLOYMENT_FAILED = "deployment.failed"
    ROLLED_BACK = "deployment.rolled_back"
    RETRAIN_TRIGGERED = "retrain.triggered"
    RETRAIN_DECLINED = "retrain.declined"
    BUSINESS_EVENT = "business.event"
    HOLD_PLACED = "hold.placed"  # what the version was made of is kept, whatever retention says
    HOLD_RELEASED = "hold.released"
    DATA_DELETED = "data.deleted"  # as retention was declared


NEEDED_BEFORE: Final[Mapping[str, tuple[Event, ...]]] = {
    Event.DEPLOYMENT_COMPLETED: (Event.MODEL_TRAINED, Event.GATE_PASSED, Event.APPROVAL_GRANTED),
    Event.ROLLED_BACK: (Event.DEPLOYMENT_COMPLETED,),  # only what was live before may come back without asking
}

STANDS_IN: Final[Mapping[str, frozenset[Event]]] = {
    Event.GATE_PASSED: frozenset({Event.GATE_LEFT_OPEN, Event.APPROVAL_GIVEN}),
}
"""What does as well as an event: what the gate left open, a person approved."""


@dataclass(frozen=True, slots=True)
class Gap:
    """An entry that should not have happened yet: `missing` was not in the log before it, for the same bundle."""

    entry: AuditEntry
    missing: tuple[Event, ...]


def gaps(entries: Iterable[AuditEntry]) -> tuple[Gap, ...]:
    """Find the deployments and rollbacks whose bundle did not go through training, gate and approval first.

    Args:
        entries: The log from its first entry on, in order.
    """
    seen: dict[str, set[str]] = defaultdict(set)
    found = []
    for entry in entries:
        bundle = entry.subject.get("bundle_sha256")
        before = seen[bundle] if bundle else set()  # without a digest nothing before it can be told to belong to it
        if absent := tuple(event for event in NEEDED_BEFORE.get(entry.event, ()) if not _there(event, before)):
            found.append(Gap(entry, absent))
        before.add(entry.event)
    return tuple(found)


def _there(event: Event, before: Collection[str]) -> bool:
    return event in before or (event in STANDS_IN and STANDS_IN[event] <= set(before))

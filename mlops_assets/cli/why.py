"""Why a model answered as it did, as text and as JSON."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from mlops_assets.cli.project import Project
from mlops_assets.governance import Event
from mlops_assets.orchestration.steps.live.deciding import Decided, decided
from mlops_assets.records import AuditEntry, ParityReport

SHOWN_REASONS = 4  # either way; what a notice of a refusal usually carries
SAID_BY = {
    Event.MODEL_TRAINED: "trained",
    Event.GATE_PASSED: "gate",
    Event.GATE_LEFT_OPEN: "gate",
    Event.APPROVAL_GIVEN: "approved",
    Event.APPROVAL_GRANTED: "approval",
    Event.DEPLOYMENT_COMPLETED: "live",
    Event.ROLLED_BACK: "brought back",
}


def explain(project: Project, model: str, request_id: str, *, as_json: bool) -> str:
    """Tell what stands behind the answer to a request.

    Raises:
        UnknownNameError: There is no such model.
        GovernanceError: It answered no such request.
    """
    found = decided(project.model(model), project.home, request_id)
    if as_json:
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    return "\n".join(f"{name:<14}{said}" for name, said in _lines(found))


def _lines(found: Decided) -> Iterator[tuple[str, str]]:
    made, learnt = found.made, found.training_set
    use = {None: "", True: ", flagged", False: ", not flagged"}[made.decision]
    said = found.answer if found.answer is not None else f"{made.score:.6g}{use}"
    yield "decision", f"{made.model} answered {made.request_id} for {_time(made.at)}: {said}"
    if found.probabilities:
        likeliest_first = sorted(found.probabilities.items(), key=lambda each: -each[1])
        yield "chances", ", ".join(f"{name} {chance:.6g}" for name, chance in likeliest_first)
    yield "outcome", "not known yet" if found.label is None else _value(found.label)
    yield "request", ", ".join(f"{name} {_value(value)}" for name, value in made.request.items())
    for view, row in made.stored.items():
        values = ", ".join(f"{name} {_value(value)}" for name, value in row.values.items())
        since = f" of {_time(row.event_time)}" if row.event_time else ""
        yield "stored", f"{view} {row.status}{since}: {values}"
    yield "vector", ", ".join(f"{name} {_value(value)}" for name, value in found.vector.items())
    if found.unexplained:
        yield "moved by", f"not known: {found.unexplained}"
    for way, sign in (("raised by", 1), ("lowered by", -1)):
        moved = [f"{why.feature} {why.contribution:+.4g}" for why in found.reasons if why.contribution * sign > 0]
        if moved:
            more = f" and {len(moved) - SHOWN_REASONS} more" if len(moved) > SHOWN_REASONS else ""
            yield way, ", ".join(moved[:SHOWN_REASONS]) + more
    yield "parity", _parity(found.parity)
    yield "version", f"{made.version} ({made.bundle_sha256}), generation {made.generation} of what was live"
    yield (
        "learnt from",
        f"{learnt.table} version {learnt.version} ({learnt.sha256[:12]}): {learnt.train.rows} rows of "
        f"{learnt.train.start:%Y-%m-%d} to {learnt.train.end:%Y-%m-%d}, as known at {_time(learnt.cut_off)}",
    )
    for source in learnt.sources:
        yield "", f"{source.table} version {source.version} ({source.sha256[:12]}), {source.rows} rows"
    for entry in found.evidence:
        yield SAID_BY[Event(entry.event)], _evidence(entry)


def _evidence(entry: AuditEntry) -> str:
    data = entry.data
    words = data.get("reasons") or [data.get("reason") or ""]
    asked = f"asked for by {data['requested_by']}" if "requested_by" in data else ""
    generation = f"generation {data['generation']}" if "generation" in data else ""
    said = " ".join(part for part in (asked, generation, *words) if part)
    return f"audit entry {entry.seq}, {_time(entry.at)}, by {entry.actor}: {said}"


def _parity(report: ParityReport) -> str:
    if report.identical:
        return "the stored tables give the same vector, bit for bit"
    return f"the stored tables give another vector: {', '.join(report.differing)} differ"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _value(value: object) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)

"""What may be declared about retraining, and the one function that decides.

    nothing live ─────────────────────────────────────────────► no
    no trigger ───────────────────────────────────────────────► no
    triggers ─► all answered before ──────────────────────────► no
             └► a new finding ─► a brake holds ───────────────► no, not yet
                              └► no brake ────────────────────► yes

Every outcome carries its reason in plain words. Drift of features alone never retrains: it is mentioned, and its alert
goes to people; a model can be right about a world that has moved.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from mlops_assets.digests import sha256_json
from mlops_assets.records import DriftReport, ModelVersion, PerformanceReport, RetrainingDecision
from mlops_assets.retraining.brakes import BRAKES
from mlops_assets.retraining.situation import BusinessEvent, Situation, judged_windows, labelled_rows
from mlops_assets.retraining.terms import RetrainingPolicy
from mlops_assets.retraining.triggers import TRIGGERS, Finding, feature_drift, quiet

__all__ = ["RetrainingPolicy", "decide"]

NO_TRIGGER = "none"


def decide(
    policy: RetrainingPolicy,
    *,
    model: str,
    performance: Sequence[PerformanceReport],
    drift: Sequence[DriftReport],
    history: Sequence[RetrainingDecision],
    champion: ModelVersion | None,
    live_since: datetime | None,
    now: datetime,
    events: Sequence[BusinessEvent] = (),
    refusals: Sequence[datetime] = (),
    in_flight: bool = False,
    new_rows: int | None = None,
    stale: Mapping[str, str] | None = None,
) -> RetrainingDecision:
    """Decide whether to ask for retraining now.

    The same evidence gives the same `answers`, so a ledger that keeps every digest once asks once per finding and
    records each reason once; new evidence, or a brake that has let go, gives a new digest.

    Args:
        policy: What triggers, and what holds back.
        model: The model's name.
        performance: Its windows with labels, in any order; those of earlier champions are passed over.
        drift: Its windows of predictions, likewise.
        history: Earlier decisions about it, yes and no.
        champion: What is live; None if nothing is.
        live_since: When it went live.
        now: The time of the decision, in the time the reports are in.
        events: Business events known so far.
        refusals: When challengers were refused; those before `live_since` are passed over.
        in_flight: Whether a retraining is queued or running.
        new_rows: Labelled rows since the champion's cut-off; if None, counted from `performance`.
        stale: The tables the model learns from that are older than declared, each with its age in words.
    """
    if champion is None or live_since is None:
        reason = "No retraining: nothing is live yet, so there is nothing to replace."
        return _decision(model, False, NO_TRIGGER, reason, sha256_json([model, None]), now)
    if new_rows is None:
        new_rows = labelled_rows(performance, since=champion.cut_off, now=now)
    situation = Situation(
        champion=champion,
        performance=judged_windows(performance, champion=champion, live_since=live_since, now=now),
        drift=judged_windows(drift, champion=champion, live_since=live_since, now=now),
        events=tuple(events),
        requests=tuple(sorted((d for d in history if d.model == model and d.retrain), key=lambda d: d.decided_at)),
        refusals=sum(refused > live_since for refused in refusals),
        new_rows=new_rows,
        in_flight=in_flight,
        stale=stale or {},
        now=now,
    )
    findings = [finding for trigger in TRIGGERS if (finding := trigger(policy, situation))]
    answered = {request.answers: request for request in situation.requests}
    new = [finding for finding in findings if _key(model, finding) not in answered]
    alert = feature_drift(situation)
    if not findings:
        seen = [report.sha256 for reports in (situation.performance, situation.drift) for report in reports[-1:]]
        key = sha256_json([model, champion.sha256, seen])
        return _decision(model, False, NO_TRIGGER, f"No retraining: {quiet(policy, situation)}{alert}", key, now)
    if not new:
        first = answered[_key(model, findings[0])]
        says = f"the request of {first.decided_at:%Y-%m-%d} answers this already: {findings[0].says}"
        key = sha256_json([_key(model, findings[0]), "answered"])
        return _decision(model, False, findings[0].trigger, f"No retraining: {says}.{alert}", key, now)
    says = "; ".join(finding.says for finding in new)
    held = {name: hold for name, brake in BRAKES.items() if (hold := brake(policy, situation))}
    if held:
        reason = f"No retraining yet, although {says}. It waits: {'; '.join(held.values())}.{alert}"
        key = sha256_json([_key(model, new[0]), "held", [*sorted(held), *sorted(situation.stale)]])
        return _decision(model, False, new[0].trigger, reason, key, now)
    return _decision(model, True, new[0].trigger, f"Retrain: {says}.{alert}", _key(model, new[0]), now)


def _key(model: str, finding: Finding) -> str:
    return sha256_json([model, finding.trigger, list(finding.evidence)])


def _decision(model: str, retrain: bool, trigger: str, reason: str, answers: str, now: datetime) -> RetrainingDecision:
    return RetrainingDecision(
        model=model, retrain=retrain, trigger=trigger, reason=reason, answers=answers, decided_at=now
    )

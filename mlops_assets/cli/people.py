"""What people do to a model, each act with a name and a reason in the audit log."""

from mlops_assets.cli.project import Project
from mlops_assets.errors import GovernanceError, UnknownNameError
from mlops_assets.governance import Event, take_decision
from mlops_assets.orchestration.resources import now
from mlops_assets.orchestration.steps import roll_back
from mlops_assets.orchestration.tags import BY_PEOPLE
from mlops_assets.records import ApprovalDecision, Dossier, Endpoint, RetrainingDecision


def ask_for_training(project: Project, model: str, *, reason: str, who: str) -> RetrainingDecision:
    """Put a person's request for training into the ledger, where the retraining sensor finds it."""
    project.model(model)
    at, by = now(project.home), who
    decision = RetrainingDecision(
        model=model,
        retrain=True,
        trigger=BY_PEOPLE,
        reason=f"{by} asks for it: {reason}",
        answers=f"request:{model}:{by}:{at.isoformat()}",
        decided_at=at,
    )
    state = project.home.state
    with state.together():
        if state.decide_once(decision):
            state.audit_append(
                Event.RETRAIN_TRIGGERED,
                actor=by,
                subject={"model": model},
                data={"trigger": decision.trigger, "reason": reason, "answers": decision.answers},
                at=at,
            )
    return decision


def report_event(project: Project, model: str, event: str, *, note: str, who: str) -> None:
    """Put a business event on record, if the model's policy knows it.

    Raises:
        UnknownNameError: The policy names no such event, so nothing would ever come of it.
    """
    known = project.model(model).declaration.retraining.events
    if event not in known:
        mend = (
            f"Declare it in its defs.yaml: `retraining: {{events: {{{event}: 7}}}}` learns anew seven days after one."
        )
        raise UnknownNameError(f"business event of {model}", event, known=known, if_none=mend)
    project.home.state.audit_append(
        Event.BUSINESS_EVENT,
        actor=who,
        subject={"model": model},
        data={"name": event, "note": note},
        at=now(project.home),
    )


def decide_about(
    project: Project, model: str, *, digest: str, who: str, reason: str, approve: bool
) -> ApprovalDecision:
    """Keep a person's decision about the dossier they read.

    Raises:
        GovernanceError: The digest is not that of the newest dossier.
    """
    project.model(model)
    dossier = project.home.records.find((model, "dossier"), None, Dossier)
    if dossier is None:
        raise GovernanceError(f"{model} has no dossier yet, so there is nothing to decide about. Train it first.")
    at = now(project.home)
    decision = take_decision(dossier, digest=digest, by=who, reason=reason, at=at, approve=approve)
    with project.home.state.together():
        project.home.state.approval_add(decision)
        project.home.state.audit_append(
            Event.APPROVAL_GIVEN if approve else Event.APPROVAL_REJECTED,
            actor=decision.by,
            subject={"model": model, "bundle_sha256": decision.bundle_sha256},
            data={"dossier_sha256": decision.dossier_sha256, "reason": decision.reason},
            at=at,
        )
    return decision


def bring_back(project: Project, model: str, *, reason: str, who: str) -> Endpoint:
    """Bring the version before the current one live again."""
    return roll_back(project.model(model), project.home, by=who, reason=reason, at=now(project.home))

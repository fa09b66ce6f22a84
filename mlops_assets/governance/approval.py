"""Who may let a version go live: a rule below high risk, a person's decision about exactly this version above.

What the gate left open waits for a person too, whatever its risk.

A decision is bound to the dossier's digest, which covers the bundle's: a change in either voids it.
"""

import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from mlops_assets.digests import sha256_json
from mlops_assets.errors import GovernanceError
from mlops_assets.governance.risk import RiskTier
from mlops_assets.records import Approval, ApprovalDecision, Dossier, ModelVersion

__all__ = ["BY_RULE", "ApprovalPolicy", "RiskTier", "approval_command", "evaluate", "take_decision"]

BY_RULE = "rule"


class ApprovalPolicy(BaseModel, frozen=True, extra="forbid"):
    """How people agree to a version of high risk, or to one that the gate left open; else nobody is asked."""

    approvers: tuple[str, ...] = Field(default=(), description="Who may approve; empty: anybody but who requested it.")
    people: int = Field(default=1, ge=1, description="How many different people must approve.")
    valid_days: float = Field(default=7.0, gt=0, description="How long after an approval the version may go live.")


def evaluate(
    policy: ApprovalPolicy,
    model_version: ModelVersion,
    dossier: Dossier,
    decisions: Iterable[ApprovalDecision],
    now: datetime,
    *,
    requester: str,
) -> Approval:
    """Say whether exactly this version may go live, who let it, and what is still to be done if not.

    Args:
        policy: The model's.
        model_version: What is to go live.
        dossier: Its evidence; the risk tier is the dossier's.
        decisions: All that people decided about the bundle.
        now: Decisions after this time are not seen, old ones have lapsed.
        requester: Who asked for the version; cannot approve it.

    Raises:
        GovernanceError: The dossier describes another version.
    """
    if dossier.model_version.sha256 != model_version.sha256 or dossier.model != model_version.model:
        raise GovernanceError(
            f"The dossier {dossier.sha256[:12]} describes {dossier.model} {dossier.model_version.sha256[:12]}, not "
            f"{model_version.model} {model_version.sha256[:12]}. Leave given on it would be for another model. "
            "Materialize the dossier of this version first.",
            dossier=dossier.sha256,
            bundle=model_version.sha256,
        )
    if dossier.missing:
        reason = f"The dossier lacks what risk tier {dossier.risk_tier!r} asks for: {', '.join(dossier.missing)}."
        return _approval(dossier, granted=False, by=BY_RULE, reason=reason, at=now)
    if dossier.risk_tier != "high" and not dossier.review:
        reason = f"Risk tier {dossier.risk_tier!r} asks for complete evidence and a passed gate, not for a person."
        return _approval(dossier, granted=True, by=BY_RULE, reason=reason, at=now)
    return _by_people(policy, dossier, [d for d in decisions if _concerns(d, dossier) and d.at <= now], now, requester)


def take_decision(
    dossier: Dossier, *, digest: str, by: str, reason: str, at: datetime, approve: bool = True
) -> ApprovalDecision:
    """Make a person's decision, if it is about this dossier and says who and why.

    Args:
        dossier: The newest of the model.
        digest: The digest the person read and decided about.
        by: The person's account.
        reason: Why, in their own words.
        at: When.
        approve: False rejects the bundle for good.

    Raises:
        GovernanceError: `digest` is not this dossier's, or a name or a reason is missing.
    """
    if digest != dossier.sha256:
        meant = "the bundle's digest, not the dossier's" if digest == dossier.model_version.sha256 else "another digest"
        raise GovernanceError(
            f"{digest} is {meant}. A decision counts for exactly the dossier that was read; the newest of "
            f"{dossier.model!r} is {dossier.sha256}, in {dossier.path}. Read it, then: {approval_command(dossier)}",
            digest=digest,
            newest=dossier.sha256,
        )
    if not by.strip() or not reason.strip():
        raise GovernanceError(
            "A decision needs a name and a reason; without them nobody can answer for it later. "
            f"Write: {approval_command(dossier)}"
        )
    return ApprovalDecision(
        model=dossier.model,
        bundle_sha256=dossier.model_version.sha256,
        dossier_sha256=dossier.sha256,
        approve=approve,
        by=by.strip(),
        reason=reason.strip(),
        at=at,
    )


def approval_command(dossier: Dossier) -> str:
    """Give the command that approves exactly this dossier, ready to type but for name and reason."""
    return f"mlops approve {shlex.quote(dossier.model)} --digest {dossier.sha256} --as NAME --reason 'WHY'"


def _by_people(
    policy: ApprovalPolicy, dossier: Dossier, decisions: Sequence[ApprovalDecision], now: datetime, requester: str
) -> Approval:
    for decision in decisions:
        if not decision.approve:
            reason = f"{decision.by} rejected this version on {decision.at:%Y-%m-%d %H:%M}: {decision.reason}"
            return _approval(dossier, granted=False, by=decision.by, reason=reason, at=decision.at)

    counting: dict[str, ApprovalDecision] = {}
    set_aside = []
    for decision in decisions:
        if why := _why_not(policy, decision, dossier, now, requester):
            set_aside.append(f"{decision.by}'s approval does not count: {why}.")
        else:
            counting.setdefault(_person(decision.by), decision)
    given = list(counting.values())[: policy.people]
    if len(given) == policy.people:
        return _approval(
            dossier,
            granted=True,
            by=", ".join(decision.by for decision in given),
            reason=" ".join(decision.reason for decision in given),
            at=max(decision.at for decision in given),
        )

    waiting = f"Waits for {policy.people - len(given)} of {policy.people} approvals by a person"
    waiting += f" ({', '.join(policy.approvers)})" if policy.approvers else f" other than {requester}"
    reason = " ".join(
        [f"{waiting}.", *dossier.review, *set_aside, f"Read {dossier.path}, then: {approval_command(dossier)}"]
    )
    return _approval(dossier, granted=False, by=BY_RULE, reason=reason, at=now)


def _why_not(
    policy: ApprovalPolicy, decision: ApprovalDecision, dossier: Dossier, now: datetime, requester: str
) -> str | None:
    """Say why an approval does not count; None if it does."""
    if decision.dossier_sha256 != dossier.sha256:
        return f"it was given for dossier {decision.dossier_sha256[:12]}, which has changed since"
    if _person(decision.by) == _person(requester):
        return "nobody approves what they requested themselves"
    if policy.approvers and _person(decision.by) not in {_person(name) for name in policy.approvers}:
        return "the model's policy does not name them an approver"
    if now - decision.at > timedelta(days=policy.valid_days):
        return f"it lapsed after {policy.valid_days:g} days"
    return None


def _concerns(decision: ApprovalDecision, dossier: Dossier) -> bool:
    return decision.model == dossier.model and decision.bundle_sha256 == dossier.model_version.sha256


def _person(name: str) -> str:
    return name.strip().casefold()


def _approval(dossier: Dossier, *, granted: bool, by: str, reason: str, at: datetime) -> Approval:
    """Make the record; its digest leaves the time out, so that asking again gives the same digest."""
    facts = {
        "model": dossier.model,
        "bundle_sha256": dossier.model_version.sha256,
        "dossier_sha256": dossier.sha256,
        "granted": granted,
        "by": by,
        "reason": reason,
    }
    return Approval(
        model=dossier.model,
        sha256=sha256_json(facts),
        model_version=dossier.model_version,
        dossier_sha256=dossier.sha256,
        granted=granted,
        by=by,
        reason=reason,
        at=at,
    )

"""Who may let a version go live."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from mlops_assets.errors import GovernanceError
from mlops_assets.governance import ApprovalPolicy, approval_command, evaluate, take_decision
from mlops_assets.records import Approval, ApprovalDecision, Dossier
from mlops_assets_tests.governance._evidence import DOSSIER, NOW, VERSION


def anna(**changes: object) -> ApprovalDecision:
    """Anna's approval of exactly this dossier, an hour ago."""
    decision = take_decision(
        DOSSIER, digest=DOSSIER.sha256, by="anna", reason="Holds on all carriers.", at=NOW - timedelta(hours=1)
    )
    return replace(decision, **changes)


def ask(
    *decisions: ApprovalDecision,
    policy: ApprovalPolicy = ApprovalPolicy(),  # noqa: B008 -- frozen
    dossier: Dossier = DOSSIER,
    requester: str = "rita",
) -> Approval:
    """Ask for approval at NOW."""
    return evaluate(policy, VERSION, dossier, decisions, NOW, requester=requester)


@pytest.mark.parametrize("tier", ["minimal", "limited"])
def test_below_high_risk_nobody_is_asked(tier):
    """A complete dossier is enough."""
    approval = ask(dossier=replace(DOSSIER, risk_tier=tier))

    assert approval.granted
    assert approval.by == "rule"
    assert approval.at == NOW


@pytest.mark.parametrize("tier", ["minimal", "limited", "high"])
def test_an_incomplete_dossier_is_never_approved(tier):
    """Whatever the tier and whoever approved it, evidence comes first."""
    approval = ask(anna(), dossier=replace(DOSSIER, risk_tier=tier, missing=("limits", "slices")))

    assert not approval.granted
    assert "limits, slices" in approval.reason


def test_high_risk_waits_for_a_person_and_says_what_to_type():
    """The message is the instruction."""
    approval = ask()

    assert not approval.granted
    assert f"mlops approve flight_delay --digest {DOSSIER.sha256} --as NAME --reason" in approval.reason
    assert DOSSIER.path in approval.reason


def test_a_persons_approval_of_exactly_this_dossier_lets_it_go_live():
    """The record names who, why, when and what."""
    approval = ask(anna())

    assert approval.granted
    assert (approval.by, approval.reason, approval.at) == (
        "anna",
        "Holds on all carriers.",
        NOW - timedelta(hours=1),
    )
    assert (approval.model_version, approval.dossier_sha256) == (VERSION, DOSSIER.sha256)


@pytest.mark.parametrize("requester", ["anna", "Anna", " ANNA "])
def test_nobody_approves_what_they_requested(requester):
    """Four eyes, however the name is spelled."""
    approval = ask(anna(), requester=requester)

    assert not approval.granted
    assert "requested themselves" in approval.reason


def test_an_approval_of_another_bundle_is_not_seen():
    """Leave for one digest is no leave for another."""
    approval = ask(anna(bundle_sha256="0" * 64), anna(model="air_time"))

    assert not approval.granted
    assert "anna" not in approval.reason


def test_a_changed_dossier_voids_an_approval():
    """What was approved is what was read."""
    approval = ask(anna(dossier_sha256="0" * 64))

    assert not approval.granted
    assert "changed since" in approval.reason


@pytest.mark.parametrize(("days", "granted"), [(7.0, True), (7.001, False)])
def test_an_approval_lapses(days, granted):
    """The last moment still counts."""
    approval = ask(anna(at=NOW - timedelta(days=days)))

    assert approval.granted is granted
    assert granted or "lapsed after 7 days" in approval.reason


def test_a_decision_from_the_future_is_not_seen():
    """Asked as of a time, only what was decided by then counts."""
    assert not ask(anna(at=NOW + timedelta(seconds=1))).granted


def test_a_rejection_is_final_for_the_bundle():
    """Neither an approval before it nor one after it, nor a new dossier, brings the bundle back."""
    rejection = anna(by="boris", approve=False, reason="Too weak in winter.", dossier_sha256="0" * 64)

    for decisions in ([anna(), rejection], [rejection, anna()]):
        approval = ask(*decisions)

        assert not approval.granted
        assert approval.by == "boris"
        assert "Too weak in winter." in approval.reason


def test_only_named_approvers_count():
    """A policy may say who."""
    policy = ApprovalPolicy(approvers=("Boris", "clara"))

    assert not ask(anna(), policy=policy).granted
    assert "Boris, clara" in ask(policy=policy).reason
    assert ask(anna(by="boris"), policy=policy).granted


def test_two_people_are_two_different_people():
    """Approving twice is not approving by two."""
    policy = ApprovalPolicy(people=2)
    boris = anna(by="boris", reason="So do I.", at=NOW)

    alone = ask(anna(), anna(by="Anna"), policy=policy)
    together = ask(anna(), boris, policy=policy)

    assert not alone.granted
    assert "1 of 2" in alone.reason
    assert together.granted
    assert (together.by, together.at) == ("anna, boris", NOW)


def test_asking_again_gives_the_same_digest():
    """Time alone is no change, so nothing downstream runs again for it; another verdict is one."""
    now = evaluate(ApprovalPolicy(), VERSION, DOSSIER, [], NOW, requester="rita")
    later = evaluate(ApprovalPolicy(), VERSION, DOSSIER, [], NOW + timedelta(hours=5), requester="rita")

    assert now.sha256 == later.sha256
    assert ask(anna()).sha256 != now.sha256


def test_a_dossier_of_another_version_is_refused():
    """Evidence for one version says nothing of another."""
    with pytest.raises(GovernanceError, match="describes"):
        evaluate(ApprovalPolicy(), replace(VERSION, sha256="0" * 64), DOSSIER, [anna()], NOW, requester="rita")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"digest": "0" * 64}, "another digest"),
        ({"digest": VERSION.sha256}, "the bundle's digest"),
        ({"by": " "}, "a name"),
        ({"reason": "\n"}, "a reason"),
    ],
)
def test_a_decision_about_something_else_or_without_name_or_reason_is_refused(changes, says):
    """The refusal ends with the command that would be right."""
    facts = {"digest": DOSSIER.sha256, "by": "anna", "reason": "Good.", "at": NOW}

    with pytest.raises(GovernanceError, match=says) as error:
        take_decision(DOSSIER, **facts | changes)

    assert approval_command(DOSSIER) in str(error.value)


@pytest.mark.parametrize("wrong", [{"people": 0}, {"valid_days": 0}, {"approver": ["anna"]}])
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    """Typing errors in YAML never weaken a gate."""
    with pytest.raises(ValidationError):
        ApprovalPolicy(**wrong)

"""The story an audit log tells."""

from mlops_assets.governance import Event, gaps
from mlops_assets.records import AuditEntry
from mlops_assets_tests.governance._evidence import NOW


def log(*happened: tuple[Event, str | None]) -> list[AuditEntry]:
    """A log of events, each about a bundle."""
    return [
        AuditEntry(
            seq=seq,
            previous_sha256="",
            sha256="",
            event=str(event),
            actor="pipeline",
            subject={"model": "m"} | ({"bundle_sha256": bundle} if bundle else {}),
            data={},
            at=NOW,
        )
        for seq, (event, bundle) in enumerate(happened, start=1)
    ]


def lawful(bundle: str) -> list[tuple[Event, str | None]]:
    """All that has to happen before and with a deployment."""
    return [
        (Event.MODEL_TRAINED, bundle),
        (Event.GATE_PASSED, bundle),
        (Event.APPROVAL_GRANTED, bundle),
        (Event.DEPLOYMENT_COMPLETED, bundle),
    ]


def test_a_deployment_after_training_gate_and_approval_leaves_no_gap():
    """The way every version should go; a rollback to one that was live before is part of it."""
    story = [*lawful("a"), *lawful("b"), (Event.ROLLED_BACK, "a")]

    assert gaps(log(*story)) == ()


def test_a_deployment_without_approval_is_found():
    """What went live unapproved is named, with what was missing."""
    story = [step for step in lawful("a") if step[0] is not Event.APPROVAL_GRANTED]

    [gap] = gaps(log(*story))

    assert gap.entry.seq == 3
    assert gap.missing == (Event.APPROVAL_GRANTED,)


def test_one_persons_approval_is_not_yet_the_leave_to_deploy():
    """It may be one of two, or the requester's own."""
    story = [(Event.APPROVAL_GIVEN, b) if e is Event.APPROVAL_GRANTED else (e, b) for e, b in lawful("a")]

    [gap] = gaps(log(*story))

    assert gap.missing == (Event.APPROVAL_GRANTED,)


def test_an_approval_of_another_bundle_does_not_count():
    """Each digest has its own story."""
    story = [*lawful("a"), (Event.MODEL_TRAINED, "b"), (Event.GATE_PASSED, "b"), (Event.DEPLOYMENT_COMPLETED, "b")]

    [gap] = gaps(log(*story))

    assert gap.entry.subject["bundle_sha256"] == "b"


def test_an_approval_that_came_after_the_deployment_does_not_count():
    """Order is what a log is for."""
    story = lawful("a")
    story[2], story[3] = story[3], story[2]

    assert len(gaps(log(*story))) == 1


def test_a_rollback_to_what_was_never_live_is_found():
    """A rollback is no way around the gate."""
    [gap] = gaps(log(*lawful("a"), (Event.ROLLED_BACK, "z")))

    assert gap.missing == (Event.DEPLOYMENT_COMPLETED,)


def test_a_deployment_that_names_no_bundle_is_found():
    """Without a digest nothing proves it was the approved one."""
    story = [(event, None) for event, _ in lawful("a")]

    assert len(gaps(log(*story))) == 1

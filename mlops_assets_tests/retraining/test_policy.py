"""What calls for retraining, what holds it back, and that every answer says why."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from mlops_assets.errors import UnknownNameError
from mlops_assets.records import ColumnDrift, DriftReport, Metric, ModelVersion, PerformanceReport
from mlops_assets.retraining import BusinessEvent, RetrainingPolicy, decide

DAY, WEEK = timedelta(days=1), timedelta(days=7)
START = datetime(2013, 4, 1, tzinfo=UTC)
POLICY = RetrainingPolicy(cadence_days=None)
CHAMPION = ModelVersion(
    model="m",
    version=1,
    sha256="champion",
    task="binary",
    training_set_sha256="t",
    params={},
    cut_off=START,
    reproducibility={},
)


def performance(week, *, degraded=False, **changes):
    """A weekly window with labels; 0.65 where 0.71 was promised if degraded."""
    value = 0.65 if degraded else 0.71
    report = PerformanceReport(
        model="m",
        sha256=f"p{week}",
        bundle_sha256="champion",
        start=START + week * WEEK,
        end=START + (week + 1) * WEEK,
        rows=6_000,
        coverage=1.0,
        metrics=(Metric(name="auc", value=value, n=6_000, low=value - 0.01, high=value + 0.01),),
        expected=Metric(name="auc", value=0.71, n=6_000),
        degraded=degraded,
        sufficient=True,
    )
    return replace(report, **changes)


def drift(week, *, score=0.0, features=0.0, **changes):
    """A weekly window of predictions; `features` is the PSI of the temperature."""
    report = DriftReport(
        model="m",
        sha256=f"d{week}",
        bundle_sha256="champion",
        start=START + week * WEEK,
        end=START + (week + 1) * WEEK,
        rows=6_000,
        columns=(ColumnDrift(column="temp", n=6_000, values={"psi": features}, drifted=features > 0.1),),
        score=ColumnDrift(column="model score", n=6_000, values={"psi_excess": score}, drifted=score > 0.1),
        sufficient=True,
    )
    return replace(report, **changes)


def ask(policy=POLICY, *, after_weeks=4.0, **known):
    """Decide some weeks after the champion went live, with nothing seen but what is said."""
    given = {"performance": [], "drift": [], "history": [], "champion": CHAMPION, "live_since": START} | known
    return decide(policy, model="m", now=START + after_weeks * WEEK, **{"new_rows": 10_000, **given})


BAD = [performance(0), performance(1, degraded=True), performance(2, degraded=True)]


# --- triggers -------------------------------------------------------------------------------------


def test_falling_short_in_two_of_three_windows_retrains():
    """The reason carries the numbers a person would ask for."""
    decision = ask(performance=BAD)

    assert decision.retrain
    assert decision.trigger == "performance"
    assert decision.reason == (
        "Retrain: performance fell short of its promise in 2 of the last 3 windows, "
        "most recently auc 0.65 [0.64, 0.66] until 2013-04-22, promised 0.71."
    )


@pytest.mark.parametrize(
    "reports",
    [
        [performance(0), performance(1), performance(2, degraded=True)],
        [performance(0, degraded=True), performance(1, degraded=True), performance(2), performance(3)],
        [performance(1, degraded=True), performance(2, degraded=True, sufficient=False)],
        [performance(1, degraded=True), performance(2, degraded=True, bundle_sha256="earlier champion")],
        [performance(1, degraded=True), performance(1, degraded=True, sha256="again", coverage=0.99)],
        [performance(1, degraded=True), performance(1.5, degraded=True)],
        [performance(1, degraded=True), performance(9, degraded=True)],
    ],
    ids=[
        "one bad window",
        "recovered since",
        "too few labels",
        "another model's",
        "the same window measured twice",
        "overlapping windows",
        "not over yet",
    ],
)
def test_less_than_that_does_not_retrain(reports):
    """One bad window, or several that do not count, is not a finding, and the reason says what was seen."""
    decision = ask(performance=reports)

    assert not decision.retrain
    assert decision.trigger == "none"
    assert decision.reason.startswith("No retraining: ")
    assert "fell short" in decision.reason


def test_windows_before_the_champion_went_live_do_not_count():
    """A bundle that was rolled back and released again starts anew."""
    assert not ask(performance=BAD, live_since=START + 2.5 * WEEK).retrain


def test_drift_of_features_never_retrains_but_is_told():
    """The temperature is another in July; the model may be right all the same."""
    decision = ask(performance=[performance(2)], drift=[drift(week, features=8.0) for week in range(4)])

    assert not decision.retrain
    assert decision.reason.endswith("Feature drift is an alert only: temp (PSI 8.00).")


def test_severe_drift_of_the_scores_retrains():
    """Two windows in which the model says something altogether different cannot wait for labels."""
    decision = ask(drift=[drift(0), drift(1, score=1.2), drift(2, score=1.5)])

    assert decision.retrain
    assert decision.trigger == "prediction_drift"
    assert "psi_excess 1.20, 1.50; severe from 1" in decision.reason


def test_one_window_of_severe_score_drift_is_not_enough():
    """A storm makes one odd week."""
    assert not ask(drift=[drift(0, score=2.0), drift(1, score=0.9)]).retrain
    assert not ask(drift=[drift(1, score=2.0)]).retrain


def test_old_data_are_refreshed():
    """Thirty days after its cut-off a champion is due, on the day and not before."""
    policy = RetrainingPolicy(cadence_days=30)

    early, due = ask(policy, after_weeks=29.99 / 7), ask(policy, after_weeks=30 / 7)

    assert not early.retrain
    assert "a refresh is due on 2013-05-01" in early.reason
    assert due.retrain
    assert due.trigger == "cadence"


def test_a_declared_business_event_retrains_once_its_data_are_in():
    """New data are waited for; events nobody declared and events the champion already knows change nothing."""
    policy = RetrainingPolicy(cadence_days=None, events={"new carrier": 10})
    event = BusinessEvent(name="new carrier", at=START + WEEK)

    assert not ask(policy, events=[event], after_weeks=2).retrain
    assert ask(policy, events=[event], after_weeks=3).trigger == "event"
    assert ask(policy, events=[event], after_weeks=3).retrain
    assert not ask(policy, events=[replace(event, at=START - WEEK)]).retrain
    assert not ask(policy, events=[replace(event, name="new livery")]).retrain
    assert not ask(policy, events=[replace(event, at=START + 9 * WEEK)]).retrain


def test_several_findings_make_one_request_named_by_the_gravest():
    """The reason tells them all."""
    decision = ask(RetrainingPolicy(cadence_days=14), performance=BAD)

    assert decision.trigger == "performance"
    assert "refreshed every 14 days" in decision.reason


def test_nothing_live_is_nothing_to_replace():
    """The first model is trained by its people, not by a trigger."""
    decision = ask(champion=None, live_since=None, performance=BAD)

    assert not decision.retrain
    assert "nothing is live" in decision.reason


# --- each finding once ----------------------------------------------------------------------------


def test_a_finding_is_answered_once():
    """The same windows ask again every tick; the request stands in the history, so they get a no that names it."""
    policy = RetrainingPolicy(cadence_days=None, cooldown_days=0)
    first = ask(policy, performance=BAD)

    again = ask(policy, performance=BAD, history=[first], after_weeks=5)

    assert not again.retrain
    assert "the request of 2013-04-29 answers this already" in again.reason
    assert again.answers != first.answers


def test_new_evidence_is_a_new_finding():
    """One more bad window, and one more bad window of another champion, ask anew."""
    policy = RetrainingPolicy(cadence_days=None, cooldown_days=0)
    first = ask(policy, performance=BAD)

    more = ask(policy, performance=[*BAD, performance(3, degraded=True)], history=[first], after_weeks=5)

    assert more.retrain
    assert more.answers != first.answers


def test_the_same_no_has_the_same_digest_until_something_changes():
    """A tick every thirty seconds leaves one line in the ledger, not thousands."""
    quiet = ask(performance=BAD[:2])

    assert ask(performance=BAD[:2], after_weeks=4.1).answers == quiet.answers
    assert ask(performance=BAD[:2], drift=[drift(0)]).answers != quiet.answers


def test_a_finding_that_was_held_back_is_asked_once_the_brake_lets_go():
    """The no of a brake must not use up the digest of the yes."""
    earlier = replace(ask(performance=BAD), decided_at=START + 3.5 * WEEK, answers="earlier")

    held = ask(performance=BAD, history=[earlier])
    freed = ask(performance=BAD, history=[earlier, held], after_weeks=4.5)

    assert not held.retrain
    assert freed.retrain
    assert held.answers != freed.answers


def test_another_brake_is_another_reason():
    """The ledger tells of each thing that held a finding back."""
    running, too_few = ask(performance=BAD, in_flight=True), ask(performance=BAD, new_rows=0)
    one, other = (ask(performance=BAD, stale={table: f"{table} is old"}) for table in ("raw/x", "raw/y"))

    assert len({held.answers for held in (running, too_few, one, other)}) == 4


def test_data_that_become_staler_are_no_new_reason():
    """The age is told once, or every tick would add a line to the ledger."""
    young, old = (ask(performance=BAD, stale={"raw/x": f"{age} days ago"}) for age in (3, 4))

    assert young.answers == old.answers


def test_an_event_is_not_answered_again_for_the_next_champion():
    """Even if the new champion's data still end before it, waiting for labels."""
    policy = RetrainingPolicy(cadence_days=None, events={"new carrier": 0}, cooldown_days=0)
    event = BusinessEvent(name="new carrier", at=START + WEEK)
    first = ask(policy, events=[event])

    again = ask(policy, events=[event], history=[first], champion=replace(CHAMPION, sha256="next"), after_weeks=6)

    assert first.retrain
    assert not again.retrain


def test_a_cadence_without_a_successor_comes_due_again():
    """If the refresh was refused, the next one is a new finding at the next due date."""
    policy = RetrainingPolicy(cadence_days=14, cooldown_days=0)
    first = ask(policy, after_weeks=2)

    assert first.retrain
    assert not ask(policy, after_weeks=3, history=[first]).retrain
    assert ask(policy, after_weeks=4, history=[first]).retrain


# --- brakes ---------------------------------------------------------------------------------------


def _request(*, weeks, answers="another finding"):
    return replace(ask(performance=BAD), decided_at=START + weeks * WEEK, answers=answers)


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ({"in_flight": True}, "a retraining is under way"),
        (
            {"history": [_request(weeks=3.5)]},
            "the cooldown of 7 days after the request of 2013-04-25 ends 2013-05-02",
        ),
        (
            {"history": [_request(weeks=2)], "refusals": [START + 2 * WEEK + DAY]},
            "the cooldown of 14 days, doubled by 1 refused, after the request of 2013-04-15 ends 2013-04-29",
        ),
        (
            {"history": [_request(weeks=0.5), _request(weeks=2)]},
            "the budget of 2 requests is used up (2 in 31 days) until 2013-05-05",
        ),
        ({"new_rows": 999}, "999 new labelled rows of the 1000 asked for"),
        (
            {"stale": {"raw/x": "raw/x ends with 2013-04-20", "raw/y": "raw/y was last read 2013-04-02"}},
            "it would learn from data that are stale (raw/x ends with 2013-04-20; raw/y was last read 2013-04-02)",
        ),
    ],
    ids=["in flight", "cooldown", "back-off", "budget", "too few rows", "stale data"],
)
def test_each_brake_holds_a_finding_back_and_says_until_when(known, says):
    """The trigger is named all the same, so nobody wonders whether it was seen."""
    decision = ask(performance=BAD, after_weeks=3.99, **known)

    assert not decision.retrain
    assert decision.trigger == "performance"
    assert decision.reason.startswith("No retraining yet, although performance fell short")
    assert f"It waits: {says}." in decision.reason


def test_refusals_of_challengers_to_an_earlier_champion_do_not_slow_the_next_one():
    """After a promotion the pause is the plain one again."""
    refusals = [START - DAY, START - 2 * DAY]

    assert ask(performance=BAD, history=[_request(weeks=2.5)], refusals=refusals).retrain


def test_requests_for_other_models_do_not_hold_this_one_back():
    """Every model has its own budget."""
    assert ask(performance=BAD, history=[replace(_request(weeks=3.9), model="other")]).retrain


def test_new_rows_are_counted_from_the_performance_windows_if_nobody_counted_them():
    """Windows after the champion's cut-off, whoever was live then, by their share of labels."""
    policy = RetrainingPolicy(cadence_days=14, minimum_new_rows=9_000)
    older = performance(0, coverage=0.5, bundle_sha256="earlier champion")
    unseen = performance(-1)

    held = ask(policy, performance=[unseen, older], new_rows=None)
    enough = ask(policy, performance=[unseen, older, performance(1)], new_rows=None)

    assert "3000 new labelled rows of the 9000" in held.reason
    assert enough.retrain


# --- declarations ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ({"degraded_windows": 4}, "could never retrain"),
        ({"cooldown_days": 60}, "could not be kept"),
        ({"events": {"new carrier": -1}}, "Give 0 or more"),
        ({"cadence": 30}, "Extra inputs"),
        ({"max_per_month": 0}, "greater than or equal to 1"),
    ],
)
def test_a_policy_that_cannot_be_obeyed_is_refused(declared, complaint):
    """The message names what is wrong and how to mend it."""
    with pytest.raises(ValidationError, match=complaint):
        RetrainingPolicy(**declared)


def test_scores_judged_by_a_value_nobody_measured_are_refused():
    """A misspelt value would otherwise never be severe."""
    policy = RetrainingPolicy(score_drift="psi_exces")

    with pytest.raises(UnknownNameError, match="Did you mean 'psi_excess'"):
        ask(policy, drift=[drift(0), drift(1)])

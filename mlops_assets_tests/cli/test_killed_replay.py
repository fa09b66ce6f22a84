"""A replay that was killed, with its stack or without, goes on where it was: it waits for what is tried again."""

from datetime import date, timedelta

import dagster as dg
import pytest

from mlops_assets.cli.replay import Replay
from mlops_assets.errors import StackError
from mlops_assets.orchestration.tags import ANSWERS_TAG, PURPOSE_TAG
from mlops_assets.records import RetrainingDecision
from mlops_assets_tests._shop import LIVE, MODEL, Shop, orders

WINDOW = "2024-01-29"
WILL_RETRY, RETRIED = "dagster/will_retry", "dagster/auto_retry_run_id"


@pytest.fixture(autouse=True)
def history(monkeypatch):
    """What the world will ask about; the shop's orders land day by day, so there is no archive of them."""
    monkeypatch.setattr("mlops_assets.cli.replay.World.history", lambda *_: orders("2024-01-29"))


def replay(shop: Shop) -> Replay:
    return Replay(shop.project, url="http://127.0.0.1:1", start=date(2024, 1, 29), end=date(2024, 2, 12))


def asked(shop: Shop) -> RetrainingDecision:
    decision = RetrainingDecision(
        model=MODEL, retrain=True, trigger="request", reason="", answers="asked", decided_at=LIVE
    )
    shop.home.state.decide_once(decision)
    return decision


def died(shop: Shop, tags: dict[str, str], *stages: str) -> str:
    """Leave a run behind that failed, as `tags` say with or without another attempt to come."""
    job = shop.definitions.resolve_implicit_global_asset_job_def()
    run = shop.instance.create_run_for_job(
        job,
        status=dg.DagsterRunStatus.FAILURE,
        tags=tags,
        asset_selection=frozenset(dg.AssetKey([MODEL, stage]) for stage in stages),
    )
    return run.run_id


def test_a_release_is_waited_for_until_its_last_attempt_has_ended(shop):
    """A run that died is no answer as long as Dagster is going to try it again."""
    seen = []
    seen.append(replay(shop)._releasing())
    asked(shop)
    seen.append(replay(shop)._releasing())
    run = died(shop, {ANSWERS_TAG: "asked", WILL_RETRY: "true"})
    seen.append(replay(shop)._releasing())
    shop.instance.add_run_tags(run, {RETRIED: died(shop, {ANSWERS_TAG: "asked"})})
    seen.append(replay(shop)._releasing())

    assert seen == [False, True, True, False]


def test_a_first_model_that_came_to_nothing_is_asked_for_again(new_shop, monkeypatch):
    """Else no later start of the replay would ever have a model to play to."""
    monkeypatch.setattr(Replay, "_settle", lambda self: None)
    monkeypatch.setattr("mlops_assets.cli.replay.missing_days", lambda *_, **__: [])

    def begin() -> list[str]:
        with pytest.raises(StackError, match="no released version"):
            replay(new_shop).begin()
        return [decision.answers for decision in new_shop.home.state.decisions(MODEL)]

    once, while_it_waits = begin(), begin()
    died(new_shop, {ANSWERS_TAG: once[-1]})
    again = begin()

    assert once == while_it_waits == [f"first:{MODEL}:0"]
    assert again == [f"first:{MODEL}:0", f"first:{MODEL}:1"]


@pytest.fixture
def unmeasured(shop, monkeypatch):
    """A shop with a window that is over and was not measured."""
    monkeypatch.setattr("mlops_assets.cli.replay.unmeasured_windows", lambda *_: [WINDOW])
    return shop


def test_a_day_on_which_a_retraining_falls_due_ends_when_it_is_answered(shop, monkeypatch):
    """A day may be played before a sensor has looked once, also one on which no window is over."""
    monkeypatch.setattr("mlops_assets.cli.replay.unmeasured_windows", lambda *_: [])
    cadence = timedelta(days=30)

    due = [replay(shop)._something_is_due(LIVE + cadence - timedelta(days=n)) for n in (1, 0)]

    assert due == [False, True]


def test_a_window_is_waited_for_while_its_run_is_tried_again(unmeasured):
    """One that died with the stack is no reason to give up, and neither is the failure of another window."""
    died(unmeasured, {PURPOSE_TAG: "watch", "dagster/partition": "2024-01-22"}, "performance")
    died(unmeasured, {PURPOSE_TAG: "watch", "dagster/partition": WINDOW, WILL_RETRY: "true"}, "performance")

    assert replay(unmeasured)._unmeasured(LIVE)


def test_a_window_whose_run_failed_for_good_ends_the_replay(unmeasured):
    """With the run to look at."""
    run = died(unmeasured, {PURPOSE_TAG: "watch", "dagster/partition": WINDOW}, "drift", "performance")

    with pytest.raises(StackError, match=f"run {run}") as caught:
        replay(unmeasured)._unmeasured(LIVE)

    assert (caught.value.model, caught.value.window) == (MODEL, WINDOW)

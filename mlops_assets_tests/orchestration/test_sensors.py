"""What starts runs by itself: each finding is answered once, whatever is killed, and every no has its reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from mlops_assets.cli.people import ask_for_training, report_event
from mlops_assets.errors import UnknownNameError
from mlops_assets.governance import Event
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.project import RELEASE_JOB
from mlops_assets.orchestration.record_io import RecordIO
from mlops_assets.orchestration.release_chain import RELEASE_CHAIN
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.sensors import SENSOR, is_weighed, retrain_sensor, watch_sensor
from mlops_assets.orchestration.tags import ANSWERS_TAG, AS_OF_TAG, MODEL_TAG, PURPOSE_TAG, REQUESTER_TAG
from mlops_assets.orchestration.watch_chain import watch_assets
from mlops_assets.stores.predictions import PredictionLogWriter
from mlops_assets_tests._shop import MODEL

TWO_WEEKS_LATER = datetime(2024, 2, 13, tzinfo=UTC)  # the windows of 29 January and 5 February are over
DAY = timedelta(days=1)


def tick(shop, **policies):
    """Evaluate the retraining sensor as a daemon that has just been started would."""
    retraining = shop.folder.declaration.retraining.model_copy(update=policies)
    folder = ModelFolder(shop.folder.path, shop.folder.declaration.model_copy(update={"retraining": retraining}))
    return evaluate(shop, retrain_sensor({MODEL: folder}, job_name=RELEASE_JOB))


def evaluate(shop, sensor, definitions=None):
    home = HomeResource(path=str(shop.home.root))
    return sensor.evaluate_tick(
        dg.build_sensor_context(
            instance=shop.instance, resources={"home": home}, definitions=definitions or shop.definitions
        )
    )


@pytest.fixture
def degraded(shop):
    """A shop whose champion fell short of its promise for two weeks."""
    shop.measured("2024-01-29", degraded=True)
    shop.measured("2024-02-05", degraded=True)
    shop.at(TWO_WEEKS_LATER)
    return shop


def started(shop, request, status=dg.DagsterRunStatus.STARTED):
    """Let Dagster take a request up."""
    tags = {**request.tags, "dagster/run_key": request.run_key or ""}
    return shop.instance.create_run_for_job(
        shop.definitions.resolve_implicit_global_asset_job_def(), tags=tags, status=status
    )


# --- the retraining sensor --------------------------------------------------------------------------


def test_a_finding_asks_for_the_whole_release_chain(degraded):
    """With tags that tell an auditor what was found, who asked and as of when the data count."""
    (request,) = tick(degraded).run_requests

    (decision,) = [d for d in degraded.home.state.decisions(MODEL) if d.retrain]
    assert [key.path for key in request.asset_selection] == [[MODEL, stage] for stage in RELEASE_CHAIN]
    assert request.run_key == decision.answers
    assert request.tags[MODEL_TAG] == MODEL
    assert request.tags[REQUESTER_TAG] == SENSOR
    assert request.tags[AS_OF_TAG] == TWO_WEEKS_LATER.isoformat()
    assert "2 of the last 2 windows" in request.tags["mlops/reason"]


def test_a_finding_is_answered_once(degraded):
    """Once a run carries the answer, later ticks over the same reports ask for nothing and audit nothing."""
    (request,) = tick(degraded).run_requests
    started(degraded, request, dg.DagsterRunStatus.SUCCESS)

    again = [tick(degraded).run_requests for _ in range(3)]

    triggered = [e for e in degraded.home.state.audit_entries() if e.event == Event.RETRAIN_TRIGGERED]
    assert again == [[], [], []]
    assert [entry.actor for entry in triggered] == [SENSOR]


def test_a_request_that_was_recorded_but_never_became_a_run_is_repeated(degraded):
    """The daemon may be killed between the ledger and the run; the run key keeps the request from running twice."""
    (lost,) = tick(degraded).run_requests

    (repeated,) = tick(degraded).run_requests

    assert repeated.run_key == lost.run_key
    assert repeated.tags == lost.tags
    assert len([d for d in degraded.home.state.decisions(MODEL) if d.retrain]) == 1


def test_a_request_is_repeated_even_if_the_clock_has_gone_on(degraded):
    """As of the time it was decided at: the data of the run are those of the decision."""
    (lost,) = tick(degraded).run_requests
    degraded.at(TWO_WEEKS_LATER + DAY)

    (repeated,) = tick(degraded).run_requests

    assert repeated.tags[AS_OF_TAG] == lost.tags[AS_OF_TAG] == TWO_WEEKS_LATER.isoformat()


def test_a_new_finding_during_a_release_waits_with_its_reason(degraded):
    """One retraining at a time; it fires once the run under way has ended."""
    (first,) = tick(degraded, cooldown_days=0, max_cooldown_days=0).run_requests
    run = started(degraded, first)
    degraded.measured("2024-02-12", degraded=True)
    degraded.at(TWO_WEEKS_LATER + 7 * DAY)

    waiting = tick(degraded, cooldown_days=0, max_cooldown_days=0)
    told = degraded.home.state.decisions(MODEL)[-1].reason
    degraded.instance.report_run_failed(run)
    (second,) = tick(degraded, cooldown_days=0, max_cooldown_days=0).run_requests

    assert waiting.run_requests == []
    assert "a retraining is under way" in told
    assert second.run_key != first.run_key


def test_a_run_that_died_and_is_about_to_be_tried_again_is_under_way(degraded):
    """Between its end and its next attempt lie seconds, or, if everything was killed, the time to the next start."""
    (first,) = tick(degraded, cooldown_days=0, max_cooldown_days=0).run_requests
    run = started(degraded, first)
    degraded.instance.report_run_failed(run)
    degraded.instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    degraded.measured("2024-02-12", degraded=True)
    degraded.at(TWO_WEEKS_LATER + 7 * DAY)

    waiting = tick(degraded, cooldown_days=0, max_cooldown_days=0).run_requests
    degraded.instance.add_run_tags(run.run_id, {"dagster/auto_retry_run_id": "its next attempt, which has ended"})
    (second,) = tick(degraded, cooldown_days=0, max_cooldown_days=0).run_requests

    assert waiting == []
    assert second.run_key != first.run_key


def test_a_decision_and_its_audit_entry_are_never_apart(degraded, monkeypatch):
    """Killed between the two, the tick has written neither, and the next one writes both."""

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mlops_assets.stores.state.StateStore.audit_append", killed)
        with pytest.raises(KeyboardInterrupt):
            tick(degraded)
    decided = [d for d in degraded.home.state.decisions(MODEL) if d.retrain]
    tick(degraded)

    assert decided == []
    assert [d.retrain for d in degraded.home.state.decisions(MODEL)] == [True]
    assert [e.event for e in degraded.home.state.audit_entries()].count(Event.RETRAIN_TRIGGERED) == 1


def test_why_it_did_not_fire_is_on_record_once(shop):
    """Every tick looks, the ledger keeps one line per reason."""
    shop.measured("2024-01-29", degraded=False)
    shop.measured("2024-02-05", degraded=True)
    shop.at(TWO_WEEKS_LATER)
    before = len(shop.home.state.decisions(MODEL))

    results = [tick(shop) for _ in range(3)]

    new = shop.home.state.decisions(MODEL)[before:]
    assert all(result.run_requests == [] and result.skip_message for result in results)
    assert [decision.retrain for decision in new] == [False]
    assert "1 of the last 2 windows fell short, 2 would call for it" in new[0].reason


def test_nothing_live_is_a_reason_too(new_shop):
    """A project without a first model is told why nothing happens."""
    new_shop.at(TWO_WEEKS_LATER)

    result = tick(new_shop)

    (decision,) = new_shop.home.state.decisions(MODEL)
    assert result.run_requests == []
    assert "nothing is live yet" in decision.reason


def test_each_refused_challenger_doubles_the_pause(degraded):
    """The gate refused a challenger since the champion went live, so a week of cooldown has become two."""
    (first,) = tick(degraded).run_requests
    started(degraded, first, dg.DagsterRunStatus.FAILURE)
    degraded.home.state.audit_append(
        Event.GATE_REFUSED, actor="pipeline", subject={"model": MODEL}, data={"reasons": []}, at=TWO_WEEKS_LATER
    )
    degraded.measured("2024-02-12", degraded=True)
    degraded.at(TWO_WEEKS_LATER + 8 * DAY)

    tick(degraded)

    assert "the cooldown of 14 days, doubled by 1 refused" in degraded.home.state.decisions(MODEL)[-1].reason


def test_a_refusal_before_the_release_counts_no_more(degraded):
    """The champion that went live since has a clean start."""
    degraded.home.state.audit_append(
        Event.GATE_REFUSED,
        actor="pipeline",
        subject={"model": MODEL},
        data={"reasons": []},
        at=datetime(2024, 1, 20, tzinfo=UTC),
    )
    (first,) = tick(degraded).run_requests
    started(degraded, first, dg.DagsterRunStatus.FAILURE)
    degraded.measured("2024-02-12", degraded=True)
    degraded.at(TWO_WEEKS_LATER + 8 * DAY)

    (second,) = tick(degraded).run_requests

    assert second.run_key != first.run_key


def test_a_persons_request_is_taken_up_with_their_name(shop):
    """Whoever asked is in the run's tags, so that they cannot approve what they asked for."""
    shop.at(TWO_WEEKS_LATER)
    decision = ask_for_training(shop.project, MODEL, reason="new packaging", who="ada@shop.example")

    (request,) = tick(shop).run_requests

    assert request.tags[REQUESTER_TAG] == "ada@shop.example"
    assert request.tags[ANSWERS_TAG] == decision.answers


def test_a_business_event_calls_for_retraining_only_if_it_is_declared(shop):
    """An event nobody declared is refused at the command line, with those that are known."""
    shop.at(TWO_WEEKS_LATER)

    with pytest.raises(UnknownNameError, match="sale"):
        report_event(shop.project, MODEL, "sale", note="", who="ada@shop.example")


def test_a_declared_event_is_answered(shop):
    """Retraining waits for as many days of data as declared."""
    retraining = shop.folder.declaration.retraining.model_copy(update={"events": {"sale": 3.0}})
    declared = shop.folder.declaration.model_copy(update={"retraining": retraining})
    vars(shop.project)["models"] = {MODEL: ModelFolder(shop.folder.path, declared)}
    shop.at(TWO_WEEKS_LATER)
    report_event(shop.project, MODEL, "sale", note="spring", who="ada@shop.example")

    at_once = tick(shop)
    shop.at(TWO_WEEKS_LATER + 3 * DAY)
    (later,) = tick(shop).run_requests

    assert at_once.run_requests == []
    assert "'sale' of 2024-02-13" in later.tags["mlops/reason"]


def test_a_replay_can_tell_that_everything_was_weighed(degraded):
    """The sensor leaves word of the time and the newest window it saw."""
    before = is_weighed(degraded.home, MODEL, TWO_WEEKS_LATER)
    tick(degraded)
    after = is_weighed(degraded.home, MODEL, TWO_WEEKS_LATER)
    degraded.measured("2024-02-12", degraded=False)

    assert (before, after, is_weighed(degraded.home, MODEL, TWO_WEEKS_LATER)) == (False, True, False)


# --- the watching sensor ----------------------------------------------------------------------------


def look(shop):
    """Evaluate the watching sensor of the project."""
    return evaluate(shop, shop.definitions.resolve_sensor_def("watch"))


def predict(shop, *logged, model=MODEL):
    """Let the endpoint have logged something on these days."""
    log = PredictionLogWriter(shop.home.predictions, model)
    for day in logged:
        log.append(day, b"a prediction")
    log.close()


def test_a_window_is_asked_for_once_it_is_over_and_its_labels_had_their_day(shop):
    """To the second; the window of 29 January ends on 5 February, a day is waited."""
    predict(shop, "2024-01-30")
    due = datetime(2024, 2, 6, tzinfo=UTC)
    shop.at(due - timedelta(seconds=1))
    early = look(shop)
    shop.at(due)

    (request,) = look(shop).run_requests

    assert early.run_requests == []
    assert "every window that is over by 2024-02-05 23:59 is measured" in early.skip_message
    assert request.partition_key == "2024-01-29"
    assert request.tags[PURPOSE_TAG] == "watch"
    assert [key.path for key in request.asset_selection] == [
        [MODEL, "predictions"],
        [MODEL, "parity"],
        [MODEL, "drift"],
        [MODEL, "performance"],
    ]


def test_a_window_whose_run_is_under_way_is_not_asked_for_again(shop):
    """Of several models one is measured before the other, and what is left has another key."""
    predict(shop, "2024-01-30")
    shop.at(TWO_WEEKS_LATER)
    shop.instance.create_run_for_job(
        shop.definitions.resolve_implicit_global_asset_job_def(),
        status=dg.DagsterRunStatus.STARTED,
        tags={PURPOSE_TAG: "watch", "dagster/partition": "2024-01-29"},
    )

    assert look(shop).run_requests == []


def test_a_window_is_asked_for_under_one_key_until_it_is_measured(shop):
    """The key keeps Dagster from running it twice; the report ends the asking."""
    predict(shop, "2024-01-30")
    shop.at(TWO_WEEKS_LATER)

    keys = {request.run_key for _ in range(3) for request in look(shop).run_requests}
    shop.measured("2024-01-29", degraded=False)

    assert keys == {"watch:2024-01-29:" + MODEL}
    assert look(shop).run_requests == []


def test_windows_without_predictions_are_not_asked_for(shop):
    """Of three weeks that are over only the second had any."""
    predict(shop, "2024-02-06", "2024-02-07")
    shop.at(datetime(2024, 2, 27, tzinfo=UTC))

    assert [request.partition_key for request in look(shop).run_requests] == ["2024-02-05"]


def test_models_with_the_same_windows_share_a_run(shop, tmp_path):
    """A process per model would import everything once per model."""
    other = replace(shop.folder, path=tmp_path / "another_model")
    predict(shop, "2024-01-30")
    predict(shop, "2024-01-31", model="another_model")
    shop.at(TWO_WEEKS_LATER)

    assets = [*watch_assets(shop.folder), *watch_assets(other)]
    job = dg.define_asset_job("watch_weeks", selection=assets)
    home = HomeResource(path=str(shop.home.root))
    both = dg.Definitions(assets=assets, jobs=[job], resources={"home": home, "io_manager": RecordIO(home=home)})
    windows = shop.folder.declaration.monitor.windows

    sensor = watch_sensor({MODEL: shop.folder, "another_model": other}, jobs={windows: job})
    (request,) = evaluate(shop, sensor, both).run_requests

    assert {key.path[0] for key in request.asset_selection} == {MODEL, "another_model"}

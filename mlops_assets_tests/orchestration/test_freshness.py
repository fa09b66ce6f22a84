"""Stale data hold back what would be learnt from them, say so once, and tell Dagster when they change their state."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from pydantic import ValidationError

from mlops_assets.cli.people import ask_for_training
from mlops_assets.governance import Event
from mlops_assets.orchestration.freshness import CHECK, Inputs, freshness_checks
from mlops_assets.orchestration.partitions import DailyPartitions
from mlops_assets.orchestration.raw_table import table_assets
from mlops_assets.orchestration.record_io import RecordIO
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.steps.intake.arriving import newest
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.orchestration.tags import AS_OF_TAG, REQUESTER_TAG, TRIGGER_TAG
from mlops_assets.validation import Promise, VolumePolicy
from mlops_assets_tests._shop import LIVE, MODEL, failed_steps, materialized, orders

DAY = timedelta(days=1)
STALE = datetime(2024, 4, 5, tzinfo=UTC)  # 67 days after the newest order; 60 are declared
LAST = "2024-03-31"
MONDAY = "2024-01-29"


def evaluate(shop, name, cursor=None):
    """Evaluate a sensor of the project as the daemon would."""
    context = dg.build_sensor_context(
        instance=shop.instance,
        resources={"home": HomeResource(path=str(shop.home.root))},
        definitions=shop.definitions,
        cursor=cursor,
    )
    return shop.definitions.resolve_sensor_def(name).evaluate_tick(context)


@pytest.fixture
def stale(shop):
    """A shop that calls for retraining and has had no orders for 67 days."""
    shop.measured("2024-01-29", degraded=True)
    shop.measured("2024-02-05", degraded=True)
    shop.at(STALE)
    return shop


def train(shop, **tags):
    """Run the first two assets of the release chain, as the daemon would with these tags."""
    return shop.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=shop.instance,
        asset_selection=[dg.AssetKey([MODEL, stage]) for stage in ("training_set", "model")],
        tags={AS_OF_TAG: STALE.isoformat(), **tags},
        raise_on_error=False,
    )


# --- retraining -------------------------------------------------------------------------------------


def test_stale_data_hold_back_retraining_with_their_age(stale):
    """The decision names the table and the view, how old they are, and how old they may be."""
    result = evaluate(stale, "retrain")

    decision = stale.home.state.decisions(MODEL)[-1]
    assert result.run_requests == []
    assert decision.reason.startswith("No retraining yet, although performance fell short")
    for table in ("validated/orders", "features/branch_returns"):
        assert f"{table} ends with 2024-01-28, 67.0 days ago; it is to be no older than 60 days" in decision.reason


def test_the_reason_is_told_once(stale):
    """In the ledger and in the audit log, whatever the number of ticks and however old the data become meanwhile."""
    before = len(stale.home.state.decisions(MODEL))
    for days in range(4):
        stale.at(STALE + days * DAY)
        evaluate(stale, "retrain")

    new = stale.home.state.decisions(MODEL)[before:]
    declined = [e for e in stale.home.state.audit_entries(model=MODEL) if e.event == Event.RETRAIN_DECLINED]
    assert [decision.retrain for decision in new] == [False]
    assert [entry.data["reason"] for entry in declined] == [new[0].reason]


def test_fresh_data_let_retraining_go_on(stale):
    """The same finding is answered with a run as soon as the data are there."""
    held = evaluate(stale, "retrain").run_requests
    stale.land(LAST)
    assert not stale.bring_in(LAST)

    (request,) = evaluate(stale, "retrain").run_requests

    assert held == []
    assert "performance fell short" in request.tags["mlops/reason"]


def test_a_person_may_ask_for_training_all_the_same(stale):
    """They know why; the check on the training set warns them."""
    ask_for_training(stale.project, MODEL, reason="the feed is switched off", who="ada")

    (request,) = evaluate(stale, "retrain").run_requests
    result = train(stale, **{TRIGGER_TAG: request.tags[TRIGGER_TAG], REQUESTER_TAG: request.tags[REQUESTER_TAG]})

    check = stale.checks(result)["fresh_data"]
    assert result.success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "validated/orders ends with 2024-01-28" in check.description


def test_a_training_that_nobody_asked_for_stops_at_stale_data(stale):
    """A run that was asked for while the data were fresh, and starts when they no longer are."""
    result = train(stale, **{TRIGGER_TAG: "cadence"})

    check = stale.checks(result)["fresh_data"]
    assert not result.success
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert f"{MODEL}/model" not in materialized(result)


def test_fresh_data_pass_the_check(shop):
    """A day after the newest order."""
    result = train(shop, **{TRIGGER_TAG: "cadence", AS_OF_TAG: LIVE.isoformat()})

    assert result.success
    assert shop.checks(result)["fresh_data"].description == "nothing is older than declared"


# --- Dagster ----------------------------------------------------------------------------------------


def test_dagster_is_told_when_a_table_becomes_stale_and_fresh_again(stale):
    """Once for each change."""
    first = evaluate(stale, "freshness")
    again = evaluate(stale, "freshness", first.cursor)
    stale.land(LAST)
    assert not stale.bring_in(LAST)
    fresh = evaluate(stale, "freshness", again.cursor)

    told = {event.asset_key.to_user_string(): event for event in first.asset_events}
    assert {name: event.passed for name, event in told.items()} == {
        "raw/orders": False,
        "validated/orders": False,
        "features/branch_returns": False,
    }
    assert "67.0 days ago" in told["raw/orders"].description
    assert {event.check_name for event in first.asset_events} == {CHECK}
    assert again.asset_events == []
    for event in first.asset_events:
        stale.instance.report_runless_asset_event(event)  # as the daemon does
    keys = [dg.AssetCheckKey(event.asset_key, CHECK) for event in first.asset_events]
    shown = stale.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    assert [shown[key].status.value for key in keys] == ["FAILED"] * 3
    assert all(event.passed for event in fresh.asset_events)
    assert len(fresh.asset_events) == 3


def test_the_check_can_be_run_from_the_page(stale):
    """It is an asset check like any other, by the clock of the replay."""
    key = dg.AssetCheckKey(dg.AssetKey(["raw", "orders"]), CHECK)
    inputs = Inputs.declared(stale.project.tables, stale.project.views)
    check = next(check for check in freshness_checks(inputs.promises.values()) if key in check.check_keys)

    result = dg.materialize(
        [check],
        selection=dg.AssetSelection.checks(check),
        instance=stale.instance,
        resources={"home": HomeResource(path=str(stale.home.root))},
    )

    (evaluation,) = result.get_asset_check_evaluations()
    assert key in stale.definitions.resolve_asset_graph().asset_check_keys
    assert not evaluation.passed
    assert "67.0 days ago" in evaluation.description


def policies(declared, folder):
    """Give Dagster's freshness policy of each asset of a table."""
    assets = table_assets(declared, folder=folder)
    return {spec.key.path[0]: spec.freshness_policy for asset in assets for spec in asset.specs}


def test_a_cadence_becomes_dagsters_own_freshness(shop):
    """For data that keep coming; data that end one day would be out of date for ever."""
    folder, declared = shop.project.tables["orders"]
    going_on = declared.model_copy(update={"partitions": DailyPartitions(start=declared.partitions.start)})

    ended, kept_up = policies(declared, folder), policies(going_on, folder)

    assert set(ended.values()) == {None}
    windows = {stage: policy and policy.fail_window.to_timedelta() for stage, policy in kept_up.items()}
    assert windows == {"raw": 60 * DAY, "validated": 60 * DAY, "quarantine": None}


# --- tables that are read whole ---------------------------------------------------------------------


def test_a_table_that_is_read_whole_is_as_old_as_its_last_reading(shop):
    """Although reading it again changed no row."""
    promise = Promise(table="validated/branches", stale_after=7 * DAY, by_day=False)
    first, version = newest(shop.home, promise), shop.home.tables.version("validated/branches").version

    assert not shop.project.refresh_whole_tables(now=LIVE + 5 * DAY)

    assert first == LIVE
    assert newest(shop.home, promise) == LIVE + 5 * DAY
    assert shop.home.tables.version("validated/branches").version == version


def test_twice_the_cadence_is_stale_unless_something_else_is_declared(shop):
    """Two days where there is a partition for each, twice `refreshed_every` where there is none."""
    _, daily = shop.project.tables["orders"]
    _, whole = shop.project.tables["branches"]

    assert daily.model_copy(update={"stale_after": None}).stale == 2 * DAY
    assert whole.stale is None
    assert whole.model_copy(update={"refreshed_every": 7 * DAY}).stale == 14 * DAY
    assert daily.stale == 60 * DAY


def test_two_cadences_of_one_table_are_refused(shop):
    """Partitions are one already."""
    _, daily = shop.project.tables["orders"]

    with pytest.raises(ValidationError, match="has a partition for every day, so it comes every day"):
        TableDeclaration.model_validate({**daily.model_dump(), "refreshed_every": "P7D"})


def test_a_view_is_promised_what_its_tables_are(shop):
    """The least of it, if there are several."""
    inputs = Inputs.declared(shop.project.tables, shop.project.views)

    assert [promise.table for promise in inputs.of(shop.folder.declaration)] == [
        "validated/orders",
        "features/branch_returns",
    ]
    assert inputs.promises["features/branch_returns"].stale_after == 60 * DAY
    assert "validated/branches" not in inputs.promises


# --- volume -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [30, 600], ids=["half a batch", "ten times a batch"])
def test_an_odd_volume_is_told_and_goes_on(shop, rows):
    """By default it is a warning; four Mondays before had 60 orders each."""
    shop.land(MONDAY, orders(MONDAY, rows))

    result = shop.materialize("raw/orders", "validated/orders", "quarantine/orders", partition=MONDAY)

    check = shop.checks(result)["volume"]
    assert result.success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"{MONDAY}: {rows} rows came, and the 4 days before of the same weekday had 60" in check.description
    assert len(shop.rows("validated/orders", MONDAY)) == rows


def test_a_usual_volume_is_nothing_to_tell(shop):
    """The same Monday with as many orders as ever."""
    shop.land(MONDAY)

    result = shop.materialize("raw/orders", partition=MONDAY)

    assert shop.checks(result)["volume"].passed


@pytest.mark.parametrize("rows", [30, 600])
def test_an_odd_volume_is_blocked_where_that_is_declared(shop, rows):
    """Nothing of it goes on; what was there before stays."""
    folder, declared = shop.project.tables["orders"]
    declared = declared.model_copy(update={"volume": VolumePolicy(on_fault="block")})
    home = HomeResource(path=str(shop.home.root))
    shop.land(MONDAY, orders(MONDAY, rows))

    result = dg.materialize(
        table_assets(declared, folder=folder),
        partition_key=MONDAY,
        instance=shop.instance,
        resources={"home": home, "io_manager": RecordIO(home=home)},
        raise_on_error=False,
    )

    check = shop.checks(result)["volume"]
    assert not result.success
    assert failed_steps(result)
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert MONDAY not in shop.home.tables.partitions("validated/orders")

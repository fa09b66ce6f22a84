"""Dagster's log, held open: the same files, the same answers, and whoever watches a run is told."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
import yaml

from mlops_assets.cli.dagster_settings import EVENTS_AT_ONCE, lay_out_dagster

DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
TABLE = dg.AssetKey("table")
SOUND = dg.AssetCheckKey(TABLE, "sound")


@dg.asset(
    name="table",
    partitions_def=dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-04"),
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[dg.AssetCheckSpec("sound", asset="table")],
)
def table(context):
    return dg.MaterializeResult(metadata={"rows": 3}, check_results=[dg.AssetCheckResult(passed=True)])


def run(instance):
    return dg.materialize(
        [table],
        instance=instance,
        tags={
            "dagster/asset_partition_range_start": DAYS[0],
            "dagster/asset_partition_range_end": DAYS[-1],
        },
    )


def dagsters_own(folder):
    folder.mkdir(exist_ok=True)
    return dg.DagsterInstance.local_temp(str(folder))


@pytest.fixture
def held_open(tmp_path, monkeypatch):
    home = tmp_path / "home"
    folder = lay_out_dagster(home, tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    for name, value in EVENTS_AT_ONCE.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        yield instance


def told(instance, run_id):
    """All that Dagster's pages show of a run of the table."""
    events = [record.event_log_entry for record in instance.get_records_for_run(run_id).records]
    check = instance.event_log_storage.get_latest_asset_check_execution_by_key([SOUND])[SOUND]
    newest = instance.get_latest_materialization_event(TABLE)
    return {
        "events": sorted(
            (e.dagster_event_type.value, e.dagster_event.partition or "") for e in events if e.dagster_event
        ),
        "partitions": instance.get_materialized_partitions(TABLE),
        "newest": newest.asset_materialization.metadata["rows"].value,
        "newest partition": newest.asset_materialization.partition,
        "check": (check.status, check.run_id == run_id, check.event.dagster_event_type),
        "status": instance.get_run_by_id(run_id).status,
    }


def test_the_log_of_a_run_is_the_one_dagster_itself_would_keep(held_open, tmp_path):
    """Events of several partitions go in as one, and are found one by one."""
    with dagsters_own(tmp_path / "own") as ordinary:
        expected = told(ordinary, run(ordinary).run_id)

    found = told(held_open, run(held_open).run_id)

    assert held_open.get_ref().storage_data.class_name == "HeldOpenStorage"
    assert found == expected
    assert found["partitions"] == set(DAYS)


def test_dagsters_own_classes_read_and_write_the_same_files(held_open):
    """`dagster dev` needs no settings of ours."""
    first = run(held_open).run_id

    with dagsters_own(Path(held_open.root_directory)) as ordinary:
        assert told(ordinary, first) == told(held_open, first)
        second = run(ordinary).run_id

    assert held_open.get_run_by_id(second).status is dg.DagsterRunStatus.SUCCESS
    assert told(held_open, second)["check"][1]


def test_whoever_watches_a_run_is_told_of_what_it_does(held_open):
    """The run's page follows a run in another process by the changes of its file."""
    told_of_it = threading.Event()

    def callback(event, _):
        if "still here" in event.message:
            told_of_it.set()

    made = run(held_open)
    with dagsters_own(Path(held_open.root_directory)) as watching:
        watching.event_log_storage.watch(made.run_id, None, callback)
        held_open.report_engine_event("still here", held_open.get_run_by_id(made.run_id))
        assert told_of_it.wait(timeout=20)
        watching.event_log_storage.end_watch(made.run_id, callback)
        watching.event_log_storage.dispose()


def test_threads_write_into_one_log_without_losing_a_line(held_open):
    """The daemon's sensors and the webserver's requests are threads."""
    made = run(held_open)
    dagster_run = held_open.get_run_by_id(made.run_id)
    before = len(held_open.all_logs(made.run_id))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: held_open.report_engine_event(f"line {n}", dagster_run), range(80)))

    assert len(held_open.all_logs(made.run_id)) == before + 80


def test_a_forked_process_opens_the_files_anew(held_open):
    """A connection must not be shared with a parent that goes on using it."""
    made = run(held_open)
    dagster_run = held_open.get_run_by_id(made.run_id)
    before = len(held_open.all_logs(made.run_id))

    child = os.fork()
    if not child:
        held_open.report_engine_event("from the child", dagster_run)
        os._exit(0)
    held_open.report_engine_event("from the parent", dagster_run)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert len(held_open.all_logs(made.run_id)) == before + 2


def test_settings_that_name_a_storage_keep_it(tmp_path):
    """A project on PostgreSQL says so in its own settings."""
    (tmp_path / "dagster.yaml").write_text("storage: {sqlite: {base_dir: /srv/dagster}}\n")

    settings = yaml.safe_load((lay_out_dagster(tmp_path / "home", tmp_path) / "dagster.yaml").read_text())

    assert settings["storage"] == {"sqlite": {"base_dir": "/srv/dagster"}}

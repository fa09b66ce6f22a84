"""Runs told to an OpenLineage receiver: a file, and a real HTTP server that is down at first."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration.lineage_export import (
    LONGEST_WAIT,
    SETTLED,
    Progress,
    append_line,
    lineage_sensors,
    receiver,
    tell,
)
from mlops_assets_tests._shop import FIRST_DAY, MODEL, Shop, changed, days, orders
from mlops_assets_tests.orchestration._openlineage import read_event, receiving

DAYS = days(FIRST_DAY, 2)
OPERATIONS = "test"


@pytest.fixture(scope="module")
def told_shop(shop_project, tmp_path_factory):
    """A shop with two days in: the first with a row that went to quarantine, the second blocked as a whole."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("told")
        patch.setenv("MLOPS_HOME", str(home))
        shop = Shop.on(shop_project, home)
        shop.land(DAYS[0], changed(orders(DAYS[0]), "branch", {3: "nowhere"}))
        shop.land(DAYS[1], orders(DAYS[1]).drop_columns(["amount"]))
        assert not shop.project.refresh_whole_tables(now=datetime(2024, 1, 2, 1, tzinfo=UTC))
        assert not shop.bring_in(DAYS[0])
        assert shop.bring_in(DAYS[1])
        yield shop


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class Clock:
    """The receiver's time, which a test moves."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def collected(shop):
    """Everything that is told of the shop's runs."""
    events = []
    tell(shop.instance, events.append, Progress(), namespace=OPERATIONS, clock=lambda: datetime.now(UTC))
    return events


@pytest.fixture(scope="module")
def events(told_shop):
    return collected(told_shop)


def of(events, job, state):
    (found,) = [event for event in events if event.job.name == job and event.eventType.value == state]
    return found


def test_an_asset_made_is_told_with_its_start_its_columns_and_where_they_come_from(events):
    """Schema, column lineage, version, rows, and the versions it was made of."""
    done = of(events, "validated/orders", "COMPLETE")
    (made,) = done.outputs

    assert made.name == "validated/orders"
    assert {f.name: f.type for f in made.facets["schema"].fields}["amount"] == "double"
    (origin,) = made.facets["columnLineage"].fields["amount"].inputFields
    assert (origin.namespace, origin.name, origin.field) == (OPERATIONS, "raw/orders", "amount")
    assert made.outputFacets["outputStatistics"].rowCount == 59
    assert len(made.facets["version"].datasetVersion) == 64
    (source,) = [each for each in done.inputs if each.name == "raw/orders"]
    assert len(source.facets["version"].datasetVersion) == 64
    assert done.run.facets["tags"].tags[0].value == DAYS[0]


def test_a_run_of_a_job_starts_once_and_ends_once(events):
    """Under one run id each, and never ends before it starts."""
    runs = {}
    for event in events:
        runs.setdefault(event.run.runId, []).append(event)

    for told in runs.values():
        assert [event.eventType.value for event in told] in (["START", "COMPLETE"], ["START", "FAIL"])
        assert told[0].eventTime <= told[1].eventTime
        assert len({event.job.name for event in told}) == 1


def test_what_a_check_said_is_told_as_an_assertion_about_the_asset(events):
    """Those that passed and those that did not, with their words."""
    sound = of(events, "validated/orders/checks", "COMPLETE")
    said = {each.assertion: each for each in sound.inputs[0].inputFacets["dataQualityAssertions"].assertions}

    assert (said["contract"].success, said["contract"].severity) == (True, "error")


def test_a_day_that_was_blocked_is_told_as_a_failure_with_its_reason(events):
    """The asset fails, and so do its checks."""
    failed = of(events, "raw/orders", "FAIL")
    checked = of(events, "raw/orders/checks", "FAIL")

    assert "amount" in failed.run.facets["errorMessage"].message
    assert failed.outputs[0].name == "raw/orders"
    assertions = {a.assertion: a for a in checked.inputs[0].inputFacets["dataQualityAssertions"].assertions}
    assert not assertions["structure"].success
    assert "amount" in assertions["structure"].description


def test_told_again_the_same_run_has_the_same_ids(told_shop, events):
    """So a receiver that hears it twice keeps it once."""
    assert [(e.run.runId, e.eventTime) for e in collected(told_shop)] == [(e.run.runId, e.eventTime) for e in events]


# --- files ----------------------------------------------------------------------------------------


def test_a_file_takes_an_event_a_line_that_the_official_classes_read(told_shop, tmp_path):
    """Every field known, every needed one there, every type right."""
    file = tmp_path / "of a team" / "lineage.jsonl"
    _, said = tell(
        told_shop.instance,
        receiver(file.as_uri()),
        Progress(),
        namespace=OPERATIONS,
        clock=lambda: datetime.now(UTC),
    )

    read = [read_event(line) for line in file.read_text().splitlines()]
    assert said == "told of 3 runs"
    assert {event.job.name for event in read} >= {"raw/orders", "validated/orders", "quarantine/orders", "raw/branches"}


def test_a_torn_line_is_cut_off_before_the_next(tmp_path):
    """What a kill left of an event is sent again as a whole."""
    file = tmp_path / "lineage.jsonl"
    file.write_bytes(b'{"a": 1}\n{"b": ')

    append_line(file, b'{"b": 2}')

    assert file.read_bytes() == b'{"a": 1}\n{"b": 2}\n'


def test_a_kill_at_any_moment_leaves_whole_lines_and_what_was_acknowledged(tmp_path):
    """Five times in the middle of writing long lines."""
    file = tmp_path / "lineage.jsonl"
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from mlops_assets.orchestration.lineage_export import append_line\n"
        "for n in range(10**6):\n"
        "    append_line(Path(sys.argv[1]), b'%d:' % n + b'x' * 300_000)\n"
        "    print(n, flush=True)\n"
    )
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE)
        said = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGKILL)
        process.wait()
        append_line(file, b"after")

        lines = file.read_bytes().splitlines()
        assert {len(line.partition(b":")[2]) for line in lines if line != b"after"} == {300_000}
        assert len(said) == 3
        assert [line.partition(b":")[0] for line in lines[:3]] == [b"0", b"1", b"2"]
        file.unlink()


# --- HTTP -----------------------------------------------------------------------------------------


def test_a_receiver_that_is_down_gets_everything_once_it_is_up(told_shop):
    """Nothing is lost and nothing comes in another order; while it is down it is asked less and less often."""
    clock, progress = Clock(), Progress()
    with receiving(down=True) as there:
        deliver = receiver(there.url)
        waits = []
        for _ in range(12):
            progress, said = tell(told_shop.instance, deliver, progress, namespace=OPERATIONS, clock=clock)
            assert "the receiver does not take events" in said
            waits.append(progress.not_before - clock.now)
            clock.now += timedelta(seconds=1)
            assert "is tried again at" in tell(told_shop.instance, deliver, progress, namespace="x", clock=clock)[1]
            clock.now = progress.not_before
        there.down = False
        progress, said = tell(told_shop.instance, deliver, progress, namespace=OPERATIONS, clock=clock)
        received = there.events

    assert there.refused == 12
    assert waits[:3] == [timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120)]
    assert waits[-1] == LONGEST_WAIT
    assert said == "told of 3 runs"
    assert progress.failures == 0
    assert [event.run.runId for event in received] == [event.run.runId for event in collected(told_shop)]


def test_a_receiver_that_goes_down_in_between_is_not_told_again_of_whole_runs(told_shop):
    """Only the run it broke off in is sent once more: at least once, and seldom twice."""
    clock, progress, seen = Clock(), Progress(), []
    broken = [True]

    def deliver(event):
        if len(seen) == 9 and broken:
            broken.clear()
            raise ConnectionError("gone")
        seen.append(event)

    progress, said = tell(told_shop.instance, deliver, progress, namespace=OPERATIONS, clock=clock)
    clock.now = progress.not_before
    tell(told_shop.instance, deliver, progress, namespace=OPERATIONS, clock=clock)

    whole = collected(told_shop)
    ids = [(event.run.runId, event.eventType) for event in seen]
    assert "gone" in said
    assert set(ids) == {(event.run.runId, event.eventType) for event in whole}
    assert len(whole) < len(ids) < 2 * len(whole)


def test_a_run_is_told_once_however_often_the_sensor_looks(told_shop):
    """Before its number has settled and after."""
    clock, seen = Clock(), []
    progress, _ = tell(told_shop.instance, seen.append, Progress(), namespace=OPERATIONS, clock=clock)
    count = len(seen)
    early = progress
    clock.now += SETTLED + timedelta(seconds=1)
    for _ in range(2):
        progress, said = tell(told_shop.instance, seen.append, progress, namespace=OPERATIONS, clock=clock)

    assert len(early.told) == 3
    assert (progress.told, progress.after) == ((), max(early.told))
    assert said == "every run that has ended is told"
    assert len(seen) == count


def test_a_path_in_the_address_and_a_key_are_obeyed(told_shop):
    """The specification's path otherwise, and no key."""
    with receiving() as plain, receiving() as own:
        for there, deliver in (
            (plain, receiver(plain.url)),
            (own, receiver(f"{own.url}/ingest/v2", api_key="secret")),
        ):
            tell(told_shop.instance, deliver, Progress(), namespace=OPERATIONS, clock=Clock())
            assert there.events

    assert (plain.paths, plain.keys) == ({"/api/v1/lineage"}, {None})
    assert (own.paths, own.keys) == ({"/ingest/v2"}, {"Bearer secret"})


# --- the sensor -----------------------------------------------------------------------------------


def test_the_sensor_keeps_how_far_it_got_in_its_cursor(told_shop):
    """So that another daemon goes on where this one was killed."""
    with receiving() as there:
        (sensor,) = lineage_sensors({"MLOPS_OPENLINEAGE_URL": there.url})
        first = dg.build_sensor_context(instance=told_shop.instance)
        said = sensor(first)
        after = len(there.bodies)
        second = dg.build_sensor_context(instance=told_shop.instance, cursor=first.cursor)
        again = sensor(second)

    assert said.skip_message == "told of 3 runs"
    assert again.skip_message == "every run that has ended is told"
    assert len(there.bodies) == after > 0


def test_without_an_address_there_is_no_sensor(told_shop):
    """Nothing is exported that nobody asked for."""
    assert lineage_sensors({}) == []
    assert "openlineage" not in {sensor.name for sensor in told_shop.definitions.sensors}


@pytest.mark.parametrize("url", ["lineage.jsonl", "ftp://host/x", "http:///x", "file://host/x"])
def test_an_address_that_cannot_be_used_is_refused_with_examples(url):
    """When the project is loaded."""
    with pytest.raises(DeclarationError, match=r"Write file:///folder/lineage.jsonl"):
        lineage_sensors({"MLOPS_OPENLINEAGE_URL": url})


def test_without_the_client_it_says_what_to_install(tmp_path):
    """In a process that cannot import it."""
    code = (
        "import sys\nsys.modules['openlineage'] = None\n"
        "from mlops_assets.orchestration.lineage_export import receiver\n"
        "try:\n    receiver('http://127.0.0.1:1')\nexcept Exception as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)

    assert "pip install 'mlops-assets[openlineage]'" in done.stdout


def test_the_model_is_told_with_the_versions_it_was_trained_on(shop):
    """Down to the endpoint's digest."""
    from mlops_assets_tests._shop import served

    with served(shop):
        shop.release()
    told = collected(shop)

    training = of(told, f"{MODEL}/training_set", "COMPLETE")
    assert {each.name for each in training.inputs} == {"validated/orders", "features/branch_returns"}
    model, endpoint = (of(told, f"{MODEL}/{stage}", "COMPLETE").outputs[0] for stage in ("model", "endpoint"))
    assert model.facets["version"].datasetVersion == endpoint.facets["version"].datasetVersion

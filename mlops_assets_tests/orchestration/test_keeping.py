"""Old data goes as declared, and what a protected model was trained on can be joined again to its digest."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import msgspec
import pyarrow as pa
import pytest

from mlops_assets.cli.project import Project
from mlops_assets.digests import sha256_parts
from mlops_assets.errors import GovernanceError, UnknownNameError
from mlops_assets.governance import Event
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.retention import declared_retention, retention_schedule
from mlops_assets.orchestration.steps import rebuild_training_set
from mlops_assets.orchestration.steps.archive.keeping import (
    Retention,
    clean,
    place_hold,
    protected_versions,
    release_hold,
    trained_on,
)
from mlops_assets.orchestration.steps.datasets.training_sets import training_set_version
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.intake.reopening import behind
from mlops_assets.records import TrainingSet
from mlops_assets.stores.history import history
from mlops_assets.stores.home import Home
from mlops_assets.stores.predictions import PredictionLogWriter, days
from mlops_assets.stores.tables import TableNotFoundError, stored_digest
from mlops_assets_tests._shop import (
    FILES,
    HISTORY_DAYS,
    LIVE,
    MODEL,
    PACKAGE,
    Shop,
    changed,
    orders,
    served,
    write_project,
)

AT_ONCE = timedelta(0)
LATER = datetime.now(UTC) + timedelta(days=1000)  # when everything written by this test is old
ALL = tuple(
    Retention(table=table, days=30)
    for table in ("raw/orders", "validated/orders", "features/branch_returns", f"{MODEL}/training_set")
)


def late(shop, day, amount):
    """Let a corrected batch of a day come in, long after it was due."""
    shop.land(day, changed(orders(day), "amount", {0: amount, 1: amount}))
    assert not shop.bring_in(day)


def training_set(shop, version):
    (found,) = [each for each in shop.home.state.versions(MODEL) if each.version == version]
    return found.bundle_sha256, msgspec.json.decode(found.record_json, type=TrainingSet)


def rebuilt_digest(shop, version):
    """Join a version's training set anew, with the features of its own bundle, and give its digest."""
    sha256, made = training_set(shop, version)
    bundle = LoadedBundle.of(shop.home, MODEL, sha256)
    rows = rebuild_training_set(shop.folder, shop.home, made, features_source=bundle.parts["features.py"].decode())
    return stored_digest(rows, table=made.table)


@pytest.fixture(scope="module")
def grown_further(shop_project, grown, tmp_path_factory):
    """A home with three versions of the model, older days corrected in between; the gate refused the second."""
    home = tmp_path_factory.mktemp("further") / "home"
    shutil.copytree(grown, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_HOME", str(home))
        shop = Shop.on(shop_project, home)
        demanding = shop.folder.declaration.gate.model_copy(update={"champion_evidence": "shown"})
        with served(shop):
            for n, (day, policies) in enumerate([("2024-01-29", {"gate": demanding}), ("2024-01-30", {})], 1):
                late(shop, "2024-01-10", 11.0 * n)
                late(shop, "2024-01-20", 11.0 * n)
                shop.land(day)
                assert not shop.bring_in(day)
                shop.release(at=LIVE + n * timedelta(days=1), **policies)
    return home


@pytest.fixture
def three_versions(shop_project, grown_further, tmp_path):
    """A shop of one's own with three versions of its model, of which the second was refused."""
    shutil.copytree(grown_further, tmp_path / "home")
    return Shop.on(shop_project, tmp_path / "home")


def test_a_rebuilt_training_set_has_the_digest_it_had(three_versions):
    """After late data and other trainings, each is joined again from the versions of the tables on its record."""
    digests = {n: training_set(three_versions, n)[1].sha256 for n in (1, 2, 3)}

    assert {n: rebuilt_digest(three_versions, n) for n in (1, 2, 3)} == digests
    assert len(set(digests.values())) == 3


def test_the_versions_a_model_was_trained_on_are_told(three_versions):
    """Its training set and each table that was joined from, by the numbers on its record."""
    readers = trained_on(three_versions.home)

    _, second = training_set(three_versions, 2)
    assert readers[f"{MODEL}/training_set"][second.version] == [f"{MODEL}@2"]
    for source in second.sources:
        assert f"{MODEL}@2" in readers[source.table][source.version]


def test_what_a_protected_model_was_trained_on_stays(three_versions):
    """The live version and the one before can be trained again; the refused one, which nobody holds, cannot."""
    home = three_versions.home

    clean(home, ALL, now=LATER, grace=AT_ONCE)

    assert set(protected_versions(home)) == {(MODEL, 1), (MODEL, 3)}
    assert {n: rebuilt_digest(three_versions, n) for n in (1, 3)} == {
        n: training_set(three_versions, n)[1].sha256 for n in (1, 3)
    }
    with pytest.raises(TableNotFoundError, match="retention has deleted"):
        rebuilt_digest(three_versions, 2)


def test_a_held_version_stays_although_it_was_refused(three_versions):
    """What it was made of is evidence now."""
    place_hold(three_versions.home, MODEL, 2, by="ada", reason="a complaint", at=LIVE)

    clean(three_versions.home, ALL, now=LATER, grace=AT_ONCE)

    assert rebuilt_digest(three_versions, 2) == training_set(three_versions, 2)[1].sha256


def test_each_reason_to_protect_is_told(three_versions):
    """Live, approved and held, in words that an auditor understands."""
    place_hold(three_versions.home, MODEL, 2, by="ada", reason="a complaint", at=LIVE)

    why = protected_versions(three_versions.home)

    release = three_versions.home.releases.current(MODEL)
    assert "live" in why[MODEL, release.version]
    assert "approved" in why[MODEL, release.version]
    assert "held by ada: a complaint" in why[MODEL, 2]


def test_a_refused_version_is_protected_while_it_is_held(three_versions):
    """A challenger that never went live may be forgotten; a hold stops that, its release lets it happen."""
    home = three_versions.home
    before = protected_versions(home)
    place_hold(home, MODEL, 2, by="ada", reason="a complaint", at=LIVE)
    during = protected_versions(home)

    release_hold(home, MODEL, 2, by="ada", reason="settled", at=LIVE)

    assert (MODEL, 2) not in before
    assert during[MODEL, 2] == ("held by ada: a complaint",)
    assert protected_versions(home) == before
    events = [entry.event for entry in home.state.audit_entries(model=MODEL)]
    assert events[-2:] == [Event.HOLD_PLACED, Event.HOLD_RELEASED]


def test_a_hold_is_placed_once_and_released_once(shop):
    """A second entry would say what is not so; a version that is not there is told with those that are."""
    with pytest.raises(GovernanceError, match="is not held"):
        release_hold(shop.home, MODEL, 1, by="ada", reason="settled", at=LIVE)
    place_hold(shop.home, MODEL, 1, by="ada", reason="a complaint", at=LIVE)
    with pytest.raises(GovernanceError, match=r"held already, since 2024-01-29 by ada: a complaint"):
        place_hold(shop.home, MODEL, 1, by="bob", reason="another", at=LIVE)
    with pytest.raises(UnknownNameError, match="Did you mean 'comes_back@1'"):
        place_hold(shop.home, MODEL, 2, by="ada", reason="a complaint", at=LIVE)


def test_a_hold_that_comes_too_late_says_of_what(three_versions):
    """Whoever places it must know what cannot be had any more."""
    clean(three_versions.home, ALL, now=LATER, grace=AT_ONCE)

    late_for = place_hold(three_versions.home, MODEL, 2, by="ada", reason="a complaint", at=LIVE)

    _, made = training_set(three_versions, 2)
    assert f"{MODEL}/training_set version {made.version}" in late_for
    assert f"validated/orders version {made.sources[0].version}" in late_for


def test_a_trial_says_what_would_go_and_deletes_nothing(three_versions):
    """With what stays although it is as old, and for whom."""
    home = three_versions.home
    before = {table.table: [p.readable for p in history(home.tables, table.table)] for table in ALL}
    entries = len(home.state.audit_entries())

    would = {each.table: each for each in clean(home, ALL, now=LATER, grace=AT_ONCE, dry_run=True)}

    assert would["raw/orders"].files
    assert would["raw/orders"].versions
    spared = [why for who in would["validated/orders"].protected.values() for why in who]
    assert spared == [f"{MODEL}@1 (next in a rollback, approved)"]
    assert {table.table: [p.readable for p in history(home.tables, table.table)] for table in ALL} == before
    assert len(home.state.audit_entries()) == entries


def test_a_deletion_is_on_record_and_done_once(three_versions):
    """The second time nothing is left to delete, and nothing is recorded."""
    home = three_versions.home
    clean(home, ALL, now=LATER, grace=AT_ONCE, by="ada")
    entries = home.state.audit_entries()

    again = clean(home, ALL, now=LATER, grace=AT_ONCE)

    deleted = [entry for entry in entries if entry.event == Event.DATA_DELETED]
    assert {entry.subject["table"] for entry in deleted} >= {"raw/orders", "validated/orders"}
    assert {entry.actor for entry in deleted} == {"ada"}
    assert all(each.nothing for each in again)
    assert len(home.state.audit_entries()) == len(entries)


def test_nothing_is_deleted_before_its_time(three_versions):
    """What was replaced 29 days ago is younger than the 30 declared."""
    soon = datetime.now(UTC) + timedelta(days=29)

    done = clean(three_versions.home, [replace(ALL[0], days=30)], now=soon, grace=AT_ONCE)

    assert [(each.versions, each.files) for each in done] == [((), 0)]


def test_quarantined_rows_go_with_the_versions_that_held_them(new_shop):
    """Bad rows of a day that is old enough; those of a later day stay."""
    for day in ("2024-01-01", "2024-01-20"):
        new_shop.land(day, changed(orders(day), "amount", {0: -1.0}))
        assert not new_shop.bring_in(day)
    rule = Retention(table="quarantine/orders", days=30, partition=timedelta(days=1), rows_too=True)

    (done,) = clean(new_shop.home, [rule], now=datetime(2024, 2, 5, tzinfo=UTC), grace=AT_ONCE)

    assert done.partitions == ("2024-01-01",)
    assert new_shop.rows("quarantine/orders", "2024-01-01") == []
    assert len(new_shop.rows("quarantine/orders", "2024-01-20")) == 1
    readable = [past for past in history(new_shop.home.tables, "quarantine/orders") if past.readable]
    assert all(past.rows["2024-01-01"] == 0 for past in readable)
    assert behind(new_shop.home.tables, "validated/orders") == set()  # or the next refresh would bring them back


def test_predictions_go_window_by_window_and_only_once_measured(shop):
    """Their rows, their log and their record; a window without its report is still needed."""
    home = shop.home
    log = PredictionLogWriter(home.predictions, MODEL)
    for day in ("2024-01-29", "2024-02-01", "2024-02-06"):
        log.append(day, b"a prediction")
    log.close()
    rows = pa.table({"request_id": ["1"]})
    for window in ("2024-01-29", "2024-02-05"):
        home.tables.write(f"{MODEL}/predictions", rows, partition=window)
        home.records.put((MODEL, "predictions"), window, training_set_version(training_set(shop, 1)[1]))
    shop.measured("2024-01-29", degraded=False)
    week = timedelta(days=7)
    rule = Retention(table=f"{MODEL}/predictions", days=30, partition=week, rows_too=True, logged_by=MODEL)

    (done,) = clean(home, [rule], now=datetime(2024, 6, 1, tzinfo=UTC), grace=AT_ONCE)

    assert done.partitions == done.records == ("2024-01-29",)
    assert days(home.predictions, MODEL) == ("2024-02-06",)
    assert home.tables.read(f"{MODEL}/predictions", partitions=["2024-01-29"]).num_rows == 0
    assert home.tables.read(f"{MODEL}/predictions", partitions=["2024-02-05"]).num_rows == 1
    assert home.records.partitions((MODEL, "predictions")) == ("2024-02-05",)
    assert home.records.partitions((MODEL, "performance")) == ("2024-01-29",)


def test_tables_without_a_declaration_are_left_alone(shop):
    """By default everything is kept."""
    assert declared_retention(shop.project.tables, {}, shop.project.models) == ()
    assert "retention" not in {schedule.name for schedule in shop.definitions.schedules or ()}


def test_a_declaration_covers_every_stage(shop):
    """A table's days count for its raw, validated and quarantined rows, a model's for its predictions and trainings."""
    folder, table = shop.project.tables["orders"]
    tables = {"orders": (folder, table.model_copy(update={"retention_days": 90.0}))}
    model = shop.folder.declaration.model_copy(update={"retention_days": 30.0})
    models = {MODEL: ModelFolder(shop.folder.path, model)}

    declared = {each.table: each for each in declared_retention(tables, {}, models)}

    assert {name: each.days for name, each in declared.items()} == {
        "raw/orders": 90.0,
        "validated/orders": 90.0,
        "quarantine/orders": 90.0,
        f"{MODEL}/training_set": 30.0,
        f"{MODEL}/predictions": 30.0,
    }
    assert [name for name, each in declared.items() if each.rows_too] == ["quarantine/orders", f"{MODEL}/predictions"]


def test_the_schedule_runs_it_in_dagster(three_versions):
    """As a job of its own, once a day."""
    schedule = retention_schedule((replace(ALL[0], days=1),))
    home = three_versions.home
    three_versions.at(LATER)
    done = schedule.job.execute_in_process(
        instance=three_versions.instance, resources={"home": HomeResource(path=str(home.root))}
    )

    assert done.success
    assert schedule.cron_schedule == "17 3 * * *"


def test_a_version_that_was_deleted_says_so(three_versions):
    """Not that the disk is broken."""
    home = three_versions.home
    clean(home, [ALL[0]], now=LATER, grace=AT_ONCE)
    gone = next(past.version for past in history(home.tables, "raw/orders") if not past.readable)

    with pytest.raises(TableNotFoundError, match="retention has deleted files of it"):
        home.tables.read("raw/orders", version=gone)
    assert home.tables.read("raw/orders").num_rows >= HISTORY_DAYS


def test_a_project_that_declares_retention_has_it_scheduled(tmp_path, monkeypatch):
    """From YAML to a job that runs with the stores of the project."""
    declared = {"stale_after: P60D": "stale_after: P60D\n  retention_days: 90", PACKAGE: "forgetful_shop"}
    files = {}
    for name, text in FILES.items():
        for old, new in declared.items():
            name, text = name.replace(old, new), text.replace(old, new)
        files[name] = text
    monkeypatch.syspath_prepend(str(write_project(tmp_path / "project", files)))
    project = Project(tmp_path / "project", "forgetful_shop.definitions", Home(tmp_path / "home", settings={}))

    repository = project.definitions.get_repository_def()
    done = repository.get_job("retention").execute_in_process(instance=dg.DagsterInstance.ephemeral())

    assert "retention" in {schedule.name for schedule in repository.schedule_defs}
    assert done.success


def test_every_materialization_shows_version_and_digest(shop):
    """As metadata, and the digest as Dagster's data version, so that lineage names the very rows."""
    day = "2024-01-29"
    shop.land(day, changed(orders(day), "amount", {0: -1.0}))
    stages = ("raw/orders", "validated/orders", "quarantine/orders", "features/branch_returns")
    assert shop.materialize(*stages, partition=day).success
    assert shop.materialize(f"{MODEL}/training_set", at=LIVE).success

    for name in (*stages, f"{MODEL}/training_set"):
        event = shop.instance.get_latest_materialization_event(dg.AssetKey(name.split("/")))
        shown, tags = event.asset_materialization.metadata, event.asset_materialization.tags
        stored = shop.home.tables.version(name, shown["delta_version"].value)
        assert shown["sha256"].value in {stored.sha256, sha256_parts({day: stored.partitions.get(day, "")})}
        assert tags["dagster/data_version"] == shown["sha256"].value

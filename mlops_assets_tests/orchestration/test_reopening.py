"""What comes late or is corrected is found by itself: exactly the days it touches, wherever a process was killed."""

import sys
from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_assets.cli.project import Project
from mlops_assets.orchestration.project import daily_tables, whole_tables
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.schedules import missing_days, stale_tables
from mlops_assets.orchestration.steps.intake.ingesting import ingest, judge, variables_of
from mlops_assets.orchestration.steps.intake.redriving import waive
from mlops_assets.orchestration.steps.intake.reopening import reopened
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.orchestration.tags import RANGE_START
from mlops_assets.records import Span
from mlops_assets.sources import FileSource
from mlops_assets.stores.home import Home
from mlops_assets.stores.tables import TableWrite
from mlops_assets_tests._shop import (
    FILES,
    FIRST_DAY,
    MODEL,
    PACKAGE,
    Shop,
    changed,
    days,
    orders,
    pyproject,
    the_end_of,
    write_project,
)

DAYS = days(FIRST_DAY, 6)


def missing(shop: Shop, day: str = DAYS[-1]) -> list[list[str]]:
    """What the schedule asks for when `day` has just been completed."""
    daily = daily_tables(shop.definitions)
    return missing_days(daily, shop.home, the_end_of(day), sources=shop.project.tables)


@pytest.fixture
def week(new_shop):
    """A shop with six days in."""
    for day in DAYS:
        new_shop.land(day)
    assert not new_shop.bring_in(*DAYS)
    return new_shop


def test_nothing_is_asked_for_again_while_nothing_changes(week):
    """Not by another process either, which remembers nothing."""
    assert missing(week) == []
    assert missing(Shop.on(week.project.root, week.home.root)) == []


def test_a_corrected_file_brings_its_day_in_again_and_no_other(week):
    """All the way to the view, and then it is done."""
    week.land(DAYS[2], changed(orders(DAYS[2]), "amount", {0: 99.5}))

    asked = missing(week)
    assert not week.bring_in(*asked[0])

    assert asked == [[DAYS[2]]]
    assert week.rows("validated/orders", DAYS[2])[0]["amount"] == 99.5
    assert missing(week) == []


def test_a_file_that_landed_again_unchanged_is_taken_in_once(week):
    """That it is the same is known once it is read; then its new time is, too."""
    week.land(DAYS[1])

    asked = missing(week)
    assert not week.bring_in(*asked[0])

    assert asked == [[DAYS[1]]]
    assert missing(week) == []


def test_a_file_that_was_taken_away_is_not_missed(week):
    """Landing places are emptied; what came in stays."""
    for file in (week.home.landing / "orders").iterdir():
        file.unlink()

    assert missing(week) == []


@pytest.mark.parametrize("stage", ["raw/orders", "validated/orders"])
def test_a_correction_that_was_killed_on_its_way_is_asked_for_until_it_is_through(week, stage):
    """The stamp in `raw` is the new one already, but what stands behind it is made of the old rows."""
    week.land(DAYS[2], changed(orders(DAYS[2]), "returned", dict.fromkeys(range(60), True)))
    assert week.materialize("raw/orders", partition=DAYS[2]).success
    if stage == "validated/orders":
        assert week.materialize("validated/orders", "quarantine/orders", partition=DAYS[2]).success

    asked = missing(week)
    assert not week.bring_in(*asked[0])

    assert asked == [[DAYS[2]]]
    assert missing(week) == []


@pytest.mark.parametrize("later", [False, True])
def test_a_waiver_whose_command_was_killed_is_carried_out_by_the_next_refresh(new_shop, later):
    """It was meant to be driven at once; one put on record for later waits for people."""
    _, declared = new_shop.project.tables["orders"]
    new_shop.land(DAYS[0], changed(orders(DAYS[0]), "amount", {3: -5.0}))
    assert not new_shop.bring_in(DAYS[0])
    at = the_end_of(DAYS[0])

    waive(declared, None, new_shop.home, DAYS[0], rules=["amount.min"], reason="a refund", by="ada", at=at, later=later)

    assert missing(new_shop, DAYS[0]) == ([] if later else [[DAYS[0]]])
    assert not new_shop.bring_in(DAYS[0])
    assert new_shop.rows("quarantine/orders", DAYS[0]) == []
    assert missing(new_shop, DAYS[0]) == []


@pytest.mark.parametrize("held_before", [True, False])
def test_a_batch_killed_between_quarantine_and_validated_is_asked_for(new_shop, monkeypatch, held_before):
    """Rows that have left the one and not reached the other are nowhere, until the next run brings them back."""
    _, declared = new_shop.project.tables["orders"]
    came = changed(orders(DAYS[0]), "amount", {3: -5.0} if held_before else {})
    new_shop.land(DAYS[0], came)
    assert not new_shop.bring_in(DAYS[0])
    assert missing(new_shop, DAYS[0]) == []
    at = the_end_of(DAYS[0])
    if held_before:
        waive(declared, None, new_shop.home, DAYS[0], rules=["amount.min"], reason="a refund", by="ada", at=at)
    else:
        narrower = declared.contract.columns["amount"].model_copy(update={"max": 50.0})
        columns = {**declared.contract.columns, "amount": narrower}
        contract = declared.contract.model_copy(update={"version": 2, "columns": columns, "max_quarantined_share": 1.0})
        declared = declared.model_copy(update={"contract": contract})

    commit = TableWrite.commit

    def killed(write, **options):
        if write.table == "validated/orders":
            raise KeyboardInterrupt
        return commit(write, **options)

    monkeypatch.setattr(TableWrite, "commit", killed)
    with pytest.raises(KeyboardInterrupt):
        judge(declared, new_shop.home, [DAYS[0]], None, at=at)
    monkeypatch.undo()
    found = sum(len(new_shop.rows(f"{stage}/orders", DAYS[0])) for stage in ("validated", "quarantine"))
    asked = missing(new_shop, DAYS[0])
    judge(declared, new_shop.home, [DAYS[0]], None, at=at)

    assert found == came.num_rows - 1 if held_before else found > came.num_rows
    assert asked == [[DAYS[0]]]
    assert sum(len(new_shop.rows(f"{stage}/orders", DAYS[0])) for stage in ("validated", "quarantine")) == came.num_rows


def test_a_bad_correction_holds_no_other_up(week):
    """It stays out and is asked for again; what was corrected together with it comes in."""
    week.land(DAYS[2], orders(DAYS[2]).drop_columns(["amount"]))
    week.land(DAYS[3], changed(orders(DAYS[3]), "amount", {0: 99.5}))

    first = missing(week)
    week.definitions.resolve_job_def("refresh").execute_in_process(
        instance=week.instance,
        tags={RANGE_START: first[0][0], "dagster/asset_partition_range_end": first[0][-1]},
        raise_on_error=False,
    )
    second = missing(week)
    for run in second:
        week.bring_in(*run)

    assert first == [[DAYS[2], DAYS[3]]]
    assert second == [[DAYS[2]], [DAYS[3]]]
    assert week.rows("validated/orders", DAYS[3])[0]["amount"] == 99.5
    assert week.rows("validated/orders", DAYS[2]) == orders(DAYS[2]).to_pylist()
    assert missing(week) == [[DAYS[2]]]


def test_a_correction_is_asked_for_on_the_day_on_which_its_day_came_in(new_shop, tmp_path):
    """Dagster starts one run per key, so what the source says is in it."""
    resources = {"home": HomeResource(path=str(new_shop.home.root))}
    refresh = new_shop.definitions.resolve_schedule_def("refresh")
    repository = new_shop.definitions.get_repository_def()
    new_shop.at(the_end_of(DAYS[0]))

    def tick():
        instance = dg.DagsterInstance.local_temp(str(tmp_path))
        with dg.build_schedule_context(instance=instance, resources=resources, repository_def=repository) as context:
            return [request.run_key for request in refresh.evaluate_tick(context).run_requests]

    absent, still_absent = tick(), tick()
    new_shop.land(DAYS[0])
    landed = tick()
    assert not new_shop.bring_in(DAYS[0])
    new_shop.land(DAYS[0], changed(orders(DAYS[0]), "amount", {0: 1.0}))
    corrected = tick()

    assert absent == still_absent
    assert len({*absent, *landed, *corrected}) == 3


# --- one file of many days ------------------------------------------------------------------------


def at(day: str, hour: int) -> datetime:
    return datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC)


@pytest.fixture
def archive(tmp_path):
    """A table whose days are all in one file; `write` writes the file, `asked` is what must come in again."""

    class Archive:
        home = Home(tmp_path / "home")
        declared = TableDeclaration.model_validate(
            {
                "table": "seen",
                "source": {"kind": "files", "paths": ["{here}/seen.parquet"], "time_column": "at"},
                "contract": {"columns": {"at": {"type": "timestamp"}, "n": {"type": "int64"}}},
            }
        )
        variables = variables_of(declared, home, tmp_path)

        def write(self, rows):
            moments = pa.array([at(day, hour) for day, hour, _ in rows], pa.timestamp("us", "UTC"))
            pq.write_table(pa.table({"at": moments, "n": [n for _, _, n in rows]}), tmp_path / "seen.parquet")

        def bring_in(self, *wanted):
            ingest(self.declared, self.home, wanted, folder=tmp_path, at=the_end_of(DAYS[-1]))
            judge(self.declared, self.home, wanted, None, at=the_end_of(DAYS[-1]))

        def asked(self):
            return sorted(reopened(self.declared, self.home, DAYS, variables=self.variables))

    archive = Archive()
    archive.path = tmp_path / "seen.parquet"
    archive.rows = [(day, hour, n) for n, day in enumerate(DAYS) for hour in (3, 15)]
    archive.write(archive.rows)
    archive.bring_in(*DAYS)
    return archive


@pytest.fixture
def readings(monkeypatch):
    """The numbers of days for which a file was read."""
    counted, pieces = [], FileSource.pieces

    def counting(self, spans, *, variables):
        counted.append(len(spans))
        return pieces(self, spans, variables=variables)

    monkeypatch.setattr(FileSource, "pieces", counting)
    return counted


def test_late_rows_reopen_exactly_their_days(archive):
    """Rows appended for two days, one changed in a third, one taken from a fourth: those four, and no other."""
    late = [(DAYS[0], 23, 7), (DAYS[3], 4, 8)]
    kept = [(DAYS[1], 3, 50) if row == (DAYS[1], 3, 1) else row for row in archive.rows if row != (DAYS[5], 15, 5)]

    archive.write([*kept, *late])

    assert archive.asked() == [DAYS[0], DAYS[1], DAYS[3], DAYS[5]]


def test_a_changed_file_is_read_once_for_all_its_days(archive, readings):
    """And not again before it changes again, nor for days that came in meanwhile."""
    archive.write([*archive.rows, (DAYS[4], 20, 9)])

    first, second = archive.asked(), archive.asked()
    archive.bring_in(DAYS[4])
    readings.clear()
    third = archive.asked()

    assert (first, second, third) == ([DAYS[4]], [DAYS[4]], [])
    assert readings == []


def test_the_days_that_did_not_change_are_compared_only_once(archive, readings):
    """The second question is about the one day that is still to come in."""
    archive.write([*archive.rows, (DAYS[4], 20, 9)])

    archive.asked()
    archive.asked()

    assert readings == [len(DAYS)]  # a single day left over needs no comparing: it is the one that changed


def test_a_file_written_anew_with_the_same_rows_reopens_nothing(archive, readings):
    """No partition is written either: only what was noted of them."""
    before = archive.home.tables.version("raw/seen")
    archive.path.unlink()
    archive.write(archive.rows)

    asked = [archive.asked(), archive.asked()]

    assert asked == [[], []]
    assert archive.home.tables.version("raw/seen").partitions == before.partitions
    assert readings == [len(DAYS)]


def test_a_changed_file_that_cannot_be_read_is_told_by_the_run_of_one_day(archive):
    """Not by six, and not by none; the day that failed keeps its rows."""
    archive.path.write_bytes(archive.path.read_bytes()[:-100])

    assert archive.asked() == [DAYS[0]]
    assert archive.home.tables.read("raw/seen", partitions=[DAYS[0]])["n"].to_pylist() == [0, 0]


def test_a_change_while_a_batch_is_being_read_is_found_afterwards(archive, monkeypatch):
    """The stamp noted is from before the reading."""
    pieces = FileSource.pieces

    def overtaken(self, spans, *, variables):
        rows = list(pieces(self, spans, variables=variables))
        archive.write([*archive.rows, (DAYS[2], 9, 99)])
        return iter(rows)

    monkeypatch.setattr(FileSource, "pieces", overtaken)
    archive.bring_in(DAYS[2])
    monkeypatch.setattr(FileSource, "pieces", pieces)

    assert archive.asked() == [DAYS[2]]
    assert FileSource.read(archive.declared.source, Span.day(DAYS[2]), variables=archive.variables).num_rows == 3


# --- tables without partitions --------------------------------------------------------------------

VIEW_OF_BRANCHES = """\
type: mlops_assets.orchestration.FeatureTable
attributes:
  name: sizes
  keys: {branch: string}
  features: {size: float64}
  tables: {branches: branches}
  event_time: since
  ttl: P3650D
  sql: SELECT branch, size, TIMESTAMPTZ '2020-01-01 00:00:00+00' AS since FROM branches
"""


@pytest.fixture
def branches(tmp_path, monkeypatch):
    """A shop of its own with the branches in, and a view of them."""
    package = "shop_of_branches"
    files = {name.replace(PACKAGE, package): text for name, text in FILES.items() if MODEL not in name}
    files |= {"pyproject.toml": pyproject(package), f"{package}/defs/sizes/defs.yaml": VIEW_OF_BRANCHES}
    root = write_project(tmp_path / "project", files)
    monkeypatch.syspath_prepend(str(root))
    shop = Shop(Project(root, f"{package}.definitions", Home(tmp_path / "home", settings={})))
    assert not shop.project.refresh_whole_tables(now=the_end_of(DAYS[0]))
    shop.csv = root / package / "defs/orders/branches.csv"
    yield shop
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]


def stale(shop):
    return stale_tables(whole_tables(shop.definitions), shop.home, sources=shop.project.tables)


def test_a_table_without_partitions_is_asked_for_when_its_file_changed(branches, tmp_path):
    """By a schedule of its own, together with what follows from it; then nothing is stale."""
    resources = {"home": HomeResource(path=str(branches.home.root))}
    schedule = branches.definitions.resolve_schedule_def("refresh_whole")
    repository = branches.definitions.get_repository_def()

    def tick():
        instance = dg.DagsterInstance.local_temp(str(tmp_path))
        with dg.build_schedule_context(instance=instance, resources=resources, repository_def=repository) as context:
            return schedule.evaluate_tick(context)

    unchanged = tick()
    branches.csv.write_text("branch,size\neast,10\nnorth,20\nsouth,31\n")
    (request,) = tick().run_requests
    branches.definitions.resolve_job_def("refresh_whole").execute_in_process(
        instance=branches.instance, asset_selection=request.asset_selection
    )

    assert "as its source is" in unchanged.skip_message
    assert {key.to_user_string() for key in request.asset_selection} == {
        "features/sizes",
        "quarantine/branches",
        "raw/branches",
        "validated/branches",
    }
    assert branches.home.tables.read("features/sizes")["size"].to_pylist() == [10.0, 20.0, 31.0]
    assert stale(branches) == []


def test_a_view_that_a_kill_left_behind_its_table_is_stale(branches):
    """Until it was computed from what is there now."""
    branches.csv.write_text("branch,size\neast,10\nnorth,20\nsouth,31\n")
    assert branches.materialize("raw/branches", "validated/branches", "quarantine/branches").success

    behind = stale(branches)
    assert branches.materialize("features/sizes").success

    assert behind == ["features/sizes"]
    assert stale(branches) == []


def test_a_table_that_never_came_in_is_stale(new_shop):
    """The schedule brings it in without anybody asking."""
    assert stale(new_shop) == ["raw/branches", "validated/branches"]

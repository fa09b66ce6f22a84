"""The refresh schedule: every day that arrived is asked for, until it has gone all the way."""

from datetime import timedelta

import dagster as dg
import pyarrow as pa
import pytest

from mlops_assets.orchestration.project import daily_tables
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.schedules import missing_days
from mlops_assets.orchestration.tags import AS_OF_TAG, PURPOSE_TAG, RANGE_END, RANGE_START
from mlops_assets.stores.home import Home
from mlops_assets_tests._shop import FIRST_DAY, changed, days, orders, the_end_of

DAYS = days(FIRST_DAY, 60)
TABLES = ("raw/orders", "validated/orders", "features/branch_returns")
PARTITIONS = dg.DailyPartitionsDefinition(start_date="2024-01-01", end_date="2024-04-01")
ROW = pa.table({"n": [1]})


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


def fill(home: Home, *wanted: str, tables=TABLES) -> None:
    for table in tables:
        home.tables.write_partitions(table, dict.fromkeys(wanted, ROW))


def missing(home: Home, day: str, **options) -> list[list[str]]:
    """What is missing when `day` has just been completed."""
    return missing_days(dict.fromkeys(TABLES, PARTITIONS), home, the_end_of(day), sources={}, **options)


def test_days_that_arrived_are_asked_for_together_oldest_first(home):
    """Whatever lies between two days that are in is a run of its own."""
    fill(home, DAYS[0], DAYS[3])

    assert missing(home, DAYS[5]) == [DAYS[1:3], DAYS[4:6]]


def test_a_long_backlog_is_cut_into_months(home):
    """A run of a year would hold everything else up."""
    runs = missing(home, DAYS[59])

    assert [len(run) for run in runs] == [31, 29]
    assert [day for run in runs for day in run] == DAYS


def test_a_day_is_complete_an_hour_after_its_end(home):
    """Not a second before."""
    fill(home, *DAYS[:5])
    time = the_end_of(DAYS[5])

    assert missing_days(dict.fromkeys(TABLES, PARTITIONS), home, time - timedelta(seconds=1), sources={}) == []
    assert missing_days(dict.fromkeys(TABLES, PARTITIONS), home, time, sources={}) == [[DAYS[5]]]


@pytest.mark.parametrize("reached", [("raw/orders",), ("raw/orders", "validated/orders")])
def test_a_day_that_stopped_on_its_way_is_asked_for_again(home, reached):
    """Killed between two tables, a day counts as in only once all of them have it."""
    fill(home, DAYS[0])
    fill(home, DAYS[1], tables=reached)

    assert missing(home, DAYS[1]) == [[DAYS[1]]]


def test_a_refused_day_goes_alone_and_holds_no_other_up(home):
    """Neither the days that stopped together with it, nor those that came after it."""
    fill(home, DAYS[0], *DAYS[5:7])
    fill(home, DAYS[1], *DAYS[3:5], tables=["raw/orders"])  # of days 1 to 4, day 2 was not even fit for its raw table

    assert missing(home, DAYS[8]) == [[DAYS[1]], [DAYS[2]], [DAYS[3]], [DAYS[4]], DAYS[7:9]]


def test_quarantines_are_not_waited_for(new_shop):
    """Nothing is missing from a table of bad rows on a good day."""
    assert daily_tables(new_shop.definitions).keys() == {*TABLES}


def test_a_tick_asks_for_ranges_as_of_its_time_and_then_for_nothing(new_shop, tmp_path):
    """While a run is at it, and once everything is in; the skipped tick says which."""
    home = HomeResource(path=str(new_shop.home.root))
    refresh = new_shop.definitions.resolve_schedule_def("refresh")
    repository = new_shop.definitions.get_repository_def()
    instance = dg.DagsterInstance.local_temp(str(tmp_path))  # a schedule is given none that is only in memory
    new_shop.at(the_end_of(DAYS[1]))

    def tick():
        with dg.build_schedule_context(
            instance=instance, resources={"home": home}, repository_def=repository
        ) as context:
            return refresh.evaluate_tick(context)

    asked = tick()
    run = instance.create_run_for_job(
        new_shop.definitions.resolve_job_def("refresh"),
        tags={PURPOSE_TAG: "refresh"},
        status=dg.DagsterRunStatus.STARTED,
    )
    waiting = tick()
    instance.report_run_failed(run)
    fill(new_shop.home, *DAYS[:2])
    skipped = tick()

    (request,) = asked.run_requests
    assert {RANGE_START: DAYS[0], RANGE_END: DAYS[1], AS_OF_TAG: the_end_of(DAYS[1]).isoformat()}.items() <= (
        request.tags.items()
    )
    assert waiting.run_requests == []
    assert "a refresh is under way" in waiting.skip_message
    assert skipped.run_requests == []
    assert "every day that arrived by 2024-01-03 01:00 is in" in skipped.skip_message


def test_what_the_schedule_asks_for_brings_everything_in_despite_a_bad_day(new_shop):
    """Tick by tick, as the daemon would: the bad day stays out until it is mended, then nothing is missing."""
    bad = DAYS[1]
    for day in DAYS[:4]:
        new_shop.land(day)
    new_shop.land(bad, changed(orders(bad), "amount", dict.fromkeys(range(30), -1.0)))

    def tick():
        wanted = missing_days(
            daily_tables(new_shop.definitions),
            new_shop.home,
            the_end_of(DAYS[3]),
            sources=new_shop.project.tables,
        )
        for run in wanted:
            tags = {RANGE_START: run[0], RANGE_END: run[-1]}
            new_shop.definitions.resolve_job_def("refresh").execute_in_process(
                instance=new_shop.instance, tags=tags, raise_on_error=False
            )
        return wanted

    first, second = tick(), tick()
    new_shop.land(bad)
    third, last = tick(), tick()

    assert first == [DAYS[:4]]
    assert second == [DAYS[:1], [bad], DAYS[2:4]]
    assert third == [[bad]]
    assert last == []

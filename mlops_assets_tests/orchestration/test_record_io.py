"""What assets hand each other: records, kept as JSON, given back as what they were."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from mlops_assets.orchestration.record_io import RecordIO, record_type
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.tags import RANGE_END, RANGE_START
from mlops_assets.records import Column, RetrainingDecision, TableVersion
from mlops_assets.stores.records import RecordNotFoundError

DAYS = dg.DailyPartitionsDefinition(start_date="2024-01-01", end_date="2024-01-05")
DECISION = RetrainingDecision(
    model="m", retrain=True, trigger="cadence", reason="old", answers="x", decided_at=datetime(2024, 1, 1, tzinfo=UTC)
)


def version(rows: int) -> TableVersion:
    return TableVersion(
        table="raw/t",
        version=1,
        sha256="ab",
        rows=rows,
        columns=(Column(name="a", dtype="string"),),
        partitions={"2024-01-01": "cd"},
    )


@pytest.fixture
def home(tmp_path) -> HomeResource:
    return HomeResource(path=str(tmp_path))


def run(home, *assets, **options):
    return dg.materialize([*assets], resources={"home": home, "io_manager": RecordIO(home=home)}, **options)


def test_a_record_comes_back_as_what_it_was(home):
    """The type is the one the asking asset's argument names; times, tuples and mappings included."""
    got = []

    @dg.asset(key=["m", "decision"])
    def decision() -> RetrainingDecision:
        return DECISION

    @dg.asset(ins={"decision": dg.AssetIn(["m", "decision"])})
    def reader(decision: RetrainingDecision) -> TableVersion:
        got.append(decision)
        return version(3)

    @dg.asset
    def last(reader: TableVersion) -> None:
        got.append(reader)

    run(home, decision, reader, last)

    assert got == [DECISION, version(3)]


def test_a_record_is_found_by_a_later_run(home):
    """Whoever approves on Tuesday reads the dossier of Monday's run."""
    got = []

    @dg.asset
    def early() -> TableVersion:
        return version(1)

    @dg.asset
    def late(early: TableVersion) -> None:
        got.append(early)

    run(home, early)
    run(home, early, late, selection=[late])

    assert got == [version(1)]


def test_each_partition_keeps_its_own_record(home):
    """And an asset of the same partition reads that one."""
    got = {}

    @dg.asset(partitions_def=DAYS)
    def daily(context: dg.AssetExecutionContext) -> TableVersion:
        return version(int(context.partition_key[-2:]))

    @dg.asset(partitions_def=DAYS)
    def reader(context: dg.AssetExecutionContext, daily: TableVersion) -> None:
        got[context.partition_key] = daily.rows

    run(home, daily, reader, partition_key="2024-01-02")
    run(home, daily, reader, partition_key="2024-01-04")

    assert got == {"2024-01-02": 2, "2024-01-04": 4}
    assert home.open().records.partitions(("daily",)) == ("2024-01-02", "2024-01-04")


def test_a_run_over_a_range_leaves_its_record_under_every_day(home):
    """So that whatever asks for one of the days finds it."""

    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def ranged(context: dg.AssetExecutionContext) -> TableVersion:
        return version(len(context.partition_keys))

    run(home, ranged, tags={RANGE_START: "2024-01-02", RANGE_END: "2024-01-04"})

    records = home.open().records
    assert records.partitions(("ranged",)) == ("2024-01-02", "2024-01-03", "2024-01-04")
    assert records.get(("ranged",), "2024-01-03", TableVersion) == version(3)


def test_an_asset_that_asks_before_there_is_a_record_is_told_so(home):
    """The message names the record and what to do."""

    @dg.asset
    def never_made() -> TableVersion:
        return version(1)

    @dg.asset
    def asking(never_made: TableVersion) -> None: ...

    with pytest.raises(RecordNotFoundError, match=r"No record of never_made .* Materialize that asset first"):
        run(home, never_made, asking, selection=[asking])


def test_an_asset_with_checks_still_hands_its_record_on(home):
    """Dagster would take the value of a function with check results to be nothing, but for its `dagster_type`."""
    got = []

    @dg.asset(
        dagster_type=record_type(TableVersion), check_specs=[dg.AssetCheckSpec("fine", asset="checked", blocking=True)]
    )
    def checked() -> dg.MaterializeResult:
        return dg.MaterializeResult(
            value=version(2), check_results=[dg.AssetCheckResult(check_name="fine", passed=True)]
        )

    @dg.asset
    def reader(checked: TableVersion) -> None:
        got.append(checked)

    run(home, checked, reader)

    assert got == [version(2)]


def test_a_record_of_another_type_is_refused(home):
    """What an asset returns is what its type says, or the run fails before it is kept."""

    @dg.asset(dagster_type=record_type(TableVersion))
    def confused() -> dg.MaterializeResult:
        return dg.MaterializeResult(value=DECISION)

    with pytest.raises(dg.DagsterTypeCheckDidNotPass):
        run(home, confused)

    assert home.open().records.find(("confused",), None, RetrainingDecision) is None

"""Raw data comes in: what is good goes on, what is bad is held with its reasons, and nothing is lost on the way."""

import dagster as dg
import pyarrow as pa
import pytest

from mlops_assets.governance import Event
from mlops_assets_tests._shop import changed, failed_steps, materialized, orders

DAY, NEXT = "2024-01-01", "2024-01-02"
CHAIN = ("raw/orders", "validated/orders", "quarantine/orders", "features/branch_returns")


def renamed(rows: pa.Table) -> pa.Table:
    """Give the batch of a feed whose format was changed unannounced."""
    return rows.rename_columns(["turnover" if name == "amount" else name for name in rows.column_names])


@pytest.fixture
def refresh(new_shop):
    """Bring a day's batch in, through every asset it passes."""

    def through(day=DAY, rows=None):
        new_shop.land(day, rows)
        return new_shop.materialize(*CHAIN, partition=day)

    return through


def events(shop, event):
    return [entry for entry in shop.home.state.audit_entries() if entry.event == event]


def test_a_sound_batch_goes_all_the_way(new_shop, refresh):
    """Raw and validated hold the rows as they came, and the quarantine is left alone."""
    result = refresh()

    assert result.success
    assert new_shop.rows("raw/orders", DAY) == new_shop.rows("validated/orders", DAY) == orders(DAY).to_pylist()
    assert materialized(result) == {*CHAIN} - {"quarantine/orders"}
    assert not new_shop.home.tables.exists("quarantine/orders")


def test_the_rules_a_sound_batch_was_held_to_are_on_record(new_shop, refresh):
    """Whoever answers for the data reads which they were, of which contract, and that none is broken."""
    refresh()

    found = new_shop.home.quality.newest("orders", DAY)
    assert (found.contract, found.rules) == (1, {})
    assert found.asked["amount.max"] == "amount must be at most 100"
    assert {"order_id.unique", "branch.isin", "returned.nullable"} < set(found.asked)


def test_bad_rows_are_held_with_their_reasons_and_nothing_good_is_lost(new_shop, refresh):
    """Each row is in exactly one of validated and quarantine; raw keeps the batch as it came."""
    bad = changed(changed(orders(DAY), "amount", {3: 1e6, 4: -1.0}), "branch", {4: "west"})

    result = refresh(rows=bad)

    good, held = new_shop.rows("validated/orders", DAY), new_shop.rows("quarantine/orders", DAY)
    rows = bad.to_pylist()
    assert result.success
    assert new_shop.rows("raw/orders", DAY) == rows
    assert good == [row for number, row in enumerate(rows) if number not in {3, 4}]
    assert [row["order_id"] for row in held] == [rows[3]["order_id"], rows[4]["order_id"]]
    assert "amount" in held[0]["_rule"]
    assert "1000000" in held[0]["_value"]
    assert {"amount", "branch"} <= {word for word in ("amount", "branch") if word in held[1]["_reason"]}
    assert "quarantine/orders" in materialized(result)


def test_what_was_held_is_told_where_people_look(new_shop, refresh):
    """On the check, on the quarantine's page and in the audit log, with the same numbers."""
    result = refresh(rows=changed(orders(DAY), "amount", {3: 1e6}))

    check = new_shop.checks(result)["contract"]
    held = new_shop.instance.get_latest_materialization_event(dg.AssetKey(["quarantine", "orders"]))
    (entry,) = events(new_shop, Event.DATA_QUARANTINED)
    assert check.passed
    assert check.metadata["quarantined rows"].value == 1
    assert held.asset_materialization.metadata["rows"].value == 1
    assert (entry.data["rows"], entry.data["partitions"]) == (1, [DAY])


@pytest.mark.parametrize("bad", [{}, {DAY: renamed}], ids=["nothing there", "a sound batch there"])
def test_a_structural_fault_blocks_the_day_and_leaves_what_was_there(new_shop, refresh, bad):
    """The rows are held beside the table; raw, validated and features stay as they were."""
    if bad:
        refresh()
    before = {name: new_shop.rows(name, DAY) for name in CHAIN}

    result = refresh(rows=renamed(orders(DAY)))

    assert not result.success
    assert failed_steps(result) == {"raw__orders"}
    assert not materialized(result)
    after = {name: new_shop.rows(name, DAY) for name in CHAIN}
    assert {**after, "quarantine/orders": []} == {**before, "quarantine/orders": []}
    assert len(after["quarantine/orders"]) == len(orders(DAY))
    assert "amount" in str(events(new_shop, Event.DATA_BLOCKED)[0].data["reasons"])


def test_a_structural_fault_is_an_error_of_its_check_that_names_the_column(new_shop, refresh):
    """Severity WARN would let the rest of the run go on."""
    check = new_shop.checks(refresh(rows=renamed(orders(DAY))))["structure"]

    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert check.blocking
    assert "amount" in check.description


def test_a_batch_with_too_many_bad_rows_is_blocked_as_a_whole(new_shop, refresh):
    """Ten per cent are declared; what was validated before stays, the raw rows are kept to look at."""
    refresh()

    result = refresh(rows=changed(orders(DAY), "amount", dict.fromkeys(range(7), -1.0)))

    check = new_shop.checks(result)["contract"]
    assert not result.success
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert new_shop.rows("validated/orders", DAY) == orders(DAY).to_pylist()
    assert len(new_shop.rows("quarantine/orders", DAY)) == 7
    assert "features/branch_returns" not in materialized(result)


def test_a_corrected_batch_goes_through_and_empties_its_quarantine(new_shop, refresh):
    """What was held of the day is held no longer; other days' rows are."""
    refresh(NEXT, changed(orders(NEXT), "amount", {0: -1.0}))
    refresh(rows=renamed(orders(DAY)))

    result = refresh()

    assert result.success
    assert new_shop.rows("validated/orders", DAY) == orders(DAY).to_pylist()
    assert new_shop.rows("quarantine/orders", DAY) == []
    assert len(new_shop.rows("quarantine/orders", NEXT)) == 1


def test_bringing_the_same_batch_in_again_changes_nothing(new_shop, refresh):
    """Same rows, same digest; that the file is a newer one is noted, and no other table has a new version."""
    first = refresh()
    raw, validated = (new_shop.home.tables.version(name) for name in ("raw/orders", "validated/orders"))

    again = refresh()

    assert first.success
    assert again.success
    assert new_shop.home.tables.version("raw/orders").partitions == raw.partitions
    assert new_shop.home.tables.version("validated/orders") == validated


def test_an_empty_batch_is_blocked_before_it_replaces_anything(new_shop, refresh):
    """No rows on a day on which there are always some means that the feed is broken."""
    refresh()

    result = refresh(rows=orders(DAY).slice(0, 0))

    check = new_shop.checks(result)["arrived"]
    assert not result.success
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert "no rows came" in check.description
    assert new_shop.rows("validated/orders", DAY) == orders(DAY).to_pylist()


def test_a_batch_that_ends_early_is_late(new_shop, refresh):
    """The newest row must not be older than 20 hours at the end of the day."""
    check = new_shop.checks(refresh(rows=orders(DAY).slice(0, 2)))["arrived"]

    assert not check.passed
    assert "the newest row came at" in check.description


def test_a_file_that_is_not_there_fails_the_run_with_the_places_looked_at(new_shop):
    """Nothing is written, and the message says where the file was looked for."""
    result = new_shop.materialize(*CHAIN, partition=DAY)

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    told = str(failure.step_failure_data.error.cause)
    assert f"landing/orders/{DAY}.parquet" in told
    assert not new_shop.home.tables.exists("raw/orders")


def test_a_days_run_over_a_range_is_one_commit(new_shop):
    """History of many days comes in as one run, each day under its own partition and digest."""
    for day in (DAY, NEXT):
        new_shop.land(day)

    assert not new_shop.bring_in(DAY, NEXT)

    version = new_shop.home.tables.version("validated/orders")
    assert new_shop.home.tables.partitions("validated/orders") == (DAY, NEXT)
    assert len(set(version.partitions.values())) == 2
    assert version.rows == 2 * len(orders(DAY))


def test_one_bad_day_of_many_does_not_stop_the_others(new_shop):
    """Of a range with one batch that is refused, every other day is validated and has its features."""
    other = "2024-01-03"
    for day in (DAY, NEXT, other):
        new_shop.land(day, renamed(orders(day)) if day == NEXT else None)

    faults = new_shop.bring_in(DAY, NEXT, other)

    assert len(faults) == 1
    assert f"{NEXT}: " in faults[0]
    assert new_shop.home.tables.partitions("validated/orders") == (DAY, other)
    assert new_shop.home.tables.partitions("features/branch_returns") == (DAY, other)


def test_a_table_without_partitions_is_read_whole_and_replaced(new_shop):
    """The checks are the same."""
    result = new_shop.materialize("raw/branches", "validated/branches", "quarantine/branches")

    assert result.success
    assert new_shop.home.tables.read("validated/branches").to_pylist() == [
        {"branch": "east", "size": 10.0},
        {"branch": "north", "size": 20.0},
        {"branch": "south", "size": 30.0},
    ]
    assert {"arrived", "structure", "contract"} <= new_shop.checks(result).keys()


def test_the_page_shows_rows_digest_and_columns(new_shop, refresh):
    """As numbers that plot and a schema that Dagster knows."""
    refresh()

    event = new_shop.instance.get_latest_materialization_event(dg.AssetKey(["validated", "orders"]))
    shown = event.asset_materialization.metadata
    stored = new_shop.home.tables.version("validated/orders")
    assert shown["dagster/partition_row_count"].value == len(orders(DAY))
    assert shown["sha256"].value == stored.partitions[DAY] or shown["sha256"].value == stored.sha256
    assert [c.name for c in shown["dagster/column_schema"].value.columns] == orders(DAY).column_names

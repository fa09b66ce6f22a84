"""A view is computed once: into its table, which training reads, and into the online store, which serving reads."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import dagster as dg
import numpy as np
import pytest

from mlops_assets.records import FeatureView
from mlops_assets_tests._shop import BRANCHES, days, orders, the_end_of

DAYS = days("2024-01-01", 3)
HOUR = timedelta(hours=1)


@pytest.fixture
def filled(new_shop):
    """A shop with three days in."""
    for day in DAYS:
        new_shop.land(day)
    assert not new_shop.bring_in(*DAYS)
    return new_shop


def looked_up(shop, at):
    """What the endpoint finds for every branch at a time."""
    view = shop.home.records.get(("views",), "branch_returns", FeatureView)
    when = np.full(len(BRANCHES), np.datetime64(at.replace(tzinfo=None), "us"))
    found = shop.home.online.read(view, {"branch": np.array(BRANCHES, dtype=object)}, when)["return_rate_7d"]
    return dict(zip(BRANCHES, found.values.tolist(), strict=True)), set(found.status.tolist())


def by_hand(*included):
    """The share of orders that came back, counted here."""
    rows = [row for day in included for row in orders(day).to_pylist()]
    return {branch: float(np.mean([row["returned"] for row in rows if row["branch"] == branch])) for branch in BRANCHES}


def test_every_day_is_computed_from_itself_and_the_week_before(filled):
    """A row per branch and day, true at the end of the day and known an hour later."""
    for number, day in enumerate(DAYS):
        rows = {row["branch"]: row for row in filled.rows("features/branch_returns", day)}

        assert {branch: row["return_rate_7d"] for branch, row in rows.items()} == pytest.approx(
            by_hand(*DAYS[: number + 1])
        )
        end = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
        assert {(row["event_time"], row["known_at"]) for row in rows.values()} == {(end, end + HOUR)}


def test_the_endpoint_finds_the_newest_row_bit_for_bit(filled):
    """What is written online is what is in the table."""
    offline = {row["branch"]: row["return_rate_7d"] for row in filled.rows("features/branch_returns", DAYS[-1])}

    online, status = looked_up(filled, datetime(2024, 1, 4, 1, tzinfo=UTC))

    assert status == {"ok"}
    assert online == offline


def test_bringing_an_old_day_in_again_leaves_the_newer_row_online(filled):
    """A backfill must not bring the endpoint last week's values."""
    at = datetime(2024, 1, 4, 1, tzinfo=UTC)
    before = looked_up(filled, at)

    assert not filled.bring_in(DAYS[0])

    assert looked_up(filled, at) == before


KILLED = """
import os, signal, sys
from pathlib import Path
from mlops_assets.stores.tables import TableStore
from mlops_assets_tests._shop import Shop
write = TableStore.write_partitions

def killed(store, table, *arguments, **options):
    if table.startswith("features/"):
        os.kill(os.getpid(), signal.SIGKILL)
    return write(store, table, *arguments, **options)

TableStore.write_partitions = killed
Shop.on(Path(sys.argv[1]), Path(sys.argv[2])).bring_in(sys.argv[3])
"""


@pytest.mark.slow
def test_a_run_killed_between_the_store_and_the_table_is_made_good_by_the_next(filled, shop_project):
    """The table does not claim the day that the store has, so the day is done again, and then both have it."""
    day = days("2024-01-01", 4)[-1]
    filled.land(day)
    at = the_end_of(day) + HOUR
    arguments = [str(shop_project), str(filled.home.root), day]

    ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, capture_output=True)
    claimed = filled.home.tables.partitions("features/branch_returns")
    early, _ = looked_up(filled, at)
    failed = filled.bring_in(day)

    assert ended.returncode == -signal.SIGKILL
    assert day not in claimed
    assert not failed
    offline = {row["branch"]: row["return_rate_7d"] for row in filled.rows("features/branch_returns", day)}
    assert looked_up(filled, at) == (offline, {"ok"})
    assert early == offline


def test_the_asset_says_what_its_columns_mean_and_come_from(filled):
    """Column lineage down to the validated table, and a sentence for the columns every view has."""
    event = filled.instance.get_latest_materialization_event(dg.AssetKey(["features", "branch_returns"]))
    shown = event.asset_materialization.metadata

    lineage = shown["dagster/column_lineage"].value.deps_by_column
    columns = {column.name: column for column in shown["dagster/column_schema"].value.columns}
    source = dg.AssetKey(["validated", "orders"])
    assert dg.TableColumnDep(source, "returned") in lineage["return_rate_7d"]
    assert lineage["branch"] == [dg.TableColumnDep(source, "branch")]
    assert columns["known_at"].description == "From when on a decision may look it up."
    assert shown["keys_refreshed_online"].value > 0


def test_a_view_depends_on_as_many_days_as_it_looks_back(filled):
    """So that Dagster knows which days are stale when one is mended."""
    graph = filled.definitions.resolve_asset_graph()
    view, table = dg.AssetKey(["features", "branch_returns"]), dg.AssetKey(["validated", "orders"])

    mapping = graph.get_partition_mapping(view, table)

    assert (mapping.start_offset, mapping.end_offset) == (-7, 0)
    assert graph.get_partition_mapping(view, table).allow_nonexistent_upstream_partitions

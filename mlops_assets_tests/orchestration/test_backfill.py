"""Dagster's own backfill over a range of days, asked for where its page asks for it and run by its daemon."""

import time
from collections import Counter
from datetime import UTC, datetime

import httpx
import pytest
from deltalake import DeltaTable

from mlops_assets.cli.ports import any_port
from mlops_assets.cli.processes import Group, end, start, started_at
from mlops_assets.orchestration.resources import set_replay_time
from mlops_assets_tests._commands import environment
from mlops_assets_tests._shop import FIRST_DAY, PACKAGE, days, orders

RANGE = days(FIRST_DAY, 6)  # each is a run of its own
ASSETS = ("raw/orders", "validated/orders", "quarantine/orders")  # with a view, also days that look back on them
LAUNCH = """
mutation ($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) { __typename ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message } }
}
"""
STATUS = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) { __typename ... on PartitionBackfill { status error { message } } }
}
"""


@pytest.fixture
def dagster(new_shop, tmp_path):
    """Dagster's webserver and daemon over the shop; gives a function that asks their GraphQL."""
    port, log, folder = any_port(), tmp_path / "dagster.log", tmp_path / "dagster"
    folder.mkdir()
    set_replay_time(new_shop.home, datetime(2024, 1, 1, tzinfo=UTC))  # nothing is due, so no schedule does the work
    server = start(
        ["dagster", "dev", "-h", "127.0.0.1", "-p", str(port), "-m", f"{PACKAGE}.definitions"],
        cwd=new_shop.project.root,
        env=environment(
            PYTHONPATH=":".join([str(new_shop.project.root), environment()["PYTHONPATH"]]),
            MLOPS_HOME=str(new_shop.home.root),
            DAGSTER_HOME=str(folder),
        ),
        log=log,
    )

    def ask(query, variables):
        for _ in range(600):
            try:
                with httpx.Client(trust_env=False, timeout=60) as client:
                    answer = client.post(
                        f"http://127.0.0.1:{port}/graphql", json={"query": query, "variables": variables}
                    )
                return next(iter(answer.json()["data"].values()))
            except httpx.TransportError:
                assert server.poll() is None, log.read_text()[-3000:]
                time.sleep(0.5)
        raise AssertionError(log.read_text()[-3000:])

    yield ask
    # With force at last: a code server that misses its client's end waits for a heartbeat for 45 s.
    end([Group(server.pid, started_at(server.pid))], grace_s=20, reap=server.poll)


@pytest.mark.slow
def test_a_backfill_brings_every_day_of_its_range_in_once(new_shop, dagster):
    """Whole, through all tables, and no day outside the range."""
    for day in days(FIRST_DAY, 9):
        new_shop.land(day)

    launched = dagster(
        LAUNCH,
        {"backfill": {"assetSelection": [{"path": key.split("/")} for key in ASSETS], "partitionNames": RANGE}},
    )
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    status = {"status": "REQUESTED"}
    while status["status"] == "REQUESTED":
        time.sleep(1)
        status = dagster(STATUS, {"id": launched["backfillId"]})

    written = [
        day
        for commit in DeltaTable(new_shop.home.tables.root / "raw/orders").history()
        for day in commit["mlops_assets"]["written"]
    ]
    # Dagster counts a quarantine that no row went to as failed, for nothing was materialized there.
    assert status["status"] in ("COMPLETED_SUCCESS", "COMPLETED_FAILED"), status
    assert Counter(written) == dict.fromkeys(RANGE, 1)
    for table in ("raw/orders", "validated/orders"):
        assert list(new_shop.home.tables.partitions(table)) == RANGE
    for day in RANGE:
        assert new_shop.rows("validated/orders", day) == orders(day).to_pylist()

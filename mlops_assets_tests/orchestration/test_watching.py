"""What the watched windows come to: alerts that stand, and the labels predictions are held against."""

import re
from datetime import datetime, timedelta

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.orchestration import steps
from mlops_assets.records import ColumnDrift, DriftReport
from mlops_assets_tests._shop import BRANCHES, LIVE, MODEL, Shop, changed, served

WEEK = timedelta(days=7)
START = datetime(2024, 1, 29, tzinfo=LIVE.tzinfo)


def moved(shop: Shop, week: int) -> DriftReport:
    """Put a window in which `amount` was far from training on record, as the asset would."""
    release = shop.home.releases.current(MODEL)
    start = START + week * WEEK
    report = DriftReport(
        model=MODEL,
        sha256=f"{week}".ljust(64, "0"),
        bundle_sha256=release.bundle_sha256,
        start=start,
        end=start + WEEK,
        rows=400,
        columns=(ColumnDrift(column="amount", n=400, values={"psi_excess": 0.2}, drifted=True),),
        score=None,
        sufficient=True,
    )
    shop.home.records.put((MODEL, "drift"), f"{start:%Y-%m-%d}", report)
    return report


def test_a_feature_that_keeps_moving_is_an_alert_and_one_that_moved_twice_is_not(shop):
    """Those that stay on are those people look at; the alert of a week is the same however many came later."""
    reports = [moved(shop, week) for week in range(4)]

    standing = [steps.standing_alerts(shop.folder, shop.home, report) for report in reports]

    assert [[alert.column for alert in alerts] for alerts in standing] == [[], [], ["amount"], ["amount"]]
    assert str(standing[3][0]).startswith("amount has been away from training since 2024-02-19, 4 windows: ")


def test_labels_are_found_by_keys_that_are_numbers(shop, monkeypatch):
    """A request's id is text, whatever the key is in the table."""
    numbered = pa.table({"order_id": [7, 8], "returned": [True, False]})
    monkeypatch.setattr("mlops_assets.stores.tables.TableStore.read", lambda *_, **__: numbered)

    labels = steps.labels_of(shop.folder, shop.home, ["8", "7", "9"])

    np.testing.assert_array_equal(labels, [0.0, 1.0, np.nan])


@pytest.fixture
def asked(shop):
    """A shop whose endpoint was asked about three orders."""
    with served(shop) as endpoint:
        for branch in BRANCHES:
            order = {"branch": branch, "amount": 70.0}
            endpoint.predict(order, model=MODEL, request_id=branch, at=LIVE.isoformat()).raise_for_status()
    return shop


def proven(shop: Shop) -> dg.AssetCheckEvaluation:
    """Give what the check says of the window of the three orders."""
    result = shop.materialize(f"{MODEL}/predictions", f"{MODEL}/parity", partition=f"{START:%Y-%m-%d}", at=LIVE)
    assert result.success
    return shop.checks(result)["bit_for_bit"]


def test_what_was_served_is_computed_again_for_every_window(asked):
    """From the tables, as known at each decision."""
    verdict = proven(asked)

    assert verdict.passed
    assert verdict.description == "3 vectors, all equal in every bit"


def test_a_row_that_is_changed_behind_the_endpoint_fails_the_window_with_its_cause(asked):
    """The check names the feature, the request, the time and both values."""
    table, day = "features/branch_returns", "2024-01-28"
    rows = asked.home.tables.read(table, partitions=[day])
    asked.home.tables.write(table, changed(rows, "return_rate_7d", {0: 0.5}), partition=day)

    verdict = proven(asked)

    assert not verdict.passed
    assert re.match(
        "1 of 3 vectors differ, first return_rate_7d of request east at 2024-01-29T01:00:00.000000: .* was served, "
        "0.5 is recomputed; late data: the row of branch_returns .* was computed again since it was served",
        verdict.description,
    )

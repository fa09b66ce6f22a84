"""A batch that was refused and comes a day late: the endpoint did without it, and training must know that it did."""

from datetime import datetime, timedelta

import pyarrow.compute as pc
import pytest

from mlops_assets.features.join import DECISION_TIME
from mlops_assets.orchestration.partitions import span_of
from mlops_assets.orchestration.steps import build_training_set, check_parity, seal_predictions, sealed_predictions
from mlops_assets_tests._shop import MODEL, changed, days, orders, served, the_end_of

FIRST, SECOND = days("2024-01-29", 2)
ASKED = {"branch": "north", "amount": 70.0}
WEEK = span_of("2024-01-29", length=timedelta(days=7))


def other(day):
    """The day as it is told after a mistake was found: everything came back."""
    return changed(orders(day), "returned", dict.fromkeys(range(20), True))


def ask(endpoint, at, request_id):
    answer = endpoint.predict(ASKED, model=MODEL, at=at.isoformat(), request_id=request_id)
    assert answer.status_code == 200, answer.text


def parity(shop):
    sealed, _, _ = seal_predictions(shop.folder, shop.home, WEEK)
    return check_parity(shop.folder, shop.home, sealed_predictions(shop.home, MODEL, version=sealed.version))


def refresh(shop, day, at):
    return shop.project.refresh([day], now=at)


@pytest.mark.parametrize("batch", ["refused, then mended", "let through, then corrected"])
def test_what_was_served_before_a_late_batch_is_recomputed_without_it(shop, batch):
    """And what is served after it, with it; bit for bit."""
    with served(shop) as endpoint:
        shop.land(FIRST, orders(FIRST).drop_columns(["amount"]) if batch.startswith("refused") else None)
        refresh(shop, FIRST, the_end_of(FIRST))
        ask(endpoint, the_end_of(FIRST) + timedelta(hours=5), "before")
        shop.land(FIRST, other(FIRST))
        assert not refresh(shop, FIRST, the_end_of(FIRST) + timedelta(hours=12))
        ask(endpoint, the_end_of(FIRST) + timedelta(hours=13), "between")
        shop.land(SECOND)
        assert not refresh(shop, SECOND, the_end_of(SECOND))
        ask(endpoint, the_end_of(SECOND) + timedelta(hours=1), "after")

    report = parity(shop)

    rates = {vector[-1] for vector in sealed_predictions(shop.home, MODEL)["vector"].to_pylist()}
    assert (report.n, report.equal, report.first) == (3, 3, None)
    assert len(rates) == 3


def test_a_late_batch_and_the_next_one_may_come_in_together(shop):
    """The newer day answers; neither is refused for being known at the same moment."""
    both = the_end_of(SECOND)
    with served(shop) as endpoint:
        for day in (FIRST, SECOND):
            shop.land(day)
            assert not refresh(shop, day, both)
        ask(endpoint, both, "at once")

    assert parity(shop).identical


def test_training_learns_from_what_was_there(shop):
    """Decisions before the late batch came are trained on with the day before, as they were answered."""
    shop.land(FIRST)
    came = the_end_of(FIRST) + timedelta(hours=12)
    shop.land(SECOND)
    assert not refresh(shop, FIRST, came)
    assert not refresh(shop, SECOND, the_end_of(SECOND))

    made, _ = build_training_set(shop.folder, shop.home, cut_off=the_end_of(SECOND))

    rows = shop.home.tables.read(made.table, version=made.version)
    rows = rows.filter(pc.greater_equal(rows[DECISION_TIME], the_end_of(FIRST)))
    by_time = {at >= came: seen for at, seen in zip(rows[DECISION_TIME].to_pylist(), seen_days(rows), strict=True)}
    assert by_time == {False: "2024-01-29", True: "2024-01-30"}


def seen_days(rows):
    return [at.date().isoformat() for at in rows["branch_returns__event_time"].to_pylist()]


def test_history_brought_in_before_the_first_release_counts_as_in_time(new_shop):
    """Nobody asked then; without it there would be nothing to learn from."""
    new_shop.land(FIRST)

    assert not refresh(new_shop, FIRST, the_end_of(FIRST) + timedelta(days=300))

    known = {row["known_at"] for row in new_shop.rows("features/branch_returns", FIRST)}
    assert known == {datetime.fromisoformat(SECOND + "T01:00:00+00:00")}


def test_bringing_a_day_in_again_unchanged_writes_nothing(shop):
    """Weeks later, while the model is live."""
    shop.land(FIRST)
    assert not refresh(shop, FIRST, the_end_of(FIRST))
    before = shop.home.tables.version("features/branch_returns")

    assert not refresh(shop, FIRST, the_end_of(FIRST) + timedelta(days=20))

    assert shop.home.tables.version("features/branch_returns") == before

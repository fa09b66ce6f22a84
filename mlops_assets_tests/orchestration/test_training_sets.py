"""Which decisions a training set learns from and holds out, where labels take long to come."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mlops_assets.orchestration.steps import build_training_set, rebuild_training_set
from mlops_assets.orchestration.steps.datasets.training_sets import HOLDOUT, KNOWN_AT, TRAIN, training_rows_of
from mlops_assets.orchestration.steps.intake.ingesting import write
from mlops_assets.stores.tables import stored_digest
from mlops_assets_tests._shop import FIRST_DAY, HISTORY_DAYS, LIVE, Shop, days, grown, no_settings, orders, shop_project
from mlops_assets_tests._shop import shop as shop

__all__ = ["grown", "no_settings", "shop", "shop_project"]


@pytest.fixture
def slow(shop) -> Shop:
    """A shop that hears of its returns up to ten days after an order."""
    chance = np.random.default_rng(3)
    written = {}
    for day in days(FIRST_DAY, HISTORY_DAYS):
        rows = orders(day)
        delay = pa.array(chance.integers(0, 10 * 86_400, rows.num_rows) * 1_000_000, pa.duration("us"))
        place = rows.column_names.index("reported_at")
        written[day] = rows.set_column(place, "reported_at", pc.add(rows["placed_at"], delay))
    write(shop.home, "validated/orders", written)
    return shop


def learnt_and_held(shop: Shop, **window):
    """Give the training set, and order id with the time its label was known, of both parts."""
    training = shop.folder.declaration.training
    training = training.model_copy(update={"window": training.window.model_copy(update=window)})
    folder = replace(shop.folder, declaration=shop.folder.declaration.model_copy(update={"training": training}))
    made, _ = build_training_set(folder, shop.home, cut_off=LIVE)
    stored = shop.home.tables.read("validated/orders")
    known = dict(zip(stored["order_id"].to_pylist(), stored["reported_at"].to_pylist(), strict=True))
    parts = {part: training_rows_of(shop.home, made, part=part) for part in (TRAIN, HOLDOUT)}
    assert KNOWN_AT not in parts[TRAIN].column_names
    return (
        folder,
        made,
        {part: {key: known[key] for key in rows["order_id"].to_pylist()} for part, rows in parts.items()},
    )


def test_no_label_is_learnt_that_was_not_known_when_the_hold_out_began(slow):
    """Nor is any held out that was not known at the cut-off; all others of their days are there."""
    _, made, known = learnt_and_held(slow)

    stored = slow.home.tables.read("validated/orders").to_pylist()
    in_time = {
        row["order_id"]
        for row in stored
        if row["placed_at"] < made.train.end and row["reported_at"] <= made.holdout.start
    }
    assert max(known[TRAIN].values()) <= made.holdout.start
    assert max(known[HOLDOUT].values()) <= LIVE
    assert set(known[TRAIN]) == in_time
    assert 0 < len(in_time) < sum(row["placed_at"] < made.train.end for row in stored)
    assert made.train.rows == len(in_time)


def test_a_declared_delay_of_labels_ends_the_hold_out_where_they_are_all_known(slow):
    """Ten days before the cut-off every label is in, so no day of the hold-out is half a day."""
    _, hasty, some = learnt_and_held(slow)
    _, patient, all_known = learnt_and_held(slow, label_delay_days=10)

    assert hasty.holdout.end == LIVE
    assert patient.holdout.end == LIVE - timedelta(days=10)
    assert patient.holdout.end - patient.holdout.start == timedelta(days=7)
    stored = slow.home.tables.read("validated/orders").to_pylist()
    span = {row["order_id"] for row in stored if patient.holdout.start <= row["placed_at"] < patient.holdout.end}
    assert set(all_known[HOLDOUT]) == span
    assert len(some[HOLDOUT]) < len(span)


def test_a_training_set_with_late_labels_is_joined_again_as_it_was(slow):
    """What was known when is not kept in it, and comes from the table of decisions again."""
    folder, made, _ = learnt_and_held(slow, label_delay_days=3)

    rows = rebuild_training_set(folder, slow.home, made, features_source=folder.features_source)

    assert stored_digest(rows, table=made.table) == made.sha256

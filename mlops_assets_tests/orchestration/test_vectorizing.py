"""Rows that are read piece by piece are what they would be in one."""

import numpy as np
import pytest

from mlops_assets.digests import sha256_table
from mlops_assets.orchestration.steps import build_training_set
from mlops_assets.orchestration.steps.datasets.training_sets import HOLDOUT, TRAIN, parts_of
from mlops_assets.orchestration.steps.datasets.vectorizing import vectorized
from mlops_assets_tests._shop import LIVE, grown, no_settings, shop_project
from mlops_assets_tests._shop import shop as shop

__all__ = ["grown", "no_settings", "shop", "shop_project"]


@pytest.mark.parametrize("size", [97, 1000])
def test_pieces_of_any_size_give_the_same_vectors_and_digests(shop, size):
    """Those of the rows in one piece, and the digests are those of the parts as tables."""
    made, _ = build_training_set(shop.folder, shop.home, cut_off=LIVE)
    rows = shop.home.tables.read(made.table, version=made.version)

    whole = vectorized(shop.folder, made, [rows])
    pieced = vectorized(shop.folder, made, (rows.slice(start, size) for start in range(0, len(rows), size)))

    parts = parts_of(rows)
    assert whole.sha256 == pieced.sha256 == {part: sha256_table(parts[part]) for part in (TRAIN, HOLDOUT)}
    assert whole.data.X.tobytes() == pieced.data.X.tobytes()
    assert np.array_equal(whole.data.y, pieced.data.y)
    assert np.array_equal(whole.data.times, pieced.data.times)
    assert whole.shown.equals(parts[TRAIN].take(whole.places))
    assert whole.shown.equals(pieced.shown)

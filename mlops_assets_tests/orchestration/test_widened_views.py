"""A view that is given a feature it had not: days computed before do not count as days on which it was missing."""

from datetime import timedelta

import pytest

from mlops_assets.errors import TrainingError
from mlops_assets.orchestration.feature_table import FeatureTableDeclaration, refresh_view
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps import build_training_set
from mlops_assets_tests._shop import FEATURES_PY, FIRST_DAY, HISTORY_DAYS, LIVE, days, the_end_of

VIEW = "features/branch_returns"
HISTORY, NEW_DAY = days(FIRST_DAY, HISTORY_DAYS), "2024-01-29"
CUT_OFF = the_end_of(NEW_DAY) + timedelta(hours=1)


@pytest.fixture
def widened(shop):
    """The view with another feature, of which the day that came in next was computed and no day before."""
    _, declared = shop.project.views["branch_returns"]
    assert declared.sql
    added = {
        "features": {**declared.features, "spent_7d": "float64"},
        "sql": declared.sql.replace("FROM orders", ", sum(amount) AS spent_7d FROM orders"),
    }
    shop.land(NEW_DAY)
    assert not shop.bring_in(NEW_DAY)
    view = FeatureTableDeclaration.model_validate({**declared.model_dump(), **added})
    refresh_view(view, shop.home, [NEW_DAY], at=the_end_of(NEW_DAY))
    return view


@pytest.fixture
def asking(shop, tmp_path):
    """The model, with the new feature among its own."""
    path = tmp_path / "comes_back"
    path.mkdir()
    (path / "features.py").write_text(FEATURES_PY.replace('"return_rate_7d"', '"return_rate_7d", "spent_7d"'))
    (path / "model.py").write_text(shop.folder.model_source)
    return ModelFolder(path, shop.folder.declaration)


def test_no_model_learns_that_a_new_feature_was_missing(shop, widened, asking):
    """The days are named, with the command that computes them; a model that does not ask for it is not held up."""
    with pytest.raises(TrainingError, match=r"28 of the days .* 2024-01-01 to 2024-01-28, .* had spent_7d;.*mlops ref"):
        build_training_set(asking, shop.home, cut_off=CUT_OFF)

    assert build_training_set(shop.folder, shop.home, cut_off=CUT_OFF)[0].rows


def test_days_computed_again_for_a_new_feature_count_as_in_time(shop, widened, asking):
    """Also those of after the first release, on which nobody asked for it; else no history of it could be learnt."""
    refresh_view(widened, shop.home, HISTORY, at=LIVE + timedelta(days=2))

    made, _ = build_training_set(asking, shop.home, cut_off=CUT_OFF)

    rows = shop.home.tables.read(made.table, version=made.version)
    newest = shop.rows(VIEW, HISTORY[-1])
    assert {row["known_at"] for row in newest} == {the_end_of(HISTORY[-1])}
    assert all(row["spent_7d"] is not None for row in newest)
    assert rows["spent_7d"].null_count == rows["return_rate_7d"].null_count < 100

"""A view that is given a feature, or computes one otherwise: its days are not learnt from as of one kind."""

from datetime import timedelta

import dagster as dg
import numpy as np
import pytest

from mlops_assets.errors import StoreError, TrainingError
from mlops_assets.orchestration.feature_table import FeatureTableDeclaration, refresh_view, view_asset
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.record_io import RecordIO
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.steps import build_training_set
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.live.refilling import refill
from mlops_assets.orchestration.tags import AS_OF_TAG
from mlops_assets.stores.home import Home
from mlops_assets_tests._shop import FEATURES_PY, FIRST_DAY, HISTORY_DAYS, LIVE, MODEL, Shop, days, the_end_of

VIEW = "features/branch_returns"
HISTORY, NEW_DAY = days(FIRST_DAY, HISTORY_DAYS), "2024-01-29"
CUT_OFF = the_end_of(NEW_DAY) + timedelta(hours=1)
KEPT = "avg(CAST(returned AS DOUBLE)) FILTER (WHERE amount > 50)"


@pytest.fixture
def view(shop):
    """The view as it is declared, and another day to compute it for."""
    shop.land(NEW_DAY)
    assert not shop.bring_in(NEW_DAY)
    return shop.project.views["branch_returns"][1]


def edited(view, old, new, **features):
    """The view with another SQL, and features beside those it has."""
    changed = {"sql": view.sql.replace(old, new), "features": {**view.features, **features}}
    return FeatureTableDeclaration.model_validate({**view.model_dump(), **changed})


@pytest.fixture
def widened(shop, view):
    """The view with another feature, of which the day that came in next was computed and no day before."""
    made = edited(view, "FROM orders", ", sum(amount) AS spent_7d FROM orders", spent_7d="float64")
    refresh_view(made, shop.home, [NEW_DAY], at=the_end_of(NEW_DAY))
    return made


@pytest.fixture
def redefined(view):
    """The view with its feature computed otherwise, of no day yet."""
    return edited(view, "avg(CAST(returned AS DOUBLE))", KEPT)


@pytest.fixture
def asking(shop, tmp_path):
    """The model, with the new feature among its own."""
    path = tmp_path / "comes_back"
    path.mkdir()
    (path / "features.py").write_text(FEATURES_PY.replace('"return_rate_7d"', '"return_rate_7d", "spent_7d"'))
    (path / "model.py").write_text(shop.folder.model_source)
    return ModelFolder(path, shop.folder.declaration)


def check_of(shop, view, *partitions):
    """What the view's check says when days are materialized in Dagster."""
    home = HomeResource(path=str(shop.home.root))
    for day in partitions:
        result = dg.materialize(
            [view_asset(view, folder=shop.folder.path)],
            instance=shop.instance,
            partition_key=day,
            resources={"home": home, "io_manager": RecordIO(home=home)},
            tags={AS_OF_TAG: the_end_of(NEW_DAY).isoformat()},
        )
    return shop.checks(result)["one_definition"]


def test_no_model_learns_that_a_new_feature_was_missing(shop, widened, asking):
    """The days are named, with the command that computes them; a model that does not ask for it is not held up."""
    with pytest.raises(TrainingError, match=r"28 of the days .*-01-01 to 2024-01-28, .* had spent_7d, .*mlops ref"):
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


@pytest.mark.parametrize("by", ["a new day", "a refill"])
def test_a_live_model_goes_on_being_answered_by_a_view_that_has_a_feature_more(shop, view, by):
    """It looks up what it was trained on, and finds the newest day of that."""
    learnt = LoadedBundle.of(shop.home, MODEL, shop.home.releases.current(MODEL).bundle_sha256).spec.views[0]
    added = edited(view, "FROM orders", ", sum(amount) AS spent_7d FROM orders", spent_7d="float64")
    refresh_view(added, shop.home, ["2024-01-30"], at=the_end_of("2024-01-30"))
    if by == "a refill":
        for file in shop.home.root.glob("online.sqlite*"):
            file.unlink()
        list(refill([added.record()], Home(shop.home.root, settings={})))
        shop = Shop.on(shop.project.root, shop.home.root)

    newest = shop.home.online.event_time(learnt, {"branch": np.array(["north"], dtype=object)})

    assert newest[0] == np.datetime64("2024-01-31")


def test_a_feature_that_a_live_model_asks_for_and_no_view_has_is_told_of(shop, view):
    """Nothing renews it any more."""
    changed = {"sql": view.sql.replace("return_rate_7d", "rate_7d"), "features": {"rate_7d": "float64"}}
    renamed = FeatureTableDeclaration.model_validate({**view.model_dump(), **changed, "describe": {}})

    said = check_of(shop, renamed, NEW_DAY).description

    assert f"{MODEL} v1, which is live, learnt return_rate_7d (the view has it no longer)" in said


def test_a_refill_says_which_days_have_a_new_feature_as_null(shop, widened):
    """Only those that may still answer: the view's rows hold for three days."""
    (done,) = refill([widened.record()], shop.home)

    assert done.rows == 87
    assert "3 of the days of features/branch_returns, 2024-01-26 to 2024-01-28, were computed before" in done.beware
    assert "spent_7d" in done.beware


def test_a_feature_that_was_declared_and_never_computed_keeps_no_view_from_the_endpoint(shop, view):
    """A store that lost its rows has to answer now, and no live model asks for it."""
    added = edited(view, "FROM orders", ", sum(amount) AS spent_7d FROM orders", spent_7d="float64")

    (done,) = refill([added.record()], shop.home)

    assert (done.rows, done.beware) == (87, None)


def test_no_model_learns_two_definitions_as_one(shop, redefined):
    """The days of the old one are named with the feature, what has changed about it, and how to mend it."""
    refresh_view(redefined, shop.home, [NEW_DAY], at=the_end_of(NEW_DAY))

    with pytest.raises(TrainingError) as refusal:
        build_training_set(shop.folder, shop.home, cut_off=CUT_OFF)

    said = str(refusal.value)
    assert "28 of the days of features/branch_returns, 2024-01-01 to 2024-01-28, were computed by" in said
    assert "by another definition of return_rate_7d (its SQL)" in said
    assert "`mlops refresh 2024-01-01 2024-01-28`" in said


def test_days_computed_again_by_a_new_definition_are_of_that_alone(shop, redefined):
    """What the old one gave is gone from them, also where a model that learnt it is live."""
    refresh_view(redefined, shop.home, [*HISTORY, NEW_DAY], at=LIVE + timedelta(days=2))

    made, _ = build_training_set(shop.folder, shop.home, cut_off=CUT_OFF)

    assert made.rows
    newest = shop.rows(VIEW, HISTORY[-1])
    assert len(newest) == 3
    assert {row["known_at"] for row in newest} == {the_end_of(HISTORY[-1])}


def test_an_edit_that_changes_nothing_holds_no_model_up(shop, view):
    """A comment, other lines and another case of words: the same rows are computed."""
    same = edited(view, "SELECT branch, avg", "-- by branch\nselect\n  branch,\n  AVG")
    refresh_view(same, shop.home, [NEW_DAY], at=the_end_of(NEW_DAY))

    assert build_training_set(shop.folder, shop.home, cut_off=CUT_OFF)[0].rows


@pytest.mark.parametrize("kept", [None, "{}", "not JSON"])
def test_days_of_a_definition_that_cannot_be_read_are_not_learnt_from(shop, redefined, kept):
    """A record that is lost, or of a form this release does not know: refused in words, and mended like any other."""
    for file in (shop.home.records.root / "definitions" / "branch_returns@").glob("*.json"):
        file.write_text(kept) if kept else file.unlink()
    warned = check_of(shop, redefined, NEW_DAY)

    with pytest.raises(TrainingError, match=r"28 of the days .* `mlops refresh 2024-01-01 2024-01-28`") as refusal:
        build_training_set(shop.folder, shop.home, cut_off=CUT_OFF)

    why = "return_rate_7d (its definition on record cannot be read by this release)"
    assert why in str(refusal.value)
    assert why in warned.description
    refresh_view(redefined, shop.home, HISTORY, at=the_end_of(NEW_DAY))
    assert build_training_set(shop.folder, shop.home, cut_off=CUT_OFF)[0].rows


def test_what_a_view_was_last_computed_by_cannot_be_read(shop, view):
    """No model learns from it, an online store is filled all the same, and the next day that is computed mends it."""
    (shop.home.records.root / "definitions@" / "branch_returns.json").write_text("{}")

    with pytest.raises(
        StoreError, match=r"features/branch_returns was last .* cannot read, .* `mlops refresh DAY DAY`"
    ):
        build_training_set(shop.folder, shop.home, cut_off=CUT_OFF)

    (done,) = refill([view.record()], shop.home)
    assert "this release cannot read" in done.beware
    refresh_view(view, shop.home, [NEW_DAY], at=the_end_of(NEW_DAY))
    assert build_training_set(shop.folder, shop.home, cut_off=CUT_OFF)[0].rows


def test_days_of_before_definitions_were_noted_say_nothing(shop, redefined):
    """Nobody knows what they were computed by, so they are learnt from as before."""
    shop.home.tables.note(VIEW, {day: {} for day in HISTORY})

    refresh_view(redefined, shop.home, [NEW_DAY], at=the_end_of(NEW_DAY))

    assert build_training_set(shop.folder, shop.home, cut_off=CUT_OFF)[0].rows


def test_the_first_day_of_a_new_definition_is_told_of(shop, redefined):
    """By a warning on the view: which days are of the old one, and which live version learnt that."""
    first = check_of(shop, redefined, NEW_DAY)
    refresh_view(redefined, shop.home, HISTORY, at=the_end_of(NEW_DAY))
    mended = check_of(shop, redefined, NEW_DAY)

    assert not first.passed
    assert first.severity is dg.AssetCheckSeverity.WARN
    assert "28 of the days of features/branch_returns" in first.description
    assert f"{MODEL} v1, which is live, learnt return_rate_7d (its SQL) by another" in first.description
    assert "of the days" not in mended.description  # the live version still learnt the old one
    assert f"{MODEL} v1" in mended.description

"""`mlops features` tells the next team what there is, who uses it and what it is worth."""

import json
from datetime import UTC, datetime, timedelta

from mlops_assets.orchestration.catalogue import catalogue
from mlops_assets.orchestration.steps import seal_predictions
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.records import Span
from mlops_assets.stores.predictions import LoggedPrediction, PredictionLogWriter, StoredRow, encode_prediction
from mlops_assets_tests._shop import LIVE, MODEL

MONDAY = datetime(2024, 1, 29, tzinfo=UTC)
STATUSES = ["ok", "ok", "missing", "ok", "stale"]  # of five decisions
VALUES = [0.5, None, None, 0.25, None]  # the second row was found, and its value is null


def decided(shop):
    """Log and seal the five decisions of the version that is live."""
    release = shop.home.releases.current(MODEL)
    width = len(LoadedBundle.of(shop.home, MODEL, release.bundle_sha256).spec.features)
    writer = PredictionLogWriter(shop.home.predictions, MODEL, fsync_interval_s=0)
    for number, (status, value) in enumerate(zip(STATUSES, VALUES, strict=True)):
        made = LoggedPrediction(
            request_id=str(number),
            at=MONDAY,
            received_at=MONDAY,
            model=MODEL,
            version=release.version,
            bundle_sha256=release.bundle_sha256,
            generation=1,
            request={"branch": "north", "amount": 1.0},
            stored={"branch_returns": StoredRow(status, None, {"return_rate_7d": value})},
            vector=[0.0] * width,
            score=0.5,
            decision=True,
            latency_us=1,
        )
        writer.append("2024-01-29", encode_prediction(made))
    writer.close()
    seal_predictions(shop.folder, shop.home, Span(MONDAY, MONDAY + timedelta(days=7)))


def listed(shop, *, now):
    return catalogue([view for _, view in shop.project.views.values()], shop.project.models, shop.home, now=now)


def test_days_of_another_definition_are_told_by_whoever_brings_days_in_or_looks(shop, mlops, monkeypatch):
    """With the live version that learnt it; by the lists of features, too."""
    folder, declared = shop.project.views["branch_returns"]
    changed = declared.model_copy(update={"sql": declared.sql.replace("returned AS", "NOT returned AS")})
    views = {"branch_returns": (folder, changed)}
    monkeypatch.setattr("mlops_assets.cli.project.Project.views", views)
    monkeypatch.setattr("mlops_assets.cli.project.Project.refresh_whole_tables", lambda project, *, now: [])

    brought, looked = mlops("refresh").out, mlops("features", "branch_returns").out

    for said in (brought, looked):
        assert "28 of the days of features/branch_returns" in said
        assert f"{MODEL} v1, which is live, learnt return_rate_7d (its SQL)" in " ".join(said.split())


def test_the_catalogue_says_who_uses_a_view_and_what_it_is_worth(shop, mlops):
    """The version that is live, the rows its decisions found, and the share of its dossier's importance."""
    decided(shop)
    release = shop.home.releases.current(MODEL)
    dossier = json.loads((shop.home.dossiers / MODEL / release.bundle_sha256 / "dossier.json").read_text())
    share = next(each["share"] for each in dossier["importance"] if each["feature"] == "return_rate_7d")

    (view,) = json.loads(mlops("features", "--json").out)

    assert view["consumers"] == [
        {
            "model": MODEL,
            "owner": "team:shop",
            "version": 1,
            "features": ["return_rate_7d"],
            "coverage": 3 / 5,
            "importance": share,
        }
    ]
    (feature,) = view["features"]
    assert (feature["coverage"], feature["importance"]) == (2 / 5, {MODEL: share})
    assert view["newest"] == "2024-01-29T00:00:00+00:00"
    assert view["stale"] is False


def test_people_see_the_same_as_text(shop, mlops):
    """All views, or all of one; a name that is not there is told with the nearest."""
    decided(shop)

    listed, one = mlops("features").out, mlops("features", "branch_returns").out
    wrong = mlops("features", "branch_return").err

    assert "comes_back v1" in listed
    assert "60.0%" in listed
    assert "How much of what was ordered at a branch came back" in one
    assert "return_rate_7d" in one
    assert "feature view 'branch_return' is not known. Did you mean 'branch_returns'?" in wrong


def test_a_view_is_listed_before_it_has_rows_or_users_that_are_live(new_shop):
    """Nothing is made up: no share of nothing."""
    (view,) = listed(new_shop, now=LIVE)

    assert view.newest is None
    assert [(each.version, each.coverage, each.importance) for each in view.consumers] == [(None, None, None)]
    assert view.consumers[0].features == ("return_rate_7d",)


def test_a_view_that_was_not_computed_for_long_is_stale(shop):
    """Older than its ttl: no decision finds its rows any more."""
    late = datetime(2024, 2, 2, tzinfo=UTC)

    (view,) = listed(shop, now=late)

    assert view.stale


def test_the_catalogue_can_be_written_as_a_feast_repository(mlops, tmp_path):
    """With a service for each model that uses a view; that Feast reads it is tested beside the export."""
    said = mlops("feast-export", str(tmp_path / "repo")).out

    assert f"{tmp_path / 'repo'}: 1 feature views and 1 feature services." in said
    written = (tmp_path / "repo" / "definitions.py").read_text()
    compile(written, "definitions.py", "exec")
    assert "comes_back_service = FeatureService(" in written
    assert "branch_returns_view[['return_rate_7d']]" in written


def test_an_online_store_that_lost_its_rows_is_refilled_by_one_command(shop, mlops):
    """All views, or those that are named; a name that is not there is told with the nearest."""
    (view,) = (declared.record() for _, declared in shop.project.views.values())
    shop.home.online.path.unlink()

    said, wrong = mlops("refill").out, mlops("refill", "branch_return").err

    assert said == f"branch_returns: {shop.home.tables.version('features/branch_returns').rows:,} rows offered\n"
    assert shop.home.online.holds(view)
    assert "Did you mean 'branch_returns'?" in wrong

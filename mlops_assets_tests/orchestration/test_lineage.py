"""From the file to the endpoint: the graph of a real project, and what of it Dagster's pages show."""

import dagster as dg
import pytest

from mlops_assets.lineage import Edge, Node
from mlops_assets_tests._shop import LIVE, MODEL, Shop, changed, materialized, orders, served


def names(nodes, *kinds):
    return [str(node) for node in nodes if node.kind in kinds]


def test_a_raw_column_reaches_views_features_versions_and_the_endpoint(shop):
    """Whether an order came back is the label, and by way of a view a feature."""
    graph = shop.project.lineage
    reached = graph.down(graph.named("orders.returned"))

    assert names(reached, "validated") == ["validated/orders.returned"]
    assert names(reached, "view") == ["features/branch_returns.return_rate_7d"]
    assert names(reached, "input") == [f"{MODEL}/training_set.__label", f"{MODEL}/training_set.return_rate_7d"]
    assert names(reached, "feature") == [f"{MODEL}.return_rate_7d", f"{MODEL}@1.return_rate_7d"]
    assert names(reached, "model", "version", "endpoint") == [MODEL, f"{MODEL}@1", f"{MODEL}/endpoint"]


def test_a_feature_comes_from_its_columns_and_from_the_file(shop):
    """A function's feature from what its arguments name, and from nothing else."""
    graph = shop.project.lineage
    origins = graph.up(graph.named(f"{MODEL}.dear"))

    assert [str(node) for node in origins] == [
        "source/orders",
        "raw/orders.amount",
        "validated/orders.amount",
        f"{MODEL}/training_set.amount",
    ]


def test_a_view_is_found_and_grouped_by_its_key(shop):
    """The branch is no value of the rate, but decides which rate it is."""
    graph = shop.project.lineage
    rate = graph.named("branch_returns.return_rate_7d")

    assert Edge(Node("view", "features/branch_returns", "branch"), rate, by="key") in graph.edges
    assert "raw/orders.branch" not in names(graph.up(rate, by=["value"]), "raw")
    assert "raw/orders.branch" in names(graph.up(rate), "raw")


def test_a_column_nobody_uses_reaches_nothing_but_its_copy(shop):
    """The size of a branch."""
    graph = shop.project.lineage

    assert names(graph.down(graph.named("branches.size")), "view", "input", "model", "version", "endpoint") == []


def test_a_version_is_known_by_its_digest_and_whether_it_is_live(shop):
    """And follows the features in its own bundle."""
    release = shop.home.releases.current(MODEL)
    graph = shop.project.lineage

    assert graph.facts[Node("version", f"{MODEL}@1")] == {"state": "live", "bundle_sha256": release.bundle_sha256}


def test_an_older_version_keeps_the_lineage_of_the_code_it_was_trained_with(shop):
    """A feature taken out of features.py still reaches the version that has it, and no longer the model."""
    vars(shop.folder)["features_source"] = 'REQUEST = {"amount": float}\nFEATURES = ("amount",)\n'
    reached = shop.project.lineage.down(shop.project.lineage.named("branch_returns.return_rate_7d"))

    assert names(reached, "model", "version") == [f"{MODEL}@1"]


# --- Dagster's pages ------------------------------------------------------------------------------


@pytest.fixture
def columns(shop):
    """Give the lineage Dagster shows of an asset's columns, as (asset, column) pairs."""

    def shown(asset: str) -> dict[str, set[tuple[str, str]]]:
        event = shop.instance.get_latest_materialization_event(dg.AssetKey(asset.split("/")))
        found = event.asset_materialization.metadata["dagster/column_lineage"].value.deps_by_column
        return {
            column: {(dep.asset_key.to_user_string(), dep.column_name) for dep in deps}
            for column, deps in found.items()
        }

    return shown


def test_every_asset_with_columns_shows_where_they_come_from(shop: Shop, columns):
    """Validated from raw, views from validated, the training set from views, request columns and the label's."""
    assert not shop.bring_in("2024-01-28")
    with served(shop):
        result = shop.release(at=LIVE)

    assert materialized(result) >= {f"{MODEL}/training_set"}
    assert columns("validated/orders")["amount"] == {("raw/orders", "amount")}
    assert columns("features/branch_returns")["return_rate_7d"] >= {("validated/orders", "returned")}
    training = columns(f"{MODEL}/training_set")
    assert training["return_rate_7d"] == {("features/branch_returns", "return_rate_7d")}
    assert training["amount"] == {("validated/orders", "amount")}
    assert training["__label"] == {("validated/orders", "returned")}
    assert training["decision_time"] == {("validated/orders", "placed_at")}


def test_every_column_of_a_training_set_but_none_other_has_its_lineage(shop: Shop, columns):
    """As the stored table has them, so that no column on the page leads nowhere."""
    with served(shop):
        shop.release(at=LIVE)

    stored = shop.home.tables.version(f"{MODEL}/training_set").columns
    assert set(columns(f"{MODEL}/training_set")) == {column.name for column in stored}


def test_sealed_predictions_lead_back_to_the_views_they_were_computed_from(shop: Shop, columns):
    """The vector and the score from the stored features of the live version."""
    shop.materialize(f"{MODEL}/predictions", partition="2024-01-22")

    assert columns(f"{MODEL}/predictions")["vector"] == {("features/branch_returns", "return_rate_7d")}


def test_quarantined_rows_lead_back_to_the_raw_ones(shop: Shop, columns):
    """Without the columns that say why they are there."""
    shop.land("2024-01-29", changed(orders("2024-01-29"), "branch", {3: "nowhere"}))
    shop.bring_in("2024-01-29")

    assert columns("quarantine/orders")["branch"] == {("raw/orders", "branch")}

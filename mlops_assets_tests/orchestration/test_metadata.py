"""What Dagster is given to show: nothing that it could not store, and numbers that stay numbers."""

import json
import math
from datetime import UTC, datetime

import dagster as dg
import numpy as np
import pytest

from mlops_assets.orchestration.metadata import clean, metric_metadata, table_metadata, traced
from mlops_assets.records import Column, Metric, TableVersion

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)
AWKWARD = {
    "a float of NumPy": np.float64(0.5),
    "a short float": np.float32(0.5),
    "a whole number of NumPy": np.int64(7),
    "a truth of NumPy": np.bool_(True),
    "not a number": float("nan"),
    "NumPy's not a number": np.float64("nan"),
    "endless": math.inf,
    "a time": NOON,
    "a tuple": (1, np.int64(2), float("nan")),
    "a set": {3},
    "nested": {"at": NOON, 4: [np.float32(1.5), {"deep": np.int32(1)}], "gone": None},
}


def test_awkward_values_survive_dagsters_storage():
    """Every value is stored with a materialization and found again, NaN and times as text."""
    instance = dg.DagsterInstance.ephemeral()

    @dg.asset
    def awkward() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata=clean(AWKWARD))

    dg.materialize([awkward], instance=instance)
    event = instance.get_latest_materialization_event(dg.AssetKey("awkward"))
    stored = {name: value.value for name, value in event.asset_materialization.metadata.items()}

    assert stored == {
        "a float of NumPy": 0.5,
        "a short float": 0.5,
        "a whole number of NumPy": 7,
        "a truth of NumPy": True,
        "not a number": "nan",
        "NumPy's not a number": "nan",
        "endless": "inf",
        "a time": "2013-04-01T12:00:00+00:00",
        "a tuple": [1, 2, "nan"],
        "a set": [3],
        "nested": {"at": "2013-04-01T12:00:00+00:00", "4": [1.5, {"deep": 1}], "gone": None},
    }


@pytest.mark.parametrize("name", AWKWARD)
def test_cleaned_values_are_valid_json(name):
    """`NaN` in a page's JSON would break the page."""
    value = clean({name: AWKWARD[name]})[name]

    json.dumps(value.value if isinstance(value, dg.MetadataValue) else value, allow_nan=False)


def test_what_is_not_there_is_left_out_and_what_is_metadata_already_stays():
    """None has no form in Dagster; links and tables are given as they are."""
    link = dg.MetadataValue.url("http://127.0.0.1")

    assert clean({"none": None, "link": link}) == {"link": link}


def test_metrics_plot_under_their_names():
    """As plain numbers."""
    ours = [Metric(name="auc", value=np.float64(0.75), n=10, low=0.7, high=0.8), Metric(name="ece", value=0.01, n=10)]

    plotted = metric_metadata(ours, prefix="champion ")

    assert plotted == {"champion auc": 0.75, "champion ece": 0.01}
    assert type(plotted["champion auc"]) is float


@pytest.mark.parametrize(("partitioned", "name"), [(True, "dagster/partition_row_count"), (False, "dagster/row_count")])
def test_a_table_shows_rows_schema_and_digest(partitioned, name):
    """Under the names by which Dagster's pages know them."""
    version = TableVersion(table="raw/t", version=3, sha256="ab", rows=5, columns=(Column(name="a", dtype="string"),))

    shown = table_metadata(version, partitioned=partitioned, meaning={"a": "What it is."})

    assert (shown[name], shown["rows"], shown["delta_version"], shown["sha256"]) == (5, 5, 3, "ab")
    assert shown["dagster/column_schema"].columns == [dg.TableColumn("a", "string", description="What it is.")]


def test_a_columns_description_says_where_it_comes_from():
    """The open-source pages show descriptions and no lineage of columns; one made of nothing stored says nothing."""
    columns = (Column(name="rate", dtype="double"), Column(name="known_at", dtype="string"))
    version = TableVersion(table="features/v", version=3, sha256="ab", rows=5, columns=columns)
    origins = {"rate": (("validated/t", "a"), ("validated/t", "b")), "known_at": ()}

    shown = traced(table_metadata(version, partitioned=False, meaning={"rate": "A rate."}), origins)

    said = [column.description for column in shown["dagster/column_schema"].columns]
    assert said == ["A rate. From validated/t.a, validated/t.b.", None]
    assert [dep.column_name for dep in shown["dagster/column_lineage"].deps_by_column["rate"]] == ["a", "b"]

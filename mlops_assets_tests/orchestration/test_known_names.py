"""A table, view or column that another declaration was to define is missed when the project is loaded, not at night."""

import itertools

import pytest

from mlops_assets.errors import DeclarationError, FeatureError
from mlops_assets.orchestration import project_definitions
from mlops_assets_tests._shop import FEATURES_PY, MODEL, MODEL_PY, MODEL_YAML, TABLES_YAML, pyproject, write_project

COUNTER = itertools.count()

MISTAKES = {
    "a view of a model": (
        "views: [branch_returns]",
        "views: [branch_return]",
        f"{MODEL}/defs.yaml:7: views: feature view 'branch_return' is not known. Did you mean 'branch_returns'?",
    ),
    "its table": (
        "decisions: {table: orders",
        "decisions: {table: ordrs",
        f"{MODEL}/defs.yaml:6: decisions.table: table 'ordrs' is not known. Did you mean 'orders'?",
    ),
    "its key": (
        "key: order_id",
        "key: orderid",
        f"{MODEL}/defs.yaml:6: decisions.key: column of orders 'orderid' is not known. Did you mean 'order_id'?",
    ),
    "its time": ("time: placed_at", "time: place_at", f"{MODEL}/defs.yaml:6: decisions.time: column of orders 'place"),
    "when its label is known": ("known_at: reported_at", "known_at: reported", "decisions.known_at: column of orders"),
    "a slice": (
        "gate: {",
        "gate: {slice_columns: [branc], ",
        f"{MODEL}/defs.yaml:9: gate.slice_columns: column of orders 'branc' is not known. Did you mean 'branch'?",
    ),
    "the table of a view": (
        "tables: {orders: orders}",
        "tables: {orders: order}",
        "tables.orders: table 'order' is not known. Did you mean 'orders'?",
    ),
}


def load(tmp_path, monkeypatch, right, wrong, *, features=FEATURES_PY):
    """Load the shop with one thing written otherwise, or with nothing."""
    package = f"named_{next(COUNTER)}"
    monkeypatch.syspath_prepend(str(tmp_path))
    files = {
        "pyproject.toml": pyproject(package),
        f"{package}/__init__.py": "",
        f"{package}/defs/orders/defs.yaml": TABLES_YAML.replace(right, wrong),
        f"{package}/defs/{MODEL}/defs.yaml": MODEL_YAML.replace(right, wrong),
        f"{package}/defs/{MODEL}/features.py": features,
        f"{package}/defs/{MODEL}/model.py": MODEL_PY,
    }
    return project_definitions(write_project(tmp_path, files))


@pytest.mark.parametrize(("right", "wrong", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_name_that_nothing_defines_is_refused_with_its_place_and_a_hint(tmp_path, monkeypatch, right, wrong, told):
    """File and line of the use, and the nearest that there is."""
    with pytest.raises(DeclarationError) as refused:
        load(tmp_path, monkeypatch, right, wrong)

    assert told in str(refused.value)


def test_all_of_them_are_told_at_once(tmp_path, monkeypatch):
    """The name of the table is wrong wherever it is used, and nowhere else."""
    with pytest.raises(DeclarationError) as refused:
        load(tmp_path, monkeypatch, "table: orders\n", "table: sales\n")

    lines = str(refused.value).splitlines()[1:]
    assert [line.split(": ")[1] for line in lines] == ["tables.orders", "decisions.table"]


def test_what_is_all_there_is_loaded(tmp_path, monkeypatch):
    """The shop as it is."""
    assert load(tmp_path, monkeypatch, "", "").resolve_job_def("release")


def test_an_argument_that_a_feature_does_not_read_is_refused_when_the_project_is_loaded(tmp_path, monkeypatch):
    """Before any lineage is written that names it."""
    source = FEATURES_PY.replace("def dear(amount)", "def dear(amount, branch)")

    with pytest.raises(FeatureError, match=r"dear\(\) declares branch and does not read it"):
        load(tmp_path, monkeypatch, "", "", features=source)

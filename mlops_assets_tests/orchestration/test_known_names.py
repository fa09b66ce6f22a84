"""A table, view or column that another declaration was to define is missed when the project is loaded, not at night."""

import itertools
import re
from contextlib import nullcontext

import pytest
from dagster.components.core.component_tree import ComponentTreeException

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


def load(tmp_path, monkeypatch, right, wrong, *, features=FEATURES_PY, model=MODEL_PY):
    """Load the shop with one thing written otherwise, or with nothing."""
    package = f"named_{next(COUNTER)}"
    monkeypatch.syspath_prepend(str(tmp_path))
    files = {
        "pyproject.toml": pyproject(package),
        f"{package}/__init__.py": "",
        f"{package}/defs/orders/defs.yaml": TABLES_YAML.replace(right, wrong),
        f"{package}/defs/{MODEL}/defs.yaml": MODEL_YAML.replace(right, wrong),
        f"{package}/defs/{MODEL}/features.py": features,
        f"{package}/defs/{MODEL}/model.py": model,
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


UNREADABLE = {
    "a tab": ("  task: binary", "\ttask: binary", "/defs.yaml:5: is not YAML: ", "Indent with spaces"),
    "a bracket too few": (
        "views: [branch_returns]",
        "views: [branch_returns",
        "/defs.yaml:8: is not YAML: ",
        "bracket",
    ),
    "a key twice": (
        "  task: binary",
        "  task: binary\n  task: regression",
        "/defs.yaml:6: task: stands in line 5 already",
        "Keep one.",
    ),
    "no such component": (
        "orchestration.ModelPipeline",
        "orchestration.ModelPipelin",
        "/defs.yaml:1: type: component 'mlops_assets.orchestration.ModelPipelin' is not known.",
        "Did you mean 'mlops_assets.orchestration.ModelPipeline'?",
    ),
    "no such module": (
        "mlops_assets.orchestration.ModelPipeline",
        "mlops_asset.orchestration.ModelPipeline",
        "/defs.yaml:1: type: component 'mlops_asset.orchestration.ModelPipeline' is not known.",
        "Did you mean 'mlops_assets.orchestration.ModelPipeline'?",
    ),
}


@pytest.mark.parametrize(("right", "wrong", "told", "hint"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read_is_told_with_its_line(tmp_path, monkeypatch, right, wrong, told, hint):
    """Not by Dagster, in three hundred lines, nor by YAML, which takes the last of two keys without a word."""
    with pytest.raises(DeclarationError) as refused:
        load(tmp_path, monkeypatch, right, wrong)

    assert told in str(refused.value)
    assert hint in str(refused.value)


MISTAKEN_MODELS = {
    "its label's column": (
        "label(returned)",
        "label(return_)",
        "model.py:4: label: column of orders 'return_'",
    ),
    "no label": ("def label", "def labels", "has no function `label`"),
    "a parameter": (
        "num_leaves",
        "num_leafs",
        "model.py: PARAMS: LightGBM parameter 'num_leafs' is not known.",
    ),
    "a parameter's kind": ('"num_leaves": 7', '"num_leaves": [7]', f"{MODEL}/model.py: PARAMS: "),
    "no Python": ("def label(", "def label", f"{MODEL}/model.py:4: is not Python"),
    "an import": ("PARAMS =", "import nonsense_there_is_not\nPARAMS =", "ModuleNotFoundError"),
}


@pytest.mark.parametrize(("right", "wrong", "told"), MISTAKEN_MODELS.values(), ids=MISTAKEN_MODELS)
def test_a_mistake_in_model_py_is_told_before_the_first_training(tmp_path, monkeypatch, right, wrong, told):
    """The file is read whenever the project is loaded, not only by the run that needs it."""
    with pytest.raises((DeclarationError, ComponentTreeException)) as refused:
        load(tmp_path, monkeypatch, "", "", model=MODEL_PY.replace(right, wrong))

    meant = refused.value if isinstance(refused.value, DeclarationError) else refused.value.__cause__
    assert isinstance(meant, DeclarationError)
    assert told in str(meant)


QUANTILE = {
    "mean": ({"num_leaves": 7}, "rmse", None),
    "quantile": ({"objective": "quantile", "alpha": 0.8}, "pinball", None),
    "quantile of none": ({"num_leaves": 7}, "pinball", "primary_metric: The gate judges by `pinball`"),
    "distance of a quantile": (
        {"objective": "quantile"},
        "rmse",
        "primary_metric: The model forecasts the quantile 0.9",
    ),
}


def test_a_search_does_not_choose_which_quantile_is_forecast(tmp_path, monkeypatch):
    """Losses of different quantiles cannot be compared, and the lowest is that of the easiest."""
    declared = MODEL_YAML.replace("task: binary", "task: regression")
    declared = declared.replace("gate: {", "gate: {primary_metric: pinball, non_inferiority_margin: 1, ")
    search = "tuning: {trials: 2, validation_days: 3, search: {alpha: {low: 0.5, high: 0.9}}}"
    declared = declared.replace("  training: {", f"  training: {{params: {{objective: quantile}}, {search}, ")
    with pytest.raises(ComponentTreeException) as refused:
        load(tmp_path, monkeypatch, MODEL_YAML, declared)

    assert "`tuning` searches for `alpha`" in str(refused.value.__cause__)


@pytest.mark.parametrize(("params", "metric", "told"), QUANTILE.values(), ids=QUANTILE)
def test_a_gate_that_asks_for_another_number_than_is_forecast_is_told(tmp_path, monkeypatch, params, metric, told):
    """Parameters may stand in model.py, so it is known only when both files are."""
    declared = MODEL_YAML.replace("task: binary", "task: regression")
    declared = declared.replace("gate: {", f"gate: {{primary_metric: {metric}, non_inferiority_margin: 1, ")
    model = f"PARAMS = {params}\n\n\n" + MODEL_PY[MODEL_PY.index("def label") :]
    with pytest.raises(ComponentTreeException) if told else nullcontext() as refused:
        load(tmp_path, monkeypatch, MODEL_YAML, declared, model=model)

    if told:
        assert re.search(rf"^defs\.yaml:\d+: gate\.{re.escape(told)}", str(refused.value.__cause__))

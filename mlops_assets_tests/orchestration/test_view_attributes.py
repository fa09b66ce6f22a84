"""A view may leave its keys to an entity and its code to a file; the load says where either is wrong."""

import itertools

import dagster as dg
import pyarrow as pa
import pytest
from dagster.components.core.component_tree import ComponentTreeException

from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration import project_definitions
from mlops_assets.orchestration.feature_table import compute_partitions
from mlops_assets.orchestration.project import declared_views
from mlops_assets.orchestration.project_modules import modules_of_project
from mlops_assets.stores.home import Home
from mlops_assets_tests._shop import TABLES_YAML, days, orders, pyproject, write_project

COUNTER = itertools.count()
TABLES, _, VIEW = TABLES_YAML.split("---\n")

ENTITY = """\
type: mlops_assets.orchestration.Entity
attributes: {name: branch, keys: {branch: string}, description: A shop of ours.}
"""
BY_ENTITY = VIEW.replace("keys: {branch: string}", "entity: branch")
IN_PYTHON = """\
type: mlops_assets.orchestration.FeatureTable
attributes:
  name: branch_amounts
  entity: branch
  features: {mean_amount: float64}
  tables: {orders: orders}
  lookback_days: 7
  ttl: P3D
  python: {file: amounts.py, function: amounts, reads: {orders: [branch, amount]}}
  partitions: {start: 2024-01-01, end: 2024-04-01}
"""
AMOUNTS = """\
import polars as pl

def amounts(orders):
    return orders.group_by("branch").agg(pl.col("amount").mean().alias("mean_amount"))
"""
AGGREGATES = """\
type: mlops_assets.orchestration.FeatureTable
attributes:
  name: branch_counts
  entity: branch
  ttl: P3D
  aggregates: {table: orders, time: reported_at, windows: [7d], values: {orders: {count: "*"}}}
  partitions: {start: 2024-01-01, end: 2024-04-01}
"""


def load(tmp_path, monkeypatch, *documents, **files):
    """Load a project of the tables and these documents."""
    package = f"completed_{next(COUNTER)}"
    monkeypatch.syspath_prepend(str(tmp_path))
    texts = {
        "pyproject.toml": pyproject(package),
        f"{package}/__init__.py": "",
        f"{package}/defs/orders/defs.yaml": TABLES,
        f"{package}/defs/orders/branches.csv": "branch,size\neast,10\n",
        f"{package}/defs/views/defs.yaml": "---\n".join(documents),
    } | {f"{package}/defs/views/{name}.py": text for name, text in files.items()}
    return project_definitions(write_project(tmp_path, texts))


def why(tmp_path, monkeypatch, *documents, **files):
    """Give what the user is told."""
    with pytest.raises((ComponentTreeException, DeclarationError)) as refused:
        load(tmp_path, monkeypatch, *documents, **files)
    error = refused.value
    while not isinstance(error, DeclarationError):
        error = error.__cause__
    return str(error)


def test_views_share_the_keys_of_an_entity_declared_anywhere(tmp_path, monkeypatch):
    """One of them is written in SQL, one in Python, one in neither; the entity makes no asset."""
    loaded = load(tmp_path, monkeypatch, BY_ENTITY, IN_PYTHON, AGGREGATES, ENTITY, amounts=AMOUNTS)

    views = {name: view for name, (_, view) in declared_views(loaded).items()}
    assert {name: view.keys for name, view in views.items()} == {name: {"branch": "string"} for name in views}
    assert set(views) == {"branch_returns", "branch_amounts", "branch_counts"}


def test_a_view_in_python_is_computed_from_the_stored_tables(tmp_path, monkeypatch):
    """The function's text travels with the declaration."""
    loaded = load(tmp_path, monkeypatch, IN_PYTHON, ENTITY, amounts=AMOUNTS)
    view = declared_views(loaded)["branch_amounts"][1]
    stores, (first, second) = Home(tmp_path / "home"), days("2024-01-01", 2)
    stores.tables.write_partitions("validated/orders", {day: orders(day) for day in (first, second)})

    rows = compute_partitions(view, stores, [first, second], at=None)

    expected = pa.concat_tables([orders(first), orders(second)]).group_by("branch").aggregate([("amount", "mean")])
    means = {row["branch"]: row["amount_mean"] for row in expected.to_pylist()}
    assert {row["branch"]: row["mean_amount"] for row in rows[second].to_pylist()} == pytest.approx(means)


def test_other_code_is_another_code_version(tmp_path, monkeypatch):
    """So that Dagster shows the view, and all that comes of it, as out of date."""

    def version(text):
        graph = load(tmp_path, monkeypatch, IN_PYTHON, ENTITY, amounts=text).resolve_asset_graph()
        return graph.get(dg.AssetKey(["features", "branch_amounts"])).code_version

    assert version(AMOUNTS) == version(AMOUNTS)
    assert version(AMOUNTS) != version(AMOUNTS.replace("mean()", "median()"))


HELPED = """\
from {package}.means import mean_of

def amounts(orders):
    return mean_of(orders)
"""
MEANS = """\
import math
import polars as pl
from .rounding import rounded

def mean_of(orders):
    from {package}.units import CENTS
    return orders.group_by("branch").agg(rounded(pl.col("amount").mean() * CENTS).alias("mean_amount"))
"""
ROUNDING = "import numpy\n\ndef rounded(x):\n    return x.round(2)\n"


def helped(folder, monkeypatch, *, units="CENTS = 100"):
    """The view of a project whose function is helped by modules of the project, and the name of their package."""
    package = f"helped_{next(COUNTER)}"
    monkeypatch.syspath_prepend(str(folder))
    texts = {
        "pyproject.toml": pyproject(package),
        f"{package}/__init__.py": "",
        f"{package}/means.py": MEANS.replace("{package}", package),
        f"{package}/rounding.py": ROUNDING,
        f"{package}/units.py": units,
        f"{package}/unused.py": "",
        f"{package}/defs/orders/defs.yaml": TABLES,
        f"{package}/defs/orders/branches.csv": "branch,size\neast,10\n",
        f"{package}/defs/views/defs.yaml": f"{IN_PYTHON}---\n{ENTITY}",
        f"{package}/defs/views/amounts.py": HELPED.replace("{package}", package),
    }
    return declared_views(project_definitions(write_project(folder, texts)))["branch_amounts"][1], package


def test_the_modules_of_the_project_that_a_function_imports_travel_with_it(tmp_path, monkeypatch):
    """Those they import as well, wherever the import stands; libraries do not."""
    view, package = helped(tmp_path, monkeypatch)

    assert [*view.python.modules] == [f"{package}.{name}" for name in ("__init__", "means", "rounding", "units")]
    assert view.python.modules[f"{package}.units"] == "CENTS = 100"


@pytest.mark.parametrize("text", ['"""Units."""', "[1, 2]", 'NAME = "{{ unit }}"', "LATE = {'a': {'b': 1}}  # {% x"])
def test_code_is_read_as_it_stands(tmp_path, monkeypatch, text):
    """It is no template of the YAML, and no value: not even a file that holds nothing but a docstring."""
    view, package = helped(tmp_path, monkeypatch, units=text)
    (tmp_path / "own").mkdir()
    own = declared_views(load(tmp_path / "own", monkeypatch, IN_PYTHON, ENTITY, amounts=f"{AMOUNTS}\n{text}\n"))

    assert view.python.modules[f"{package}.units"] == text
    assert own["branch_amounts"][1].python.source == f"{AMOUNTS}\n{text}\n"


def test_a_library_in_the_folder_of_the_project_is_none_of_its_modules(tmp_path, monkeypatch):
    """As in an environment that stands in it, or what another path leads to."""
    for folder in (tmp_path / "p" / ".venv" / "site-packages", tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
        (folder / f"{folder.name[:4]}_library.py").write_text("")
        monkeypatch.syspath_prepend(str(folder))
    source, file = "import site_library, else_library, json", tmp_path / "p" / "a.py"

    assert modules_of_project(source, file=file, root=tmp_path / "p") == {}


def test_looking_for_what_is_imported_runs_nothing(tmp_path, monkeypatch):
    """A project is loaded often, and what a module does while it is imported is for the run to do."""
    view, package = helped(tmp_path, monkeypatch, units="raise SystemExit")

    assert view.python.modules[f"{package}.units"] == "raise SystemExit"


def test_a_module_that_is_not_python_is_told_of_when_the_project_is_loaded(tmp_path, monkeypatch):
    """With its place, not on the first day that is computed."""
    with pytest.raises(ComponentTreeException) as refused:
        helped(tmp_path, monkeypatch, units="CENTS = = 100")

    assert "python.file: line 1 of ../../units.py is not Python: invalid syntax" in str(refused.value.__cause__)


MISTAKES = {
    "entity": (
        [BY_ENTITY.replace("entity: branch", "entity: brnch"), ENTITY],
        "defs.yaml:5: entity: ",
        "mean 'branch'?",
    ),
    "other keys": (
        [BY_ENTITY.replace("entity: branch", "entity: branch\n  keys: {branch: int64}"), ENTITY],
        "defs.yaml:6: keys: ",
        "and this view states {'branch': 'int64'}. Leave out keys",
    ),
    "two of one name": (
        [BY_ENTITY, ENTITY, ENTITY.replace("branch: string", "branch: int64")],
        "entity branch is declared more than once",
        "by different keys",
    ),
    "neither": (
        [BY_ENTITY.replace("  entity: branch\n", "")],
        "defs.yaml:2: ",
        "keys is missing: say what finds a row",
    ),
    "file": (
        [IN_PYTHON.replace("amounts.py", "amount.py"), ENTITY],
        "defs.yaml:9: python.file: ",
        "mean 'amounts.py'?",
    ),
    "function": (
        [IN_PYTHON.replace("function: amounts", "function: amount"), ENTITY],
        "defs.yaml:2: ",
        "function of amounts.py 'amount' is not known. Did you mean 'amounts'?",
    ),
    "column": (
        [IN_PYTHON.replace("[branch, amount]", "[branch, amout]"), ENTITY],
        "defs.yaml:9: python.reads.orders: column of orders 'amout' is not known.",
        "mean 'amount'?",
    ),
    "time": (
        [AGGREGATES.replace("time: reported_at", "time: reported"), ENTITY],
        "defs.yaml:6: aggregates.time: column of orders 'reported' is not known.",
        "mean 'reported_at'?",
    ),
    "no partitions": (
        [AGGREGATES.replace("  partitions: {start: 2024-01-01, end: 2024-04-01}\n", ""), ENTITY],
        "defs.yaml:2: ",
        "the view needs `partitions`",
    ),
    "a measure": (
        [AGGREGATES.replace("count:", "cuont:"), ENTITY],
        "defs.yaml:6: aggregates.values.orders.cuont: no such key. Did you mean 'count'?",
        "Known here: count,",
    ),
}


@pytest.mark.parametrize(("documents", "where", "hint"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_refused_with_its_place_and_a_hint(tmp_path, monkeypatch, documents, where, hint):
    """File, line and key, and what was probably meant."""
    told = why(tmp_path, monkeypatch, *documents, amounts=AMOUNTS)

    assert where in told
    assert hint in told

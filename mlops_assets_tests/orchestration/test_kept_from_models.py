"""A column tagged protected or audit_only may part slices, and no model that would learn from it is loaded."""

import itertools

import pytest

from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration import project_definitions
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.training_sets import build_training_set
from mlops_assets_tests._shop import (
    FEATURES_PY,
    LIVE,
    MODEL,
    MODEL_PY,
    MODEL_YAML,
    TABLES_YAML,
    pyproject,
    write_project,
)

COUNTER = itertools.count()
SEX = "      returned: {type: bool}\n      sex: {type: string, tags: [pii, protected]}\n"
RATE = "avg(CAST(returned AS DOUBLE)) AS return_rate_7d"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load the shop, whose orders tell the sex of who placed them, with some things written otherwise."""

    def loaded(*changes: tuple[str, str], tags: str = "[pii, protected]"):
        package = f"kept_{next(COUNTER)}"
        monkeypatch.syspath_prepend(str(tmp_path))
        tables = TABLES_YAML.replace("      returned: {type: bool}\n", SEX.replace("[pii, protected]", tags))
        files = {
            f"{package}/defs/orders/defs.yaml": tables,
            f"{package}/defs/{MODEL}/defs.yaml": MODEL_YAML,
            f"{package}/defs/{MODEL}/features.py": FEATURES_PY,
            f"{package}/defs/{MODEL}/model.py": MODEL_PY,
        }
        for right, wrong in changes:
            assert any(right in text for text in files.values())
            files = {name: text.replace(right, wrong) for name, text in files.items()}
        files |= {"pyproject.toml": pyproject(package), f"{package}/__init__.py": ""}
        return project_definitions(write_project(tmp_path, files))

    return loaded


FIELD = ('REQUEST = {"branch": str, ', 'REQUEST = {"branch": str, "sex": str, ')
FUNCTION = (
    "def dear(amount):\n    return (amount > 50)",
    'def dear(amount, sex):\n    return ((sex == "F") & (amount > 50))',
)
TAGGED = "<- orders.sex, which orders/defs.yaml tags protected"

WAYS = {
    "a request field alone": ([FIELD], f"{MODEL}/features.py:1: request field 'sex' {TAGGED}"),
    "a feature itself": (
        [FIELD, ('("branch", "amount", dear', '("branch", "sex", "amount", dear')],
        f"{MODEL}/features.py:1: feature 'sex' {TAGGED}",
    ),
    "a feature on demand": ([FIELD, FUNCTION], f"{MODEL}/features.py:4: feature 'dear' <- sex {TAGGED}"),
    "a stored feature": (
        [(RATE, "avg(CAST(returned AND sex = 'F' AS DOUBLE)) AS return_rate_7d")],
        f"{MODEL}/features.py:8: feature 'return_rate_7d' <- view 'branch_returns' {TAGGED}",
    ),
    "the rows a stored feature counts": (
        [("    GROUP BY branch", "      AND sex = 'F'\n    GROUP BY branch")],
        f"{MODEL}/features.py:8: feature 'return_rate_7d' <- the rows that view 'branch_returns' counts, or finds them "
        f"by {TAGGED}",
    ),
    "a stored feature through a function": (
        [
            (RATE, "avg(CAST(returned AND sex = 'F' AS DOUBLE)) AS return_rate_7d"),
            ('"amount", dear, "return_rate_7d")', '"amount", dear, often)'),
            ("FEATURES =", "def often(return_rate_7d):\n    return return_rate_7d > 0.5\n\n\nFEATURES ="),
        ],
        f"feature 'often' <- return_rate_7d <- view 'branch_returns' {TAGGED}",
    ),
}


@pytest.mark.parametrize(("changes", "told"), WAYS.values(), ids=WAYS)
def test_a_model_that_would_learn_from_a_protected_column_is_not_loaded(load, changes, told):
    """File, line, the path from the feature to the column, and what to do about it."""
    with pytest.raises(DeclarationError) as refused:
        load(*changes)

    assert told in str(refused.value)
    assert "Take it out of the model" in str(refused.value)
    assert len(refused.value.problems) == 1


def test_audit_only_is_kept_from_models_as_well(load):
    """By its own name."""
    with pytest.raises(DeclarationError, match="tags audit_only"):
        load(FIELD, tags="[audit_only]")


@pytest.mark.parametrize("tags", ["[]", "[pii]"])
def test_what_is_not_kept_from_models_is_a_feature_like_any_other(load, tags):
    """To tell of a person is no reason by itself."""
    assert load(FIELD, FUNCTION, tags=tags)


def test_a_slice_over_a_protected_column_is_loaded(load):
    """That is what it is kept for."""
    assert load(("gate: {", "gate: {slice_columns: [sex], "))


def test_a_view_that_no_model_asks_may_use_it(load):
    """Reports may tell groups apart; the model's features are what is kept clean."""
    assert load(
        (RATE, "avg(CAST(returned AND sex = 'F' AS DOUBLE)) AS return_rate_7d"), ('dear, "return_rate_7d")', "dear)")
    )


def test_a_slice_column_that_is_no_feature_stands_in_the_training_set_beside_them(shop):
    """Or there would be nothing to part the hold-out by."""
    declared = shop.folder.declaration
    gate = declared.gate.model_copy(update={"slice_columns": ("returned",)})
    folder = ModelFolder(shop.folder.path, declared.model_copy(update={"gate": gate}))

    made, _ = build_training_set(folder, shop.home, cut_off=LIVE)

    rows = shop.home.tables.read(made.table, version=made.version)
    assert set(rows["returned"].to_pylist()) == {True, False}
    assert "returned" not in [feature.name for feature in made.spec.features]

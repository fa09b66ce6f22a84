"""Behavioural tests that a model's owners write: run where the model is judged, and by plain pytest."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mlops_assets
from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.orchestration import steps
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.training_sets import HOLDOUT, training_rows_of
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.gate.own_tests import ModelUnderTest, run_own_tests
from mlops_assets.records import ModelVersion, TrainingSet
from mlops_assets_tests._shop import LIVE, MODEL

BEHAVIOUR = '''\
def test_the_north_sends_back_what_is_dear(model):
    """Which is all there is to know about this shop."""
    cheap, dear = ([{**row, "branch": "north", "amount": amount} for row in model.rows] for amount in (20.0, 80.0))
    assert model.score(dear).mean() > model.score(cheap).mean() + 0.2


def test_everything_comes_back(model):
    assert model.score(model.rows).min() > 0.9
'''


@pytest.fixture
def trained(shop):
    """The first version and what it was made of."""
    return (
        shop.home.records.get((MODEL, "training_set"), None, TrainingSet),
        shop.home.records.get((MODEL, "model"), None, ModelVersion),
    )


@pytest.fixture
def folder(shop, tmp_path):
    """A copy of the model's folder that tests can be put into."""
    path = tmp_path / "defs" / MODEL
    shutil.copytree(shop.folder.path, path)
    return ModelFolder(path, shop.folder.declaration)


@pytest.fixture
def model(shop, trained):
    """The first version as tests see it."""
    training_set, version = trained
    held = training_rows_of(shop.home, training_set, part=HOLDOUT)
    return ModelUnderTest.on(LoadedBundle.of(shop.home, MODEL, version.sha256), held)


def test_the_gate_refuses_in_the_words_of_the_assertion(shop, folder, trained):
    """A test that holds and one that does not are both in the report, with the line that was asserted in vain."""
    (folder.path / "behaviour.py").write_text(BEHAVIOUR)

    report = steps.evaluate(folder, shop.home, *trained, at=LIVE)

    own = {each.name: each for each in report.behaviour if "::" in each.name}
    kept, broken = (
        own[f"behaviour.py::{name}"]
        for name in ("test_the_north_sends_back_what_is_dear", "test_everything_comes_back")
    )
    assert (kept.passed, broken.passed, report.verdict) == (True, False, "fail")
    assert "AssertionError in line 8 of behaviour.py: assert model.score(model.rows).min() > 0.9" in broken.words
    assert any(reason.startswith("Refused: AssertionError in line 8") for reason in report.reasons)


def test_tests_of_every_file_run_and_words_of_an_assertion_come_first(folder, model):
    """behaviour.py and test_*.py; what is not named test_ is a helper."""
    (folder.path / "behaviour.py").write_text(
        "def helper():\n    raise RuntimeError\n\ndef test_one(model):\n    pass\n"
    )
    (folder.path / "test_more.py").write_text("def test_two(model):\n    assert False, 'no two alike'\n")

    found = run_own_tests(folder, model)

    assert [(each.name, each.passed) for each in found] == [
        ("behaviour.py::test_one", True),
        ("test_more.py::test_two", False),
    ]
    assert "no two alike" in found[1].words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def test_x(model, tmp_path): ...", "one argument, `model`"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("def test_x(model:", "SyntaxError"),
    ],
)
def test_a_file_that_cannot_be_run_is_an_error_and_no_pass(folder, model, text, said):
    """Tests that silently do not run would be worse than none."""
    (folder.path / "behaviour.py").write_text(text)

    with pytest.raises(DeclarationError, match=said):
        run_own_tests(folder, model)


def test_scores_are_those_of_the_bundle_and_misspelt_or_missing_fields_are_errors(model):
    """A row is what the model reads: request fields and stored features."""
    assert set(model.rows[0]) == {"branch", "amount", "return_rate_7d"}
    assert len(model.score(model.rows)) == len(model.rows) == 200
    with pytest.raises(UnknownNameError, match="amuont"):
        model.score([{**model.rows[0], "amuont": 1.0}])
    with pytest.raises(DeclarationError, match="lacks amount"):
        model.score([{"branch": "north", "return_rate_7d": 0.1}])


def test_the_same_file_runs_in_plain_pytest(shop, folder, trained):
    """With one line in conftest.py; the version is the one trained last in the home."""
    (folder.path / "test_behaviour.py").write_text(BEHAVIOUR)
    (folder.path / "conftest.py").write_text("from mlops_assets.orchestration.pytest_model import model\n")

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder.path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder.path,
        env={
            **os.environ,
            "MLOPS_HOME": str(shop.home.root),
            "PYTHONPATH": str(Path(mlops_assets.__file__).parents[1]),
        },
    )

    assert "1 failed, 1 passed" in ran.stdout, ran.stdout

"""A trainer of somebody's own: what is refused, and what a fit tries before it gives a model back."""

import pickle
import re
import traceback

import numpy as np
import pytest

from mlops_assets.errors import BundleError, DeclarationError, TrainingError, UnexplainedError, UnknownNameError
from mlops_assets.scoring import OWN_PART, own_scorer
from mlops_assets.scoring.own import read_own
from mlops_assets.testing import made_up
from mlops_assets.training import (
    OWN,
    TrainingPolicy,
    distributions_of,
    fit,
    library_versions,
    score,
    trainer_named,
    trainer_of,
)
from mlops_assets_tests._own import BINS

MEAN = """\
import json
import numpy as np

PARAMS = {"shift": 0.0, "times": 1, "kind": "plain"}

def fit(data, *, params, seed):
    return {"mean.json": json.dumps(float(data.y.mean()) + params["shift"]).encode()}

def scorer(parts):
    mean = json.loads(parts["mean.json"])
    return lambda vectors: np.full(len(vectors), mean)
"""
DATA = made_up("binary", rows=300)


def own(source=MEAN):
    return trainer_named(OWN, own=source)


def fitted(source=MEAN, data=DATA, **given):
    return own(source).fit(data, params={}, seed=7, **given)


def test_the_file_is_a_part_of_the_model_and_scores_it():
    """Whoever has the parts needs nothing else."""
    made = fitted()

    scores = score(OWN, made.parts, DATA.X)

    assert made.parts[OWN_PART] == MEAN.encode()
    assert scores.tolist() == [DATA.y.mean()] * len(DATA)
    assert trainer_of(OWN, made.parts).score(made.parts, DATA.X[:1]).tolist() == scores[:1].tolist()
    assert own_scorer(made.parts).features == 4
    assert own_scorer(made.parts).score(np.empty((0, 4))).shape == (0,)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import dagster", r"trainer\.py:1 imports 'dagster', which is for training alone"),
        ("from mlops_assets.training import Fitted", r"trainer\.py:1 imports 'mlops_assets\.training'"),
        ("from .nets import Net", r"trainer\.py:1 imports '\.nets' from beside it, which does not travel"),
        ("import no_such_package", "needs what is not installed here: No module named 'no_such_package'"),
        ("def fit(data):", r"trainer\.py:2 is not Python: expected an indented block"),
        ("1 / 0", "could not be run: ZeroDivisionError"),
        ("import datetime\nSTART = datetime.datetime.now()", r"trainer\.py:2 asks the clock"),
    ],
)
def test_what_could_not_travel_is_refused_with_its_line(line, words):
    """When the project is loaded, not when the endpoint is to serve it."""
    with pytest.raises(DeclarationError, match=words):
        own(f"{line}\n{MEAN}")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("def fit(", "def fitted(", r"ends without a function `fit`. Add `def fit\(data, \*, params, seed\)`"),
        ("def scorer(", "def score(", "ends without a function `scorer`"),
        ("*, params, seed", "*, params", r"trainer\.py:6 holds a `fit` that does not take seed"),
        ("params, seed)", "params, seed, rows)", r"trainer\.py:6 holds a `fit` that asks for rows"),
        ("data, *, params, seed", "", r"trainer\.py:6 holds a `fit` that does not take params, seed"),
        ('{"shift": 0.0', '{"seed": 3', "none called `seed`"),
        ('{"shift": 0.0', '{"shift": [1]', "a text, number or yes-or-no"),
        ("np.full(len(vectors)", "np.random.rand(len(vectors)", r"trainer\.py:11 asks chance"),
    ],
)
def test_what_is_no_trainer_is_refused_with_its_line(before, after, words):
    """And with the form that is expected."""
    with pytest.raises(DeclarationError, match=words):
        own(MEAN.replace(before, after))


def test_what_only_a_fit_needs_may_be_imported_inside_of_it():
    """And what only a type checker reads, anywhere."""
    lazy = MEAN.replace("    return {", "    from mlops_assets.training import recency_weights\n    return {")
    typed = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas\n{lazy}"

    assert fitted(typed).parts["mean.json"] == fitted().parts["mean.json"]


def test_functions_may_come_from_an_installed_package(tmp_path, monkeypatch):
    """The file is then a line, and what is installed goes on record under its version."""
    (tmp_path / "our_trainers.py").write_text(MEAN)
    installed = tmp_path / "house_of_trainers-3.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: house-of-trainers\nVersion: 3.1\n")
    (installed / "top_level.txt").write_text("our_trainers\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    line = "from our_trainers import PARAMS, fit, scorer"

    made = fitted(line)

    assert made.parts["mean.json"] == fitted().parts["mean.json"]
    assert made.parts[OWN_PART] == line.encode()
    needed = distributions_of(read_own(line).packages)
    assert needed == ("house-of-trainers",)
    assert library_versions(needed)["library.house-of-trainers"] == "3.1"


def test_a_package_without_a_version_is_refused():
    """Nobody could tell later which code it was."""
    assert distributions_of(["yaml", "numpy", "sklearn"]) == ("PyYAML", "numpy", "scikit-learn")
    with pytest.raises(DeclarationError, match="belongs to no installed package"):
        distributions_of(["mlops_assets_tests"])


def test_parameters_are_those_it_names():
    """Misspelt ones get the nearest, and a value has the kind of the default; a whole number may stand for any."""
    trainer = own()

    assert trainer.resolve("binary", {"shift": 1}, seed=3) == {"shift": 1, "times": 1, "kind": "plain", "seed": 3}
    with pytest.raises(UnknownNameError, match="Did you mean 'shift'"):
        trainer.resolve("binary", {"shfit": 1.0}, seed=3)
    for name, value in (("times", 1.5), ("kind", 1), ("times", True), ("shift", "far")):
        with pytest.raises(DeclarationError, match=f"`{name}` is"):
            trainer.resolve("binary", {name: value}, seed=3)


SCORES = "lambda vectors: np.full(len(vectors), mean)"
DOUBTS = {
    "another shape": ("lambda vectors: np.full((len(vectors), 1), mean)", "shape \\(65, 1\\) for 65 rows"),
    "not finite": ("lambda vectors: vectors[:, 0]", "answered numbers that are not finite"),
    "no probability": ("lambda vectors: np.full(len(vectors), 2.0)", "binary scores are probabilities"),
    "an error": ("lambda vectors: vectors @ np.ones(3)", "did not score 65 rows: ValueError"),
    "rows together": ("lambda vectors: np.full(len(vectors), 1 / len(vectors))", "the same, to the last bit, alone"),
    "the order of rows": ("lambda vectors: np.linspace(0, 1, len(vectors))", "the same, to the last bit, alone"),
    "no function": ("mean", "where a function of feature vectors is due"),
}


@pytest.mark.parametrize("what", DOUBTS)
def test_a_model_that_the_endpoint_would_refuse_is_refused_by_the_fit(what):
    """With the reason, and how to mend it."""
    answer, words = DOUBTS[what]

    with pytest.raises(TrainingError, match=words):
        fitted(MEAN.replace(SCORES, answer))


def test_chance_that_the_code_does_not_show_is_found_by_asking_twice():
    """By a model opened anew each time."""
    hidden = MEAN.replace("np.full(len(vectors), mean)", "vars(np)['random'].rand(len(vectors))")

    with pytest.raises(TrainingError, match="draws from chance"):
        fitted(hidden)


def test_rows_are_its_own_to_spoil():
    """What is logged of a request is what came."""
    spoiling = MEAN.replace(SCORES, "lambda vectors: np.nan_to_num(vectors, copy=False).sum(axis=1) * 0 + mean")
    X = DATA.X.copy()

    score(OWN, fitted(spoiling).parts, X)

    assert np.array_equal(X, DATA.X, equal_nan=True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("[]", "gave list, where the parts of a model are due"),
        ("{'mean.json': 'text'}", "gave dict, where the parts"),
        ("{'trainer.py': b''}", "which the bundle needs itself"),
        (f"{{'mean.pkl': {pickle.dumps([1])!r}}}", "Part 'mean.pkl' is a pickle"),
    ],
)
def test_parts_are_bytes_that_do_not_run(given, words):
    """And are not called as those of the bundle are."""
    with pytest.raises(TrainingError, match=words):
        fitted(re.sub(r"return \{.*", lambda _: f"return {given}", MEAN, count=1))


def test_an_archive_with_a_pickle_is_refused():
    """As `torch.save` writes it."""
    saved = """
    import io, pickle, zipfile
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps([1]))
    return {"net.pt": file.getvalue()}"""

    with pytest.raises(TrainingError, match=r"Part 'net\.pt' is a pickle"):
        fitted(re.sub(r"\n    return \{.*", saved, MEAN, count=1))


def test_reasons_that_do_not_add_up_are_refused():
    """Nobody is told a made-up reason."""
    for reasons, words in (
        ("np.zeros((len(vectors), 4))", r"shape \(65, 4\) where \(65, 5\) is due"),
        ("np.ones((len(vectors), 5))", "do not add up to the raw scores"),
    ):
        with pytest.raises(TrainingError, match=words):
            fitted(f"{MEAN}\ndef contributions(parts, vectors):\n    return {reasons}\n")


def test_without_contributions_decisions_are_not_explained():
    """And the reason is said."""
    made = fitted()

    with pytest.raises(UnexplainedError, match="has no function `contributions`"):
        own().contributions(made.parts, DATA.X)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_exact_contributions_reach_whoever_asks(task):
    """The example of the page adds up for every kind of model."""
    data = made_up(task)
    made = fitted(BINS, data)

    added = own(BINS).contributions(made.parts, data.X)

    assert added.shape == (len(data), *((3,) if task == "multiclass" else ()), 5)
    assert np.abs(added[..., 2].mean()) < np.abs(added[..., 0]).mean()


def test_what_a_fit_raises_is_said_with_its_lines():
    """In the words of a library, with the traceback behind them."""
    with pytest.raises(TrainingError, match=r"`fit` of trainer\.py failed: ZeroDivisionError") as failed:
        fitted(re.sub(r"return \{.*", "return 1 / 0", MEAN, count=1))

    assert "return 1 / 0" in "".join(traceback.format_exception(failed.value.__cause__))


ROUNDS = """\
import json
import numpy as np

PARAMS = {"rounds": 9}

def fit(data, *, params, seed, validation=None, patience, checkpoint, threads):
    assert threads >= 1
    saved = checkpoint.load() if checkpoint else None
    losses = json.loads(saved) if saved else []
    best = 4 if validation is not None else params["rounds"]
    while len(losses) < best:
        losses.append(1 / (1 + len(losses)))
        if checkpoint:
            checkpoint.save(json.dumps(losses).encode())
    curves = {"train_loss": losses}
    if validation is not None:
        curves["validation_loss"] = [*losses, 9.0][:best + patience]
    return {"mean.json": json.dumps(float(data.y.mean())).encode()}, curves

def scorer(parts):
    mean = json.loads(parts["mean.json"])
    return lambda vectors: np.full(len(vectors), mean)
"""


def test_a_fit_is_given_what_it_names():
    """Rows that find the rounds, and patience, for the curves in MLflow."""
    policy = TrainingPolicy(trainer=OWN, validation_days=3, patience=1, window={"minimum_rows": 10})

    made = fit(policy, DATA, own=ROUNDS)

    assert made.rounds == 4
    assert len(made.curves["validation_loss"]) == 5
    assert fit(policy.model_copy(update={"validation_days": 0}), DATA, own=ROUNDS, threads=2).rounds == 9


def test_rounds_are_not_sought_where_a_fit_does_not_ask_for_the_rows():
    """It would ignore what is declared."""
    policy = TrainingPolicy(trainer=OWN, validation_days=3)

    with pytest.raises(DeclarationError, match="trainer 'own' makes is not made in rounds"):
        policy.require_trainer("binary", own=MEAN)


def test_a_model_whose_package_is_missing_says_so():
    """Where it is to be served."""
    parts = fitted().parts | {OWN_PART: f"import no_such_package\n{MEAN}".encode()}

    with pytest.raises(BundleError, match="needs what is not installed here: No module named 'no_such_package'"):
        own_scorer(parts)


def test_parts_of_another_model_are_not_opened():
    """The error names them."""
    parts = {name: part for name, part in fitted().parts.items() if name != "mean.json"}

    with pytest.raises(BundleError, match=r"did not open the model: KeyError: 'mean\.json'"):
        own_scorer(parts)


def test_without_a_folder_there_is_no_trainer_of_ones_own():
    """As for whoever fits without a project."""
    with pytest.raises(DeclarationError, match=r"a file trainer\.py in the model's own folder"):
        fit(TrainingPolicy(trainer=OWN, window={"minimum_rows": 10}), DATA)

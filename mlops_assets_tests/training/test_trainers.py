"""What every trainer must do; a trainer that joins the family runs these with no new code."""

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, softmax

from mlops_assets.digests import canonical_json, sha256_bytes, sha256_json
from mlops_assets.errors import DeclarationError, UnexplainedError, UnknownNameError
from mlops_assets.statistics import auc, r2
from mlops_assets.training import TRAINERS, trainer_named
from mlops_assets_tests.training._cut_off import cut_off_at_every_save
from mlops_assets_tests.training.conftest import draw

TASKS = ("binary", "multiclass", "regression")

IN_A_FRESH_PROCESS = """
import sys, json, numpy as np
from mlops_assets.digests import sha256_bytes, sha256_json
from mlops_assets.training import TRAINERS
from mlops_assets_tests.training.conftest import draw
trainer = TRAINERS[sys.argv[1]]
for task, handed in json.load(sys.stdin).items():
    rows = draw(task)
    parts = trainer.fit(rows, params={}, seed=7).parts
    scores = trainer.score({name: bytes.fromhex(part) for name, part in handed.items()}, rows.X)
    print(sha256_json({name: sha256_bytes(part) for name, part in parts.items()}), sha256_bytes(scores.tobytes()))
"""


@pytest.fixture(params=sorted(TRAINERS), scope="module")
def trainer(request):
    """Each member of the family in turn."""
    return TRAINERS[request.param]


@pytest.fixture(params=TASKS, scope="module")
def task(request):
    """Each kind of model in turn."""
    return request.param


@pytest.fixture(scope="module")
def rows(task):
    """Rows for the kind of model in turn."""
    return draw(task)


@pytest.fixture(scope="module")
def fitted(trainer, task, rows):
    """What the trainer makes of them, untold of any parameter."""
    return fit(trainer, rows)


def fit(trainer, rows, **given):
    return trainer.fit(rows, params={}, seed=7, **given)


def skill(task, y, score):
    """Give how well scores follow labels: 0.5 and 0 are chance."""
    if task == "multiclass":
        return float(np.mean([auc(y == place, score[:, place]) for place in range(score.shape[1])]))
    return auc(y, score) if task == "binary" else r2(y, score)


def linked(task, raw):
    """Give the score of a raw one."""
    return {"binary": expit, "multiclass": lambda raw: softmax(raw, axis=1), "regression": np.asarray}[task](raw)


def test_a_fitted_model_knows_more_than_chance(trainer, task, rows, fitted):
    """On the rows it was fitted on, scores follow the labels."""
    score = trainer.score(fitted.parts, rows.X)

    assert skill(task, rows.y, score) > (0.3 if task == "regression" else 0.7)


def test_the_same_rows_and_seed_give_the_same_bytes(trainer, task, rows, fitted):
    """Parts, rounds and curves of two fits are equal to the last bit."""
    assert fit(trainer, rows) == fitted


def test_asking_for_other_threads_changes_nothing_but_them(trainer, binary):
    """Any trainer can be asked, and its parameters and its model stay what they were."""
    asked = trainer.on_threads(1)

    assert asked.name == trainer.name
    assert fit(asked, binary) == fit(trainer, binary)


def test_another_process_with_other_threads_fits_and_scores_the_same(trainer):
    """Nothing of this process is in the parts: one with three threads makes the same, and reads these alike."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "3")
    drawn = {task: draw(task) for task in TASKS}
    parts = {task: fit(trainer, rows).parts for task, rows in drawn.items()}
    expected = [
        digest
        for task, rows in drawn.items()
        for digest in (
            sha256_json({name: sha256_bytes(part) for name, part in parts[task].items()}),
            sha256_bytes(trainer.score(parts[task], rows.X).tobytes()),
        )
    ]

    told = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS, trainer.name],
        input=json.dumps({task: {name: part.hex() for name, part in own.items()} for task, own in parts.items()}),
        env={**os.environ, **threads},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert told == expected


def test_rows_score_alone_as_they_do_among_many(trainer, rows, fitted):
    """What the endpoint answers for a single request is what the evaluation saw, in every bit."""
    odd = np.array([[np.nan] * 4, [1e9, -1e9, 0, 99], [-1e300, 1e300, 0, -1]])
    X = np.vstack([rows.X[:40], odd])

    together = trainer.score(fitted.parts, X)

    alone = np.concatenate([trainer.score(fitted.parts, X[i : i + 1]) for i in range(len(X))])
    some = np.concatenate([trainer.score(fitted.parts, part) for part in np.split(X, (7, 10, 27))])
    assert together.dtype == np.float64
    assert np.isfinite(together).all()
    assert np.array_equal(together, alone)
    assert np.array_equal(together, some)


def test_scores_of_classes_are_probabilities(trainer, task, rows, fitted):
    """One per row, or one per row and class that sum to one; also for missing values and unknown categories."""
    odd = np.array([[np.nan] * 4, [1e9, -1e9, 0, 99]])

    score = trainer.score(fitted.parts, np.vstack([rows.X, odd]))

    assert score.shape == (len(rows.X) + 2, *((3,) if task == "multiclass" else ()))
    if task != "regression":
        assert score.min() >= 0
        assert score.max() <= 1
    if task == "multiclass":
        assert score.sum(axis=1) == pytest.approx(1)


def test_no_rows_have_no_scores(trainer, task, fitted):
    """An empty batch is answered with an empty array of the right shape."""
    assert trainer.score(fitted.parts, np.empty((0, 4))).shape == ((0, 3) if task == "multiclass" else (0,))


def test_contributions_add_up_to_the_score_or_are_declared_absent(trainer, task, rows, fitted):
    """What the features add, and the expected score in the last place, make the raw score of each row."""
    added, reason = None, ""
    try:
        added = trainer.contributions(fitted.parts, rows.X)
    except UnexplainedError as absent:
        reason = str(absent)

    if added is None:
        assert len(reason) > 60
        return
    assert added.shape == (len(rows.X), *((3,) if task == "multiclass" else ()), len(rows.names) + 1)
    assert trainer.score(fitted.parts, rows.X) == pytest.approx(linked(task, added.sum(axis=-1)), rel=1e-9)


def test_rows_that_weigh_more_are_learnt_more(trainer, task, rows):
    """Rows whose labels were turned round are followed when they weigh much, and ignored when they weigh nothing."""
    turned = np.arange(len(rows.y)) % 2 == 1
    y = np.where(turned, rows.y.max() + rows.y.min() - rows.y, rows.y)

    straight, round_about = (
        skill(task, rows.y, trainer.score(fit(trainer, replace(rows, y=y, weights=weights)).parts, rows.X))
        for weights in (np.where(turned, 1e-3, 1.0), np.where(turned, 1.0, 1e-3))
    )

    assert straight > round_about + 0.2


def test_a_category_tells_what_only_it_knows(trainer, task, rows):
    """Levels in no order decide the label, and a missing level is one more."""
    level = np.where(np.isnan(rows.X[:, 3]), 6, rows.X[:, 3]).astype(int)
    places = np.array([0, 2, 0, 2, 1, 0, 1] if task == "multiclass" else [0, 1, 0, 1, 0, 1, 0])[level]

    score = trainer.score(fit(trainer, replace(rows, y=places * 1.0)).parts, rows.X)

    assert skill(task, places * 1.0, score) > (0.8 if task == "regression" else 0.95)


def test_missing_values_tell_what_only_they_know(trainer, task, rows):
    """A gap is a value like any other."""
    gap = np.isnan(rows.X[:, 1]) * 1.0
    y = gap + 2 * np.isnan(rows.X[:, 3]) * (1 - gap) if task == "multiclass" else gap

    score = trainer.score(fit(trainer, replace(rows, y=y)).parts, rows.X)

    assert skill(task, y, score) > (0.8 if task == "regression" else 0.95)


def test_parts_hold_no_pickle(fitted):
    """Text, arrays without objects, or archives of them: nothing that runs when it is read."""

    def check(part):
        if zipfile.is_zipfile(io.BytesIO(part)):
            with zipfile.ZipFile(io.BytesIO(part)) as archive:
                for name in archive.namelist():
                    check(archive.read(name))
        elif part.startswith(b"\x93NUMPY"):
            np.load(io.BytesIO(part), allow_pickle=False)
        elif part[8:10] == b'{"':  # safetensors: the length of the head, the head as JSON, plain numbers
            json.loads(part[8 : 8 + int.from_bytes(part[:8], "little")])
        else:
            part.decode()

    for part in fitted.parts.values():
        check(part)


def test_resolved_parameters_give_the_seed_and_survive_the_record(trainer, task, fitted):
    """What is recorded is complete: resolving with another seed differs, with the same it does not."""
    first, again, other = (trainer.resolve(task, {}, seed=seed) for seed in (7, 7, 8))

    assert first == again
    assert first.items() <= fitted.params.items()
    assert first != other
    assert first["seed"] == 7
    assert json.loads(canonical_json(fitted.params)) == fitted.params


def test_validation_rows_find_the_rounds_and_then_all_rows_are_fitted(trainer, task, rows):
    """Where a model is made in rounds, those are kept after which the newest rows lost least; the final fit saw all."""
    newest = np.arange(len(rows.y)) >= 1000

    found = fit(trainer, rows, validation=newest, patience=5)

    loss = found.curves["validation_loss"]
    assert found.rounds == int(np.argmin(loss)) + 1 == len(found.curves["train_loss"])
    assert found.rounds < len(loss) or found.rounds == 1
    assert found == fit(trainer, rows, validation=newest, patience=5)


def test_a_fit_that_was_cut_off_ends_with_the_same_bytes(trainer, binary):
    """However often it was cut off after it had saved its progress."""
    newest = np.arange(len(binary.y)) >= 1000

    resumed, _ = cut_off_at_every_save(lambda **given: fit(trainer, binary, validation=newest, **given))

    assert resumed == fit(trainer, binary, validation=newest)


def test_a_misspelt_parameter_is_refused(trainer, task):
    """No parameter is silently ignored."""
    with pytest.raises(DeclarationError, match="not known"):
        trainer.resolve(task, {"no_such_parameter": 1}, seed=7)


def test_an_unknown_trainer_gets_the_nearest_name():
    """A typing error in YAML is answered with the right spelling."""
    with pytest.raises(UnknownNameError, match="Did you mean 'lightgbm'"):
        trainer_named("lightgmb")

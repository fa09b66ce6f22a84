"""What every trainer must do; a trainer that joins the family runs these with no new code."""

import numpy as np
import pytest
from scipy.special import expit

from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.statistics import auc, r2
from mlops_assets.training import TRAINERS, trainer_named

TASKS = ("binary", "regression")


@pytest.fixture(params=sorted(TRAINERS))
def trainer(request):
    """Each member of the family in turn."""
    return TRAINERS[request.param]


def fit(trainer, rows, task, *, seed=7, **given):
    return trainer.fit(
        rows.X, rows.y, task=task, names=rows.names, categorical=rows.categorical, params={}, seed=seed, **given
    )


@pytest.mark.parametrize("task", TASKS)
def test_a_fitted_model_knows_more_than_chance(trainer, task, request):
    """On the rows it was fitted on, scores follow the labels."""
    rows = request.getfixturevalue(task)

    score = trainer.score(fit(trainer, rows, task).parts, rows.X)

    assert (auc if task == "binary" else r2)(rows.y, score) > (0.7 if task == "binary" else 0.3)


@pytest.mark.parametrize("task", TASKS)
def test_the_same_rows_and_seed_give_the_same_bytes(trainer, task, request):
    """Parts, rounds and curves of two fits are equal to the last bit."""
    rows = request.getfixturevalue(task)

    assert fit(trainer, rows, task) == fit(trainer, rows, task)


def test_asking_for_other_threads_changes_nothing_but_them(trainer, binary):
    """Any trainer can be asked, and its parameters and its model stay what they were."""
    asked = trainer.on_threads(1)

    assert asked.name == trainer.name
    assert fit(asked, binary, "binary") == fit(trainer, binary, "binary")


def test_one_row_scores_as_it_does_among_many(trainer, binary):
    """What the endpoint answers for a single request is what the evaluation saw."""
    parts = fit(trainer, binary, "binary").parts

    together = trainer.score(parts, binary.X)

    alone = np.concatenate([trainer.score(parts, binary.X[i : i + 1]) for i in range(20)])
    assert together.dtype == np.float64
    assert np.array_equal(together[:20], alone)


@pytest.mark.parametrize("task", TASKS)
def test_contributions_add_up_to_the_score(trainer, task, request):
    """What the features add, and the expected score in the last column, make the raw score of each row."""
    rows = request.getfixturevalue(task)
    parts = fit(trainer, rows, task).parts

    added = trainer.contributions(parts, rows.X)

    raw = added.sum(axis=1)
    assert added.shape == (len(rows.X), len(rows.names) + 1)
    assert trainer.score(parts, rows.X) == pytest.approx(expit(raw) if task == "binary" else raw, rel=1e-9)


def test_scores_of_a_binary_model_are_probabilities(trainer, binary):
    """Also for rows of missing values and of unknown categories."""
    parts = fit(trainer, binary, "binary").parts
    odd = np.array([[np.nan] * 4, [1e9, -1e9, 0, 99]])

    score = trainer.score(parts, np.vstack([binary.X, odd]))

    assert score.shape == (len(binary.X) + 2,)
    assert score.min() >= 0
    assert score.max() <= 1


def test_resolved_parameters_give_the_seed_and_survive_the_record(trainer, binary):
    """What is recorded is complete: resolving with another seed differs, with the same it does not."""
    first, again, other = (trainer.resolve("binary", {}, seed=seed) for seed in (7, 7, 8))

    assert first == again == fit(trainer, binary, "binary").params
    assert first != other
    assert first["seed"] == 7


def test_validation_rows_find_the_rounds_and_then_all_rows_are_fitted(trainer, binary):
    """The kept rounds are where the loss on the newest rows was lowest, and the final fit saw those rows too."""
    newest = np.arange(len(binary.y)) >= 1000

    found = fit(trainer, binary, "binary", validation=newest, patience=5)

    loss = found.curves["validation_loss"]
    assert found.rounds == int(np.argmin(loss)) + 1 == len(found.curves["train_loss"])
    assert found.rounds < len(loss)


class CutOffError(Exception):
    """What a kill is to a fit: nothing after it happens."""


class Memory:
    """A checkpoint whose every save is the last thing the fit came to do."""

    def __init__(self):
        self.saved = None

    def load(self):
        return self.saved

    def save(self, progress):
        self.saved = progress
        raise CutOffError


def test_a_fit_that_was_cut_off_ends_with_the_same_bytes(trainer, binary):
    """However often it was cut off after it had saved its progress."""
    checkpoint, newest = Memory(), np.arange(len(binary.y)) >= 1000

    def go_on():
        try:
            return fit(trainer, binary, "binary", validation=newest, patience=5, checkpoint=checkpoint)
        except CutOffError:
            return None

    resumed = next(filter(None, (go_on() for _ in range(100))))

    assert resumed == fit(trainer, binary, "binary", validation=newest, patience=5)


def test_a_misspelt_parameter_is_refused(trainer):
    """No parameter is silently ignored."""
    with pytest.raises(DeclarationError, match="not known"):
        trainer.resolve("binary", {"no_such_parameter": 1}, seed=7)


def test_an_unknown_trainer_gets_the_nearest_name():
    """A typing error in YAML is answered with the right spelling."""
    with pytest.raises(UnknownNameError, match="Did you mean 'lightgbm'"):
        trainer_named("lightgmb")

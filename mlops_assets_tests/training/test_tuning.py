"""Searches for parameters: the same every time, within the budget, cut off or not, and never on the hold-out."""

from dataclasses import replace
from time import sleep
from types import SimpleNamespace

import numpy as np
import pytest
from optuna.storages import InMemoryStorage
from pydantic import ValidationError

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.training import TRAINERS, Among, TrainingPolicy, TrainingWindow, TuningPolicy, fit, tune
from mlops_assets.training.tuning import losses_of, search, winner

SEARCH = {
    "learning_rate": Among(low=0.001, high=0.3, log=True),
    "num_leaves": Among(low=2, high=31),
    "extra_trees": Among(choices=(True, False)),
}
WINDOW = TrainingWindow(minimum_rows=100)


class CutOffError(Exception):
    """What a kill is to a search."""


@pytest.fixture
def storage():
    """Trials in memory; those on disk are `stores/test_studies.py`."""
    return InMemoryStorage()


def policy(*, trials=8, seed=7, **changed) -> TrainingPolicy:
    given = {"num_iterations": 40, "min_data_in_leaf": 20}
    searched = TuningPolicy(trials=trials, search=SEARCH, validation_days=10, **changed)
    return TrainingPolicy(params=given, window=WINDOW, seed=seed, tuning=searched, patience=10)


def tuned(storage, rows, declared, *, study="a"):
    return tune(declared, rows, storage=storage, study=study)


def bowl(params):
    """Give losses over 30 rounds that fall to a floor, which is lowest at a rate of 0.1."""
    floor = (np.log10(params["rate"]) + 1) ** 2
    return [floor + 1 / step for step in range(1, 31)]


def searched(storage, losses, *, trials, study="a", **given):
    declared = TuningPolicy(trials=trials, search={"rate": Among(low=0.001, high=10, log=True)}, **given)
    return search(declared, losses, seed=7, storage=storage, study=study)


def test_a_budget_in_seconds_ends_the_same_search_earlier(storage):
    """One trial is done at least, time spent before a kill counts, and a larger budget goes on from there."""

    def slow(params):
        sleep(0.03)
        return bowl(params)

    whole = searched(storage, bowl, trials=6, study="whole")
    first = searched(storage, slow, trials=6, seconds=0.001)
    some = searched(storage, slow, trials=6, seconds=0.08)
    again = searched(storage, slow, trials=6, seconds=0.08)

    assert len(first) == 1
    assert 2 <= len(some) <= 3
    assert again == some
    assert [trial.params for trial in some] == [trial.params for trial in whole[: len(some)]]


def test_the_best_parameters_found_are_those_of_the_fit(storage, binary):
    """They stand in the policy in place of the search, with the rounds the trial found; others are left as declared."""
    found, trials = tuned(storage, binary, policy())

    best = winner(trials)
    assert found.tuning is None
    assert found.params == {"min_data_in_leaf": 20, **best.params, "num_iterations": best.rounds}
    assert best.loss == min(trial.loss for trial in trials if not trial.pruned)
    assert len({trial.params["learning_rate"] for trial in trials}) == len(trials) == 8
    fitted = fit(found, binary)
    assert fitted.params["learning_rate"] == best.params["learning_rate"]


def test_a_fit_that_finds_its_rounds_itself_keeps_the_declared_number_as_the_most(storage, binary):
    """Validation days of the fit decide, on the newest rows it has."""
    found, _ = tuned(storage, binary, policy(trials=2).model_copy(update={"validation_days": 5}))

    assert found.params["num_iterations"] == 40


def test_the_same_seed_and_budget_give_the_same_trials(storage, binary):
    """Whoever searches again finds the same; another seed proposes others."""
    (first, trials), (second, again) = (tuned(storage, binary, policy(), study=study) for study in "ab")
    _, others = tuned(storage, binary, policy(seed=8), study="c")

    assert (first, trials) == (second, again)
    assert trials != others


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_search_that_was_cut_off_goes_on_with_the_same_trials(storage, at):
    """Wherever in the rounds of whichever trial: those that were done are not done again."""
    left = iter(range(10_000))

    def disturbed(params):
        for loss in bowl(params):
            if next(left) % (30 * at + 7) == 30 * at + 6:
                raise CutOffError
            yield loss

    cuts = 0
    while True:
        try:
            resumed = searched(storage, disturbed, trials=20)
        except CutOffError:
            cuts += 1
        else:
            break

    assert cuts > 0
    assert resumed == searched(storage, bowl, trials=20, study="undisturbed")


def test_a_search_that_is_done_tries_nothing_again(storage):
    """Its trials are read from where they rest."""
    first = searched(storage, bowl, trials=5)

    def refused(_):
        raise AssertionError("tried again")

    assert searched(storage, refused, trials=5) == first


def test_the_search_comes_close_to_the_best(storage):
    """Proposals learn from what was tried: thirty come nearer to the best rate than the first ten, drawn at random."""
    trials = searched(storage, bowl, trials=30)

    assert winner(trials).params["rate"] == pytest.approx(0.1, rel=0.5)
    assert winner(trials).loss < winner(trials[:10]).loss


def test_a_trial_behind_the_others_is_cut_short(storage):
    """It costs fewer rounds, and never wins."""
    pruned = [trial for trial in searched(storage, bowl, trials=30) if trial.pruned]
    whole = searched(storage, bowl, trials=30, study="b", pruning=False)

    assert pruned
    assert all(trial.rounds < 30 for trial in pruned)
    assert not any(trial.pruned for trial in whole)


def test_only_the_newest_days_of_the_window_judge(storage, binary):
    """With their labels turned round another set of parameters wins, or none does well."""
    newest = binary.times > binary.times[-1] - np.timedelta64(10, "D")
    turned = replace(binary, y=np.where(newest, 1 - binary.y, binary.y))

    _, honest = tuned(storage, binary, policy(trials=3), study="a")
    _, misled = tuned(storage, turned, policy(trials=3), study="b")

    assert winner(honest).loss < 0.6
    assert winner(misled).loss > 0.68


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_trainer_without_rounds_is_judged_by_its_scores(task, request):
    """The loss is the one LightGBM takes after its last round, to which its scores lead as well."""
    rows, trainer = request.getfixturevalue(task), TRAINERS["lightgbm"]
    given = {
        "params": {"num_iterations": 5},
        "seed": 7,
        "validation": np.arange(len(rows.y)) >= 1000,
        "patience": 30,
    }
    plain = SimpleNamespace(fit=trainer.fit, score=trainer.score)

    (alone,) = losses_of(plain, rows, **given)

    assert alone == pytest.approx(list(losses_of(trainer, rows, **given))[-1], rel=1e-6)


@pytest.mark.parametrize(
    "declared",
    [
        {},
        {"low": 1},
        {"low": 1, "high": 2, "choices": [1]},
        {"low": 2, "high": 1},
        {"low": 0, "high": 1, "log": True},
        {"low": 1, "high": 8, "log": True, "step": 2},
        {"low": 1, "high": 8, "step": 0.5},
    ],
)
def test_a_range_that_means_nothing_is_refused(declared):
    """When it is declared, not after the first trials."""
    with pytest.raises(ValidationError):
        Among.model_validate(declared)


def test_a_misspelt_or_impossible_parameter_is_refused_at_load():
    """Nobody waits for a search to learn of a typing error."""
    for searched_for, why in (
        ({"num_leafs": Among(low=2, high=8)}, "Did you mean 'num_leaves'"),
        ({"boosting": Among(choices=("gbdt", "goss"))}, "goss"),
        ({"boosting": Among(choices=("gbdt", "dart"))}, "round by round"),
        ({"num_leaves": Among(low=2, high=31.5)}, "a whole number"),
        ({"feature_fraction": Among(low=0.5, high=1.5)}, "up to 1"),
    ):
        with pytest.raises(DeclarationError, match=why):
            TrainingPolicy(tuning=TuningPolicy(search=searched_for)).require_task("binary")


def test_trials_without_a_loss_are_told(storage):
    """There is no best of them."""
    trials = searched(storage, bowl, trials=1)

    with pytest.raises(TrainingError, match="None of 1 trials"):
        winner([replace(trial, loss=float("inf")) for trial in trials])

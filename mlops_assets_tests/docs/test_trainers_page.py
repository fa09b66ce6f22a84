"""docs/trainers.md: its trainer of your own keeps the contract, and its tables name what there is."""

import re

import pytest

from mlops_assets.scoring import ESTIMATOR_PART
from mlops_assets.scoring.own import OF_OURS, OFFERED
from mlops_assets.serving.lanes import LANES
from mlops_assets.training import OWN, TRAINERS, trainer_named
from mlops_assets.training.trainers.scikit_learn import ESTIMATORS
from mlops_assets_tests._own import BINS
from mlops_assets_tests.docs._reader import DOCS
from mlops_assets_tests.training import test_trainers as contract
from mlops_assets_tests.training.conftest import draw

PAGE = (DOCS / "trainers.md").read_text()


@pytest.mark.parametrize("task", contract.TASKS)
def test_the_trainer_of_your_own_keeps_the_contract_of_those_that_are_shipped(task):
    """All of it, the example in NumPy; mlops_assets.testing tries the other."""
    trainer, rows = trainer_named(OWN, own=BINS), draw(task)

    fitted = contract.fit(trainer, rows)

    contract.test_a_fitted_model_knows_more_than_chance(trainer, task, rows, fitted)
    contract.test_the_same_rows_and_seed_give_the_same_bytes(trainer, task, rows, fitted)
    contract.test_rows_score_alone_as_they_do_among_many(trainer, rows, fitted)
    contract.test_scores_of_classes_are_probabilities(trainer, task, rows, fitted)
    contract.test_no_rows_have_no_scores(trainer, task, fitted)
    contract.test_contributions_add_up_to_the_score_or_are_declared_absent(trainer, task, rows, fitted)
    contract.test_rows_that_weigh_more_are_learnt_more(trainer, task, rows)
    contract.test_a_category_tells_what_only_it_knows(trainer, task, rows)
    contract.test_missing_values_tell_what_only_they_know(trainer, task, rows)
    contract.test_parts_hold_no_pickle(fitted)
    contract.test_resolved_parameters_give_the_seed_and_survive_the_record(trainer, task, fitted)
    contract.test_a_misspelt_parameter_is_refused(trainer, task)


def test_what_the_page_says_a_fit_may_ask_for_it_gets():
    """Each by its name."""
    assert all(f"`{name}`" in PAGE for name in OFFERED)
    assert all(f"`{name.removeprefix('mlops_assets.')}" in PAGE for name in OF_OURS)


def test_the_tables_name_every_trainer_and_every_estimator():
    """In the order in which the default comes first."""
    trainers = re.findall(r"^\| `(\w+)`(?: \(\w+\))? \|.*`model\.", PAGE, re.M)
    binary, regression = (
        re.findall(r"`(\w+)`", row)
        for row in re.findall(r"^\| `(?:binary`, `multiclass|regression)` \| (.*) \|$", PAGE, re.M)
    )

    assert trainers == list(TRAINERS)
    assert binary == list(ESTIMATORS["binary"])
    assert regression == list(ESTIMATORS["regression"])


def test_the_page_names_every_part_that_is_served():
    """A format of somebody's own needs a lane."""
    assert ESTIMATOR_PART in LANES
    assert all(f"`{part}`" in PAGE for part in LANES)

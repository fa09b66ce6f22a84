"""How many threads fit a model is for the platform to say, and changes nothing of it."""

import pytest

from mlops_assets.errors import StoreError
from mlops_assets.orchestration import steps
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.stores.home import Home
from mlops_assets.training import Among, TuningPolicy
from mlops_assets.training.trainers.lightgbm import LightGBMTrainer
from mlops_assets_tests._shop import LIVE


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """The numbers of threads that LightGBM was told to fit on."""
    counts = []
    told = LightGBMTrainer.on_threads

    def on_threads(trainer, threads):
        counts.append(threads)
        return told(trainer, threads)

    monkeypatch.setattr(LightGBMTrainer, "on_threads", on_threads)
    return counts


def trained(shop, *, threads=None, tuning=None):
    """A version of the shop's model, fitted with so many threads to take, and after a search."""
    stores = Home(shop.home.root, settings={"MLOPS_FIT_THREADS": threads} if threads else {})
    declared = shop.folder.declaration
    training = declared.training.model_copy(update={"tuning": tuning})
    folder = ModelFolder(shop.folder.path, declared.model_copy(update={"training": training}))
    made, _ = steps.build_training_set(folder, stores, cut_off=LIVE)
    return steps.fit_model(folder, stores, made, tags={}, requester="test")


def test_a_fit_takes_as_many_threads_as_it_is_given_and_is_the_same_model(shop, asked):
    unsaid = trained(shop)
    assert asked == []

    assert trained(shop, threads="2").sha256 == unsaid.sha256
    assert asked == [2]


def test_so_does_each_trial_of_a_search(shop, asked):
    search = TuningPolicy(trials=2, validation_days=5, search={"num_leaves": Among(low=2, high=9)})

    trained(shop, threads="2", tuning=search)

    assert asked == [2, 2]  # the search, which tells all its trials, and the fit


@pytest.mark.parametrize("said", ["0", "-1", "two", "1.5", "²"])
def test_what_is_no_number_of_threads_is_refused(tmp_path, said):
    with pytest.raises(StoreError, match=r"MLOPS_FIT_THREADS.*whole number"):
        _ = Home(tmp_path, settings={"MLOPS_FIT_THREADS": said}).fit_threads


@pytest.mark.parametrize("settings", [{}, {"MLOPS_FIT_THREADS": ""}])
def test_unsaid_the_trainer_decides(tmp_path, settings):
    assert Home(tmp_path, settings=settings).fit_threads is None

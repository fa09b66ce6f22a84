"""A model whose parameters are searched for: found in the record as if declared, and every trial in MLflow."""

from dataclasses import replace

import pytest

from mlops_assets.orchestration import steps
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.fitting.recipes import kept_recipe
from mlops_assets.records import TrainingSet
from mlops_assets.training import Among, TuningPolicy
from mlops_assets_tests._shop import MODEL

TUNING = TuningPolicy(trials=4, validation_days=5, search={"learning_rate": Among(low=0.05, high=0.5, log=True)})


@pytest.fixture
def fit_again(shop):
    """Fit the shop's model on the training set it has, with a search before it."""
    declared = shop.folder.declaration
    training = declared.training.model_copy(update={"tuning": TUNING})
    folder = ModelFolder(shop.folder.path, declared.model_copy(update={"training": training}))
    made = shop.home.records.get((MODEL, "training_set"), None, TrainingSet)

    def fit():
        return steps.fit_model(folder, shop.home, made, tags={}, requester="somebody")

    return fit


@pytest.mark.slow
def test_what_was_found_is_on_record_as_if_declared_and_each_trial_is_shown_once(shop, fit_again):
    """So that nobody has to search to make the version again; done again, the run is the run it was."""
    first, again = fit_again(), fit_again()

    recipe = kept_recipe(shop.home, MODEL, first.reproducibility["recipe_sha256"])
    recorded = recipe.declaration["training"]
    client = shop.home.tracking._client()
    run = client.get_run(first.mlflow_run_id)
    trials = client.search_runs(
        [run.info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{run.info.run_id}'",
        order_by=["metrics.validation_loss"],
    )
    assert again == first
    assert recorded["tuning"] is None
    assert recorded["params"]["learning_rate"] == first.params["learning_rate"]
    assert len(trials) == TUNING.trials
    assert {trial.info.status for trial in trials} == {"FINISHED"}
    assert float(trials[0].data.params["learning_rate"]) == first.params["learning_rate"]
    assert first.params["num_iterations"] == trials[0].data.metrics["rounds"]


@pytest.mark.slow
def test_the_same_parameters_declared_give_the_same_bundle(shop, fit_again):
    """The search leaves no trace in the model, so it is made again without one."""
    tuned = fit_again()
    recorded = kept_recipe(shop.home, MODEL, tuned.reproducibility["recipe_sha256"]).declaration["training"]
    declared = shop.folder.declaration
    training = declared.training.model_copy(update={"params": recorded["params"]})
    folder = replace(shop.folder, declaration=declared.model_copy(update={"training": training}))
    made = shop.home.records.get((MODEL, "training_set"), None, TrainingSet)

    plain = steps.fit_model(folder, shop.home, made, tags={}, requester="somebody")

    assert folder.policy.tuning is None
    assert plain.sha256 == tuned.sha256

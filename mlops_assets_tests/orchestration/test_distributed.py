"""A model that is fitted on a Dask cluster: it says that it is not exact, and is kept from where that matters."""

import os
from dataclasses import replace
from unittest.mock import patch

import pytest
import yaml
from distributed import LocalCluster
from pydantic import ValidationError

from mlops_assets.orchestration import steps
from mlops_assets.orchestration.model_declaration import ModelDeclaration
from mlops_assets.records import TrainingSet
from mlops_assets.training.cluster import Cluster
from mlops_assets_tests._shop import LIVE, MODEL, MODEL_YAML


@pytest.mark.slow
def test_the_record_says_that_it_is_not_exact_and_nobody_tries_to_prove_it(shop):
    """Made again it would differ, and a difference that means nothing would hide those that do."""
    declared = shop.folder.declaration
    made = shop.home.records.get((MODEL, "training_set"), None, TrainingSet)
    with (
        patch.dict(os.environ),  # Dask sets variables for its workers in ours
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
    ):
        where = Cluster(address=cluster.scheduler_address)
        training = declared.training.model_copy(update={"distributed": where, "reproduce": "never"})
        folder = replace(shop.folder, declaration=declared.model_copy(update={"training": training}))
        version = steps.fit_model(folder, shop.home, made, tags={}, requester="somebody")

    outcome = steps.reproduce(folder.path, shop.home, number=version.version, at=LIVE, by="somebody")

    assert version.params["distributed"] == "dask"
    assert "not the same bytes" in version.reproducibility["not_to_the_bit"]
    assert [cause.endswith("So it is not tried.") for cause in outcome.causes] == [True]
    assert outcome.fits == {}


def test_a_model_of_high_risk_is_not_fitted_on_a_cluster():
    """Of every decision about a person the model must be shown, to the bit."""
    declared = yaml.safe_load(MODEL_YAML)["attributes"]
    declared["risk_tier"] = "high"
    declared["training"] |= {"distributed": {"address": "tcp://127.0.0.1:1"}, "reproduce": "never"}

    with pytest.raises(ValidationError, match="cannot be fitted on a cluster"):
        ModelDeclaration.model_validate(declared)

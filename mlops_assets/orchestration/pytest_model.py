"""The `model` of behavioural tests for plain pytest: the version trained last, on its own held-out rows.

In a `conftest.py` beside defs.yaml or above it:

    from mlops_assets.orchestration.pytest_model import model
"""

from pathlib import Path

import pytest

from mlops_assets.orchestration.steps.datasets.training_sets import HOLDOUT, training_rows_of
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.gate.own_tests import ModelUnderTest
from mlops_assets.records import ModelVersion, TrainingSet
from mlops_assets.stores.home import Home

__all__ = ["model"]


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> ModelUnderTest:
    """The newest version of the model in whose folder the test stands, from the home that MLOPS_HOME names."""
    name, home = Path(str(request.path)).parent.name, Home.from_environment()
    version = home.records.find((name, "model"), None, ModelVersion)
    training_set = home.records.find((name, "training_set"), None, TrainingSet)
    if version is None or training_set is None:
        pytest.skip(f"{home.root} holds no trained version of {name}; train it first, or name the home in MLOPS_HOME")
    return ModelUnderTest.on(
        LoadedBundle.of(home, name, version.sha256), training_rows_of(home, training_set, part=HOLDOUT)
    )

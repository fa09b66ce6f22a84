"""One running endpoint with a model in it, for every deployment test that needs one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlops_assets_tests._endpoint import RunningEndpoint, ServingHome, TrainedModel, running_endpoint


@pytest.fixture(scope="session")
def trained() -> TrainedModel:
    return TrainedModel(seed=0)


@pytest.fixture(scope="session")
def retrained() -> TrainedModel:
    return TrainedModel(seed=1)


@dataclass(frozen=True)
class Stack:
    """A home and the endpoint that serves it."""

    home: ServingHome
    endpoint: RunningEndpoint


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    home = ServingHome(tmp_path)
    home.fill_online()
    with running_endpoint(home.root) as endpoint:
        yield Stack(home, endpoint)

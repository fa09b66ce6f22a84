"""Models, homes and in-process endpoints for the serving tests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from mlops_assets.serving.app import Endpoint
from mlops_assets.serving.live import LiveModels
from mlops_assets.serving.settings import ServingSettings
from mlops_assets_tests._endpoint import MODEL, NOON, ServingHome, TrainedModel


@pytest.fixture(scope="session")
def trained() -> TrainedModel:
    return TrainedModel(seed=0)


@pytest.fixture(scope="session")
def retrained() -> TrainedModel:
    return TrainedModel(seed=1)


@pytest.fixture
def home(tmp_path: Path) -> ServingHome:
    """A home with online features and no release yet."""
    home = ServingHome(tmp_path)
    home.fill_online()
    return home


@dataclass
class InProcess:
    """The application without a network; `live` is refreshed by hand."""

    client: TestClient
    live: LiveModels

    def predict(self, *instances: Any, model: str = MODEL, **envelope: Any) -> httpx.Response:
        envelope.setdefault("at", NOON.isoformat())
        return self.client.post(f"/models/{model}/predict", json={**envelope, "instances": list(instances)})


@pytest.fixture
def serve(home: ServingHome) -> Iterator[Callable[..., InProcess]]:
    """Start the application of `home` with the settings given."""
    clients: list[TestClient] = []

    def start(**settings: Any) -> InProcess:
        chosen = ServingSettings(**{"poll_s": 3600.0, "retry_s": 0.0, **settings})
        live = LiveModels(home.releases, home.bundles, home.online, settings=chosen)
        app = Endpoint(live, home.predictions, clock=lambda: NOON, settings=chosen).app()
        client = TestClient(app, raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        return InProcess(client, live)

    yield start
    for client in clients:
        client.__exit__(None, None, None)

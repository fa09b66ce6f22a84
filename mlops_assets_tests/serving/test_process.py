"""The endpoint as a process: light, quick to start, and losing nothing to swaps, signals and kills."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlops_assets.stores.predictions import days, decode_prediction, read_predictions
from mlops_assets_tests._endpoint import INSTANCE, MODEL, NOON, Load, ServingHome, running_endpoint

LOADS = 3
SWAPS = 15


@pytest.fixture
def released(home, trained) -> ServingHome:
    home.release(home.save(trained.parts))
    return home


def logged_ids(home: ServingHome) -> set[str]:
    return {
        decode_prediction(record).request_id
        for day in days(home.predictions, MODEL)
        for record in read_predictions(home.predictions, MODEL, day)
    }


def under_load(url: str) -> list[Load]:
    loads = [Load(url, f"load{number}") for number in range(LOADS)]
    for load in loads:
        load.start()
    return loads


def wait_until(condition, *, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def test_nothing_heavy_is_imported_even_to_predict(released, tmp_path):
    """A model is loaded and answers without Dagster, MLflow, pandas, scikit-learn, SQLAlchemy or LightGBM's package."""
    program = f"""
import asyncio, sys
from pathlib import Path
from mlops_assets.serving import __main__
from mlops_assets.serving.app import *
from mlops_assets.serving.live import *
from mlops_assets.serving.requests import *
from mlops_assets.stores.online import SqliteOnlineStore
home, settings = Path({str(released.root)!r}), ServingSettings()
live = LiveModels(ReleaseStore(home / "releases"), BundleStore(home / "bundles"),
                  SqliteOnlineStore(home / "online.sqlite"), settings=settings)
live.refresh()
now = datetime.fromisoformat({NOON.isoformat()!r})
endpoint = Endpoint(live, home / "predictions", clock=lambda: now, settings=settings)
served = live.models[{MODEL!r}]
asked = served.decoder.decode({json.dumps({"instances": [INSTANCE]}).encode()!r})
assert b"score" in endpoint._answer(served, asked, endpoint.clock(), 0, False)
heavy = ("dagster mlflow pandas polars sklearn sqlalchemy lightgbm scipy duckdb deltalake pydantic pandera httpx "
         "mlops_assets.training mlops_assets.deployment mlops_assets.orchestration").split()
print([name for name in heavy if name in sys.modules])
"""

    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    assert told.strip() == "[]"


def test_a_cold_start_is_quick_and_small(released):
    """From nothing to the first prediction in under 1.5 s of CPU and 100 MB."""
    with running_endpoint(released.root) as endpoint:
        assert endpoint.predict(INSTANCE).status_code == 200

        fields = Path(f"/proc/{endpoint.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{endpoint.process.pid}/status").read_text().splitlines()
        )

    assert (int(fields[11]) + int(fields[12])) / 100 < 1.5
    assert int(status["VmRSS"].split()[0]) / 1024 < 100


def test_swapping_versions_under_load_drops_no_request(released, trained, retrained):
    """Clients see only whole answers of one version or the other, and every swap happens."""
    digests = [released.save(retrained.parts), released.save(trained.parts)]
    scores: dict[str, set[float]] = {}
    with running_endpoint(released.root) as endpoint:
        loads = under_load(endpoint.url)
        for swap in range(SWAPS):
            release = released.release(digests[swap % 2])
            wait_until(lambda: endpoint.client.get(f"/models/{MODEL}").json()["generation"] == release.generation)  # noqa: B023
        for load in loads:
            load.stop()

    answers = [answer for load in loads for answer in load.acknowledged.values()]
    for answer in answers:
        scores.setdefault(answer["bundle_sha256"], set()).add(answer["predictions"][0]["score"])
    assert [failure for load in loads for failure in load.failures] == []
    assert len({answer["generation"] for answer in answers}) > SWAPS // 2
    assert {len(of_digest) for of_digest in scores.values()} == {1}
    assert len(scores) == 2


def test_a_killed_endpoint_loses_no_acknowledged_prediction_and_comes_back(released):
    """SIGKILL under load: whatever was answered is in the log, and the restart serves the same version."""
    with running_endpoint(released.root) as endpoint:
        loads = under_load(endpoint.url)
        wait_until(lambda: all(len(load.acknowledged) > 30 for load in loads))
        endpoint.kill()
        for load in loads:
            load.join(10)

    acknowledged = {request_id for load in loads for request_id in load.acknowledged}
    assert acknowledged <= logged_ids(released)
    with running_endpoint(released.root) as endpoint:
        assert endpoint.predict(INSTANCE, request_id="after").json()["generation"] == 1
    assert {"after", *acknowledged} <= logged_ids(released)


def test_a_term_signal_ends_well(released):
    """A supervisor's stop is an exit code of 0, with the requests under way answered."""
    with running_endpoint(released.root) as endpoint:
        endpoint.predict(INSTANCE)

        assert endpoint.stop() == 0


def test_a_port_in_use_is_told_with_what_to_do(released):
    """No traceback, but a sentence and an exit code of its own."""
    with running_endpoint(released.root) as endpoint:
        port = endpoint.url.rsplit(":", 1)[1]

        second = subprocess.run(
            [sys.executable, "-m", "mlops_assets.serving", "--home", str(released.root), "--port", port],
            check=False,
            capture_output=True,
            text=True,
            timeout=20,
        )

    assert second.returncode == 3
    assert f"Port {port} on 127.0.0.1 is in use" in second.stderr
    assert "--port" in second.stderr
    assert "Traceback" not in second.stderr


def test_an_online_store_that_is_not_known_is_told_with_what_to_do(released):
    """Before anything is served."""
    ended = subprocess.run(
        [sys.executable, "-m", "mlops_assets.serving", "--home", str(released.root), "--port", "0"],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
        env=os.environ | {"MLOPS_ONLINE_URL": "mongodb://somewhere"},
    )

    assert ended.returncode == 4
    assert "Write redis://" in ended.stderr
    assert "Traceback" not in ended.stderr

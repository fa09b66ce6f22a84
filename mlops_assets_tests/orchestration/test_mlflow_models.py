"""MLflow serves what the endpoint serves: the same scores, from the registered version, without a pickle."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import httpx
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from mlops_assets.cli.ports import any_port
from mlops_assets.digests import canonical_json, sha256_bytes, sha256_parts
from mlops_assets.errors import BundleError
from mlops_assets.orchestration import mlflow_models
from mlops_assets.orchestration.steps.datasets.training_sets import LABEL, TRAIN, times_of, training_rows_of
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.records import TrainingSet
from mlops_assets.scoring.calibration import CALIBRATION_PART, Calibrator
from mlops_assets.stores.home import Home
from mlops_assets.training import OWN, TrainingData, trainer_named
from mlops_assets_tests._commands import environment
from mlops_assets_tests._own import BINS
from mlops_assets_tests._shop import MODEL

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(grown) -> Home:
    """Four weeks of orders and a first version, only read."""
    return Home(grown)


@pytest.fixture(scope="module")
def bundle(home) -> LoadedBundle:
    """What is live."""
    return LoadedBundle.of(home, MODEL, home.releases.current(MODEL).bundle_sha256)


@pytest.fixture(scope="module")
def vectors(home, bundle) -> pd.DataFrame:
    """The vectors of a hundred rows, some with values missing, their columns in another order."""
    learnt = home.records.get((MODEL, "training_set"), None, TrainingSet)
    rows = training_rows_of(home, learnt, part=TRAIN).slice(0, 100)
    found = mlflow_models.vectors_of(bundle, rows)
    found[::7, -1] = np.nan
    frame = pd.DataFrame(found, columns=list(bundle.vectorizer.names))
    return frame[list(reversed(frame.columns))]


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def scores(bundle: LoadedBundle, vectors: pd.DataFrame) -> list[float]:
    return bundle.score(vectors[list(bundle.vectorizer.names)].to_numpy()).tolist()


def test_the_champion_is_served_by_mlflow_with_the_same_scores(home, bundle, vectors):
    """As its documentation says: `mlflow models serve -m models:/NAME@champion`, then a request."""
    port = any_port()
    command = ["models", "serve", "-m", f"models:/{MODEL}@champion", "--env-manager", "local", "-p", str(port)]
    serving = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *command],
        env=environment(MLFLOW_TRACKING_URI=home.tracking.uri, MLFLOW_DISABLE_TELEMETRY="true"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            until = time.monotonic() + 120
            while True:
                assert serving.poll() is None, "mlflow did not start"
                try:
                    client.get("/ping").raise_for_status()
                    break
                except httpx.TransportError:
                    assert time.monotonic() < until, "mlflow did not answer"
                    time.sleep(0.2)
            request = {"dataframe_split": json.loads(vectors.to_json(orient="split", index=False, double_precision=15))}
            answered = client.post("/invocations", json=request).raise_for_status().json()
    finally:
        os.killpg(serving.pid, signal.SIGKILL)  # MLflow and the server it started; how they end is not our matter
        serving.wait()

    assert answered["predictions"] == scores(bundle, vectors)


@pytest.fixture(scope="module")
def calibrated_bundle(bundle) -> LoadedBundle:
    """The same model with calibrated scores, which MLflow's own flavour would not give."""
    line = Calibrator(method="platt", scores=(0.0, 0.3, 1.0), probabilities=(0.1, 0.2, 0.8), rows=900)
    parts = {**bundle.parts, CALIBRATION_PART: canonical_json(line)}
    return LoadedBundle(MODEL, sha256_parts({name: sha256_bytes(part) for name, part in parts.items()}), parts)


@pytest.mark.parametrize("native", [True, False])
def test_both_forms_load_and_score_as_the_bundle_does(native, bundle, calibrated_bundle, vectors, home, tmp_path):
    """MLflow's own flavour where it gives the same, else the bundle itself; bit for bit, and nothing is unpickled."""
    bundle = bundle if native else calibrated_bundle
    learnt = home.records.get((MODEL, "training_set"), None, TrainingSet)

    files = mlflow_models.mlflow_model(bundle, training_rows_of(home, learnt, part=TRAIN).slice(0, 5))
    loaded = mlflow.pyfunc.load_model(str(written(tmp_path, files)))

    assert loaded.predict(vectors).tolist() == scores(bundle, vectors)
    assert [column.name for column in loaded.metadata.signature.inputs.inputs] == list(bundle.vectorizer.names)
    assert len(loaded.input_example) == 5
    assert not [name for name in files if name.endswith(("pkl", "pickle"))]
    assert ("model.lgb" in files) == native


def test_a_trainer_of_the_models_own_goes_along_with_all_it_imports(bundle, vectors, home, tmp_path):
    """MLflow scores with its code, and knows what to install for it."""
    learnt = home.records.get((MODEL, "training_set"), None, TrainingSet)
    rows = training_rows_of(home, learnt, part=TRAIN)
    X = mlflow_models.vectors_of(bundle, rows)
    data = TrainingData(
        X=X, y=rows[LABEL].to_numpy(), task="binary", times=times_of(rows), names=bundle.vectorizer.names
    )
    fitted = trainer_named(OWN, own=f"import yaml\n{BINS}").fit(data, params={}, seed=7)
    parts = {name: part for name, part in bundle.parts.items() if name != "model.txt"} | fitted.parts
    parts["meta.json"] = canonical_json({**bundle.meta, "trainer": OWN})
    own = LoadedBundle(MODEL, sha256_parts({name: sha256_bytes(part) for name, part in parts.items()}), parts)

    files = mlflow_models.mlflow_model(own, rows.slice(0, 5))
    loaded = mlflow.pyfunc.load_model(str(written(tmp_path, files)))

    assert loaded.predict(vectors).tolist() == scores(own, vectors)
    assert f"PyYAML=={version('PyYAML')}" in files["requirements.txt"].decode()


def test_a_bundle_that_was_changed_at_mlflow_is_not_loaded(calibrated_bundle, home, tmp_path):
    """Its digests travel with it."""
    learnt = home.records.get((MODEL, "training_set"), None, TrainingSet)
    files = mlflow_models.mlflow_model(calibrated_bundle, training_rows_of(home, learnt, part=TRAIN).slice(0, 5))
    [name] = (name for name in files if name.endswith("model.txt"))
    files[name] = files[name].replace(b"leaf_value=0", b"leaf_value=1")

    with pytest.raises(BundleError, match="changed after saving"):
        mlflow.pyfunc.load_model(str(written(tmp_path, files)))

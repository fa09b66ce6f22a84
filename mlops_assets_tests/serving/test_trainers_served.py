"""Models of every trainer and kind, from the fit to the answer over HTTP."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from mlops_assets.stores.predictions import days, decode_prediction, read_predictions
from mlops_assets.training import TRAINERS, Golden, TrainingData, assemble_bundle
from mlops_assets_tests._endpoint import FEATURES, ServingHome, TrainedModel, running_endpoint

TASKS = ("binary", "multiclass", "regression")
CLASSES = ("early", "on time", "late")
MODELS = [(trainer, task) for trainer in sorted(TRAINERS) for task in TASKS]
HEAVY = ("sklearn", "torch", "pandas", "lightgbm/__init__", "duckdb", "scipy")


def label(task, rows):
    """Give what is to be learnt of the rows of `TrainedModel`."""
    delay = rows["mean_delay"] + np.nan_to_num(rows["wind"]) + 5 * (rows["carrier"] == "UA")
    return {"binary": (delay > 28) * 1.0, "multiclass": np.digitize(delay, [20, 35]) * 1.0, "regression": delay}[task]


def bundle(trainer, task, trained):
    """Fit, and give the parts of the bundle with the scores of all rows."""
    vectorizer, rows = trained.vectorizer, trained.inputs
    data = TrainingData(
        X=vectorizer.vector(rows),
        y=label(task, rows),
        task=task,
        times=np.datetime64("2024-01-01", "us") + np.arange(len(rows["carrier"])) * np.timedelta64(1, "h"),
        names=vectorizer.names,
        categorical=vectorizer.categorical,
        classes=CLASSES if task == "multiclass" else (),
    )
    fitted = TRAINERS[trainer].fit(data, params={}, seed=7)
    scores = TRAINERS[trainer].score(fitted.parts, data.X)
    golden = json.loads(trained.parts["golden.json"])
    meta = {"model": f"{trainer}_{task}", "task": task, "threshold": 0.5 if task == "binary" else None}
    return assemble_bundle(
        fitted,
        spec=vectorizer.spec,
        features_source=FEATURES,
        profile=b"{}",
        golden=Golden(request=golden["request"], stored=golden["stored"], scores=scores[:5]),
        meta={**meta, **({"classes": CLASSES} if task == "multiclass" else {})},
    )


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """One endpoint process that serves all of them, with their bundles."""
    home = ServingHome(tmp_path_factory.mktemp("home"))
    home.fill_online()
    trained = TrainedModel(seed=0)
    made = {}
    for trainer, task in MODELS:
        made[trainer, task] = bundle(trainer, task, trained)
        name = f"{trainer}_{task}"
        home.release(home.save(made[trainer, task], model=name), model=name)
    with running_endpoint(home.root) as endpoint:
        yield home, endpoint, made


def instances():
    rows = []
    for i in range(12):
        carrier = ("AA", "B6", "DL", "UA", "??")[i % 5]
        rows.append(
            {
                "carrier": carrier,
                "origin": "EWR",
                "distance": 200.0 * (i + 1),
                "seats": 100 + i,
                "temp": None if i % 3 == 0 else 10.0 + i,
                "scheduled_departure": "2013-05-01T14:15:00Z",
            }
        )
    return rows


@pytest.mark.parametrize(("trainer", "task"), MODELS)
def test_the_endpoint_answers_what_training_would_have(everything, trainer, task):
    """Alone and in a batch, bit for bit what the trainer gives for the vectors that were logged."""
    home, endpoint, made = everything
    name, parts = f"{trainer}_{task}", made[trainer, task]

    batch = endpoint.predict(*instances(), model=name, request_id="batch").json()["predictions"]
    alone = [endpoint.predict(one, model=name).json()["predictions"][0] for one in instances()]

    logged = [
        decode_prediction(record)
        for day in days(home.predictions, name)
        for record in read_predictions(home.predictions, name, day)
    ]
    expected = TRAINERS[trainer].score(parts, np.array([made.vector for made in logged]))
    answered = [*batch, *alone]
    assert [one.request_id for one in logged] == [one["request_id"] for one in answered]
    assert len({str(row) for row in expected[: len(batch)].tolist()}) > 3
    if task == "multiclass":
        assert [list(one["probabilities"]) for one in answered] == [list(CLASSES)] * len(answered)
        assert [list(one["probabilities"].values()) for one in answered] == expected.tolist()
        assert [one["class"] for one in answered] == [CLASSES[place] for place in expected.argmax(axis=1)]
        assert [one["score"] for one in answered] == expected.max(axis=1).tolist()
        assert [one.probabilities for one in logged] == expected.tolist()
    else:
        assert [one["score"] for one in answered] == expected.tolist()
        assert {"class", "probabilities"}.isdisjoint(answered[0])
        assert logged[0].probabilities is None
    assert [one.score for one in logged] == [one["score"] for one in answered]


@pytest.mark.parametrize(("trainer", "task"), MODELS)
def test_the_endpoint_tells_what_it_serves(everything, trainer, task):
    """The kind of model, its classes, and golden rows that come out as in training."""
    _, endpoint, _ = everything

    told = endpoint.client.get(f"/models/{trainer}_{task}").json()
    golden = endpoint.client.get(f"/models/{trainer}_{task}/golden").json()

    assert told["task"] == task
    assert told.get("classes") == (list(CLASSES) if task == "multiclass" else None)
    assert golden["equal"] is True
    assert endpoint.predict(*told["example"]["instances"], model=f"{trainer}_{task}").status_code == 200


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="tells which libraries a process has loaded")
def test_no_library_that_fits_models_is_loaded_to_serve_them(everything):
    """Of all these models the endpoint has loaded LightGBM's C library and no other."""
    _, endpoint, _ = everything
    endpoint.predict(*instances(), model=f"{MODELS[-1][0]}_{MODELS[-1][1]}")

    loaded = Path(f"/proc/{endpoint.process.pid}/maps").read_text()

    assert "lib_lightgbm" in loaded
    assert [name for name in HEAVY if f"/{name}" in loaded] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: {k: v for k, v in p.items() if k != "model.skops"}, "holds no model"),
        (lambda p: {**p, "model.txt": b"tree"}, "model.txt and model.skops"),
        (lambda p: {**p, "model.skops": p["model.skops"][:-100]}, "no whole skops file"),
        (
            lambda p: {**p, "meta.json": p["meta.json"].replace(b'"early",', b"")},
            "names 2 classes",
        ),
    ],
)
def test_a_bundle_that_cannot_be_scored_says_why(home, serve, everything, change, reason):
    """No part, two of them, half of one, or classes that are not the model's."""
    parts = everything[2]["sklearn", "multiclass"]
    endpoint = serve()

    home.release(home.save(change(parts)))
    endpoint.live.refresh()

    assert reason in endpoint.client.get("/models/late").json()["failure"]["reason"]

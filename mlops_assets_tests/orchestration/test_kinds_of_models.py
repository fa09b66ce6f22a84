"""Models of other trainers and of several classes, through the whole chain: trained, judged, served and watched."""

import shutil
from datetime import UTC, datetime
from types import SimpleNamespace

import dagster as dg
import numpy as np
import pytest

from mlops_assets.cli.why import explain
from mlops_assets.monitoring import SCORE
from mlops_assets.orchestration import steps
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.record_io import RecordIO
from mlops_assets.orchestration.release_chain import release_assets
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.tags import AS_OF_TAG
from mlops_assets.records import EvaluationReport, Span
from mlops_assets_tests._own import BINS, CONV
from mlops_assets_tests._shop import FEATURES_PY, LIVE, Shop, days, failed_steps, orders, served

CLASSES = ["kept", "back by post", "back by hand"]
LABELS = {
    "binary": "def label(returned):\n    return returned.astype(float)\n",
    "multiclass": "def label(returned, order_id):\n    return returned * [1.0 + int(i[-1]) % 2 for i in order_id]\n",
    "regression": "def label(returned, order_id):\n    return 10.0 * returned + [int(i[-1]) / 10 for i in order_id]\n",
}
QUANTILE = {"num_iterations": 20, "min_data_in_leaf": 20, "objective": "quantile", "alpha": 0.8}
KINDS = {
    "lightgbm of classes": ("lightgbm", "multiclass", {"num_iterations": 20, "min_data_in_leaf": 20}, True),
    "linear": ("sklearn", "binary", {"estimator": "LogisticRegression"}, True),
    "forest of classes": ("sklearn", "multiclass", {"estimator": "ExtraTreesClassifier", "n_estimators": 20}, False),
    "quantile": ("lightgbm", "regression", QUANTILE, True),
    "boosted number": ("sklearn", "regression", {"max_iter": 20}, False),
    "network of classes": ("torch", "multiclass", {"epochs": 15}, False),
    "own bins of classes": ("own", "multiclass", {"rounds": 30}, True),
    "own network": ("own", "binary", {"epochs": 10}, False),
}
ANSWERS = {"back by post": {"back by post": 5.0, "kept": -2.0}, "back by hand": {"back by hand": 4.0}}
OWN_FILES = {"own bins of classes": BINS, "own network": CONV}
CALIBRATED = {"lightgbm of classes": {"calibration": "temperature", "validation_days": 5}}
METRIC = {
    "binary": {"primary_metric": "auc"},
    "multiclass": {"primary_metric": "macro_auc"},
    "regression": {"primary_metric": "mae", "non_inferiority_margin": 1.0},
}
BY_KIND = {"quantile": {"primary_metric": "pinball", "non_inferiority_margin": 0.2}}
WEEK = days("2024-01-29", 4)


@pytest.fixture(scope="module")
def week_in(shop_project, grown, tmp_path_factory):
    """A home with a week more of orders in it than the models are trained on."""
    home = tmp_path_factory.mktemp("week") / "home"
    shutil.copytree(grown, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_HOME", str(home))
        shop = Shop.on(shop_project, home)
        for day in WEEK:
            shop.land(day)
        assert not shop.bring_in(*WEEK)
    return home


@pytest.fixture
def shop(shop_project, week_in, tmp_path):
    """A copy of that home."""
    shutil.copytree(week_in, tmp_path / "home")
    return Shop.on(shop_project, tmp_path / "home")


def folder_of(shop, root, kind):
    """Declare a model of its own beside the shop's."""
    trainer, task, params, _ = KINDS[kind]
    path = root / "fate"
    path.mkdir()
    (path / "features.py").write_text(FEATURES_PY)
    (path / "model.py").write_text(LABELS[task])
    if trainer == "own":
        (path / "trainer.py").write_text(OWN_FILES[kind])
    base = shop.folder.declaration.model_dump()
    changed = {
        "task": task,
        "classes": CLASSES if task == "multiclass" else [],
        "value": {"answers": ANSWERS, "unit": "EUR"} if task == "multiclass" else None,
        "training": {**base["training"], "trainer": trainer, "params": params, **CALIBRATED.get(kind, {})},
        "gate": {
            **base["gate"],
            **METRIC[task],
            **BY_KIND.get(kind, {}),
            "minimum_per_class": 10,
            "behaviour": {"missing": 2},
        },
        "monitor": {**base["monitor"], "minimum_rows": 200, "performance": {"minimum_labelled_rows": 200}},
    }
    return ModelFolder(path, ModelDeclaration.model_validate({**base, **changed}))


def release(shop, folder):
    home = HomeResource(path=str(shop.home.root))
    return dg.materialize(
        release_assets(folder),
        instance=shop.instance,
        resources={"home": home, "io_manager": RecordIO(home=home)},
        tags={AS_OF_TAG: LIVE.isoformat()},
        raise_on_error=False,
    )


def explained_by_cli(shop, folder, request_id):
    """Give what `mlops why` says of an answer, by the word that each line begins with."""
    project = SimpleNamespace(model={folder.name: folder}.__getitem__, home=shop.home)
    lines = explain(project, folder.name, request_id, as_json=False).splitlines()
    return {line[:14].strip(): line[14:] for line in lines}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_any_kind_is_trained_judged_served_and_watched(shop, tmp_path, kind):
    """The chain needs no other code for it, and every step tells of it what there is to tell."""
    _, task, _, explained = KINDS[kind]
    folder = folder_of(shop, tmp_path, kind)
    with served(shop) as endpoint:
        result = release(shop, folder)
        assert not failed_steps(result), [each.description for each in shop.checks(result).values() if not each.passed]
        answered = []
        for day in WEEK:
            for row in orders(day).to_pylist():
                instance = {name: row[name] for name in ("branch", "amount")}
                answer = endpoint.predict(
                    instance, model="fate", at=row["placed_at"].isoformat(), request_id=row["order_id"]
                )
                answered.append(answer.json()["predictions"][0])
    span = Span(datetime(2024, 1, 29, tzinfo=UTC), datetime(2024, 2, 5, tzinfo=UTC))

    sealed, *_ = steps.seal_predictions(folder, shop.home, span)
    drift = steps.measure_drift(folder, shop.home, sealed, span)
    performance = steps.measure_performance(folder, shop.home, sealed, span)

    bundle = shop.home.releases.current("fate").bundle_sha256
    report = shop.home.records.get(("evaluations", "fate"), bundle, EvaluationReport)
    page = (shop.home.root / "dossiers" / "fate" / bundle / "model_card.md").read_text()
    assert report.passed
    assert sealed.rows == len(answered) == 4 * 60
    assert drift.score.column == SCORE
    assert drift.sufficient
    assert ("Single decisions are not explained" in page) is not explained
    assert performance.sufficient, performance
    assert not performance.degraded
    watched = "pinball" if kind == "quantile" else "rmse" if task == "regression" else METRIC[task]["primary_metric"]
    assert performance.expected.name == watched
    told = explained_by_cli(shop, folder, answered[0]["request_id"])
    assert ("moved by" in told) is not explained
    assert bool({"raised by", "lowered by"} & set(told)) is explained
    if task == "multiclass":
        assert {f"probability of {name}" for name in CLASSES} <= {each.column for each in drift.columns}
        assert CLASSES[0] in {each["class"] for each in answered} <= set(CLASSES)
        rows = shop.home.tables.read("fate/predictions").to_pylist()
        sealed_as = {row["request_id"]: row["probabilities"] for row in rows}
        assert all(sealed_as[each["request_id"]] == list(each["probabilities"].values()) for each in answered)
        assert told["decision"].endswith(answered[0]["class"])
        assert told["chances"].startswith(answered[0]["class"])
        assert told["outcome"] in CLASSES
    assert np.isfinite([each["score"] for each in answered]).all()


def test_the_same_classes_are_kept_for_life(shop, tmp_path):
    """A model that was of one kind cannot be succeeded by one of another under its name."""
    folder = folder_of(shop, tmp_path, "lightgbm of classes")
    (tmp_path / "comes_back").mkdir()
    for file in ("features.py", "model.py"):
        (tmp_path / "comes_back" / file).write_text((folder.path / file).read_text())
    other = ModelFolder(tmp_path / "comes_back", folder.declaration)

    result = release(shop, other)

    assert failed_steps(result) == {"comes_back__evaluation"}
    told = str(next(event for event in result.all_events if event.is_step_failure).event_specific_data.error)
    assert "A model keeps its classes: give one with others a name of its own" in " ".join(told.split())

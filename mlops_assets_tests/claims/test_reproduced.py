"""Claim: `mlops reproduce` gives the bundle on record to the last byte, or names what makes the difference.

The shipped models are fitted on four weeks of real flights with rows that weigh thousands of times as much as others
and with bagging, because plain sums would look reproducible by luck. What is changed is changed where it rests.
"""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from importlib import metadata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_assets.digests import sha256_bytes
from mlops_assets.features import spec
from mlops_assets.features.join import training_rows
from mlops_assets.orchestration.steps import build_training_set, fit_model, reproduce
from mlops_assets.orchestration.steps.datasets import training_sets
from mlops_assets.orchestration.steps.fitting.recipes import folder_as_recorded, keep_recipe, kept_recipe
from mlops_assets.records import ModelVersion
from mlops_assets.scoring.calibration import CALIBRATION_PART
from mlops_assets.stores.home import Home
from mlops_assets.training import TRAINERS, recipe_sha256
from mlops_assets.training.trainers import lightgbm
from mlops_assets_tests._commands import environment
from mlops_assets_tests._own import CONV
from mlops_assets_tests._shop import LIVE, MODEL, Shop, changed, grown, no_settings, shop, shop_project
from mlops_assets_tests.claims.conftest import ALL_IN, PROJECT, with_short_training

__all__ = ["grown", "no_settings", "shop", "shop_project"]

HALF_LIFE_DAYS = 2.0


def weighted(january, model):
    """Give a shipped model's folder with a short training in which a row counts half of one two days younger.

    Its rounds are found on the newest days, and the chances of a yes are calibrated on them.
    """
    folder = with_short_training(january.models[model])
    calibration = "isotonic" if folder.declaration.task == "binary" else "none"
    changes = {"recency_half_life_days": HALF_LIFE_DAYS, "validation_days": 4, "calibration": calibration}
    training = folder.declaration.training.model_copy(update=changes)
    return replace(folder, declaration=folder.declaration.model_copy(update={"training": training}))


@pytest.fixture(scope="module")
def trained(january, tmp_path_factory):
    """A home with a version of both shipped models, fitted on rows of very different weights, each a part of a bag."""
    home = Home(shutil.copytree(january.home.root, tmp_path_factory.mktemp("trained") / "home"), settings={})
    for model in ("flight_delay", "air_time"):
        folder = weighted(january, model)
        made, leaks = build_training_set(folder, home, cut_off=ALL_IN)
        assert not leaks
        version = fit_model(folder, home, made, tags={}, requester="the tests")
        assert version.params["bagging_fraction"] < 1
        assert (CALIBRATION_PART in home.bundles.load(model, version.sha256)) == (version.task == "binary")
    return home


@pytest.mark.parametrize("model", ["flight_delay", "air_time"])
def test_the_command_gives_the_same_bundle_on_any_number_of_threads(trained, model):
    """Joined anew from its tables, fitted on 1, 2 and 4 threads, by another process."""
    done = subprocess.run(
        ["mlops", "reproduce", f"{model}@1", "--home", str(trained.root), "--json"],
        cwd=PROJECT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    outcome = json.loads(done.stdout)

    bundle = trained.state.versions(model)[0].bundle_sha256
    assert outcome["fits"] == {"1": bundle, "2": bundle, "4": bundle}
    assert outcome["level"] == "equal across threads"
    assert (outcome["causes"], outcome["notes"], outcome["elsewhere"]) == ([], [], [])
    assert done.returncode == 0


def test_equal_rows_seen_at_another_cut_off_are_the_same_model(trained, january):
    """Where nothing has come in since, there is nothing else to learn; the version is known by its newest cut-off."""
    folder = weighted(january, "air_time")

    versions = []
    for days in (40, 80):
        made, _ = build_training_set(folder, trained, cut_off=ALL_IN + timedelta(days=days))
        versions.append(fit_model(folder, trained, made, tags={}, requester="the tests"))

    assert versions[0].sha256 == versions[1].sha256
    assert versions[0].version == versions[1].version
    kept = trained.records.get(("versions", "air_time"), versions[0].sha256, ModelVersion)
    assert kept.cut_off == ALL_IN + timedelta(days=80)


@pytest.mark.parametrize("trainer", [*sorted(TRAINERS), "own"])
def test_what_any_trainer_fits_is_made_again(shop, trainer):
    """With its defaults; those that cannot share a fit among threads keep to one, whatever is asked."""
    if trainer in ("torch", "own"):
        pytest.importorskip("torch")
    folder, version = trained_with(shop, trainer, CONV if trainer == "own" else None)

    outcome = reproduce(folder.path, shop.home, number=version.version, threads=[1, 2], at=LIVE, by="the tests")

    assert version.reproducibility["trainer"] == trainer
    assert outcome.level == "equal across threads"


def trained_with(shop, trainer, trainer_py=None):
    """Train the shop's model with another trainer."""
    kept = kept_recipe(shop.home, MODEL, version_of(shop).reproducibility["recipe_sha256"])
    model_py = re.sub("PARAMS = .*", "PARAMS = {}", kept.model_py)
    declaration = training(trainer=trainer, params={})(kept.declaration)
    recorded = replace(kept, declaration=declaration, model_py=model_py, trainer_py=trainer_py)
    folder = folder_as_recorded(recorded)
    made, _ = build_training_set(folder, shop.home, cut_off=LIVE)
    return folder, fit_model(folder, shop.home, made, tags={}, requester="the tests")


def test_a_trainer_of_ones_own_is_on_record_with_all_it_imports(shop):
    """A change of its text in the recipe, or of a package it needs, is named."""
    pytest.importorskip("torch")
    folder, version = trained_with(shop, "own", CONV)
    facts = version.reproducibility
    other = replace(
        kept_recipe(shop.home, MODEL, facts["recipe_sha256"]), trainer_py=CONV.replace("clamp(-10, 10)", "clamp(-1, 1)")
    )
    keep_recipe(shop.home, other)
    changes = {"recipe_sha256": recipe_sha256(other), "library.safetensors": "0.0.1"}
    shop.home.records.put(("versions", MODEL), version.sha256, replace(version, reproducibility=facts | changes))

    outcome = reproduce(folder.path, shop.home, number=version.version, threads=[1], at=LIVE, by="the tests")

    assert facts["part.trainer.py"] == facts["trainer_sha256"] == sha256_bytes(CONV.encode())
    assert facts["library.torch"] == metadata.version("torch")
    assert "trainer.py is not the code on record." in outcome.causes
    assert any(line.startswith("library safetensors: 0.0.1 on record") for line in outcome.elsewhere)
    assert {"trainer.py", "net.safetensors"} <= set(outcome.parts)


# --- what is changed is named ---------------------------------------------------------------------


def version_of(shop: Shop) -> ModelVersion:
    sha256 = shop.home.state.versions(MODEL)[0].bundle_sha256
    return shop.home.records.get(("versions", MODEL), sha256, ModelVersion)


def record(shop: Shop, **facts: str) -> None:
    """Put other facts on record."""
    version = version_of(shop)
    shop.home.records.put(
        ("versions", MODEL), version.sha256, replace(version, reproducibility=version.reproducibility | facts)
    )


def stored(shop: Shop, table: str, change) -> None:
    """Change rows of a stored table, in the file itself."""
    path = min((shop.home.tables.root / table).rglob("*.parquet"))
    rows = pq.read_table(path, partitioning=None)
    pq.write_table(change(rows), path)


def recipe(shop: Shop, **changes) -> None:
    """Change what people wrote of the model, as it is kept, and have the record agree."""
    kept = kept_recipe(shop.home, MODEL, version_of(shop).reproducibility["recipe_sha256"])
    other = replace(kept, **{name: change(getattr(kept, name)) for name, change in changes.items()})
    keep_recipe(shop.home, other)
    record(shop, recipe_sha256=recipe_sha256(other))


def training(**changes):
    return lambda declared: declared | {"training": declared["training"] | changes}


def backwards(levels):
    """Another way to order categories, such as another release may bring."""
    return lambda *given, **names: (found := levels(*given, **names)) and tuple(reversed(found))


def reversed_rows(*given):
    """Another order of rows, such as another way to join may bring."""
    return (found := training_rows(*given)).take(pa.array(range(found.num_rows)[::-1]))


CHANGES = {
    "a row of decisions": (
        lambda shop, patch: stored(shop, "validated/orders", lambda rows: changed(rows, "amount", {0: 99.5})),
        r"A row differs: validated/orders, amount of order_id '2024-01-\d\d-\d{4}' is \d+\.\d+ on record, 99\.5 now",
    ),
    "a row of a view": (
        lambda shop, patch: stored(
            shop, "features/branch_returns", lambda rows: changed(rows, "return_rate_7d", {0: 0.5, 1: 0.5})
        ),
        r"A row differs: features/branch_returns, return_rate_7d of order_id '\S+' is \S+ on record, 0\.5 now",
    ),
    "a row that is gone": (
        lambda shop, patch: stored(shop, "validated/orders", lambda rows: rows.slice(1)),
        r"Rows of validated/orders differ: 1 are gone \(2024-01-\d\d-\d{4}\)",
    ),
    "the order of rows": (
        lambda shop, patch: patch.setattr(training_sets, "training_rows", reversed_rows),
        "Rows of validated/orders stand in another order, from row 0 on",
    ),
    "the seed": (
        lambda shop, patch: recipe(shop, declaration=training(seed=8)),
        "seed is 7 on record, 8 now",
    ),
    "a parameter": (
        lambda shop, patch: recipe(shop, declaration=training(params={"learning_rate": 0.3})),
        r"learning_rate is 0\.2 on record, 0\.3 now",
    ),
    "the order of categories": (
        lambda shop, patch: patch.setattr(spec, "_levels", backwards(spec._levels)),
        "The categories of 'branch' are ordered otherwise: east, north, south on record, south, north, east now",
    ),
    "the code of features": (
        lambda shop, patch: recipe(shop, features=lambda text: text.replace("amount > 50", "amount > 60")),
        r"features\.py is not the code on record",
    ),
    "the code of the label": (
        lambda shop, patch: recipe(shop, model_py=lambda text: text.replace("returned.astype", "1 - returned.astype")),
        r"model\.py is not the code on record",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_named(shop, monkeypatch, change):
    """Each makes another model, and the reason is in the first sentences, not only that it is so."""
    make, words = CHANGES[change]
    make(shop, monkeypatch)

    outcome = reproduce(shop.folder.path, shop.home, threads=[1], at=LIVE, by="the tests")

    assert not outcome.equal
    assert outcome.level == "recorded"
    assert "meta.json" in outcome.parts or "model.txt" in outcome.parts
    assert any(re.search(words, cause) for cause in outcome.causes), outcome.causes


@pytest.mark.parametrize("fact", ["library.lightgbm", "library.numpy", "python", "cpu", "git_sha"])
def test_another_library_or_machine_is_named_though_the_bundle_is_equal(shop, fact):
    """With its recorded and its present version."""
    record(shop, **{fact: "0.0.1"})

    outcome = reproduce(shop.folder.path, shop.home, threads=[1], at=LIVE, by="the tests")

    name = fact.replace("library.", "library ")
    assert outcome.equal
    assert [line for line in outcome.elsewhere if line.startswith(f"{name}: 0.0.1 on record, ")]


def test_another_library_is_the_cause_where_nothing_else_is(shop, monkeypatch):
    """All that went in is equal, the trees are not, and the library is another: then it is the library."""
    record(shop, **{"library.lightgbm": "0.0.1"})
    monkeypatch.setattr(lightgbm, "normalised", lambda text: text + b"\n")

    outcome = reproduce(shop.folder.path, shop.home, threads=[1], at=LIVE, by="the tests")

    assert outcome.parts == ("model.txt",)
    assert "it can only be one of these: library lightgbm: 0.0.1 on record" in outcome.causes[0]


def test_a_model_that_depends_on_threads_is_told(shop, monkeypatch):
    """As it would with row-wise histograms: the fits differ among themselves."""
    fits = iter(range(9))
    monkeypatch.setattr(lightgbm, "normalised", lambda text: text + b"\n" * next(fits))

    outcome = reproduce(shop.folder.path, shop.home, threads=[1, 2], at=LIVE, by="the tests")

    assert "the model depends on the number of threads" in outcome.causes[0]


def test_a_record_that_was_changed_is_told(shop):
    """Its parts no longer add up to the digest of the bundle."""
    record(shop, **{"part.model.txt": "0" * 64})

    outcome = reproduce(shop.folder.path, shop.home, threads=[1], at=LIVE, by="the tests")

    assert "The record was changed" in outcome.causes[0]

"""What a challenger is judged beside is made while it is fitted, and kept until it is judged."""

import shutil
from datetime import timedelta

import numpy as np
import pytest

from mlops_assets.errors import TrainingError
from mlops_assets.orchestration import steps
from mlops_assets.orchestration.steps.fitting import yardstick
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.fitting.yardstick import Yardstick, yardstick_of
from mlops_assets_tests._shop import LIVE, MODEL, days

LATER = LIVE + timedelta(days=7)


@pytest.fixture
def trained(shop):
    """A shop a week later, with what a challenger learns from, and the challenger."""
    shop.bring_in(*days("2024-01-29", 7))
    made, _ = steps.build_training_set(shop.folder, shop.home, cut_off=LATER)
    return shop, made, steps.fit_model(shop.folder, shop.home, made, tags={}, requester="test")


def make_anew(*_arguments):
    raise TrainingError("It is made anew.")


def test_the_judgement_takes_what_was_made_beside_the_fit_and_is_the_same_without(trained, monkeypatch):
    """To the last digit of the report."""
    shop, made, version = trained
    with monkeypatch.context() as patched:
        patched.setattr(yardstick, "_made", make_anew)
        report = steps.evaluate(shop.folder, shop.home, made, version, at=LATER)

    shutil.rmtree(shop.home.root / "yardsticks")

    assert steps.evaluate(shop.folder, shop.home, made, version, at=LATER) == report


def test_beside_another_champion_it_is_made_anew(trained, monkeypatch):
    """For one may go live while the challenger is fitted."""
    shop, made, version = trained
    monkeypatch.setattr(LoadedBundle, "live", lambda stores, model: None)
    monkeypatch.setattr(yardstick, "_made", make_anew)

    with pytest.raises(TrainingError, match="made anew"):
        steps.evaluate(shop.folder, shop.home, made, version, at=LATER)


def test_what_fails_beside_a_fit_fails_at_the_judgement_and_costs_no_fit(shop, monkeypatch):
    made, _ = steps.build_training_set(shop.folder, shop.home, cut_off=LIVE)
    monkeypatch.setattr(yardstick, "_made", make_anew)

    version = steps.fit_model(shop.folder, shop.home, made, tags={}, requester="test")

    assert shop.home.bundles.load(MODEL, version.sha256)
    with pytest.raises(TrainingError, match="made anew"):
        steps.evaluate(shop.folder, shop.home, made, version, at=LIVE)


@pytest.mark.parametrize(
    ("champion", "constant"), [(None, 0.25), (np.ones((4, 3)) / 3, np.array([0.5, 0.3, 0.2]))], ids=["first", "classes"]
)
def test_it_is_read_as_it_was_kept(shop, monkeypatch, champion, constant):
    """Also of several classes, and without a champion."""
    made, _ = steps.build_training_set(shop.folder, shop.home, cut_off=LIVE)
    kept = Yardstick(
        baseline=np.array([0.1, 0.2, np.nextafter(0.3, 1), 0.4]),
        champion=champion,
        constant=constant,
        rows=12,
        labels=(0.0, 1.0),
        suspicions=("The 3rd of May “again”.", "And the 4th."),
    )
    monkeypatch.setattr(yardstick, "_made", lambda *_arguments: kept)
    shutil.rmtree(shop.home.root / "yardsticks")
    asked = {"features_source": shop.folder.features_source, "champion": None}
    yardstick_of(shop.folder, shop.home, made, **asked)
    monkeypatch.setattr(yardstick, "_made", make_anew)

    read = yardstick_of(shop.folder, shop.home, made, **asked)

    assert (read.rows, read.labels, read.suspicions) == (kept.rows, kept.labels, kept.suspicions)
    for name in ("baseline", "champion", "constant"):
        assert np.array_equal(getattr(read, name), getattr(kept, name)), name

"""A trainer that gives other bytes each time is found out before its model is judged."""

import numpy as np
import pytest

from mlops_assets.training import TRAINERS, TrainingData, TrainingPolicy, TrainingWindow, fits_alike, tried_rows
from mlops_assets.training.reproducibility import FACTS, FITS_DIFFER, NOT_EXACT, why_not_again
from mlops_assets.training.trainers.lightgbm import LightGBMTrainer

N = 600
POLICY = TrainingPolicy(
    params={"num_iterations": 5},
    window=TrainingWindow(minimum_rows=10**6),
    validation_days=3,
    calibration="isotonic",
)


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(N, 3))
    y = (X[:, 0] + rng.normal(size=N) > 0).astype(float)
    times = np.datetime64("2024-01-01", "us") + np.arange(N) * np.timedelta64(1, "h")
    return TrainingData(X=X, y=y, task="binary", times=times, names=("a", "b", "c"))


class ByChance(LightGBMTrainer):
    """Shuffles its rows by a seed that nobody wrote down."""

    def fit(self, data, **options):
        return super().fit(data.take(np.random.default_rng().permutation(len(data))), **options)


def test_our_trainer_fits_alike(rows):
    """However few rows are tried, and whatever is declared of windows and calibration."""
    assert fits_alike(POLICY, rows)


def test_a_trainer_that_draws_from_chance_does_not(rows, monkeypatch):
    """Its model could never be made again."""
    monkeypatch.setitem(TRAINERS, "lightgbm", ByChance())

    assert not fits_alike(POLICY, rows)


def test_every_class_is_among_the_rows_that_are_tried():
    """A class as rare as one row is not passed over: the trainer would refuse the rest."""
    y = np.zeros(100_000)
    y[54_321], y[99_998] = 1, 2

    tried = tried_rows(y, "multiclass")

    assert {54_321, 99_998} <= set(tried.tolist())
    assert len(tried) <= 2_003


def test_a_record_of_fits_that_differ_says_why_nobody_can_make_the_model_again():
    """Unlike a cluster's, which its owner has declared."""
    whole = dict.fromkeys(FACTS, "known")

    assert why_not_again(whole | {NOT_EXACT: "declared: on a cluster"}) == ()
    assert FITS_DIFFER in why_not_again(whole | {NOT_EXACT: FITS_DIFFER})[0]

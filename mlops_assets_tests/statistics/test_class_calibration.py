"""Calibration of several classes: against scikit-learn, and as far as it is known what is right."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from mlops_assets.statistics import StatisticsInputError, ece, top_label_ece
from mlops_assets.statistics.class_calibration import drawn_classes, isotonic_lines, temperature_lines
from mlops_assets.statistics.class_reliability import classwise_ece, classwise_ece_interval, top_label_ece_interval


class Stated(ClassifierMixin, BaseEstimator):
    """A fitted model whose rows are its probabilities."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return X

    def predict(self, X):
        return self.classes_[X.argmax(axis=1)]


def sample(n=6000, k=4, seed=1, *, power=2.5):
    """Give classes and probabilities that are `power` times too sure, and the true chances."""
    generator = np.random.default_rng(seed)
    chances = softmax(generator.normal(size=(n, k)) + np.linspace(0, 1, k), axis=1)
    y = (generator.random(n)[:, None] > chances.cumsum(axis=1)).sum(axis=1).astype(float)
    sure = chances**power
    return y, sure / sure.sum(axis=1, keepdims=True), chances


def theirs(method, y, p):
    return CalibratedClassifierCV(FrozenEstimator(Stated().fit(p, y)), method=method).fit(p, y).predict_proba(p)


def test_the_temperature_is_that_of_scikit_learn():
    """Every probability agrees to a ten-thousandth; how classes are ordered does not change."""
    y, p, _ = sample()

    found = drawn_classes(temperature_lines(y, p), p)

    assert found == pytest.approx(theirs("temperature", y, p), abs=2e-4)
    assert (found.argmax(axis=1) == p.argmax(axis=1)).all()


@pytest.mark.parametrize("power", [0.4, 1.0, 5.0])
def test_the_temperature_finds_the_power_by_which_a_model_is_too_sure(power):
    """Its answers are then the true chances, but for what 6,000 rows leave open."""
    y, p, chances = sample(power=power)

    assert drawn_classes(temperature_lines(y, p), p) == pytest.approx(chances, abs=0.03)


def test_isotonic_lines_are_scikit_learns_but_for_their_steps():
    """One class against the rest, and divided by the sum; ours rise between the steps."""
    y, p, _ = sample()

    off = np.abs(drawn_classes(isotonic_lines(y, p), p) - theirs("isotonic", y, p))

    assert off.mean() < 0.01
    assert np.quantile(off, 0.99) < 0.06


def test_probabilities_that_have_nothing_to_do_with_what_came_are_refused():
    """No temperature mends them."""
    y, p, _ = sample()

    with pytest.raises(StatisticsInputError, match="little to do with what came"):
        temperature_lines(y, p[:, ::-1])


def test_both_calibration_errors_are_those_worked_out_by_hand():
    """Of the answer, and of each class against the rest on average; of two classes, that of either."""
    y, p, chances = sample()
    stated, happened = p.max(axis=1), p.argmax(axis=1) == y

    assert top_label_ece(y, p) == ece(happened, stated)
    assert classwise_ece(y, p) == pytest.approx(np.mean([ece(y == k, p[:, k]) for k in range(4)]))
    assert top_label_ece(y, chances) < 0.02 < 0.1 < top_label_ece(y, p)
    two = np.stack([1 - stated, stated], axis=1)
    assert classwise_ece(happened, two) == pytest.approx(ece(happened, stated), rel=0.05)


@pytest.mark.parametrize("power", [1.0, 2.5])
@pytest.mark.parametrize("interval", [classwise_ece_interval, top_label_ece_interval])
def test_their_intervals_hold_them_at_least_as_often_as_they_say(interval, power):
    """Of calibrated probabilities, whose true error is 0, and of such as are too sure."""
    value = {classwise_ece_interval: classwise_ece, top_label_ece_interval: top_label_ece}[interval]
    truth = 0.0 if power == 1 else value(*sample(n=1_000_000, seed=0, power=power)[:2])

    held = 0
    for seed in range(100):
        low, high = interval(*sample(n=500, seed=seed, power=power)[:2], seed=1, resamples=200)
        held += low <= truth <= high

    assert held >= 93

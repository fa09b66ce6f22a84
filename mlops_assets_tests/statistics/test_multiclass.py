"""Measures of several classes, against scikit-learn, by hand, and in simulation."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from mlops_assets.statistics import StatisticsInputError, wald
from mlops_assets.statistics.multiclass import class_hits, class_log_losses, class_probabilities, macro_auc


def drawn(n=400, k=4, seed=1, strength=1.0):
    """Draw classes, and probabilities that know something of them."""
    chance = np.random.default_rng(seed)
    y = chance.choice(k, n, p=np.arange(1, k + 1) / (k * (k + 1) / 2))
    return y.astype(float), softmax(chance.normal(size=(n, k)) + strength * np.eye(k)[y], axis=1)


@pytest.mark.parametrize("k", [2, 3, 7])
def test_the_measures_are_scikit_learns(k):
    """Logarithmic loss, accuracy and the macro AUC of one against the rest."""
    y, p = drawn(k=k)

    assert class_log_losses(y, p).mean() == pytest.approx(log_loss(y, p))
    assert class_hits(y, p).mean() == accuracy_score(y, p.argmax(axis=1))
    expected = roc_auc_score(y, p[:, 1]) if k == 2 else roc_auc_score(y, p, multi_class="ovr", average="macro")
    assert macro_auc(y, p)[0] == pytest.approx(expected)


def test_ties_in_the_macro_auc_count_half():
    """As scikit-learn has them."""
    y, p = drawn(n=200)
    coarse = np.round(p, 1)
    coarse /= coarse.sum(axis=1, keepdims=True)

    assert macro_auc(y, coarse)[0] == pytest.approx(roc_auc_score(y, coarse, multi_class="ovr"))


def test_the_interval_of_the_macro_auc_covers_as_often_as_it_says():
    """Nineteen of twenty times, over 400 draws; the true value is that of a very large sample."""
    truth = macro_auc(*drawn(n=200_000, k=3, seed=99))[0]

    covered = 0
    for seed in range(400):
        value, adds = macro_auc(*drawn(n=300, k=3, seed=seed))
        found = wald(value, influence=adds, confidence=0.95)
        covered += found.low <= truth <= found.high

    assert 0.92 <= covered / 400 <= 0.975


def test_what_rows_add_sums_to_zero():
    """So that differences of two models on the same rows have no drift."""
    assert macro_auc(*drawn())[1].sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("y", "p", "why"),
    [
        ([0.0, 1.0], [0.5, 0.5], r"shape \(2,\)"),
        ([0.0, 1.0], [[0.5, 0.6], [0.5, 0.5]], r"1 of 2 rows \(rows 0\)"),
        ([0.0, 1.0], [[0.5, 0.5], [np.nan, 0.5]], r"rows 1\)"),
        ([0.0, 1.0], [[1.5, -0.5], [0.5, 0.5]], r"rows 0\)"),
        ([0.0, 2.0], [[0.5, 0.5], [0.5, 0.5]], "holds 2.0"),
        ([0.0], [[0.5, 0.5], [0.5, 0.5]], "lengths differ"),
    ],
)
def test_samples_without_an_answer_are_refused(y, p, why):
    """With the rows that are wrong."""
    with pytest.raises(StatisticsInputError, match=why):
        class_log_losses(y, p)


def test_a_class_that_hardly_happened_has_no_auc():
    """Two rows of each are needed."""
    y, p = drawn(n=50, k=3)
    y[y == 0] = 1

    with pytest.raises(StatisticsInputError, match="needs at least two of each"):
        macro_auc(y, p)


def test_probabilities_may_miss_one_by_their_last_bits():
    """Sums of floating-point numbers do."""
    assert class_probabilities([[0.1 + 1e-9, 0.9]]).shape == (1, 2)

"""The simple model that every challenger must beat."""

import numpy as np
import pytest

from mlops_assets.errors import TrainingError
from mlops_assets.statistics import auc, r2
from mlops_assets.training import fit_baseline


def test_a_logistic_baseline_uses_numbers_gaps_and_categories():
    """Each kind of column alone is enough to tell the classes apart."""
    n = 400
    y = (np.arange(n) % 2).astype(float)
    noise = np.random.default_rng(1).normal(size=n)
    number, gap, level = y + noise / 4, np.where(y == 1, np.nan, noise), np.where(y == 1, 5.0, 2.0)

    for column, categorical in ((number, ()), (gap, ()), (level, (0,))):
        baseline = fit_baseline(column[:, None], y, task="binary", categorical=categorical)
        assert auc(y, baseline.score(column[:, None])) > 0.95


def test_a_ridge_baseline_recovers_a_line():
    """With little noise the coefficients are found again."""
    X = np.random.default_rng(2).normal(50, 20, size=(500, 2))
    y = 3 * X[:, 0] - 2 * X[:, 1] + 7

    baseline = fit_baseline(X, y, task="regression")

    assert r2(y, baseline.score(X)) > 0.9999
    assert baseline.score(np.array([[50.0, 50.0]])) == pytest.approx([57], abs=0.5)


def test_a_baseline_is_the_same_every_time(binary):
    """Two fits score alike to the last bit."""
    first, second = (
        fit_baseline(binary.X, binary.y, task="binary", categorical=binary.categorical).score(binary.X)
        for _ in range(2)
    )

    assert np.array_equal(first, second)


def test_a_baseline_scores_what_it_never_saw(binary):
    """Unknown levels, missing and extreme values get a probability, and a line is not drawn beyond its range."""
    baseline = fit_baseline(binary.X, binary.y, task="binary", categorical=binary.categorical)
    edge = np.nanmax(binary.X[:, 0])
    odd = np.array([[edge, 0, 0, 99], [1e12, 0, 0, 99], [np.nan, np.nan, np.nan, np.nan]])

    score = baseline.score(odd)

    assert np.isfinite(score).all()
    assert score[0] == score[1]


def test_rare_levels_have_no_coefficient_of_their_own():
    """A level seen in a handful of rows would be learnt by heart."""
    X = np.array([0.0] * 50 + [1.0] * 50 + [2.0] * 5)[:, None]
    y = np.arange(105) % 2

    assert len(fit_baseline(X, y, task="binary", categorical=(0,)).weights) == 2


def test_a_constant_or_empty_column_does_no_harm(binary):
    """A feature that never varies, or was never there, is left alone."""
    X = np.column_stack([binary.X[:, 0], np.full(len(binary.X), 3.0), np.full(len(binary.X), np.nan)])

    assert auc(binary.y, fit_baseline(X, binary.y, task="binary").score(X)) > 0.65


def test_one_class_makes_no_baseline():
    """Nothing can be told apart."""
    with pytest.raises(TrainingError, match="no baseline"):
        fit_baseline(np.ones((10, 1)), np.ones(10), task="binary")


def test_a_baseline_of_classes_gives_each_its_probability(multiclass):
    """Rows sum to one, and the probabilities follow the classes."""
    baseline = fit_baseline(multiclass.X, multiclass.y, task="multiclass", categorical=multiclass.categorical)

    score = baseline.score(multiclass.X)

    assert score.shape == (len(multiclass.y), 3)
    assert score.sum(axis=1) == pytest.approx(1)
    assert all(auc(multiclass.y == place, score[:, place]) > 0.65 for place in range(3))


@pytest.mark.parametrize("seen", [(0, 2), (0, 1), (1, 2), (0, 1, 3)])
def test_a_class_that_no_row_was_of_keeps_its_place(seen):
    """Of many rows only some are learnt from, and a rare class may not be among them; others rank as they did."""
    X = np.random.default_rng(3).normal(size=(300, 2))
    y = np.array(seen, dtype=np.float64)[np.digitize(X[:, 0], [0] if len(seen) == 2 else [-0.5, 0.5])]

    scores = fit_baseline(X, y, task="multiclass", classes=4).score(X)

    assert scores.shape == (300, 4)
    assert np.allclose(scores.sum(axis=1), 1)
    assert (scores[:, [place for place in range(4) if place not in seen]] == 0).all()
    assert np.mean(scores.argmax(axis=1) == y) > 0.95


def test_a_baseline_of_a_quantile_lies_above_that_share_of_what_it_learnt_from():
    """As a mean it would lie above half of them, and any model of the quantile would beat it."""
    chance = np.random.default_rng(3)
    X = chance.normal(size=(2_000, 2))
    y = X @ [2.0, -1.0] + chance.exponential(size=2_000)

    high, mean = (fit_baseline(X, y, task="regression", quantile=quantile).score(X) for quantile in (0.9, None))

    assert np.mean(y <= high) == pytest.approx(0.9, abs=1e-3)
    assert np.ptp(high - mean) == pytest.approx(0, abs=1e-9)

"""Ranking and forecasting metrics, against hand-worked numbers and scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics

from mlops_assets.statistics import (
    StatisticsInputError,
    auc,
    auc_interval,
    brier,
    delong,
    log_loss,
    placements,
    precision_at,
    recall_at,
    top_scores,
)


@pytest.fixture(scope="module")
def sample():
    """Two hundred labels with two scores, both full of ties, and the days they belong to."""
    generator = np.random.default_rng(3)
    y = generator.random(200) < 0.3
    a = np.round(np.clip(0.3 * y + generator.random(200) * 0.7, 0, 1), 1)
    b = np.round(np.clip(0.1 * y + generator.random(200) * 0.9, 0, 1), 1)
    return y, a, b, np.arange(200) // 10


def delong_paired(y, a, b, clusters=None):
    """Test whether two scores rank the same rows equally well, as the gate does."""
    return delong(y, placements(y, a) - placements(y, b), clusters=clusters)


def slow_delong(y, scores):
    """DeLong's AUCs and covariance straight from the definition, pair by pair."""
    y = np.asarray(y, bool)
    tables = [np.sign(np.subtract.outer(np.asarray(s)[y], np.asarray(s)[~y])) / 2 + 0.5 for s in scores]
    below = np.array([table.mean(axis=1) for table in tables])
    above = np.array([table.mean(axis=0) for table in tables])
    covariance = np.cov(below) / below.shape[1] + np.cov(above) / above.shape[1]
    return np.array([table.mean() for table in tables]), np.atleast_2d(covariance)


def test_auc_counts_a_tie_as_half():
    """Of four pairs three are ordered and one is tied: 3.5 / 4."""
    assert auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8]) == 0.875


def test_auc_equals_scikit_learn_with_ties(sample):
    """The rank formula and scikit-learn's curve agree."""
    y, a, _, _ = sample

    assert auc(y, a) == pytest.approx(sklearn.metrics.roc_auc_score(y, a), abs=1e-14)


def test_auc_interval_equals_the_hand_worked_one():
    """Positives above 2/3, 1, 1 of the negatives and the mirror of it give a variance of 2/81."""
    low, high = auc_interval([0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6])

    assert low == pytest.approx(8 / 9 - 1.959964 * (2 / 81) ** 0.5, abs=1e-6)
    assert high == 1.0


def test_fast_delong_equals_the_definition_with_ties(sample):
    """The midrank algorithm gives the variance of the pairwise definition."""
    y, a, b, _ = sample
    (area_a, area_b), covariance = slow_delong(y, [a, b])
    error = (covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]) ** 0.5

    found = delong_paired(y, a, b)

    assert found.value == pytest.approx(area_a - area_b, abs=1e-14)
    assert found.high - found.value == pytest.approx(1.959963984540054 * error, rel=1e-12)
    assert auc_interval(y, a).high - area_a == pytest.approx(1.959963984540054 * covariance[0, 0] ** 0.5, rel=1e-12)


def test_delong_of_a_score_with_itself_sees_no_difference(sample):
    """The same ranking twice differs by exactly nothing, with p = 1."""
    y, a, _, _ = sample

    assert delong_paired(y, a, a * 0.5 + 0.1) == (0.0, 0.0, 0.0, 1.0)


def test_delong_rejects_a_true_null_about_as_often_as_it_says():
    """Two equally noisy scores are told apart in about one of twenty samples."""
    generator = np.random.default_rng(11)
    rejected = 0

    for _ in range(600):
        y = generator.random(150) < 0.4
        a, b = y + generator.normal(0, 1.5, 150), y + generator.normal(0, 1.5, 150)
        rejected += delong_paired(y, a, b).p_value < 0.05

    assert 0.03 < rejected / 600 < 0.075


def test_clusters_undo_copied_rows(sample):
    """Writing every row five times adds no knowledge once copies are named as one cluster."""
    y, a, b, _ = sample
    copies = [np.repeat(values, 5) for values in (y, a, b, np.arange(200))]

    once = delong_paired(y, a, b, clusters=np.arange(200))
    naive = delong_paired(*copies[:3])
    clustered = delong_paired(*copies[:3], clusters=copies[3])

    assert clustered == pytest.approx(once, rel=1e-9)
    assert naive.high - naive.low < 0.5 * (clustered.high - clustered.low)


def test_log_loss_and_brier_equal_scikit_learn(sample):
    """Certain forecasts that were wrong included."""
    y, a, _, _ = sample
    a = np.where(np.arange(200) < 3, ~y, a).astype(float)

    assert log_loss(y, a) == pytest.approx(sklearn.metrics.log_loss(y, a), rel=1e-12)
    assert brier(y, a) == pytest.approx(sklearn.metrics.brier_score_loss(y, a), rel=1e-12)


def test_ties_at_the_capacity_count_by_their_expected_hits():
    """Two free places for three tied rows with one hit among them expect 2/3 of a hit."""
    found = top_scores([1, 1, 0, 0, 0], [0.9, 0.5, 0.5, 0.5, 0.1], share=0.6)

    assert (found.rows, found.hits, found.positives) == (3, pytest.approx(1 + 2 / 3), 2)


def test_precision_at_capacity_does_not_depend_on_the_order_of_rows(sample):
    """Ties are settled by expectation, not by where a row happens to lie."""
    y, a, _, _ = sample
    shuffled = np.random.default_rng(5).permutation(200)

    assert precision_at(y, a, share=0.1) == precision_at(y[shuffled], a[shuffled], share=0.1)


def test_a_constant_score_has_the_base_rate_as_precision():
    """A score that knows nothing finds what chance finds."""
    assert precision_at([1, 0, 0, 0], [0.5] * 4, share=0.5) == 0.25


@pytest.mark.parametrize(("share", "rows"), [(0.29, 29), (0.3, 30), (0.001, 1), (1.0, 100)])
def test_a_capacity_is_rounded_down_but_never_to_nothing(share, rows):
    """Twenty-nine hundredths of a hundred are 29, in spite of binary fractions."""
    assert top_scores([0, 1] * 50, np.arange(100.0), share=share).rows == rows


def test_recall_at_capacity_counts_the_hits_found():
    """One of two late flights is among the top half."""
    assert recall_at([1, 0, 1, 0], [0.9, 0.8, 0.5, 0.1], share=0.5) == 0.5


@pytest.mark.parametrize(
    ("measure", "why"),
    [
        (lambda: auc([], []), "empty"),
        (lambda: auc([1, 1], [0.1, 0.2]), "same label"),
        (lambda: auc([0, 1], [0.1, np.nan]), "NaN or infinity in 1 of 2 rows"),
        (lambda: auc([0, 2], [0.1, 0.2]), "0 and 1 only"),
        (lambda: auc([0, 1], [0.1, 0.2, 0.3]), "lengths differ"),
        (lambda: auc([[0, 1]], [[0.1, 0.2]]), "shape"),
        (lambda: auc_interval([0, 0, 1], [1, 2, 3]), "at least two of each"),
        (lambda: delong_paired([1, 1], [1, 2], [1, 2]), "at least two of each"),
        (lambda: log_loss([0, 1], [0.1, 1.2]), "not probabilities"),
        (lambda: brier([0, 1], [-0.1, 0.2]), "not probabilities"),
        (lambda: precision_at([0, 1], [0.1, 0.2], share=0), "share"),
        (lambda: recall_at([0, 0], [0.1, 0.2], share=0.5), "nothing to find"),
    ],
)
def test_a_sample_without_an_answer_is_refused_with_the_reason(measure, why):
    """No metric gives a number for a sample that has none."""
    with pytest.raises(StatisticsInputError, match=why):
        measure()

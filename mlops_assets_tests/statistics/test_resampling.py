"""Draws of whole units give what draws of single rows gave, only sooner."""

import numpy as np
import pytest

from mlops_assets.statistics import (
    StatisticsInputError,
    TopDraws,
    drawn_difference,
    drawn_interval,
    of_sums,
    rmse,
    top_scores,
    units_of,
)
from mlops_assets.statistics.resampling import BLOCKS, MANY_ROWS, draws
from mlops_assets_tests.statistics._bootstrap import bootstrap_interval


@pytest.fixture(scope="module", params=["ties", "no ties", "one score"])
def sample(request):
    """Labels, scores and days."""
    generator = np.random.default_rng(3)
    y = (generator.random(3000) < 0.3).astype(float)
    score = {
        "ties": np.round(0.3 * y + generator.random(3000), 1),
        "no ties": 0.3 * y + generator.random(3000),
        "one score": np.full(3000, 0.5),
    }[request.param]
    return y, score, np.sort(generator.integers(0, 25, 3000))


@pytest.mark.parametrize("share", [0.001, 0.1, 0.29, 1.0])
def test_every_draw_counts_as_if_its_rows_had_been_copied(sample, share):
    """Exactly, ties at the limit included, for days and for single rows."""
    y, score, day = sample

    for clusters in (day, None):
        units = units_of(3000, clusters, seed=1)
        weights = next(draws(units, seed=5, resamples=100))[:20]
        rows, hits, positives, all_rows = TopDraws(y, score, units)(weights, share=share)

        for draw, weight in enumerate(weights):
            copied = np.repeat(np.arange(3000), weight[units.of_row].astype(int))
            found = top_scores(y[copied], score[copied], share=share)
            assert (rows[draw], positives[draw], all_rows[draw]) == (found.rows, found.positives, copied.size)
            assert hits[draw] == pytest.approx(found.hits, rel=1e-12)


def test_below_a_least_score_nothing_is_acted_on(sample):
    """Capacity that does not pay stays unused."""
    y, score, _ = sample
    units = units_of(3000, None, seed=1)

    rows, hits, _, _ = TopDraws(y, score, units, at_least=0.9)(np.ones((1, 3000)), share=1.0)
    none, no_hits, _, _ = TopDraws(y, score, units, at_least=9.0)(np.ones((1, 3000)), share=1.0)

    assert (rows[0], hits[0]) == ((score >= 0.9).sum(), y[score >= 0.9].sum())
    assert (none[0], no_hits[0]) == (0, 0)


def test_sums_are_drawn_as_rows_were(sample):
    """The same seed draws the same days, so both intervals are the same."""
    y, score, day = sample
    units = units_of(3000, day, seed=1)
    error = of_sums(lambda s: np.sqrt(s[0] / s[1]), (score - y) ** 2, np.ones(3000), units=units)

    found = drawn_interval(error, units, seed=5, resamples=200)

    slow = bootstrap_interval(lambda rows: rmse(y[rows], score[rows]), 3000, seed=5, resamples=200, clusters=day)
    assert found == pytest.approx(slow, rel=1e-12)


def test_many_rows_are_dealt_to_blocks_that_tell_as_much():
    """A hundred thousand independent rows: a thousand blocks give the width that theory does."""
    n = 100_000
    values = np.random.default_rng(2).normal(size=n)
    units = units_of(n, None, seed=1)
    mean = of_sums(lambda s: s[0] / s[1], values, np.ones(n), units=units)

    low, high = drawn_interval(mean, units, seed=5, resamples=2000)

    assert n > MANY_ROWS
    assert units.number == BLOCKS
    assert high - low == pytest.approx(2 * 1.96 * values.std() / n**0.5, rel=0.1)


def test_a_difference_of_nothing_is_never_shown(sample):
    """The same statistic twice: 0, with p = 1."""
    y, _, day = sample
    units = units_of(3000, day, seed=1)
    mean = of_sums(lambda s: s[0] / s[1], y, np.ones(3000), units=units)

    assert drawn_difference(lambda w: mean(w) - mean(w), units, seed=5, resamples=100) == (0, 0, 0, 1)


def test_a_difference_on_every_draw_never_claims_certainty(sample):
    """It gives the smallest p that the draws can show, not 0."""
    _, _, day = sample

    found = drawn_difference(lambda w: np.ones(len(w)), units_of(3000, day, seed=1), seed=5, resamples=999)

    assert found.p_value == pytest.approx(2 / 1000)
    assert {type(number) for number in found} == {float}  # records are written as JSON


def test_one_cluster_and_few_draws_are_refused():
    """The sentence says what to do."""
    with pytest.raises(StatisticsInputError, match="one row or cluster only"):
        units_of(5, np.zeros(5), seed=1)
    with pytest.raises(StatisticsInputError, match="Use 1000, or at least 100"):
        next(draws(units_of(5, None, seed=1), seed=1, resamples=10))

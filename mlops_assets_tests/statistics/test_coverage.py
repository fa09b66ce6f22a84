"""Intervals hold the truth about as often as they say, in seeded simulations where the truth is known."""

import numpy as np
import pytest
from scipy.special import expit, ndtr

from mlops_assets import statistics
from mlops_assets_tests.statistics._bootstrap import bootstrap_interval

ROUNDS = 400
NOMINAL = (0.92, 0.98)  # what 400 rounds leave of 95 %, three standard errors either way


def covered(interval_of, truth, *, seed, rounds=ROUNDS):
    """Give the share of rounds whose interval holds the truth."""
    generator = np.random.default_rng(seed)
    held = 0
    for _ in range(rounds):
        low, high = interval_of(generator)[:2]
        held += low <= truth <= high
    return held / rounds


def shifted(generator, n, *, days=0):
    """Give labels and scores whose true AUC is that of two normals one apart; `days` add noise that a day shares."""
    y = generator.random(n) < 0.3
    day = np.arange(n) * days // n if days else None
    shared = generator.normal(size=days)[day] if days else 0.0
    return y, y + generator.normal(size=n) * (0.8 if days else 1.0) + 0.6 * shared, day


def test_delong_holds_the_auc():
    """The AUC of two normals one standard deviation apart is Phi(1 / sqrt 2)."""
    found = covered(lambda g: statistics.auc_interval(*shifted(g, 300)[:2]), ndtr(0.5**0.5), seed=1)

    assert NOMINAL[0] < found < NOMINAL[1]


def average_precision_interval(y, score, clusters=None):
    """Give the ends that the gate reckons."""
    value, adds = statistics.average_precision_adds(y, score)
    return statistics.wald(value, influence=adds, confidence=0.95, clusters=clusters)[1:3]


def test_average_precision_is_held():
    """The truth is that of a million rows."""
    truth, _ = statistics.average_precision_adds(*shifted(np.random.default_rng(0), 1_000_000)[:2])

    found = covered(lambda g: average_precision_interval(*shifted(g, 400)[:2]), truth, seed=2)

    assert NOMINAL[0] < found < NOMINAL[1]


def test_wilson_holds_a_share_of_few_rows():
    """Shares of 40 rows at capacity, on average over what they may be; of a single share it goes up and down."""
    shares = np.random.default_rng(3).uniform(0.05, 0.5, 2000)
    hits = np.random.default_rng(4).binomial(40, shares)

    ends = [statistics.wilson(int(found), 40) for found in hits]

    held = np.mean([low <= truth <= high for (low, high), truth in zip(ends, shares, strict=True)])
    assert 0.94 < held < 0.965


@pytest.mark.parametrize("days", [0, 40])
def test_the_bootstrap_holds_precision_at_capacity(days):
    """Of single rows, and of days whose rows share their fate."""

    def drawn(generator):
        y, score, day = shifted(generator, 800, days=days)
        units = statistics.units_of(800, day, seed=1)
        top = statistics.TopDraws(y, score, units)

        def precision(weights):
            rows, hits, _, _ = top(weights, share=0.2)
            return hits / rows

        return statistics.drawn_interval(precision, units, seed=1, resamples=200)

    y, score, _ = shifted(np.random.default_rng(0), 1_000_000, days=500_000 if days else 0)
    truth = statistics.precision_at(y, score, share=0.2)

    found = covered(drawn, truth, seed=4, rounds=200)

    assert 0.90 < found < 0.99  # 40 days are few draws for percentiles


def test_an_interval_of_rmse_over_days_holds_it():
    """Errors that a day shares: rows counted singly would be far too sure."""
    n, days = 600, 60

    def errors(generator):
        return (generator.normal(size=days)[np.arange(n) * days // n] + generator.normal(size=n)) ** 2

    def interval(generator, clusters):
        units = statistics.units_of(n, clusters, seed=1)
        statistic = statistics.of_sums(lambda s: np.sqrt(s[0] / s[1]), errors(generator), np.ones(n), units=units)
        return statistics.drawn_interval(statistic, units, seed=1, resamples=200)

    by_day = covered(lambda g: interval(g, np.arange(n) * days // n), 2**0.5, seed=5)
    by_row = covered(lambda g: interval(g, None), 2**0.5, seed=5)

    assert 0.90 < by_day < NOMINAL[1]
    assert by_row < 0.8


def test_a_ratio_over_days_holds_the_rate_of_decisions():
    """Precision at a threshold, of days with different loads."""
    n, days = 1000, 50

    def interval(generator):
        y, score, day = shifted(generator, n, days=days)
        return statistics.rate_interval("precision", y, score >= 1.0, clusters=day)

    y, score, _ = shifted(np.random.default_rng(0), 1_000_000, days=500_000)
    truth = statistics.rate("precision", y, score >= 1.0)

    assert NOMINAL[0] < covered(interval, truth, seed=6) < NOMINAL[1]


@pytest.mark.parametrize("sharpness", [1.0, 2.0])
def test_the_interval_of_the_calibration_error_holds_it_at_least_as_often_as_it_says(sharpness):
    """Of a calibrated forecast, whose true error is 0, and of one that is twice as sure as it may be."""

    def sample(generator, n):
        z = generator.normal(size=n)
        return generator.random(n) < expit(z), expit(sharpness * z)

    def interval(generator):
        return statistics.ece_interval(*sample(generator, 500), seed=1, resamples=200)

    truth = statistics.ece(*sample(np.random.default_rng(0), 4_000_000)) if sharpness != 1 else 0.0

    assert covered(interval, truth, seed=7, rounds=200) >= 0.94


def test_delong_and_the_bootstrap_agree():
    """Two ways to the same interval: their ends lie within a tenth of its width."""
    y, score, day = shifted(np.random.default_rng(9), 2000, days=50)

    for clusters in (None, day):
        formula = statistics.auc_interval(y, score, clusters=clusters)
        drawn = bootstrap_interval(
            lambda rows: statistics.auc(y[rows], score[rows]), 2000, seed=1, resamples=600, clusters=clusters
        )

        assert drawn == pytest.approx(formula, abs=0.1 * (formula.high - formula.low))


def test_the_jackknife_of_average_precision_and_the_bootstrap_agree():
    """As for DeLong."""
    y, score, day = shifted(np.random.default_rng(10), 2000, days=50)

    for clusters in (None, day):
        low, high = average_precision_interval(y, score, clusters=clusters)
        drawn = bootstrap_interval(
            lambda rows: statistics.average_precision_adds(y[rows], score[rows])[0],
            2000,
            seed=1,
            resamples=600,
            clusters=clusters,
        )

        assert drawn == pytest.approx((low, high), abs=0.12 * (high - low))


def difference(y, first, second, clusters=None):
    """Test two AUCs of the same rows, as the gate does."""
    placed = statistics.placements(y, first) - statistics.placements(y, second)
    return statistics.delong(y, placed, clusters=clusters)


def paired(generator, n, *, days=0):
    """Give labels and two scores that share most of what they know; the first is the better one."""
    y, first, day = shifted(generator, n, days=days)
    return y, first, first + 0.5 * generator.normal(size=n), day


@pytest.mark.parametrize("days", [0, 40])
def test_a_difference_of_two_aucs_is_held(days):
    """Of the same rows, singly and over days."""
    truth = difference(*paired(np.random.default_rng(0), 300_000, days=150_000 if days else 0)[:3]).value

    def interval(generator):
        y, first, second, day = paired(generator, 400, days=days)
        return difference(y, first, second, clusters=day)[1:]

    assert 0.91 < covered(interval, truth, seed=11) < 0.985


def test_a_difference_drawn_by_the_bootstrap_is_held_and_zero_seldom_refuted():
    """Precision at capacity of two scores on the same rows, and of two that are equally good."""

    def interval(generator, *, blur):
        y = generator.random(800) < 0.3
        known = y + generator.normal(size=800)
        units = statistics.units_of(800, None, seed=1)
        tops = [statistics.TopDraws(y, known + by * generator.normal(size=800), units) for by in (0.5, blur)]

        def gap(weights):
            (rows, hits, _, _), (others, found, _, _) = (top(weights, share=0.2) for top in tops)
            return hits / rows - found / others

        return statistics.drawn_difference(gap, units, seed=1, resamples=200)[1:]

    y = np.random.default_rng(0).random(1_000_000) < 0.3
    known = y + np.random.default_rng(1).normal(size=y.size)
    one, other = (
        statistics.precision_at(y, known + by * np.random.default_rng(seed).normal(size=y.size), share=0.2)
        for by, seed in ((0.5, 2), (1.0, 3))
    )

    assert 0.90 < covered(lambda g: interval(g, blur=1.0), one - other, seed=12, rounds=200) < 0.99
    assert 0.90 < covered(lambda g: interval(g, blur=0.5), 0.0, seed=13, rounds=200) < 0.99


@pytest.mark.parametrize("rate", ["accuracy", "true_positive_rate", "f1", "balanced_accuracy"])
def test_rates_of_decisions_are_held(rate):
    """Row by row, at a threshold."""
    y, score, _ = shifted(np.random.default_rng(0), 1_000_000)
    truth = statistics.rate(rate, y, score >= 0.8)

    def interval(generator):
        y, score, _ = shifted(generator, 400)
        return statistics.rate_interval(rate, y, score >= 0.8)

    assert NOMINAL[0] < covered(interval, truth, seed=14) < NOMINAL[1]


def test_means_over_days_and_their_paired_differences_are_held():
    """Errors that a day shares, of two models on the same rows."""
    days, n = 30, 600
    day = np.arange(n) * days // n

    def interval(generator):
        shared = generator.normal(size=days)[day]
        first, second = (shared * by + generator.normal(size=n) for by in (1.0, 0.5))
        return statistics.mean_difference(first + 0.2, second, clusters=day)[1:]

    assert NOMINAL[0] < covered(interval, 0.2, seed=15) < NOMINAL[1]


DAYS = {
    "even": lambda days: np.full(days, 20),
    "uneven": lambda days: np.linspace(4, 36, days),
    "very uneven": lambda days: 12 * np.exp(np.linspace(-1.5, 1.5, days)),
}


@pytest.mark.parametrize("sizes", DAYS)
@pytest.mark.parametrize("days", [5, 8, 12, 30, 90])
def test_means_over_few_days_of_unlike_size_are_held(days, sizes):
    """From a week to three months, with days up to twenty times as large as others, whose rows share their fate."""
    day = np.repeat(np.arange(days), DAYS[sizes](days).round().astype(int))

    def interval(generator):
        return statistics.mean_interval(
            generator.normal(size=days)[day] + generator.normal(size=day.size), clusters=day
        )

    found = covered(interval, 0.0, seed=[17, days], rounds=6000)

    assert 0.94 < found < (0.96 if sizes == "even" else 0.985)


@pytest.mark.parametrize("sizes", ["even", "uneven"])
def test_an_auc_over_twelve_days_is_held(sizes):
    """As many as a fortnight's hold-out has, with noise that a day shares."""
    day = np.repeat(np.arange(12), (5 * DAYS[sizes](12)).round().astype(int))

    def interval(generator):
        y = generator.random(day.size) < 0.3
        shared = 0.6 * y * generator.normal(size=12)[day]  # how well hits are known differs by day
        return statistics.auc_interval(y, y + shared + generator.normal(size=day.size), clusters=day)

    truth = ndtr(1 / np.sqrt(2 + 0.36))

    assert 0.93 < covered(interval, truth, seed=18, rounds=1000) < 0.975

"""What every drift metric has to do, and what each has to measure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

from mlops_assets.errors import MonitoringError
from mlops_assets.monitoring import DRIFT_METRICS, Profile

RNG = np.random.default_rng(11)
NORMAL = RNG.normal(size=20_000)
LETTERS = np.array(["a", "b", "c", "d"], object)
LEVELS = {"x": list(LETTERS)}


def _numeric(current, training=NORMAL):
    reference = Profile.of({"x": training})
    return reference.columns["x"], reference.count({"x": current}).columns["x"]


def _categorical(current, training):
    reference = Profile.of({"x": training}, levels=LEVELS)
    return reference.columns["x"], reference.count({"x": current}).columns["x"]


def _letters(shares, size=20_000, seed=12):
    return np.random.default_rng(seed).choice(LETTERS, size=size, p=shares)


def _effect(metric, pair):
    return metric.measure(*pair)[metric.effect]


# --- the contract of the family -------------------------------------------------------------------

every_metric = pytest.mark.parametrize("metric", DRIFT_METRICS.values(), ids=list(DRIFT_METRICS))


@every_metric
def test_a_metric_is_known_by_its_own_name_and_has_a_floor(metric):
    """The policy finds a metric, its effect and its floor by name."""
    values = metric.measure(*_numeric(NORMAL))

    assert DRIFT_METRICS[metric.name] is metric
    assert metric.effect in values
    assert metric.floor > 0


@every_metric
def test_identical_rows_have_not_moved(metric):
    """The same rows give exactly zero, for numbers and, where it applies, for categories."""
    letters = _letters([0.4, 0.3, 0.2, 0.1])

    pairs = [_numeric(NORMAL)] + ([_categorical(letters, letters)] if "categorical" in metric.kinds else [])

    assert [_effect(metric, pair) for pair in pairs] == [0.0] * len(pairs)


@every_metric
def test_other_rows_of_the_same_kind_stay_below_the_floor(metric):
    """Sampling noise of a thousand rows is not drift."""
    same = np.random.default_rng(13).normal(size=1_000)

    assert 0 <= _effect(metric, _numeric(same)) < metric.floor


@every_metric
def test_a_larger_shift_gives_a_larger_effect(metric):
    """The order of effects is the order of shifts, and a clear shift lies above the floor."""
    effects = [_effect(metric, _numeric(NORMAL + shift)) for shift in (0.1, 0.3, 0.6, 1.2)]

    assert effects == sorted(effects)
    assert effects[-1] > metric.floor


@every_metric
def test_a_column_turning_null_shows(metric):
    """Going from no nulls to sixty per cent is drift in every metric; some libraries drop nulls and see nothing."""
    holed = np.where(np.arange(len(NORMAL)) % 10 < 6, np.nan, NORMAL)

    effects = [_effect(metric, _numeric(current)) for current in (holed, np.full(100, np.nan))]

    assert metric.floor < effects[0] < effects[1]


@every_metric
def test_one_broken_value_changes_next_to_nothing(metric):
    """One 1e6 hides no shift and feigns none, whether it lies in the window or in the training rows."""
    shifted = NORMAL + 1
    clean = _effect(metric, _numeric(shifted))

    spoilt = [
        _effect(metric, _numeric(np.append(shifted, 1e6))),
        _effect(metric, _numeric(shifted, np.append(NORMAL, 1e6))),
        _effect(metric, _numeric(np.append(shifted, np.inf))),
    ]

    assert spoilt == pytest.approx([clean] * 3, rel=0.01)
    assert _effect(metric, _numeric(np.append(NORMAL, 1e6))) < metric.floor / 10


@every_metric
def test_windows_outside_everything_known_give_a_finite_effect(metric):
    """Empty cells on either side, a constant column and a column without training values all have an answer."""
    pairs = [
        _numeric(NORMAL + 1e9),
        _numeric(np.array([7.0]), np.full(100, 3.0)),
        _numeric(np.array([1.0]), np.full(100, np.nan)),
    ]
    if "categorical" in metric.kinds:
        pairs.append(_categorical(np.array(["z"] * 50, object), _letters([0.4, 0.3, 0.2, 0.1])))

    effects = [_effect(metric, pair) for pair in pairs]

    assert all(np.isfinite(effects))
    assert all(effect > metric.floor for effect in effects)


@every_metric
@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=40))
def test_effects_are_never_negative_and_symmetric(metric, values):
    """Whatever arrives, no value is negative or NaN; swapping the sides keeps the effect."""
    there = metric.measure(*(pair := _numeric(np.array(values), NORMAL[:200])))
    back = metric.measure(*reversed(pair))

    assert all(value >= 0 for value in there.values())
    assert there[metric.effect] == pytest.approx(back[metric.effect], abs=1e-12)


@every_metric
def test_a_metric_refuses_what_cannot_be_compared(metric):
    """No rows, or rows counted in other cells, are errors and never a zero."""
    reference = Profile.of({"x": NORMAL[:100]})
    other = Profile.of({"x": NORMAL[:50]})

    with pytest.raises(MonitoringError, match="no rows"):
        metric.measure(reference.columns["x"], reference.empty().columns["x"])
    with pytest.raises(MonitoringError, match="other cells"):
        metric.measure(reference.columns["x"], other.columns["x"])


# --- the numbers ----------------------------------------------------------------------------------


def test_psi_by_hand():
    """Two levels going from 75:25 to 25:75 of a hundred rows, half a row added to each."""
    pair = _categorical(np.array(["a"] * 25 + ["b"] * 75, object), np.array(["a"] * 75 + ["b"] * 25, object))

    values = DRIFT_METRICS["psi"].measure(*pair)

    by_hand = 2 * (75.5 - 25.5) / 101 * np.log(75.5 / 25.5)
    assert values["psi"] == pytest.approx(by_hand)
    assert values["psi_excess"] == pytest.approx(by_hand - (1 / 100 + 1 / 100))


def test_psi_of_unmoved_rows_is_its_expectation():
    """Over many windows of 200 rows the mean PSI is (groups - 1)(1/n + 1/m), so noise is not taken for drift."""
    rng = np.random.default_rng(14)
    reference = Profile.of({"x": NORMAL})

    psi = [
        DRIFT_METRICS["psi"].measure(reference.columns["x"], reference.count({"x": rng.normal(size=200)}).columns["x"])[
            "psi"
        ]
        for _ in range(300)
    ]

    assert np.mean(psi) == pytest.approx(9 * (1 / 20_000 + 1 / 200), rel=0.1)


def test_js_agrees_with_scipy():
    """Distance in bits between the shares of four levels."""
    before, after = _letters([0.4, 0.3, 0.2, 0.1]), _letters([0.1, 0.2, 0.3, 0.4], seed=15)

    value = DRIFT_METRICS["js"].measure(*_categorical(after, before))["js"]

    shares = [[np.mean(side == level) for level in LETTERS] for side in (before, after)]
    assert value == pytest.approx(jensenshannon(*shares, base=2))


def test_ks_agrees_with_scipy_to_the_share_of_a_cell():
    """Exact for a column of few values; for a continuous one too small by less than one cell."""
    moved, few = RNG.normal(0.3, 1.2, size=5_000), RNG.integers(0, 40, size=3_000).astype(float)

    continuous = DRIFT_METRICS["ks"].measure(*_numeric(moved))["ks"]
    discrete = DRIFT_METRICS["ks"].measure(*_numeric(few + (few > 20), few))["ks"]

    assert 0 <= ks_2samp(NORMAL, moved).statistic - continuous <= 1 / 250
    assert discrete == pytest.approx(ks_2samp(few, few + (few > 20)).statistic)


def test_ks_takes_nulls_for_lying_below_every_number():
    """From half null and half 1 to all 2, everything has moved up: the gap is 1, not the 0.5 of the values alone."""
    pair = _numeric(np.array([2.0, 2.0]), np.array([np.nan, 1.0]))

    assert DRIFT_METRICS["ks"].measure(*pair)["ks"] == 1.0


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.5, 2.0])
def test_wasserstein_agrees_with_scipy(shift):
    """Distance in training standard deviations, to a thousandth, though only counts and sums were kept."""
    moved = RNG.normal(shift, 1.3, size=5_000)

    value = DRIFT_METRICS["wasserstein"].measure(*_numeric(moved))["wasserstein"]

    assert value == pytest.approx(wasserstein_distance(NORMAL, moved) / NORMAL.std(), abs=2e-3)


def test_chi_square_agrees_with_scipy():
    """Statistic and p-value of the two-sample test, and Cramér's V where both sides are of one size."""
    before, after = _letters([0.4, 0.3, 0.2, 0.1]), _letters([0.41, 0.3, 0.19, 0.1], seed=16)

    values = DRIFT_METRICS["chi_square"].measure(*_categorical(after, before))

    table = [[np.sum(side == level) for level in LETTERS] for side in (before, after)]
    expected = chi2_contingency(table, correction=False)
    assert values["chi_square"] == pytest.approx(expected.statistic)
    assert values["chi_square_p"] == pytest.approx(expected.pvalue)
    assert values["cramers_v"] == pytest.approx((expected.statistic / 40_000) ** 0.5)


def test_many_rare_levels_are_no_drift_by_themselves():
    """Windows of 300 rows over 400 Zipf levels stay below every floor; a test per level would always alarm."""
    levels = [f"l{rank}" for rank in range(400)]
    shares = 1 / np.arange(1, 401)
    draw = np.random.default_rng(17).choice
    reference = Profile.of({"x": draw(np.array(levels, object), 50_000, p=shares / shares.sum())}, levels={"x": levels})
    window = reference.count({"x": draw(np.array(levels, object), 300, p=shares / shares.sum())})

    psi = DRIFT_METRICS["psi"].measure(reference.columns["x"], window.columns["x"])

    assert psi["psi_excess"] < DRIFT_METRICS["psi"].floor

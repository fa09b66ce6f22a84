"""The worst slices are found, and none where nothing is wrong."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from mlops_assets.evaluation import Terms, binned, coded, levels_of
from mlops_assets.evaluation.discovery import worst_slices

N, DAYS = 12_000, 20


def world(seed, *, harm=None):
    """Give calibrated scores of eight columns; `harm` spoils the scores of origin B in the evening."""
    generator = np.random.default_rng(seed)
    origin = np.array(list("ABC"), object)[generator.integers(0, 3, N)]
    hour = generator.integers(0, 24, N).astype(float)
    noise = {f"noise {i}": generator.normal(size=N) for i in range(6)}
    signal = generator.normal(size=N) + 0.8 * (origin == "A")
    p = expit(signal - 1)
    y = (generator.random(N) < p).astype(float)
    if harm is not None:
        spoilt = (origin == "B") & (hour >= 19)
        p = np.where(spoilt, harm(p, generator), p)
    columns = {"origin": levels_of(origin), "hour": binned(hour), **{name: binned(v) for name, v in noise.items()}}
    return y, p, columns, np.arange(N) * DAYS // N


def search(y, p, columns, day, *, champion=None, task="binary", **terms):
    return worst_slices(
        task, y, p, champion, columns=columns, minimum_rows=300, terms=Terms(clusters=day, **terms), most=3
    )


def test_a_spoilt_corner_of_two_columns_is_found_and_beyond_chance():
    """Scores of one origin in the evening are drawn at random: sure of themselves and wrong."""
    y, p, columns, day = world(1, harm=lambda p, g: expit(2 * g.normal(size=N) - 1))

    first = next(each for each in search(y, p, columns, day) if each.measure == "excess_log_loss")

    assert dict(zip(first.columns, first.levels, strict=True)) == {"origin": "B", "hour": "19 or more"}
    assert first.p_value < 0.05
    assert first.low > 0
    assert first.value - first.elsewhere == pytest.approx(first.difference)
    assert first.n == np.sum(
        (columns["origin"].codes == 1) & (columns["hour"].codes == columns["hour"].names.index("19 or more"))
    )


def test_scores_too_low_somewhere_show_as_bias_with_their_sign():
    """Forecast less truth: what is underestimated lies below nought."""
    y, p, columns, day = world(2, harm=lambda p, g: 0.3 * p)

    first = next(each for each in search(y, p, columns, day) if each.measure == "bias")

    assert first.name == "origin=B, hour=19 or more"
    assert first.high < 0
    assert first.p_value < 0.05


def test_a_slice_that_the_champion_did_better_is_found_although_it_is_calibrated():
    """A model that knows only the base rate there is no liar, but it was better before."""
    y, p, columns, day = world(3, harm=lambda p, g: np.full(N, p.mean()))
    _, champion, _, _ = world(3)

    first = next(each for each in search(y, p, columns, day, champion=champion) if each.measure == "loss_to_champion")

    assert first.name == "origin=B, hour=19 or more"
    assert first.p_value < 0.05


def test_where_nothing_is_wrong_nothing_is_beyond_chance_too_often():
    """Of forty sound worlds with hundreds of slices each, about two may show one by luck."""
    found = [min(each.p_value for each in search(*world(seed))) < 0.05 for seed in range(40)]

    assert sum(found) <= 5


def of_classes(seed, *, spoilt):
    """The same worlds with three classes; where `spoilt`, answers are far too sure in one corner."""
    _, _, columns, day = world(seed)
    generator = np.random.default_rng(seed)
    chances = softmax(generator.normal(size=(N, 3)), axis=1)
    y = (generator.random(N)[:, None] > chances.cumsum(axis=1)).sum(axis=1).astype(float)
    corner = (columns["origin"].codes == 1) & (columns["hour"].codes == columns["hour"].names.index("19 or more"))
    sure = chances**3 / (chances**3).sum(axis=1, keepdims=True)
    return y, np.where((spoilt & corner)[:, None], sure, chances), columns, day


def test_a_corner_where_answers_of_classes_are_too_sure_is_found():
    """By how sure they are, by the loss beyond what they announce, and against the champion that was better there."""
    y, p, columns, day = of_classes(1, spoilt=True)
    _, champion, _, _ = of_classes(1, spoilt=False)

    found = search(y, p, columns, day, champion=champion, task="multiclass")

    worst = {each.measure: each for each in reversed(found)}
    assert {each.name for each in worst.values()} == {"origin=B, hour=19 or more"}
    assert set(worst) == {"overconfidence", "excess_log_loss", "loss_to_champion"}
    assert all(each.p_value < 0.05 and each.low > 0 for each in worst.values())


def test_a_corner_where_a_quantile_holds_too_seldom_is_found():
    """Numbers spread wider at one origin in the evening, where nine in ten should lie below the forecast and do not."""
    _, _, columns, day = world(5)
    spoilt = (columns["origin"].codes == 1) & (columns["hour"].codes == len(columns["hour"].names) - 1)
    generator = np.random.default_rng(6)
    y = generator.exponential(size=N) * np.where(spoilt, 3, 1)
    forecast = np.full(N, np.log(10))

    found = {each.measure: each for each in search(y, forecast, columns, day, task="regression", quantile=0.9)[::-1]}

    assert set(found) == {"coverage_gap", "pinball"}
    for each in found.values():
        assert each.name == f"origin=B, hour={columns['hour'].names[-1]}"
        assert each.p_value < 0.05
    assert found["coverage_gap"].value == pytest.approx(np.mean(y[spoilt] <= forecast[spoilt]) - 0.9)
    assert found["coverage_gap"].high < 0 < found["pinball"].low


def test_where_nothing_is_wrong_with_classes_nothing_is_beyond_chance_too_often():
    """Of twenty sound worlds about one may show a slice by luck."""
    found = [
        min(each.p_value for each in search(*of_classes(seed, spoilt=False), task="multiclass")) < 0.05
        for seed in range(20)
    ]

    assert sum(found) <= 4


def test_a_day_that_was_bad_everywhere_is_no_bad_slice():
    """One day's rows all miss by the same: no column is to blame, and days are turned as a whole."""
    _y, p, columns, day = world(5)
    minutes = 10 * p + np.random.default_rng(5).normal(size=N)

    found = search(minutes, 10 * p + 8 * (day == 3), columns, day, task="regression")

    assert min(each.p_value for each in found) > 0.05


def test_a_slice_that_is_one_day_is_as_uncertain_as_days_are():
    """A column that names the day finds the bad one, and neither its p-value nor its interval makes much of it."""
    _, p, _, day = world(5)
    minutes = 10 * p + np.random.default_rng(5).normal(size=N)

    first = search(minutes, 10 * p + 8 * (day == 3), {"day": levels_of(day)}, day, task="regression")[0]

    assert first.name == "day=3"
    assert first.value == pytest.approx(8, abs=0.2)
    assert first.low < 0 < first.high
    assert first.p_value > 0.05


def test_four_days_can_show_nothing():
    """With so few days every pattern may be luck, and the p-value says so."""
    y, p, columns, day = world(6, harm=lambda p, g: expit(2 * g.normal(size=N) - 1))

    assert min(each.p_value for each in search(y, p, columns, day // 5)) >= 1 / 16


def test_the_same_seed_finds_the_same_slices_and_rows_are_drawn_from_many():
    """Of more rows than are searched a sample is, and the numbers told are of all."""
    y, p, columns, day = world(7, harm=lambda p, g: expit(2 * g.normal(size=N) - 1))
    many = [np.tile(values, 20) for values in (y, p)]
    wide = {name: levels._replace(codes=np.tile(levels.codes, 20)) for name, levels in columns.items()}

    found, again = (search(*many, wide, np.tile(day, 20)) for _ in range(2))

    assert found == again
    assert {each.name for each in found} >= {"origin=B, hour=19 or more"}
    assert next(each for each in found if each.name == "origin=B, hour=19 or more").n > 5000


def test_a_small_slice_is_marked():
    """A level of a hundred rows is told as small."""
    y, p, _columns, day = world(8)
    rare = np.where(np.arange(N) % 120 == 0, 1.0, 0.0)
    p = np.where(rare > 0, 0.99, p)

    found = search(y, p, {"rare": coded(rare, ["no", "yes"])}, day)

    assert {(each.name, each.small) for each in found} >= {("rare=yes", True)}

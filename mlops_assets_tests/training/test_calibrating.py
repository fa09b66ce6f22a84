"""Calibration on days that a model has not learnt from."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit, softmax

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.evaluation import BusinessValue
from mlops_assets.scoring import CALIBRATION_PART, calibrator_of
from mlops_assets.statistics import class_log_losses, classwise_ece, ece, log_loss, top_label_ece
from mlops_assets.training import TRAINERS, TrainingPolicy, TrainingWindow, fit, score, trainer_named
from mlops_assets.training.calibrating import find_calibrator

from .conftest import draw

OVERFIT = {"num_iterations": 300, "learning_rate": 0.3, "min_data_in_leaf": 5}


def fitted(rows, *, params=OVERFIT, **declared):
    policy = TrainingPolicy(window=TrainingWindow(minimum_rows=100), params=params, **declared)
    return fit(policy, rows)


def validation(*, sureness, n=4000, days=20, seed=3):
    """Give labels, scores and times of validation days; `sureness` 1 is calibrated."""
    generator = np.random.default_rng(seed)
    odds = generator.normal(size=n)
    times = np.datetime64("2013-03-01", "us") + np.arange(n) * days * np.timedelta64(86_400_000_000 // n, "us")
    return (generator.random(n) < expit(odds)).astype(float), expit(sureness * odds), times


@pytest.mark.parametrize("method", ["isotonic", "platt", "auto"])
def test_an_overfitted_model_comes_out_as_sure_as_it_may_be(method):
    """On rows of later days, which had no part in it."""
    learnt, later = draw("binary", n=3000), draw("binary", n=4000, seed=9)
    raw, mended = fitted(learnt), fitted(learnt, validation_days=20, calibration=method)

    losses = [log_loss(later.y, score(model.trainer, model.parts, later.X)) for model in (raw, mended)]
    errors = [ece(later.y, score(model.trainer, model.parts, later.X)) for model in (raw, mended)]

    assert losses[1] < losses[0] - 0.05
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("trainer", sorted(TRAINERS))
def test_every_trainer_is_calibrated_without_code_of_its_own(trainer):
    """The model is the one without calibration; only the part is added, and the same rows give the same bytes."""
    rows = draw("binary", n=1500)

    plain, mended, again = (
        fitted(rows, params={}, trainer=trainer, validation_days=15, calibration=method)
        for method in ("none", "platt", "platt")
    )

    assert {name: part for name, part in mended.parts.items() if name != CALIBRATION_PART} == plain.parts
    assert mended.parts == again.parts
    assert CALIBRATION_PART not in plain.parts
    scores = score(trainer, mended.parts, rows.X)
    assert scores.tobytes() == calibrator_of(mended.parts)(trainer_named(trainer).score(plain.parts, rows.X)).tobytes()
    assert 0 < scores.min() < scores.max() < 1


def test_what_is_not_made_in_rounds_is_calibrated_on_its_days_and_seeks_nothing_else_there():
    """A forest needs it most; without a calibration the same days are refused, for they would find nothing."""
    rows = draw("binary", n=600)
    forest = {"params": {"estimator": "RandomForestClassifier", "n_estimators": 10}, "trainer": "sklearn"}

    plain, mended = fitted(rows, **forest), fitted(rows, **forest, validation_days=8, calibration="platt")

    assert {name: part for name, part in mended.parts.items() if name != CALIBRATION_PART} == plain.parts
    assert CALIBRATION_PART in mended.parts
    with pytest.raises(DeclarationError, match="'RandomForestClassifier' makes is not made in rounds"):
        fitted(rows, **forest, validation_days=8)


def test_the_line_is_found_on_days_that_its_twin_had_not_learnt_from():
    """Other labels on the newest days alone change it; were the model asked about its own days, it would be steep."""
    rows = draw("binary", n=3000)
    newest = rows.times > rows.times.max() - np.timedelta64(20, "D")
    turned = replace(rows, y=np.where(newest, 1 - rows.y, rows.y))

    honest, lost = (
        calibrator_of(fitted(each, validation_days=20, calibration="isotonic").parts) for each in (rows, turned)
    )

    middle = np.array([0.1, 0.9])
    assert honest.rows == newest.sum()
    assert np.diff(honest(middle)) > 0.3
    assert np.diff(lost(middle)) < 0.1


def test_auto_leaves_calibrated_scores_alone():
    """And takes a line where one loses less on days it was not found on."""
    assert find_calibrator("auto", *validation(sureness=1.0, seed=4)) is None

    found = find_calibrator("auto", *validation(sureness=3.0, seed=4))

    assert found.method == "platt"
    assert set(found.log_losses) == {"none", "platt", "isotonic"}
    assert min(found.log_losses, key=found.log_losses.get) == "platt"


def test_auto_takes_the_isotonic_line_where_no_logistic_one_fits():
    """Scores whose truth has a step in it."""
    y, score_, times = validation(sureness=1.0, n=20_000)
    y = (np.random.default_rng(1).random(len(y)) < np.where(score_ > 0.5, 0.6, 0.1)).astype(float)

    assert find_calibrator("auto", y, score_, times).method == "isotonic"


def test_a_single_validation_day_cannot_choose_but_can_calibrate():
    """Comparing on the day a line was found on would always favour the most bent."""
    y, score_, times = validation(sureness=2.0, days=1)

    with pytest.raises(TrainingError, match="of one day"):
        find_calibrator("auto", y, score_, times)
    assert find_calibrator("platt", y, score_, times).method == "platt"


def test_validation_days_that_say_too_little_are_refused():
    """A handful of hits, or scores the wrong way round."""
    y, score_, times = validation(sureness=2.0)

    with pytest.raises(TrainingError, match="Raise `validation_days`"):
        find_calibrator("isotonic", np.where(np.cumsum(y) <= 5, y, 0), score_, times)
    with pytest.raises(TrainingError, match="No platt calibration could be found"):
        find_calibrator("platt", y, 1 - score_, times)


def test_calibration_without_days_or_of_another_task_is_refused_when_it_is_declared():
    """Each with what to write instead."""
    with pytest.raises(ValidationError, match="Set `validation_days`"):
        TrainingPolicy(calibration="auto")
    with pytest.raises(DeclarationError, match="a regression model states none"):
        TrainingPolicy(calibration="auto", validation_days=7, params={}).require_task("regression")
    with pytest.raises(DeclarationError, match="Use one of auto, temperature, isotonic"):
        TrainingPolicy(calibration="platt", validation_days=7).require_task("multiclass")


def test_deciding_where_it_pays_brings_the_most_that_any_threshold_brings_on_the_validation_days():
    """Scores far too sure, calibrated: no other threshold is worth much more there."""
    y, score_, times = validation(sureness=3.0)
    trade = BusinessValue(capacity_share=1, value_of_hit=30, cost_of_false_alarm=70)
    line = find_calibrator("isotonic", y, score_, times)

    chosen = trade.per_1000(y, line(score_))

    gains = np.where(y > 0, 30, -70)[np.argsort(-score_)]
    best = np.cumsum(gains).max() * 1000 / len(y)
    assert chosen > 0.97 * best
    assert trade.per_1000(y, score_) < 0.8 * best


@pytest.mark.parametrize("method", ["temperature", "isotonic", "auto"])
def test_an_overfitted_model_of_classes_comes_out_as_sure_as_it_may_be(method):
    """In its answer and in every class, on rows of later days."""
    learnt, later = draw("multiclass", n=3000), draw("multiclass", n=4000, seed=9)
    params = {**OVERFIT, "num_iterations": 100}
    raw = fitted(learnt, params=params)
    mended = fitted(learnt, params=params, validation_days=20, patience=1000, calibration=method)

    before, after = (score(model.trainer, model.parts, later.X) for model in (raw, mended))

    assert class_log_losses(later.y, after).mean() < class_log_losses(later.y, before).mean() - 0.1
    assert top_label_ece(later.y, after) < 0.5 * top_label_ece(later.y, before)
    assert classwise_ece(later.y, after) < 0.6 * classwise_ece(later.y, before)


def test_auto_leaves_calibrated_classes_alone():
    """And takes the temperature where a model is too sure by one measure in all its classes."""
    generator = np.random.default_rng(5)
    chances = softmax(generator.normal(size=(6000, 3)), axis=1)
    y = (generator.random(6000)[:, None] > chances.cumsum(axis=1)).sum(axis=1).astype(float)
    times = np.datetime64("2013-03-01", "us") + np.arange(6000) * np.timedelta64(300, "s")

    assert find_calibrator("auto", y, chances, times, task="multiclass") is None

    too_sure = chances**3 / (chances**3).sum(axis=1, keepdims=True)
    found = find_calibrator("auto", y, too_sure, times, task="multiclass")
    assert found.method == "temperature"
    assert set(found.log_losses) == {"none", "temperature", "isotonic"}
    assert found(too_sure) == pytest.approx(chances, abs=0.02)


def test_a_class_seldom_seen_on_the_validation_days_is_refused():
    """What is found on a handful of rows says more about chance."""
    y = np.repeat([0.0, 1.0, 2.0], [500, 500, 5])
    times = np.datetime64("2013-03-01", "us") + np.arange(1005) * np.timedelta64(1, "h")

    with pytest.raises(TrainingError, match="5 are of the rarest class"):
        find_calibrator("isotonic", y, np.full((1005, 3), 1 / 3), times, task="multiclass")

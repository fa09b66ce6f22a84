"""How a policy becomes a fitted model."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.training import TrainingPolicy, TrainingWindow, fit, recency_weights

SMALL = TrainingWindow(minimum_rows=100)


def fitted(policy, rows, **changed):
    return fit(policy, replace(rows, **changed))


def test_a_half_life_lets_old_rows_count_less(binary):
    """Weights halve with every ten days of age, and the model is another one."""
    weights = recency_weights(binary.times, half_life_days=10)

    plain, weighted = (fitted(TrainingPolicy(window=SMALL, recency_half_life_days=days), binary) for days in (None, 10))

    assert weights[-1] == 1
    assert weights[-1 - 240] == pytest.approx(0.5)
    assert plain.parts != weighted.parts


def test_validation_days_are_cut_from_the_end_of_the_training_window(binary):
    """The loss that found the rounds is the one on the newest five days, whatever lies in the rows before."""
    policy = TrainingPolicy(window=SMALL, validation_days=5, patience=3)
    newest = binary.times > binary.times[-1] - np.timedelta64(5, "D")
    flipped = np.where(newest, 1 - binary.y, binary.y)

    honest, misled = fitted(policy, binary), fitted(policy, binary, y=flipped)

    assert newest.sum() == 120
    assert honest.curves["validation_loss"][0] < misled.curves["validation_loss"][0]
    assert misled.rounds == 1


def test_the_trainers_parameters_are_checked_for_the_task():
    """What suits a regression does not suit a yes or no; a misspelt one suits nothing."""
    TrainingPolicy(params={"objective": "quantile"}).require_task("regression")

    with pytest.raises(DeclarationError, match="for a binary model, objective 'quantile'"):
        TrainingPolicy(params={"objective": "quantile"}).require_task("binary")
    with pytest.raises(DeclarationError, match="Did you mean 'learning_rate'"):
        TrainingPolicy(params={"learning_rat": 0.1}).require_task("binary")


def test_an_unknown_trainer_is_refused_when_the_policy_is_loaded():
    """So is a trainer that does not exist."""
    with pytest.raises(ValidationError, match="trainer 'xgboost' is not known"):
        TrainingPolicy(trainer="xgboost")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda rows: {"y": np.zeros(len(rows.y))}, "both of them"),
        (lambda rows: {"y": rows.y * 2}, "0 and 1"),
        (lambda rows: {"y": np.where(np.arange(len(rows.y)) == 3, np.nan, rows.y)}, r"rows 3\)"),
        (lambda rows: {"X": np.where(np.arange(4) == 2, np.inf, rows.X)}, "Infinite values in noise"),
        (lambda rows: {"y": rows.y[1:]}, "do not agree"),
        (lambda rows: {"names": rows.names[:3]}, "do not agree"),
        (lambda rows: {"X": rows.X[:50], "y": rows.y[:50], "times": rows.times[:50]}, "fewer than the 100"),
    ],
)
def test_rows_that_mean_nothing_are_refused_with_the_reason(binary, change, why):
    """No model is fitted on labels that are missing, of one class, or out of step with their rows."""
    with pytest.raises(TrainingError, match=why):
        fitted(TrainingPolicy(window=SMALL), binary, **change(binary))


def test_more_validation_days_than_there_is_time_are_refused(binary):
    """Nothing older would be left to fit on."""
    with pytest.raises(TrainingError, match="older part"):
        fitted(TrainingPolicy(window=SMALL, validation_days=400), binary)


@pytest.mark.parametrize(
    ("y", "days", "why"),
    [
        (
            lambda y: np.where(y == 1, 0, y),
            0,
            "each of 0 to 2 must occur and nothing else, but the window holds 0.0, 2.0",
        ),
        (lambda y: y + 1, 0, "holds 1.0, 2.0, 3.0"),
        (lambda y: np.where(np.arange(len(y)) < 1400, np.minimum(y, 1), y), 5, "older part"),
    ],
)
def test_a_class_that_is_never_seen_is_missed_before_the_fit(multiclass, y, days, why):
    """It would have no probability, and nobody would know."""
    policy = TrainingPolicy(window=SMALL, validation_days=days)

    with pytest.raises(TrainingError, match=why):
        fitted(policy, multiclass, y=y(multiclass.y))

"""How a model answers when its inputs change; each test is shown on a model that passes and on one that does not."""

import numpy as np
import pytest
from scipy.special import expit

from mlops_assets.errors import FeatureError, UnknownNameError
from mlops_assets.evaluation import BehaviourPolicy, Subject, behave, within_budget

NAMES = ("distance", "rain", "carrier")
X = np.random.default_rng(3).normal(size=(2000, 3))
X[:, 2] = np.random.default_rng(4).integers(0, 3, 2000)


def sound(rows):
    """Rises with rain, falls with distance, takes no notice of the carrier; missing counts as nothing."""
    known = np.nan_to_num(rows)
    return expit(known[:, 1] - 0.5 * known[:, 0])


def observed(score, *, parent=None, task="binary", labels=(0.0, 1.0), **declared):
    """Give what was found by name."""
    subject = Subject(task=task, score=score, names=NAMES, categorical=(2,), optional=(1, 2), labels=labels)
    found = behave(
        BehaviourPolicy(**declared), subject, X, scores=score(X), parent_scores=None if parent is None else parent(X)
    )
    return {each.name: each for each in found}


def test_a_sound_model_passes_all():
    """Every test is there, told with rows, observation, bound and a sentence."""
    found = observed(sound, parent=sound, invariant=("carrier",), direction={"rain": "up", "distance": "down"})

    assert list(found) == [
        "range",
        "missing values",
        "one feature missing",
        "sensitivity",
        "noise",
        "invariance of carrier",
        "direction of rain",
        "direction of distance",
        "stability",
    ]
    assert all(each.passed and each.n and each.words.endswith(".") for each in found.values())
    assert found["stability"].observed == 0


def no_number_where_rain_is_missing(rows):
    return np.where(np.isnan(rows[:, 1]), np.nan, sound(rows))


def fails_where_rain_is_missing(rows):
    if np.isnan(rows[:, 1]).any():
        raise FeatureError("no rain, no answer")
    return sound(rows)


def of_the_carrier(rows):
    return expit(np.nan_to_num(rows[:, 2]) + np.nan_to_num(rows[:, 1]))


def shaky(rows):
    return expit(np.sin(1e4 * rows[:, 0]) + np.nan_to_num(rows[:, 1]))


def beyond_one(rows):
    return 3 * sound(rows)


@pytest.mark.parametrize(
    ("score", "fails"),
    [
        (no_number_where_rain_is_missing, "missing values"),
        (fails_where_rain_is_missing, "missing values"),
        (of_the_carrier, "invariance of carrier"),
        (shaky, "sensitivity"),
        (shaky, "noise"),
        (beyond_one, "range"),
    ],
)
def test_a_model_that_misbehaves_fails_the_test_made_for_it(score, fails):
    """And the sentence says what was seen and what is allowed."""
    found = observed(score, invariant=("carrier",))[fails]

    assert not found.passed
    assert found.observed > found.allowed


def test_a_score_that_falls_where_it_must_rise_is_seen():
    """All steps go the wrong way; the other way round none does."""
    wrong = observed(sound, direction={"rain": "down"})["direction of rain"]

    assert (wrong.passed, wrong.observed) == (False, 1.0)
    assert observed(sound, direction={"distance": "down"})["direction of distance"].observed == 0


def test_a_model_that_lives_on_one_feature_can_be_refused():
    """Without rain only distance orders the rows; how much of the order may go is declared."""
    loose, strict = (observed(sound, missing=bound)["one feature missing"] for bound in (1.2, 0.1))

    assert "without rain" in strict.words
    assert loose.observed == strict.observed > 0.3
    assert (loose.passed, strict.passed) == (True, False)


def test_a_challenger_unlike_its_champion_is_told_with_the_decisions_that_changed():
    """An order turned round loses 2; one that is kept loses nothing, whatever the scale."""
    turned = observed(sound, parent=lambda rows: 1 - sound(rows))["stability"]
    scaled = observed(sound, parent=lambda rows: sound(rows) / 2)["stability"]

    assert (turned.passed, turned.observed) == (False, 2.0)
    assert "decisions at capacity changed" in turned.words
    assert (scaled.passed, scaled.observed) == (True, 0.0)


def test_a_number_forecast_far_from_any_label_is_out_of_range():
    """By default half the range of the labels is added on either side; a declared range goes before it."""

    def minutes(rows):
        return 100 + 40 * rows[:, 0]

    assert observed(minutes, task="regression", labels=(0.0, 200.0))["range"].passed
    assert not observed(minutes, task="regression", labels=(90.0, 110.0))["range"].passed
    assert observed(minutes, task="regression", labels=(90.0, 110.0), lowest=-500, highest=500)["range"].passed


def test_classes_are_tested_by_their_probabilities():
    """Scores of shape (n, k) go through every test."""

    def classes(rows):
        first = sound(rows)
        return np.column_stack([first, 1 - first])

    found = observed(classes, parent=classes, task="binary")

    assert all(each.passed for each in found.values())
    assert "decisions" not in found["stability"].words


def test_a_declared_feature_that_the_model_does_not_have_is_an_error():
    """A test of nothing would always pass."""
    with pytest.raises(UnknownNameError, match="carier"):
        observed(sound, invariant=("carier",))


def test_budgets_are_told_in_whole_budgets_of_time():
    """Two runs of the same model on a busy machine give the same report."""
    first, again = (within_budget(BehaviourPolicy(), latency_ms=ms, bundle_bytes=10**6) for ms in (0.31, 0.57))
    slow, large = within_budget(BehaviourPolicy(latency_ms=0.2, bundle_mb=0.5), latency_ms=0.5, bundle_bytes=10**6)

    assert first == again
    assert (slow.passed, slow.observed) == (False, 3.0)
    assert (large.passed, large.observed) == (False, 1.0)


def test_the_same_rows_give_the_same_results():
    """The noise is seeded."""
    assert observed(sound) == observed(sound)

"""Each class on its own: against scikit-learn, and compared where a mean would hide it."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score, roc_auc_score

from mlops_assets.errors import DeclarationError
from mlops_assets.evaluation import Details, GatePolicy, Terms, judge
from mlops_assets.evaluation.classes import look_into_classes
from mlops_assets.statistics import ece

from .conftest import version

NAMES = ("kept", "post", "hand")


@pytest.fixture(scope="module")
def blind(kinds):
    """The good probabilities, but what is left of the first class is shared out blindly between the other two."""
    first = kinds.good[:, :1]
    return np.concatenate([first, (1 - first) / 2, (1 - first) / 2], axis=1)


def look(kinds, score, other):
    terms = Terms(clusters=kinds.day)
    return look_into_classes(kinds.y, score, other, against="champion", names=NAMES, terms=terms)


def test_measures_of_a_class_and_the_confusion_are_scikit_learns(kinds):
    """Of each class against the rest."""
    found = look(kinds, kinds.weak, kinds.good)

    answered = kinds.weak.argmax(axis=1)
    assert np.array_equal(found.confusion, confusion_matrix(kinds.y, answered))
    for place, each in enumerate(found.results):
        happened, stated = kinds.y == place, kinds.weak[:, place]
        measured = {metric.name: metric.value for metric in each.metrics}
        assert (each.name, each.n) == (NAMES[place], happened.sum())
        assert measured["auc"] == pytest.approx(roc_auc_score(happened, stated))
        assert measured["precision"] == pytest.approx(precision_score(happened, answered == place))
        assert measured["true_positive_rate"] == pytest.approx(recall_score(happened, answered == place))
        assert measured["ece"] == pytest.approx(ece(happened, stated))
        assert all(metric.low < metric.value < metric.high for metric in each.metrics)


def test_a_class_that_was_lost_is_beyond_chance_and_the_others_are_not(kinds, blind):
    """Holm's p-values: two classes are told apart no more, the first as ever."""
    first, *others = look(kinds, blind, kinds.good).results

    assert first.gain.difference == 0
    assert first.gain.p_value == 1
    assert all(each.gain.high < 0 and each.gain.p_value < 0.001 for each in others)


def test_equal_models_seldom_seem_to_lose_a_class(kinds):
    """Of a hundred pairs that differ by noise alone, about five may show some class by luck."""
    generator = np.random.default_rng(8)

    def noisy():
        found = kinds.good * np.exp(0.3 * generator.normal(size=kinds.good.shape))
        return found / found.sum(axis=1, keepdims=True)

    seen = 0
    for _ in range(100):
        terms = Terms(resamples=100)
        found = look_into_classes(kinds.y, noisy(), noisy(), against="champion", names=NAMES, terms=terms)
        seen += min(each.gain.p_value for each in found.results) < 0.05

    assert seen <= 11


def test_a_class_that_is_never_answered_has_no_precision(kinds):
    """Told as far as there is something to tell."""
    never = kinds.good * [1, 1, 0.001]

    last = look(kinds, never / never.sum(axis=1, keepdims=True), kinds.good).results[-1]

    assert [metric.name for metric in last.metrics] == ["auc", "average_precision", "ece", "true_positive_rate"]


@pytest.mark.parametrize(("allowed", "verdict"), [(None, "pass"), (0.02, "fail"), (0.9, "pass")])
def test_the_gate_refuses_a_lost_class_only_beyond_a_declared_limit(kinds, blind, window, allowed, verdict):
    """A margin so wide that the mean over classes would let it go."""
    report = judge(
        GatePolicy(
            primary_metric="macro_auc",
            non_inferiority_margin=0.5,
            allow_shown_loss=True,
            guards={},
            resamples=100,
            maximum_class_drop=allowed,
        ),
        challenger=version(task="multiclass"),
        champion_sha256="a" * 64,
        window=window,
        y=kinds.y,
        challenger_scores=blind,
        champion_scores=kinds.good,
        baseline_scores=kinds.weak,
        details=Details(classes=NAMES),
        clusters=kinds.day,
    )

    assert report.verdict == verdict
    assert [each.name for each in report.classes.results] == list(NAMES)
    assert any("told from the rest worse" in reason and "post by" in reason for reason in report.reasons) is (
        verdict == "fail"
    )


def test_a_limit_for_classes_of_a_model_without_any_is_refused():
    """It would never refuse anybody."""
    with pytest.raises(DeclarationError, match="of models of several classes"):
        GatePolicy(maximum_class_drop=0.1).require_task("binary")

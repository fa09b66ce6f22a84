"""Curves agree with the numbers they stand beside, and with another library."""

import numpy as np
import pytest
from sklearn.metrics import auc, roc_auc_score

from mlops_assets.evaluation import BusinessValue, Terms, curves, gains, measure

TRADE = BusinessValue(capacity_share=0.1, value_of_hit=40, cost_of_false_alarm=15)


def test_the_area_below_the_roc_curve_is_its_auc(late):
    """As scikit-learn reckons both, but for what the few points of a picture leave out."""
    curve = curves("binary", late.y, {"challenger": late.fair}, Terms())["roc"]["challenger"]

    assert auc(curve.x, curve.y) == pytest.approx(roc_auc_score(late.y, late.fair), abs=0.002)
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    assert len(curve.x) <= 120


def test_curves_go_through_the_measures_at_capacity(late):
    """Who reads the value or the hits off the picture finds the number of the table."""
    terms = Terms(value=TRADE)
    drawn = curves("binary", late.y, {"challenger": late.good}, terms)

    for name, known in (("value", "value_per_1000"), ("found", "recall_at_capacity")):
        curve = drawn[name]["challenger"]
        at = np.interp(TRADE.capacity_share, curve.x, curve.y)
        assert at == pytest.approx(measure(known, late.y, late.good, terms).value, rel=0.02)


def test_equal_scores_are_one_point(late):
    """They cannot be told apart, so no line may go through some of them first."""
    drawn = curves("binary", late.y, {"challenger": np.full(len(late.y), 0.3)}, Terms())

    assert drawn["roc"]["challenger"].x == (0, 1)


def test_a_number_is_drawn_by_how_far_off_it_is(minutes):
    """Half of the forecasts are off by no more than the median error."""
    drawn = curves("regression", minutes.y, {"challenger": minutes.good}, Terms())

    within = drawn["within"]["challenger"]
    middle = float(np.median(np.abs(minutes.good - minutes.y)))
    assert np.interp(0.5, within.x, within.y) == pytest.approx(middle, rel=0.02)
    assert set(drawn) == {"within", "forecasts", "residuals"}


def test_gains_are_in_favour_of_the_challenger_when_positive(late, minutes):
    """In the declared unit, in hits, and in error saved."""
    scores = {"challenger": late.good, "champion": late.weak}

    value, precision = gains("binary", late.y, scores, Terms(value=TRADE), other="champion")
    [saved] = gains(
        "regression", minutes.y, {"challenger": minutes.good, "baseline": minutes.weak}, Terms(), other="baseline"
    )

    assert (value.metric, precision.metric, saved.metric) == ("value_per_1000", "precision_at_capacity", "mae")
    assert all(each.low <= each.difference <= each.high for each in (value, precision, saved))
    assert all(each.difference > 0 for each in (value, precision, saved))
    assert value.difference == pytest.approx(precision.difference * 0.1 * 1000 * (40 + 15))


def test_every_class_is_drawn_against_the_rest(kinds):
    """By its ROC, whose area is scikit-learn's, by precision and recall, and by whether its chances come true."""
    names = ("kept", "post", "hand")

    drawn = curves("multiclass", kinds.y, {"challenger": kinds.good, "baseline": kinds.weak}, Terms(), classes=names)

    assert set(drawn) == {f"{what} of {name}" for what in ("roc", "precision_recall", "reliability") for name in names}
    for place, name in enumerate(names):
        curve = drawn[f"roc of {name}"]["challenger"]
        assert auc(curve.x, curve.y) == pytest.approx(roc_auc_score(kinds.y == place, kinds.good[:, place]), abs=0.002)
        true = drawn[f"reliability of {name}"]["challenger"]
        assert np.abs(np.subtract(true.x, true.y)).mean() < 0.03
        assert all(low <= rate <= high for low, rate, high in zip(true.low, true.y, true.high, strict=True))


def test_answers_gain_in_their_worth_where_one_is_declared(kinds):
    """And in how many are right."""
    scores = {"challenger": kinds.good, "champion": kinds.weak}

    plain = gains("multiclass", kinds.y, scores, Terms(), other="champion")
    worth = gains("multiclass", kinds.y, scores, Terms(worth=np.eye(3)), other="champion")

    assert [each.metric for each in plain] == ["multiclass_accuracy"]
    assert [each.metric for each in worth] == ["answers_per_1000", "multiclass_accuracy"]
    assert worth[0].difference == pytest.approx(1000 * worth[1].difference)

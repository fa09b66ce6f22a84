"""Lines from scores to probabilities."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from mlops_assets.statistics import StatisticsInputError, auc, ece, log_loss
from mlops_assets.statistics.calibration import drawn, isotonic_line, platt_line


def sample(seed=1, n=5000, *, sureness=2.0):
    """Give labels and scores whose log-odds are `sureness` times too large and one too low."""
    generator = np.random.default_rng(seed)
    odds = generator.normal(size=n)
    return (generator.random(n) < expit(odds)).astype(float), expit(sureness * odds - 1)


@pytest.mark.parametrize("find", [platt_line, isotonic_line])
def test_a_forecast_that_is_too_sure_is_put_right_on_new_rows(find):
    """Less loss and less calibration error, and the ranking stays."""
    y, p = sample()
    later, score = sample(2)

    mended = drawn(find(y, p), score)

    assert log_loss(later, mended) < log_loss(later, score) - 0.05
    assert ece(later, mended) < 0.3 * ece(later, score)
    assert auc(later, mended) == pytest.approx(auc(later, score), abs=0.002)


def test_the_logistic_line_is_that_of_scikit_learn():
    """A logistic regression on the log-odds without penalty; Platt's targets pull a hair towards the middle."""
    y, p = sample()
    theirs = LogisticRegression(C=np.inf).fit(logit(p)[:, None], y)

    mended = drawn(platt_line(y, p), p)

    assert mended == pytest.approx(theirs.predict_proba(logit(p)[:, None])[:, 1], abs=0.003)


def test_the_isotonic_line_runs_through_the_middles_of_scikit_learns_steps():
    """On every step it has the step's height at the mean score."""
    y, p = sample(n=500)
    steps = IsotonicRegression(out_of_bounds="clip").fit_transform(p, y)
    line = isotonic_line(y, p)

    inner = [height for height in np.unique(steps) if 0.01 < height < 0.99]
    middles = [p[steps == height].mean() for height in inner]

    assert drawn(line, middles) == pytest.approx(inner, abs=1e-9)


@pytest.mark.parametrize("find", [platt_line, isotonic_line])
@pytest.mark.parametrize("case", ["ties", "few", "perfect", "two scores", "certain"])
def test_every_line_rises_and_stays_short_of_certain(find, case):
    """Whatever the scores are like."""
    y, p = sample(n=60 if case == "few" else 1000)
    p = {
        "ties": np.round(p, 1),
        "few": p,
        "perfect": np.where(y > 0, 0.9, 0.1) + 0.05 * p,
        "two scores": np.where(p > 0.5, 0.7, 0.2),
        "certain": np.round(p),
    }[case]

    line = find(y, p)

    assert (np.diff(line.scores) > 0).all()
    assert (np.diff(line.probabilities) >= 0).all()
    assert 0 < line.probabilities[0] <= line.probabilities[-1] < 1


def test_scores_that_fall_where_hits_are_have_no_logistic_line():
    """The wrong way round is told, not turned."""
    y, p = sample()

    with pytest.raises(StatisticsInputError, match="hits score no higher than misses"):
        platt_line(y, 1 - p)

"""Every measure equals scikit-learn's, on scores full of ties and on scores without any."""

import numpy as np
import pytest
import sklearn.metrics as theirs

from mlops_assets import statistics as ours


@pytest.fixture(scope="module", params=["ties", "no ties", "one positive row", "certain forecasts"])
def sample(request):
    """Five hundred labels with scores."""
    generator = np.random.default_rng(5)
    y = generator.random(500) < 0.3
    score = np.clip(0.3 * y + generator.random(500) * 0.7, 0, 1)
    if request.param == "ties":
        score = np.round(score, 1)
    if request.param == "one positive row":
        y = np.arange(500) == 17
    if request.param == "certain forecasts":
        score = np.round(score)
    return y, score


RANKING = {
    "auc": (ours.auc, theirs.roc_auc_score),
    "average_precision": (lambda y, score: ours.average_precision_adds(y, score)[0], theirs.average_precision_score),
    "log_loss": (ours.log_loss, theirs.log_loss),
    "brier": (ours.brier, theirs.brier_score_loss),
}


@pytest.mark.parametrize("name", RANKING)
def test_measures_of_scores_equal_theirs(name, sample):
    """Ranks and losses, to the twelfth digit."""
    mine, reference = RANKING[name]

    assert mine(*sample) == pytest.approx(reference(*sample), rel=1e-12)


DECIDING = {
    "accuracy": theirs.accuracy_score,
    "balanced_accuracy": theirs.balanced_accuracy_score,
    "f1": theirs.f1_score,
    "precision": theirs.precision_score,
    "true_positive_rate": theirs.recall_score,
    "true_negative_rate": lambda y, decided: theirs.recall_score(~y, ~decided),
}


@pytest.mark.parametrize("name", DECIDING)
def test_measures_of_decisions_equal_theirs(name, sample):
    """The family of shares at a threshold."""
    y, score = sample
    decided = score >= 0.5

    assert ours.rate(name, y, decided) == pytest.approx(DECIDING[name](y, decided), rel=1e-12)


@pytest.mark.parametrize("name", ["rmse", "mae", "r2", "pinball"])
def test_measures_of_numbers_equal_theirs(name):
    """Errors of forecasts in minutes."""
    generator = np.random.default_rng(6)
    y = generator.normal(100, 30, 500)
    forecast = np.round(y + generator.normal(3, 12, 500))
    pairs = {
        "rmse": (ours.rmse, theirs.root_mean_squared_error),
        "mae": (ours.mae, theirs.mean_absolute_error),
        "r2": (ours.r2, theirs.r2_score),
        "pinball": (
            lambda y, f: ours.pinball_losses(y, f, quantile=0.9).mean(),
            lambda y, f: theirs.mean_pinball_loss(y, f, alpha=0.9),
        ),
    }
    mine, reference = pairs[name]

    assert mine(y, forecast) == pytest.approx(reference(y, forecast), rel=1e-12)


def test_bins_of_the_reliability_table_equal_theirs():
    """Bins of equal mass, as `calibration_curve` cuts them; ties would stay together in ours."""
    from sklearn.calibration import calibration_curve

    generator = np.random.default_rng(8)
    p = generator.random(1000)
    y = generator.random(1000) < p**1.5

    found = ours.reliability(y, p, bins=10)

    rate, forecast = calibration_curve(y, p, n_bins=10, strategy="quantile")
    assert [bin.rate for bin in found] == pytest.approx(rate, rel=1e-12)
    assert [bin.mean_score for bin in found] == pytest.approx(forecast, rel=1e-12)
    assert [bin.rows for bin in found] == [100] * 10

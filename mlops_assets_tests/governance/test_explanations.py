"""Reasons and importance, checked by hand and against LightGBM itself."""

import numpy as np
import pytest

from mlops_assets.errors import GovernanceError
from mlops_assets.governance import Importance, Reason, global_importance, reasons, shuffled_importance

NAMES = ["wind", "hour", "gust"]
CONTRIBUTIONS = np.array(
    [
        [0.5, -0.25, 0.25, -1.0],
        [-1.5, 0.75, 0.25, -1.0],
    ]
)


def test_importance_is_the_mean_absolute_contribution():
    """Worked out by hand: (0.5 + 1.5) / 2, (0.25 + 0.75) / 2, (0.25 + 0.25) / 2; the expected score takes no part."""
    ranked = global_importance(CONTRIBUTIONS, NAMES)

    assert ranked == (
        Importance(feature="wind", mean_abs=1.0, share=1.0 / 1.75),
        Importance(feature="hour", mean_abs=0.5, share=0.5 / 1.75),
        Importance(feature="gust", mean_abs=0.25, share=0.25 / 1.75),
    )


def test_all_classes_count_alike():
    """Contributions of two classes rank as those of twice the rows."""
    of_classes = np.stack([CONTRIBUTIONS, 3 * CONTRIBUTIONS], axis=1)

    assert global_importance(of_classes, NAMES) == global_importance(np.concatenate([*of_classes]), NAMES)


def test_a_score_moves_when_what_it_hangs_on_is_shuffled():
    """Twice one feature, nothing of another, and the square of the third; by any seed the same again."""
    X = np.random.default_rng(1).normal(size=(500, 3))

    first, again = (shuffled_importance(lambda X: 2 * X[:, 0] + X[:, 2] ** 2, X, NAMES, seed=7) for _ in range(2))

    assert [i.feature for i in first] == ["wind", "gust", "hour"]
    assert first[2].mean_abs == 0
    assert sum(i.share for i in first) == pytest.approx(1)
    assert first == again


def test_a_model_that_looks_at_nothing_has_no_shares():
    """Zero by zero is not a share."""
    ranked = global_importance(np.array([[0.0, 0.0, 0.3]]), ["b", "a"])

    assert [(i.feature, i.share) for i in ranked] == [("a", 0.0), ("b", 0.0)]


def test_reasons_are_what_moved_the_score_strongest_first_and_equal_ones_by_name():
    """Up or down; what moved nothing is no reason, and neither is the expected score."""
    first = reasons(CONTRIBUTIONS[0], NAMES)

    assert first == (
        Reason(feature="wind", contribution=0.5),
        Reason(feature="gust", contribution=0.25),
        Reason(feature="hour", contribution=-0.25),
    )
    assert reasons(np.array([0.0, 0.0, 1e-9, -1.0]), NAMES) == (Reason(feature="gust", contribution=1e-9),)


@pytest.mark.parametrize(
    "broken",
    [np.zeros((2, 3)), np.zeros((0, 4)), np.zeros(4), np.full((1, 4), np.nan)],
    ids=["a column too few", "no rows", "not a table", "not a number"],
)
def test_contributions_that_cannot_be_this_models_are_refused(broken):
    """A shifted column would blame the wrong feature."""
    with pytest.raises(GovernanceError):
        global_importance(broken, NAMES)


@pytest.mark.parametrize("broken", [np.zeros(3), np.zeros((1, 4)), np.full(4, np.nan)])
def test_reasons_from_contributions_that_cannot_be_this_models_are_refused(broken):
    """A shifted column would blame the wrong feature here as well."""
    with pytest.raises(GovernanceError):
        reasons(broken, NAMES)


def test_reasons_hold_for_a_real_booster():
    """LightGBM's contributions add up to its raw score, and the feature that decides is the reason given."""
    lightgbm = pytest.importorskip("lightgbm")
    rng = np.random.default_rng(5)
    X = rng.normal(size=(400, 3))
    y = (X[:, 1] > 0).astype(float)
    params = {"objective": "binary", "num_threads": 1, "verbose": -1, "deterministic": True, "force_col_wise": True}
    booster = lightgbm.train(params, lightgbm.Dataset(X, y), num_boost_round=10)

    contributions = booster.predict(X, pred_contrib=True)

    np.testing.assert_allclose(contributions.sum(axis=1), booster.predict(X, raw_score=True), atol=1e-9)
    assert global_importance(contributions, NAMES)[0].feature == "hour"
    assert {reasons(row, NAMES)[0].feature for row in contributions} == {"hour"}

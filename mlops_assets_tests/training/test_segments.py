"""Fits in segments: where they were cut off cannot be told from the model, and the segments cost no quality."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from mlops_assets.statistics import auc
from mlops_assets.training import Fitted
from mlops_assets.training.trainers.lightgbm import SEEDS, LightGBMTrainer
from mlops_assets_tests.training._cut_off import cut_off_at_every_save


def fit(rows, *, threads=1, validation=None, patience=30, checkpoint=None, **params) -> Fitted:
    return LightGBMTrainer(threads=threads).fit(
        replace(rows, weights=np.exp(np.random.default_rng(3).normal(0, 3, len(rows)))),
        params={"num_iterations": 45, "checkpoint_rounds": 10, "min_data_in_leaf": 20, **params},
        seed=7,
        validation=validation,
        patience=patience,
        checkpoint=checkpoint,
    )


@pytest.mark.parametrize(
    ("task", "params"),
    [
        ("binary", {}),
        ("binary", {"extra_trees": True, "feature_fraction_bynode": 0.5}),
        ("binary", {"bagging_freq": 0}),
        ("binary", {"bagging_freq": 2, "bagging_fraction": 0.3}),
        ("binary", {"bagging_fraction": 1.0}),
        ("binary", {"bagging_fraction": 1.0, "pos_bagging_fraction": 0.7, "neg_bagging_fraction": 0.4}),
        ("multiclass", {}),
        ("multiclass", {"min_gain_to_split": 20.0}),  # a class has trees that split nothing
        ("regression", {}),
        ("regression", {"objective": "regression_l1"}),
        ("regression", {"objective": "poisson", "bagging_freq": 3}),
    ],
)
def test_a_fit_goes_on_from_each_segment_to_the_same_bytes(task, params, request):
    """Trees, rounds and losses are those of the fit that was left in peace."""
    rows = request.getfixturevalue(task)
    rows = replace(rows, y=np.abs(rows.y))

    resumed, cuts = cut_off_at_every_save(lambda **given: fit(rows, **params, **given))

    assert cuts == 4
    assert resumed == fit(rows, **params)


def test_a_fit_that_is_left_alone_predicts_no_row(binary, monkeypatch):
    """It goes on with the booster that it has, so segments cost it nothing."""
    monkeypatch.delattr("lightgbm.Booster.predict")

    assert fit(binary).rounds == 45


def test_progress_of_another_kind_is_left_alone(binary):
    """As of a version of this library that saved something else."""

    class Other:
        def load(self):
            return msgspec.msgpack.encode({"fit": {"model": "tree", "ends": [10], "losses": [0.5], "finished": False}})

        def due(self):
            return True

        def save(self, progress):
            pass

    assert fit(binary, checkpoint=Other()) == fit(binary)


def test_the_search_for_the_rounds_goes_on_too(binary):
    """It is cut off, then the fit after it; found rounds, both curves and the trees are the same."""
    newest = np.arange(len(binary.y)) >= 1000

    resumed, cuts = cut_off_at_every_save(lambda **given: fit(binary, validation=newest, patience=15, **given))

    undisturbed = fit(binary, validation=newest, patience=15)
    assert len(undisturbed.curves["validation_loss"]) > undisturbed.rounds > 10
    assert cuts >= 3
    assert resumed == undisturbed


def test_no_number_of_threads_changes_a_fit_of_several_segments(binary):
    """As it does not change one of a single segment."""
    alone, many = (fit(binary, threads=threads) for threads in (1, 3))

    assert alone.parts == many.parts


def test_no_number_of_threads_changes_how_many_rounds_are_found(binary):
    """The losses they are found by are the same, in every digit that is kept."""
    newest = np.arange(len(binary.y)) >= 800
    alone, many = (fit(binary, threads=threads, validation=newest, patience=15) for threads in (1, 3))

    assert alone == many


def test_a_fit_of_one_segment_is_lightgbms_own(binary):
    """As many rounds as a segment has, or no segments at all, give the same trees."""
    exactly, without = (fit(binary, checkpoint_rounds=rounds).parts["model.txt"] for rounds in (45, 0))

    assert exactly.partition(b"parameters:")[0] == without.partition(b"parameters:")[0]
    assert b"checkpoint_rounds" not in exactly


def test_segments_cost_no_quality(binary):
    """On rows it has not seen, a fit of nine segments is as good as one of a single one."""
    learnt = np.arange(len(binary.y)) < 1000
    seen = binary.take(learnt)

    whole, parted = (
        auc(binary.y[~learnt], LightGBMTrainer().score(fit(seen, checkpoint_rounds=rounds).parts, binary.X[~learnt]))
        for rounds in (0, 5)
    )

    assert parted == pytest.approx(whole, abs=0.02)


def test_each_segment_draws_anew_and_the_text_names_the_seeds_on_record(binary):
    """Were the second segment to draw like the first, both would bag the same rows; the record stays what it was."""
    fitted = fit(binary, num_iterations=20, learning_rate=1e-9, feature_fraction=0.5)

    trees = fitted.parts["model.txt"].decode().split("\nTree=")[1:]
    features = [tree.partition("split_feature=")[2].partition("\n")[0] for tree in trees]
    assert features[:10] != features[10:20]
    assert all(f"[{name}: {fitted.params[name]}]" in fitted.parts["model.txt"].decode() for name in SEEDS)


@pytest.mark.parametrize("boosting", ["dart", "rf"])
def test_trees_that_later_ones_change_are_fitted_in_one_go(binary, boosting):
    """Nothing is saved of them, so that a fit that was killed begins anew."""
    fitted, cuts = cut_off_at_every_save(lambda **given: fit(binary, boosting=boosting, **given))

    assert cuts == 0
    assert fitted.rounds == 45


def test_a_fit_that_finds_nothing_more_to_split_ends_well(binary):
    """Segments without a tree add nothing to the scores."""
    few = replace(binary, y=(binary.X[:, 0] > 0).astype(float))

    resumed, cuts = cut_off_at_every_save(
        lambda **given: fit(few, num_leaves=2, min_gain_to_split=80.0, learning_rate=0.5, **given)
    )

    assert cuts == 4
    assert resumed.rounds < 45
    assert resumed == fit(few, num_leaves=2, min_gain_to_split=80.0, learning_rate=0.5)

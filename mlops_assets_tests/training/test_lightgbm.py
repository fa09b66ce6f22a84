"""What LightGBM is not allowed to do, and what its model text leaves out."""

from dataclasses import replace

import lightgbm
import numpy as np
import pytest

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.training import TRAINERS
from mlops_assets.training.trainers.lightgbm import RANGES, SEEDS, SWITCHES, TUNABLE, normalised

TRAINER = TRAINERS["lightgbm"]


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"boosting": "goss"}, "goss"),
        ({"data_sample_strategy": "goss"}, "goss"),
        ({"use_quantized_grad": True}, "number of threads"),
        ({"force_row_wise": True}, "number of threads"),
        ({"num_threads": 4}, "may not depend on it"),
        ({"deterministic": False}, "same training gives the same model"),
        ({"bagging_seed": 3}, "derived from the `seed`"),
        ({"linear_tree": True}, "explainable"),
        ({"n_estimators": 100}, "Write num_iterations"),
        ({"num_leafs": 31}, "Did you mean 'num_leaves'"),
        ({"objective": "quantile"}, "binary model"),
        ({"num_iterations": 0}, "a whole number of at least 1"),
        ({"num_iterations": "100"}, "a whole number"),
        ({"num_leaves": 7.5}, "a whole number of 2 to 131072"),
        ({"checkpoint_rounds": -1}, "a whole number of at least 0"),
        ({"learning_rate": 0}, "a number above 0"),
        ({"learning_rate": float("inf")}, "a number above 0"),
        ({"bagging_fraction": 1.5}, "a number above 0, up to 1"),
        ({"max_bin": True}, "a whole number of at least 2"),
        ({"extra_trees": "yes"}, "true or false"),
    ],
)
def test_a_parameter_that_would_break_the_promise_is_refused_with_the_reason(params, why):
    """Each refusal says which promise it would break or what to write instead."""
    with pytest.raises(DeclarationError, match=why):
        TRAINER.resolve("binary", params, seed=7)


def test_each_parameter_that_is_a_number_or_a_switch_has_a_range():
    """So that none is first refused by LightGBM, in the middle of a run."""
    assert TUNABLE - {"boosting", "objective"} == set(RANGES) | SWITCHES


@pytest.mark.parametrize("name", sorted(RANGES))
def test_lightgbm_takes_both_ends_of_each_range(regression, name):
    """What is let through here is not refused there."""
    few = regression.take(np.arange(len(regression)) < 300)
    low, high = RANGES[name].low, RANGES[name].high
    ends = [low + 0.01 if RANGES[name].above else low, high]
    objective = {"fair_c": "fair", "tweedie_variance_power": "tweedie", "alpha": "huber"}.get(name, "regression")

    for end in (end for end in ends if np.isfinite(end)):
        params = {"num_iterations": 2, "objective": objective, name: end}
        positive = replace(few, y=few.y - few.y.min() + 1)

        assert TRAINER.fit(positive, params=params, seed=7).rounds >= 1


def test_a_regression_may_choose_its_loss(regression):
    """Absolute error is an objective like any other."""
    fitted = TRAINER.fit(regression, params={"objective": "regression_l1", "num_iterations": 5}, seed=7)

    assert fitted.params["objective"] == "regression_l1"
    assert fitted.rounds == 5


def test_every_seed_in_the_model_text_is_the_one_recorded(binary):
    """LightGBM used the seeds that the record names, not others of its own."""
    fitted = TRAINER.fit(binary, params={}, seed=7)

    text = fitted.parts["model.txt"].decode()

    assert all(f"[{name}: {fitted.params[name]}]" in text for name in SEEDS)
    assert len({fitted.params[name] for name in SEEDS}) == len(SEEDS)


def test_the_model_text_names_neither_threads_nor_files_and_loads_all_the_same(binary):
    """The bytes kept predict as the booster in memory did."""
    data = lightgbm.Dataset(binary.X, binary.y, params={"verbosity": -1})
    booster = lightgbm.train({"objective": "binary", "num_threads": 2, "verbosity": -1}, data, 5)
    text = booster.model_to_string().encode()

    kept = normalised(text)

    assert b"[num_threads: 2]" in text
    assert b"num_threads" not in kept
    assert b"[num_leaves: 31]" in kept
    assert np.array_equal(TRAINER.score({"model.txt": kept}, binary.X), booster.predict(binary.X))


def test_categorical_columns_are_split_by_level_not_by_order(binary):
    """A tree over codes marked as categories holds set decisions."""
    plain, marked = (TRAINER.fit(replace(binary, categorical=columns), params={}, seed=7) for columns in ((), (3,)))

    assert b"num_cat=0" in plain.parts["model.txt"]
    assert b"[categorical_feature: 3]" in marked.parts["model.txt"]
    assert b"cat_threshold=" in marked.parts["model.txt"]


def test_rows_of_another_width_are_refused(binary):
    """A vector that misses a feature is not read as one of another model."""
    parts = TRAINER.fit(binary, params={}, seed=7).parts

    with pytest.raises(TrainingError, match="takes 4 features"):
        TRAINER.score(parts, binary.X[:, :3])


def test_what_lightgbm_refuses_comes_back_as_a_training_error(binary):
    """Values that do not go together are named, with LightGBM's own words."""
    with pytest.raises(TrainingError, match="scale_pos_weight"):
        TRAINER.fit(binary, params={"is_unbalance": True, "scale_pos_weight": 3.0}, seed=7)


def test_dart_cannot_be_stopped_early(binary):
    """A best round cannot be cut out of a model that re-weighs its trees."""
    with pytest.raises(DeclarationError, match="dart"):
        TRAINER.fit(binary, params={"boosting": "dart"}, seed=7, validation=np.arange(len(binary)) > 1000)

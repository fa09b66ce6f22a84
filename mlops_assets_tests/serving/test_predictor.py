"""The native predictor against LightGBM's own, bit for bit."""

import gc
import weakref

import lightgbm
import numpy as np
import pytest

from mlops_assets.errors import BundleError
from mlops_assets.serving.predictor import NativeBooster


def train(objective: str, *, rows: int = 300, **params: object) -> tuple[lightgbm.Booster, np.ndarray]:
    chance = np.random.default_rng(3)
    X = chance.normal(size=(rows, 6))
    X[:, 5] = chance.integers(0, 8, rows)
    X[chance.random(X.shape) < 0.1] = np.nan
    y = (np.nan_to_num(X[:, 0]) + (X[:, 5] == 3) > 0.3).astype(float) + (
        X[:, 1] > 1 if objective == "multiclass" else 0
    )
    data = lightgbm.Dataset(X, y, categorical_feature=[5], params={"verbosity": -1})
    fixed = {"objective": objective, "num_threads": 1, "verbosity": -1, "num_leaves": 15}
    return lightgbm.train({**fixed, **params}, data, 20), np.vstack([X, chance.normal(scale=100, size=(200, 6))])


@pytest.mark.parametrize("objective", ["binary", "regression", "poisson", "cross_entropy"])
def test_scores_are_those_of_booster_predict(objective):
    """One by one and in a batch, the bits are LightGBM's, the objective's transformation included."""
    booster, X = train(objective)
    expected = booster.predict(X, num_threads=1)
    native = NativeBooster(booster.model_to_string().encode())

    batch = native.score(X)
    alone = np.concatenate([native.score(X[i : i + 1]) for i in range(len(X))])

    assert batch.tobytes() == expected.tobytes()
    assert alone.tobytes() == expected.tobytes()


def test_a_view_of_another_array_scores_as_its_values(trained):
    """Rows that do not lie side by side in memory are read rightly."""
    booster, X = train("binary")
    native = NativeBooster(booster.model_to_string().encode())

    scores = native.score(np.asfortranarray(X)[::2])

    assert scores.tolist() == booster.predict(X[::2], num_threads=1).tolist()


def test_no_rows_give_no_scores():
    """An empty batch is no fault."""
    booster, X = train("binary")

    assert NativeBooster(booster.model_to_string().encode()).score(X[:0]).shape == (0,)


@pytest.mark.parametrize("text", [b"", b"no model at all", b"tree\nversion=v4\n"], ids=["empty", "prose", "cut"])
def test_text_that_is_no_model_is_refused(text):
    """A damaged text is an error of the bundle, not a crash."""
    with pytest.raises(BundleError, match="LightGBM refused"):
        NativeBooster(text)


def test_a_model_of_several_classes_gives_a_score_for_each():
    """One by one, in a batch and of no rows at all, as LightGBM itself."""
    booster, X = train("multiclass", num_class=3)
    native = NativeBooster(booster.model_to_string().encode())

    alone = np.concatenate([native.score(X[i : i + 1]) for i in range(len(X))])

    assert native.score(X).tobytes() == alone.tobytes() == booster.predict(X, num_threads=1).tobytes()
    assert native.score(X).shape == (len(X), 3)
    assert native.score(X[:0]).shape == (0, 3)


def test_rows_of_another_width_are_refused():
    """The C library would read past the end of a short row."""
    booster, X = train("binary")

    with pytest.raises(BundleError, match="rows of 6 features"):
        NativeBooster(booster.model_to_string().encode()).score(X[:, :5])


def test_a_booster_without_references_is_gone_at_once():
    """Freeing does not wait for the garbage collector, which the endpoint keeps from looking."""
    booster, _ = train("binary")
    native = NativeBooster(booster.model_to_string().encode())
    gone = weakref.ref(native)
    gc.disable()

    try:
        del native
        assert gone() is None
    finally:
        gc.enable()

"""What a project's own tests are told of its own trainer."""

import pytest

from mlops_assets.testing import check_trainer
from mlops_assets_tests._own import BINS, CONV

SOUND = BINS.replace('"rounds": 60', '"rounds": 5')
BROKEN = {
    "chance": (
        'return {"bins.json": canonical_json(model)}',
        'return {"bins.json": canonical_json({**model, "luck": np.random.rand()})}',
        "Two fits of the same rows with the same seed differ",
    ),
    "the order of a set": (
        'return {"bins.json": canonical_json(model)}',
        'return {"bins.json": canonical_json({**model, "names": list({"a", "b", "c", "d", "e", "f", "g"})})}',
        "Another process, with another number of threads and another order of sets",
    ),
    "weights": (
        "np.ones(len(data)) if data.weights is None else data.weights / data.weights.mean()",
        "np.ones(len(data))",
        "`data.weights` change nothing",
    ),
    "far": (
        'linked = _linked(model["task"], raw)',
        'linked = _linked(model["task"], raw)\n        linked[:, vectors[:, 0] > 1e8] = np.nan',
        "far from those learnt",
    ),
    "progress": (
        "def fit(data, *, params, seed):\n",
        "def fit(data, *, params, seed, checkpoint):\n"
        "    if checkpoint and checkpoint.load():\n        params = {**params, 'rounds': 1}\n"
        "    elif checkpoint:\n        checkpoint.save(b'half')\n",
        "cut off after it has saved its progress ends otherwise",
    ),
    "rounds": ("params, seed)", "params, seed, validation=None)", "do not tell the `validation_loss`"),
}


def written(tmp_path, text):
    path = tmp_path / "trainer.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_example_in_numpy_keeps_every_promise(tmp_path, task):
    """As docs/trainers.md shows it."""
    check_trainer(written(tmp_path, BINS), task=task)


def test_the_example_in_pytorch_keeps_every_promise(tmp_path):
    """As docs/trainers.md shows it, done sooner."""
    pytest.importorskip("torch")

    check_trainer(written(tmp_path, CONV), params={"epochs": 2})


@pytest.mark.parametrize("what", BROKEN)
def test_a_promise_that_is_not_kept_is_named(tmp_path, what):
    """And nothing else is."""
    before, after, words = BROKEN[what]
    assert before in SOUND

    with pytest.raises(AssertionError, match="does not keep what every trainer promises") as told:
        check_trainer(written(tmp_path, SOUND.replace(before, after)), task="binary")

    assert words in str(told.value)
    assert str(told.value).count("\n- ") == 1

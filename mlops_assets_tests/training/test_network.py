"""The networks that PyTorch fits: what they are made of, and what is refused."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from mlops_assets.errors import BundleError, DeclarationError, UnexplainedError
from mlops_assets.scoring.network import NETWORK_PART, WEIGHTS_PART
from mlops_assets.training import TRAINERS
from mlops_assets.training.trainers import network
from mlops_assets_tests.training._cut_off import cut_off_at_every_save
from mlops_assets_tests.training.conftest import draw

TRAINER = TRAINERS["torch"]
QUICK = {"epochs": 3}


def fit(rows, *, params=None):
    return TRAINER.fit(rows, params={**QUICK, **(params or {})}, seed=7)


@pytest.fixture(scope="module")
def parts():
    return fit(draw("binary")).parts


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_our_sums_are_pytorchs_own(task):
    """The saved tensors, put into PyTorch's layers, give the same scores but for the rounding of 32 bits."""
    rows = draw(task)
    parts = fit(rows).parts
    told, tensors = (
        json.loads(parts[NETWORK_PART]),
        {n: torch.from_numpy(t) for n, t in load(parts[WEIGHTS_PART]).items()},
    )

    numbers = [(rows.X[:, each["column"]] - each["mean"]) / each["scale"] for each in told["numbers"]]
    flags = [np.isnan(rows.X[:, each["column"]]) * 1.0 for each in told["numbers"] if each["gap"]]
    dense = torch.from_numpy(np.nan_to_num(np.column_stack([*numbers, *flags])).astype(np.float32))
    codes = torch.from_numpy(np.nan_to_num(rows.X[:, 3] + 1).astype(np.int64))
    seen = torch.cat([dense, torch.nn.functional.embedding(codes, tensors["embedding.0"])], dim=1)
    for layer in range(3):
        seen = torch.nn.functional.linear(seen, tensors[f"layer.{layer}.weight"], tensors[f"layer.{layer}.bias"])
        seen = torch.relu(seen) if layer < 2 else seen
    expected = {
        "binary": lambda: torch.sigmoid(seen)[:, 0],
        "multiclass": lambda: torch.softmax(seen, dim=1),
        "regression": lambda: seen[:, 0] * told["scale"] + told["mean"],
    }[task]()

    assert told["hidden"] == [64, 32]
    assert TRAINER.score(parts, rows.X) == pytest.approx(expected.numpy(), abs=1e-4)


def test_the_first_step_of_the_optimiser_is_the_learning_rate():
    """AdamW begins with the sign of the gradient, whatever its size, after the decay of the weight."""
    rows = draw("binary", n=64)
    under_way = network._Fit(rows, {**network.DEFAULTS, "seed": 7}, network._Epochs())
    before = [each.detach().clone() for each in under_way.variables]
    gradients = [torch.full_like(each, size) for each, size in zip(before, (5.0, -3.0) * 4, strict=False)]

    under_way._step(gradients)

    for was, now, gradient in zip(before, under_way.variables, gradients, strict=True):
        expected = was * (1 - 0.003 * 0.01) - 0.003 * torch.sign(gradient)
        assert now.detach().numpy() == pytest.approx(expected.numpy(), abs=1e-6)


def test_pytorch_is_left_as_it_was_found(binary):
    """Threads, mode and the global stream of chance belong to others."""
    torch.manual_seed(5)
    before = (torch.get_num_threads(), torch.get_deterministic_debug_mode(), torch.random.get_rng_state().tolist())

    fit(binary, params={"dropout": 0.5})

    assert before == (
        torch.get_num_threads(),
        torch.get_deterministic_debug_mode(),
        torch.random.get_rng_state().tolist(),
    )


def test_dropout_is_drawn_from_the_seed(binary):
    """Whatever was drawn in the process before."""
    first = fit(binary, params={"dropout": 0.5})
    torch.rand(3)

    assert fit(binary, params={"dropout": 0.5}) == first
    assert first.parts != fit(binary).parts


def test_a_fit_goes_on_after_any_epoch_to_the_same_bytes(binary):
    """Weights, moments, the steps done and what dropout and the order of rows draw next are all saved."""
    newest = np.arange(len(binary.y)) >= 1000
    params = {"epochs": 6, "dropout": 0.5}

    def whole(**given):
        return TRAINER.fit(binary, params=params, seed=7, validation=newest, patience=2, **given)

    resumed, cuts = cut_off_at_every_save(whole)

    undisturbed = whole()
    searched = len(undisturbed.curves["validation_loss"])
    assert resumed == undisturbed
    assert cuts == undisturbed.rounds + searched - (searched < params["epochs"])  # no epoch follows one that stops


def test_what_is_saved_of_a_fit_is_no_pickle(binary):
    """Losses and tensors, each read as what it is."""
    saved = []

    class Checkpoint:
        def load(self):
            return None

        def due(self):
            return len(saved) < 2

        def save(self, progress):
            saved.append(progress)

    TRAINER.fit(binary, params=QUICK, seed=7, checkpoint=Checkpoint())

    told = msgspec.msgpack.decode(saved[-1])
    assert len(saved) == len(told["fit"]["losses"]) == 2
    assert {"variable.0", "first.0", "second.0", "chance", "steps"} <= set(load(told["fit"]["state"]))


def test_a_number_far_out_counts_as_far_not_as_farther(parts):
    """No line is drawn into the unknown."""
    far, farther = np.array([[1e6, 0, 0, 1]]), np.array([[1e12, 0, 0, 1]])

    assert TRAINER.score(parts, far) == TRAINER.score(parts, farther)


def test_a_level_never_seen_counts_as_missing(parts):
    """Its embedding is that of the rows without a level."""
    missing, unseen, negative = (np.array([[0.1, 0.2, 0.3, level]]) for level in (np.nan, 99, -1))

    assert TRAINER.score(parts, missing) == TRAINER.score(parts, unseen) == TRAINER.score(parts, negative)


def test_columns_without_any_value_or_any_number_are_fitted(binary):
    """A feature that was always missing is not looked at, and a network of categories alone needs no numbers."""
    empty = replace(binary, X=np.column_stack([binary.X[:, :2], np.full(len(binary.y), np.nan), binary.X[:, 3]]))
    levels = replace(binary, X=np.repeat(binary.X[:, 3:], 4, axis=1), categorical=(0, 1, 2, 3))

    for rows in (empty, levels):
        assert np.isfinite(TRAINER.score(fit(rows).parts, rows.X)).all()


def test_no_single_decision_is_explained(parts, binary):
    """And the reason says what to use instead."""
    with pytest.raises(UnexplainedError, match="use the trainer `lightgbm`"):
        TRAINER.contributions(parts, binary.X)


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"hiden": "64"}, "Did you mean 'hidden'"),
        ({"hidden": "64;32"}, "such as '64,32'"),
        ({"hidden": "0"}, "each of 1 to 4096"),
        ({"hidden": ""}, "such as '64,32'"),
        ({"epochs": 0}, "a whole number of 1 to 10000"),
        ({"epochs": 2.5}, "a whole number"),
        ({"dropout": 1.0}, "a number of 0 to 0.95"),
        ({"learning_rate": True}, "a number of"),
        ({"batch_size": "many"}, "a whole number"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_before_the_fit(params, why):
    """With the range, or with the nearest right spelling."""
    with pytest.raises(DeclarationError, match=why):
        TRAINER.resolve("binary", params, seed=7)


def test_without_pytorch_the_extra_is_named(monkeypatch):
    """Nothing is imported to find that out."""
    monkeypatch.setattr(network, "find_spec", lambda name: None)

    with pytest.raises(DeclarationError, match=r'pip install "mlops-assets\[torch\]"'):
        TRAINER.resolve("binary", {}, seed=7)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: {NETWORK_PART: p[NETWORK_PART]},
        lambda p: {**p, WEIGHTS_PART: p[WEIGHTS_PART][:-4]},
        lambda p: {**p, WEIGHTS_PART: b""},
        lambda p: {**p, WEIGHTS_PART: p[WEIGHTS_PART].replace(b'"F32"', b'"F16"', 1)},
        lambda p: {**p, WEIGHTS_PART: save({n: t.T.copy() for n, t in load(p[WEIGHTS_PART]).items()})},
        lambda p: {**p, NETWORK_PART: p[NETWORK_PART].replace(b'"levels":6', b'"levels":7')},
        lambda p: {**p, NETWORK_PART: p[NETWORK_PART].replace(b"[64,32]", b"[64]")},
        lambda p: {**p, NETWORK_PART: b"{}"},
    ],
)
def test_parts_that_are_not_whole_or_not_of_one_network_are_refused(parts, binary, change):
    """No score is made of weights in the wrong place."""
    with pytest.raises(BundleError, match="no whole network"):
        TRAINER.score(change(parts), binary.X)

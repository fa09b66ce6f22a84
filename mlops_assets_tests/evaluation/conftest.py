"""Held-out rows, scores of known quality, and a version to judge."""

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, softmax

from mlops_assets.evaluation import BusinessValue
from mlops_assets.records import ModelVersion, Window

N = 3000


@pytest.fixture(scope="session")
def late():
    """Labels drawn from known chances; scores from the chances themselves to a weak hint of them."""
    generator = np.random.default_rng(42)
    signal = generator.normal(size=N)
    chance = expit(1.5 * signal - 1.2)
    y = (generator.random(N) < chance).astype(float)
    blur = generator.normal(size=N)
    return SimpleNamespace(
        y=y,
        good=chance,
        twin=expit(1.5 * (signal + 0.02 * blur) - 1.2),
        fair=expit(0.9 * signal + 0.9 * blur - 1.2),
        rival=expit(0.9 * signal + 0.9 * generator.normal(size=N) - 1.2),
        weak=expit(0.3 * signal + 1.2 * blur - 1.2),
        carrier=np.array(["UA", "AA", "DL"], object)[np.arange(N) % 3],
        day=np.arange(N) // 100,
    )


@pytest.fixture(scope="session")
def minutes():
    """The same for a number: minutes of air time."""
    generator = np.random.default_rng(43)
    y = generator.normal(150, 40, N)
    off = generator.normal(size=N)
    return SimpleNamespace(y=y, good=y + 8 * off, twin=y + 8 * off + generator.normal(size=N), weak=y + 25 * off + 10)


@pytest.fixture(scope="session")
def kinds():
    """The same for one of three classes."""
    generator = np.random.default_rng(44)
    signal, blur = generator.normal(size=(2, N, 3))
    chances = softmax(1.5 * signal, axis=1)
    y = (generator.random(N)[:, None] > chances.cumsum(axis=1)).sum(axis=1).astype(float)
    return SimpleNamespace(
        y=y,
        good=chances,
        twin=softmax(1.5 * (signal + 0.02 * blur), axis=1),
        weak=softmax(0.4 * signal + 1.2 * blur, axis=1),
        carrier=np.array(["UA", "AA", "DL"], object)[np.arange(N) % 3],
        day=np.arange(N) // 100,
    )


@pytest.fixture(scope="session")
def trade():
    """A hit brings 300, a false alarm costs 60, and a tenth can be acted on."""
    return BusinessValue(capacity_share=0.1, value_of_hit=300, cost_of_false_alarm=60, unit="EUR")


@pytest.fixture(scope="session")
def window():
    """Two weeks of March."""
    start, end = datetime(2013, 3, 18, tzinfo=UTC), datetime(2013, 4, 1, tzinfo=UTC)
    return Window(start=start, end=end, rows=N, label_mean=0.3)


def version(task="binary", **changed):
    """Give a model version to judge."""
    facts = {"sha256": "c" * 64, "version": 2, "training_set_sha256": "d" * 64, "params": {}, "reproducibility": {}}
    cut_off = datetime(2013, 4, 1, tzinfo=UTC)
    return ModelVersion(model="flight_delay", task=task, cut_off=cut_off, **{**facts, **changed})

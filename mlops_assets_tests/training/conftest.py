"""Small training rows shared by the tests of this room."""

import numpy as np
import pytest

from mlops_assets.training import TrainingData

CLASSES = ("early", "on time", "late")


def draw(task, n=1500, seed=1):
    """Draw rows in which two numbers and a category matter, a tenth of the numbers is missing, and one is noise."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, 4))
    X[:, 3] = generator.integers(0, 6, n)
    signal = X[:, 0] - 0.5 * X[:, 1] + 0.6 * (X[:, 3] >= 3)
    X[generator.random(n) < 0.1, 1] = np.nan
    X[generator.random(n) < 0.05, 3] = np.nan
    y = signal + generator.normal(size=n)
    times = np.datetime64("2013-01-01", "us") + np.arange(n) * np.timedelta64(1, "h")
    labels = {"binary": (y > 0.5) * 1.0, "multiclass": np.digitize(y, [-0.5, 1.0]) * 1.0, "regression": 10 + 3 * y}
    return TrainingData(
        X=X,
        y=labels[task],
        task=task,
        times=times,
        names=("delay", "wind", "noise", "carrier"),
        categorical=(3,),
        classes=CLASSES if task == "multiclass" else (),
    )


@pytest.fixture
def binary():
    """Rows with a yes-or-no label."""
    return draw("binary")


@pytest.fixture
def multiclass():
    """Rows whose label is one of three classes."""
    return draw("multiclass")


@pytest.fixture
def regression():
    """Rows with a number as label."""
    return draw("regression")

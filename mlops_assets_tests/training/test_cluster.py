"""Fits on a Dask cluster of two processes on this machine: as good as on one machine, and said not to be exact."""

import os
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import pytest
from distributed import LocalCluster
from pydantic import ValidationError

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.statistics import auc, r2
from mlops_assets.training import TrainingPolicy, TrainingWindow, fit, trainer_named
from mlops_assets.training.cluster import Cluster
from mlops_assets_tests.training.conftest import draw

WINDOW = TrainingWindow(minimum_rows=100)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A scheduler and two workers, each a process."""
    with (
        patch.dict(os.environ),  # Dask sets variables for its workers in ours
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as running,
    ):
        yield Cluster(address=running.scheduler_address)


@pytest.fixture
def nobody() -> Cluster:
    """An address at which nothing answers."""
    return Cluster(address="tcp://127.0.0.1:1", connect_timeout_s=0.5)


def policy(cluster=None, **changed) -> TrainingPolicy:
    params = {"num_iterations": 60, "min_data_in_leaf": 20}
    return TrainingPolicy(params=params, window=WINDOW, distributed=cluster, reproduce="never", **changed)


def skill(task, y, score):
    if task == "multiclass":
        return float(np.mean([auc(y == code, score[:, code]) for code in range(3)]))
    return auc(y, score) if task == "binary" else r2(y, score)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_model_of_the_cluster_is_as_good_as_one_of_this_machine(cluster, task):
    """On rows neither has seen, with weights and a category; its parts are read as those of any other."""
    seen, later = draw(task, n=4000), draw(task, n=3000, seed=2)
    trainer = trainer_named("lightgbm")

    here, there = (fit(policy(where, recency_half_life_days=60), seen) for where in (None, cluster))

    assert here.parts != there.parts
    assert here.rounds == there.rounds == 60
    assert skill(task, later.y, trainer.score(there.parts, later.X)) == pytest.approx(
        skill(task, later.y, trainer.score(here.parts, later.X)), abs=0.02
    )
    assert there.params.items() >= {**here.params, "distributed": "dask"}.items()


@pytest.mark.slow
def test_no_address_of_the_cluster_is_in_the_model(cluster):
    """It would say where it was fitted, and change with every start of a worker."""
    text = fit(policy(cluster), draw("binary")).parts["model.txt"]

    assert b"127.0.0.1" not in text
    assert b"machines" not in text


def test_a_scheduler_that_does_not_answer_is_named(nobody):
    """With what to do about it."""
    with pytest.raises(TrainingError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        fit(policy(nobody), draw("binary"))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"validation_days": 5}, "cannot stop early"),
        ({"reproduce": "weekly"}, "say `never`"),
        ({"trainer": "sklearn"}, "only `lightgbm`"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused_at_load(nobody, changed, why):
    """Not after the rows were joined and sent."""
    declared = {"distributed": nobody, "reproduce": "never", **changed}

    with pytest.raises(DeclarationError, match=why):
        TrainingPolicy(**declared).require_task("binary")


def test_a_cluster_needs_an_address():
    """Nothing is assumed about where it is."""
    with pytest.raises(ValidationError, match="address"):
        TrainingPolicy(distributed={"kind": "dask"})

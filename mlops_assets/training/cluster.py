"""Fits that are spread over a Dask cluster which is there already, through LightGBM's own Dask interface.

The rows are joined on one machine and handed out in equal parts, in their order; each worker builds histograms of its
part, and the workers add them up among themselves. The order of these sums is not fixed, so the model is as good as one
fitted on one machine, and not the same to the bit.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from mlops_assets.errors import TrainingError
from mlops_assets.records import Params, Task
from mlops_assets.training.trainer import Trainer, TrainingData

NOT_TO_THE_BIT = (
    "It was fitted on a cluster, where sums are added in the order in which workers answer. The same rows and "
    "parameters give a model as good, and not the same bytes."
)

ESTIMATORS: dict[Task, str] = {
    "binary": "DaskLGBMClassifier",
    "multiclass": "DaskLGBMClassifier",
    "regression": "DaskLGBMRegressor",
}


class Cluster(BaseModel, frozen=True, extra="forbid"):
    """A cluster to fit on, instead of on this machine."""

    kind: Literal["dask"] = Field(default="dask", description="What runs it.")
    address: str = Field(description="Where its scheduler answers, such as tcp://dask-scheduler:8786.")
    connect_timeout_s: float = Field(default=30.0, gt=0, description="How long the scheduler is waited for.")


@runtime_checkable
class FitsOnCluster(Protocol):
    """A trainer whose fits can be spread over a cluster."""

    def on_cluster(self, cluster: Cluster) -> Trainer:
        """Give this trainer as it fits on the workers of a cluster: as well, and not the same to the bit."""
        ...


def fit_on_cluster(cluster: Cluster, data: TrainingData, *, params: Params, rounds: int) -> str:
    """Give the text of a model that the workers of a cluster have fitted together.

    Args:
        cluster: Where the scheduler is.
        data: The rows, which are all on this machine.
        params: As LightGBM takes them, without the rounds.
        rounds: How many there are.

    Raises:
        TrainingError: The cluster does not answer, has no workers, or could not fit.
    """
    with _connected(cluster) as client:
        from lightgbm import dask as lightgbm_dask

        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            raise TrainingError(
                f"The Dask cluster at {cluster.address} has no workers, so nothing would be fitted. Start some, or "
                "take `distributed` out to fit on this machine.",
                address=cluster.address,
            )
        kind = getattr(lightgbm_dask, ESTIMATORS[data.task])
        estimator = kind(client=client, n_estimators=rounds, **params)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # parameters go by the names of LightGBM's core, not of its scikit-learn form
            estimator.fit(
                _spread(client, data.X, workers),
                _spread(client, data.y, workers),
                sample_weight=None if data.weights is None else _spread(client, data.weights, workers),
                feature_name=list(data.names),
                categorical_feature=sorted(data.categorical),
            )
        return str(estimator.booster_.model_to_string(num_iteration=-1))


def _spread(client: Any, values: npt.NDArray[np.float64], workers: Sequence[str]) -> Any:
    """Hand `values` out, one part to each worker, and give them as one Dask array."""
    import dask.array
    from dask.delayed import delayed

    arrays: Any = dask.array
    parts = [part for part in np.array_split(values, len(workers)) if len(part)]
    kept = [client.scatter(part, workers=[worker]) for part, worker in zip(parts, workers, strict=False)]
    there = [
        arrays.from_delayed(delayed(each), shape=part.shape, dtype=part.dtype)
        for each, part in zip(kept, parts, strict=True)
    ]
    return arrays.concatenate(there)


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise TrainingError(
            "`training.distributed` names a Dask cluster, and Dask is not installed here. Install the extra: "
            "pip install 'mlops-assets[dask]'.",
            address=cluster.address,
        ) from error
    try:
        client = Client(  # type: ignore[no-untyped-call]
            cluster.address, timeout=cluster.connect_timeout_s
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise TrainingError(
            f"No Dask scheduler answers at {cluster.address} within {cluster.connect_timeout_s:g} s: {error}. "
            "Start it, mend `training.distributed.address`, or take `distributed` out to fit on this machine.",
            address=cluster.address,
        ) from error
    try:
        yield client
    finally:
        client.close()  # type: ignore[no-untyped-call]

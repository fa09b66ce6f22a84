"""Processes to be killed by the hundred: forked from one that has imported everything and run nothing.

There is one such server in a Python process, and whoever names modules for it last is heard, so all are named here.
"""

from multiprocessing import get_context

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "mlops_assets_tests._one_day",
        "mlops_assets_tests.claims.test_killed_fit",
        "mlops_assets.stores.state",
        "mlops_assets.validation.rules",
        # what the libraries import at first use: without them two thirds of a life would pass with imports
        "fsspec.implementations.local",
        "hypothesis.strategies",
        "mlflow.lightgbm",
        "mlflow.store.model_registry.sqlalchemy_store",
        "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.tracking.client",
        "pandera.backends.polars.register",
        "pandera.strategies.base_strategies",
        "pytest",
        "sqlalchemy.dialects.sqlite",
    ]
)

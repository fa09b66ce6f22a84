"""MLflow's own server application in one process: `python mlflow_server.py STORE_URI ARTIFACT_ROOT HOST PORT`.

`mlflow server` runs the same application below a second process as big as itself and, unless told not to, beside eight
more for jobs we do not have: 1.9 GB where this takes 0.3, and half its time to start. The tables are made before the
first request is taken, and whole, so that no run writes into a half-made database and no kill leaves one. Runs of
processes that were killed are ended then too.
"""

import sys

import uvicorn  # first: MLflow guards its pages against foreign hosts and origins only where it sees a server loaded

from mlops_assets.stores.tracking import end_killed_runs, make_database


def main(store_uri: str, artifact_root: str, host: str, port: str) -> None:
    """Serve MLflow's pages and API over a database and a folder of artefacts until told to end."""
    from mlflow import MlflowClient
    from mlflow.server.handlers import initialize_backend_stores

    make_database(store_uri, artifact_root)
    initialize_backend_stores(store_uri, store_uri, artifact_root)
    end_killed_runs(MlflowClient(tracking_uri=store_uri, registry_uri=store_uri))
    uvicorn.run("mlflow.server.fastapi_app:app", host=host, port=int(port), log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])

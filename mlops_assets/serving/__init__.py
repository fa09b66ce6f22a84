"""The endpoint process: requests in, predictions out, each one logged before it is answered.

    request body -> requests -> served_model (features, predictor) -> prediction_logs -> response      app.py
    release file -> live (load, replay the golden rows, swap)

Nothing here imports Dagster, MLflow, pandas, LightGBM's Python package or training code, not even through a friend:
the process starts within a second and holds well under 100 MB.
"""

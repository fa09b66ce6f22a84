"""The life of a model as Dagster assets, from raw data to a watched endpoint."""

__version__ = "0.1.0"

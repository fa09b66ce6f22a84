"""Fixtures for every room; servers that tests start for real are in `_servers.py`."""

from mlops_assets_tests._servers import postgres

__all__ = ["postgres"]

"""Fixtures for every room; servers that tests start for real are in `_servers.py`."""

from mlops_assets_tests._servers import postgres, redis_server, s3, s3_server

__all__ = ["postgres", "redis_server", "s3", "s3_server"]

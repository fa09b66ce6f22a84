"""Fixtures for every room, and how all tests are run; servers that tests start for real are in `_servers.py`."""

import pytest

from mlops_assets_tests._left_behind import LeftBehind
from mlops_assets_tests._servers import postgres, redis_server, s3, s3_server

__all__ = ["postgres", "redis_server", "s3", "s3_server"]

SHOWN_LINES = 30  # of what a failed test has printed or logged; a machine that runs them all shows only the end


def pytest_configure(config: pytest.Config) -> None:
    """Watch what tests leave behind."""
    watch = LeftBehind()
    watch.begin()
    config.pluginmanager.register(watch, "left behind")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that may take longest, so that no worker is left with one at the end."""
    allowed_s: dict[str, float] = {}
    for item in items:
        slow, timeout = item.get_closest_marker("slow"), item.get_closest_marker("timeout")
        seconds = timeout.args[0] if timeout else float(slow is not None)
        allowed_s[item.location[0]] = max(seconds, allowed_s.get(item.location[0], 0))
    items.sort(key=lambda item: -allowed_s[item.location[0]])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Keep the end of what a failed test has printed."""
    report = yield
    report.sections = [
        (name, "\n".join(["…", *lines[-SHOWN_LINES:]]) if len(lines := text.splitlines()) > SHOWN_LINES else text)
        for name, text in report.sections
    ]
    return report

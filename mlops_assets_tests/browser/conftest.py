"""The real stack and a real browser, both once for all browser tests."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

import mlops_assets
from mlops_assets.cli.ports import Ports, any_port
from mlops_assets.cli.stack import Stack
from mlops_assets.orchestration.resources import set_replay_time
from mlops_assets.stores.home import Home
from mlops_assets_tests._browser import ARGUMENTS, SIZE, Dagster, chromium

PROJECT = Path(mlops_assets.__file__).parent.parent
QUIET = datetime(2013, 1, 1, 1, tzinfo=UTC)  # before the first day of data is over, so that nothing starts by itself


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium; skips where there is none; `dev.py` installs it where it may."""
    executable = chromium()
    if executable is None:
        pytest.skip("no Chromium here: install it, or name it in MLOPS_CHROMIUM")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, headless=True, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def open_dagster(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Path | None], Dagster]]:
    """Start the stack on a copy of a home, or on an empty one, and open a page of its Dagster."""
    running: list[Stack] = []
    patch = pytest.MonkeyPatch()
    patch.setenv("MLOPS_REFRESH_CRON", "0 0 1 1 *")  # else tables that are read whole come in by themselves

    def start(prepared: Path | None) -> Dagster:
        home = tmp_path_factory.mktemp("stack") / "home"
        if prepared:
            shutil.copytree(prepared, home, ignore=shutil.ignore_patterns("stack.json", "stack.lock"))
        else:
            set_replay_time(Home(home), QUIET)
        ports = Ports(dagster=any_port(), mlflow=any_port(), endpoint=any_port())
        stack = Stack(home, project=PROJECT, ports=ports)
        stack.__enter__()
        running.append(stack)
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(120_000)  # of a loaded machine with two cores
        return Dagster(stack.addresses.dagster, Home(home), page)

    yield start
    for stack in running:
        stack.stop()
    patch.undo()

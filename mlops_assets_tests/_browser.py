"""Chromium and Dagster's pages for the browser tests."""

import os
import shutil
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Page

from mlops_assets.stores.home import Home

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = [
    "--no-sandbox",  # which root is not allowed
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOOPBACK = {"127.0.0.1", "localhost", ""}  # data: and blob: URLs have no host
SIZE = {"width": 1600, "height": 1000}


def chromium() -> str | None:
    """Find Chromium: `MLOPS_CHROMIUM`, then the path."""
    return os.environ.get("MLOPS_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Dagster:
    """Dagster's pages over a home, and what a visit to them made the browser do."""

    url: str
    home: Home
    page: Page
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        if (urlsplit(url).hostname or "") not in LOOPBACK:
            self.outside.append(url)

    def visit(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def ask(self, query: str, **variables: Any) -> Any:
        """Ask Dagster's GraphQL, past the browser."""
        with httpx.Client(trust_env=False, timeout=60) as client:
            answer = client.post(f"{self.url}/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

"""The shop (`_shop.py`), fresh for every test of the command line, and somebody who types."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from mlops_assets.cli import main
from mlops_assets_tests._shop import LIVE, grown, new_shop, no_settings, shop, shop_project

__all__ = ["grown", "new_shop", "no_settings", "shop", "shop_project"]


class Said(NamedTuple):
    """What a command ended with and said."""

    code: int
    out: str
    err: str


@pytest.fixture
def typed(monkeypatch, capsys) -> Callable[..., Said]:
    """Type `mlops …` in a wide terminal."""
    monkeypatch.setenv("COLUMNS", "300")

    def typed(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["mlops", *arguments])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Said(code, *capsys.readouterr())

    return typed


@pytest.fixture
def mlops(shop, typed, monkeypatch) -> Callable[..., Said]:
    """Type a command in the shop's folder, on the shop's home."""
    monkeypatch.chdir(shop.project.root)
    shop.at(LIVE)
    return lambda command, *arguments: typed(command, "--home", str(shop.home.root), *arguments)

"""The floors of pyproject.toml cover every room: a new one is not free of the rules by being forgotten."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {path.stem for path in (ROOT / "mlops_assets").iterdir() if not path.stem.startswith(("_", "py"))}
SPEAK_DAGSTER = {"orchestration", "definitions", "cli"}
TOUCH_THE_WORLD = {
    "sources",
    "validation",
    "deployment",
    "stores",
    "serving",
    "framed_log",
    "defs",
    "testing",
}


def of_contract(words: str) -> set[str]:
    """Give the rooms that a contract of import-linter is about."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = [contract for contract in contracts if words in contract["name"]]
    return {module.removeprefix("mlops_assets.") for module in found["source_modules"]}


@pytest.mark.parametrize(
    ("words", "free"),
    [("speak Dagster", SPEAK_DAGSTER), ("pure rooms", SPEAK_DAGSTER | TOUCH_THE_WORLD)],
    ids=["no Dagster", "no files, no network"],
)
def test_every_room_is_held_to_the_rule_or_named_here(words, free):
    """Whoever adds a room says which it is."""
    assert of_contract(words) == ROOMS - free

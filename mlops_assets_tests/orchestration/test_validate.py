"""Dagster's own checks pass, on this repository and on a new user's project."""

from pathlib import Path

import pytest

from mlops_assets.cli.new import make_project
from mlops_assets_tests._commands import run
from mlops_assets_tests._sales import ROLES, sales_csv

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(params=["this repository", "a new project"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a project in it."""
    if request.param == "this repository":
        return REPOSITORY
    return make_project(tmp_path / "shop", data=sales_csv(tmp_path / "sales.csv"), **ROLES, model=None).folder


@pytest.mark.slow
def test_dg_check_defs_passes(project, tmp_path):
    """Every declaration is obeyed, and all of them load together."""
    said = run("dg", "check", "defs", cwd=project, DAGSTER_HOME=str(tmp_path), MLOPS_HOME=str(tmp_path / "home"))

    assert "All definitions loaded successfully" in said


@pytest.mark.slow
def test_dagster_definitions_validate_passes(project, tmp_path):
    """workspace.yaml leads there, as it leads `dagster dev`."""
    command = ("dagster", "definitions", "validate")

    said = run(*command, cwd=project, DAGSTER_HOME=str(tmp_path), MLOPS_HOME=str(tmp_path / "home"))

    assert "All code locations passed validation" in said

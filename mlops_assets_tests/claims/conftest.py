"""The shipped example with four weeks of January in, made once for the claims that look at the whole product."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

import mlops_assets
from mlops_assets.cli.project import Project
from mlops_assets.orchestration.model_declaration import ModelFolder

PROJECT = Path(mlops_assets.__file__).parent.parent
DAYS = [(date(2013, 1, 1) + timedelta(days=n)).isoformat() for n in range(28)]
ALL_IN = datetime(2013, 1, 29, 1, tzinfo=UTC)


def opened(home: Path) -> Project:
    """Open the example on a home, with Dagster's records in memory."""
    project = Project.find(str(home), start=PROJECT)
    vars(project)["instance"] = dg.DagsterInstance.ephemeral()
    return project


@pytest.fixture(scope="session")
def january(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The example with the days of January up to the 28th brought in; not to be written to."""
    home = tmp_path_factory.mktemp("january")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_HOME", str(home))
        project = opened(home)
        assert not project.refresh_whole_tables(now=ALL_IN)
        assert not project.refresh(DAYS, now=ALL_IN)
        yield project


def with_short_training(folder: ModelFolder, *, holdout_days: int = 3) -> ModelFolder:
    """Give a model's folder with a training that four weeks suffice for."""
    training = folder.declaration.training
    window = training.window.model_copy(update={"holdout_days": holdout_days, "minimum_rows": 1000})
    training = training.model_copy(update={"window": window, "params": {"num_iterations": 20}})
    return replace(folder, declaration=folder.declaration.model_copy(update={"training": training}))

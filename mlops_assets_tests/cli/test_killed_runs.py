"""Runs whose process was killed: whoever opens Dagster's records next ends them, so that nothing waits for them."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest

from mlops_assets.cli.project import Project, _this_process
from mlops_assets.orchestration.tags import PROCESS_TAG
from mlops_assets.stores.home import Home
from mlops_assets_tests._shop import PACKAGE

DEAD = "1.1"  # process 1 began at another moment
NOBODY_KNOWS = "1.1@another-host"


@dg.op
def nothing() -> None:
    """Do nothing."""


JOB = dg.GraphDefinition("release", node_defs=[nothing]).to_job()


@pytest.fixture
def project(shop_project: Path, tmp_path: Path) -> Iterator[Project]:
    """A project with Dagster's records on disk, as `mlops` opens them; Dagster finds them by the environment."""
    project = Project(shop_project, f"{PACKAGE}.definitions", Home(tmp_path / "home", settings={}))
    with patch.dict(os.environ):
        yield project
        project.instance.dispose()


def run(project: Project, status: dg.DagsterRunStatus, process: str | None = None) -> str:
    """Leave a run behind, part of a process of ours or of a worker of the code server."""
    tags = {PROCESS_TAG: process} if process else {}
    return project.instance.create_run_for_job(JOB, status=status, tags=tags).run_id


def opened_again(project: Project) -> Project:
    return Project(project.root, project.module, Home(project.home.root, settings={}))


def statuses(project: Project, *runs: str) -> list[str]:
    found = {run.run_id: run for run in project.instance.get_runs()}
    return [found[run].status.value for run in runs]


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_a_run_of_a_killed_process_is_closed_by_the_next_command(project, status):
    """It would take a place in the queue for ever."""
    _, _, here = _this_process().rpartition("@")
    killed = run(project, status, f"{DEAD}@{here}")

    later = opened_again(project)

    assert statuses(later, killed) == ["FAILURE"]


def test_runs_of_living_or_unknown_processes_are_left_alone(project):
    """Those of a process that lives, of one on another host, and those of workers."""
    ours, theirs, worker = (
        run(project, dg.DagsterRunStatus.STARTED, process) for process in (_this_process(), NOBODY_KNOWS, None)
    )

    later = opened_again(project)

    assert statuses(later, ours, theirs, worker) == ["STARTED"] * 3


def test_a_start_closes_the_runs_of_workers_that_went_with_their_code_server(project):
    """Dagster itself never would; what was killed is tried again, what was being cancelled is cancelled."""
    starting, started, cancelling = (
        run(project, getattr(dg.DagsterRunStatus, status)) for status in ("STARTING", "STARTED", "CANCELING")
    )

    project.close_runs_of_dead_workers()

    assert statuses(project, starting, started, cancelling) == ["FAILURE", "FAILURE", "CANCELED"]
    assert project.instance.get_run_by_id(started).is_complete_and_waiting_to_retry


def test_a_start_leaves_what_was_not_begun_what_has_ended_and_what_runs_elsewhere(project):
    """What the daemon is about to start stays, and so do the runs of a command in another terminal."""
    new, done = run(project, dg.DagsterRunStatus.NOT_STARTED), run(project, dg.DagsterRunStatus.SUCCESS)
    ours = run(project, dg.DagsterRunStatus.STARTED, _this_process())

    project.close_runs_of_dead_workers()

    assert statuses(project, new, done, ours) == ["NOT_STARTED", "SUCCESS", "STARTED"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_refresh_and_not_only_the_step_it_came_in(shop, monkeypatch, number):
    """Dagster takes it for a fault of the step; the next days would be tried, and a demo would go on."""
    read = []

    def interrupted(source, spans, **_):
        read.append(spans)
        os.kill(os.getpid(), number)
        time.sleep(10)

    monkeypatch.setattr("mlops_assets.sources.files.FileSource.pieces", interrupted)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as a stack's supervisor has it
    try:
        with pytest.raises(KeyboardInterrupt):
            shop.bring_in("2024-01-29", "2024-01-30")
    finally:
        signal.signal(signal.SIGTERM, before)

    assert len(read) == 1

"""The project a command works on: its folder, its code location and its home."""

import fcntl
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib import import_module
from pathlib import Path
from socket import gethostname
from typing import Any

import dagster as dg

from mlops_assets.cli import processes
from mlops_assets.cli.dagster_settings import EVENTS_AT_ONCE, lay_out_dagster
from mlops_assets.errors import MlopsError, StackError, UnknownNameError
from mlops_assets.lineage import LineageGraph
from mlops_assets.orchestration.feature_table import FeatureTableDeclaration
from mlops_assets.orchestration.lineage import declared_lineage, lineage_of_versions
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.project import (
    DATA_STAGES,
    REFRESH_JOB,
    declared_models,
    declared_tables,
    declared_views,
)
from mlops_assets.orchestration.sensors import UNFINISHED
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.orchestration.tags import (
    AS_OF_TAG,
    MAX_RETRIES,
    PARTITION_TAG,
    PROCESS_TAG,
    PURPOSE_TAG,
    RANGE_END,
    RANGE_START,
)
from mlops_assets.stores.home import Home


@dataclass(frozen=True)
class Project:
    """A folder with a `pyproject.toml` that names a Dagster code location, and the home its data rest in."""

    root: Path
    module: str
    home: Home

    @classmethod
    def find(cls, home: str | None = None, start: Path | None = None) -> "Project":
        """Find the project around the working folder.

        Raises:
            StackError: There is none, or its pyproject.toml names no code location.
        """
        begin = (start or Path()).absolute()
        for folder in (begin, *begin.parents):
            file = folder / "pyproject.toml"
            if file.exists() and (module := _code_location(file)):
                stores = Home(home or os.environ.get("MLOPS_HOME") or folder / ".mlops", settings=os.environ)
                return cls(folder, module, stores)
        raise StackError(
            f"No project found in {begin} or above it: no pyproject.toml has a [tool.dg.project] table, so there is "
            "nothing to run. Go to your project, or make one with `mlops new PATH`.",
            folder=begin,
        )

    @cached_property
    def definitions(self) -> dg.Definitions:
        """Everything the project declares."""
        if str(self.root) not in sys.path:
            sys.path.insert(0, str(self.root))
        os.environ["MLOPS_HOME"] = str(self.home.root)  # the code location binds its stores from the environment
        loaded = import_module(self.module).defs
        return loaded() if callable(loaded) else loaded  # type: ignore[no-any-return]

    @cached_property
    def models(self) -> Mapping[str, ModelFolder]:
        """The declared models by name."""
        return declared_models(self.definitions)

    @cached_property
    def tables(self) -> Mapping[str, tuple[Path, TableDeclaration]]:
        """The declared raw tables by name, with their folders."""
        return declared_tables(self.definitions)

    @cached_property
    def views(self) -> Mapping[str, tuple[Path, FeatureTableDeclaration]]:
        """The declared feature views by name, with their folders."""
        return declared_views(self.definitions)

    def model(self, name: str) -> ModelFolder:
        """Give a model.

        Raises:
            UnknownNameError: There is no such model.
        """
        if name not in self.models:
            raise UnknownNameError("model", name, known=self.models, if_none=_made_by("ModelPipeline"))
        return self.models[name]

    def table(self, name: str) -> tuple[Path, TableDeclaration]:
        """Give a raw table, with its folder.

        Raises:
            UnknownNameError: There is no such table.
        """
        if name not in self.tables:
            raise UnknownNameError("table", name, known=self.tables, if_none=_made_by("RawTable"))
        return self.tables[name]

    def view(self, name: str) -> FeatureTableDeclaration:
        """Give a feature view.

        Raises:
            UnknownNameError: There is no such view.
        """
        if name not in self.views:
            raise UnknownNameError("feature view", name, known=self.views, if_none=_made_by("FeatureTable"))
        return self.views[name][1]

    @cached_property
    def lineage(self) -> LineageGraph:
        """From the sources to what is declared, and on to what was trained and is served."""
        declared = declared_lineage(tables=self.tables, views=self.views, models=self.models)
        return declared | lineage_of_versions(self.home, self.models)

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """Dagster's records of runs and assets in this home; those of a process that was killed are closed first."""
        folder = self.home.root / "dagster"
        if not (folder / "dagster.yaml").exists():
            lay_out_dagster(self.home.root, self.root)
        os.environ["DAGSTER_HOME"] = str(folder)
        os.environ.update(EVENTS_AT_ONCE)
        with (folder / "instance.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the first to come makes the tables, and two at once would trip over them
            instance = dg.DagsterInstance.get()
        _close_runs_of_killed_processes(instance)
        return instance

    def close_runs_of_dead_workers(self) -> None:
        """Mark runs as failed, and so to be tried again, whose workers were killed with their code server.

        Nobody else does: a code server tells of its own workers only, and Dagster's default launcher knows no others.
        Until then such runs take the places of others in the queue. Call it while no stack runs on this home.
        """
        workers = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
        for run in self.instance.get_runs(dg.RunsFilter(statuses=workers)):
            if PROCESS_TAG in run.tags:
                continue
            if run.status is dg.DagsterRunStatus.CANCELING:
                self.instance.report_run_canceled(run, "The worker was killed with its code server.")
            else:
                self.instance.report_run_failed(run, "The worker was killed with its code server.")

    def refresh(self, days: Sequence[str], *, now: datetime, only: Sequence[str] | None = None) -> list[str]:
        """Bring an unbroken run of days in, in this process; give what went wrong, nothing if nothing did.

        They go as one run, and each on its own if that fails: what is wrong with one day keeps no other out. `only`
        names the assets to run, such as `validated/flights`; by default all that come in days.
        """
        which = {PARTITION_TAG: days[0]} if len(days) == 1 else {RANGE_START: days[0], RANGE_END: days[-1]}
        chosen = None if only is None else [dg.AssetKey(key.split("/")) for key in only]
        faults = self._run(self.definitions.resolve_job_def(REFRESH_JOB), which, now=now, asset_selection=chosen)
        if faults and len(days) > 1:
            return [fault for day in days for fault in self.refresh([day], now=now, only=only)]
        return faults

    def refresh_whole_tables(self, *, now: datetime, only: Sequence[str] | None = None) -> list[str]:
        """Bring in the tables and views that have no partitions, or `only` some; give what went wrong."""
        keys = [
            spec.key
            for spec in self.definitions.resolve_all_asset_specs()
            if spec.key.path[0] in DATA_STAGES
            and spec.partitions_def is None
            and (only is None or spec.key.to_user_string() in only)
        ]
        if not keys:
            return []
        return self._run(self.definitions.resolve_implicit_global_asset_job_def(), {}, now=now, asset_selection=keys)

    def _run(self, job: dg.JobDefinition, tags: Mapping[str, str], *, now: datetime, **options: Any) -> list[str]:
        run = job.execute_in_process(
            instance=self.instance,
            partition_key=tags.get(PARTITION_TAG),
            raise_on_error=False,
            # What went wrong is given back; Dagster keeps the rest of its log with the run.
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={
                **{name: value for name, value in tags.items() if name != PARTITION_TAG},
                AS_OF_TAG: now.isoformat(),
                PROCESS_TAG: _this_process(),
                PURPOSE_TAG: "refresh",
                MAX_RETRIES: "0",  # the daemon cannot start again what runs here
            },
            **options,
        )
        failed = [event for event in run.all_events if event.is_step_failure]
        if any(_is_interrupt(event) for event in failed):
            raise KeyboardInterrupt  # Dagster takes Ctrl-C for a fault of the step it came in
        return [_fault(event) for event in failed]


def _made_by(component: str) -> str:
    return f"`dg scaffold defs mlops_assets.orchestration.{component} NAME` makes a folder for one."


def _is_interrupt(event: dg.DagsterEvent) -> bool:
    cause = event.step_failure_data.error
    while cause and cause.cls_name not in ("DagsterExecutionInterruptedError", "KeyboardInterrupt"):
        cause = cause.cause
    return cause is not None


def _fault(event: dg.DagsterEvent) -> str:
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    cause = failure.error
    while cause and cause.cause:
        cause = cause.cause
    step = (event.step_key or "").replace("__", "/")
    ours = f"{MlopsError.__module__}.{cause.cls_name}: " if cause else ""
    return f"{step}: {cause.message.strip().removeprefix(ours) if cause else 'failed'}"


def _code_location(pyproject: Path) -> str | None:
    project = tomllib.loads(pyproject.read_text()).get("tool", {}).get("dg", {}).get("project", {})
    root = project.get("root_module")
    module = project.get("code_location_target_module") or (f"{root}.definitions" if root else None)
    return module if isinstance(module, str) else None


def _this_process() -> str:
    return f"{os.getpid()}.{processes.started_at(os.getpid())}@{gethostname()}"


def _is_dead(process: str) -> bool:
    """Tell whether a process is gone; of one on another host, or in another container, nothing is known."""
    identity, _, host = process.rpartition("@")
    pid, _, began = identity.partition(".")
    return host == gethostname() and processes.started_at(int(pid)) != int(began)


def _close_runs_of_killed_processes(instance: dg.DagsterInstance) -> None:
    """Mark runs as failed that were part of a process that was killed; the queue would wait for them for ever."""
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if not _is_dead(run.tags.get(PROCESS_TAG, "@")):
            continue
        newest = instance.get_run_by_id(run.run_id)
        if newest and not newest.is_finished:  # it may have ended, and its process with it, since we looked first
            instance.report_run_failed(newest, "The process this run was part of was killed.")

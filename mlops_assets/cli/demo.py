"""`mlops demo`: the stack, five weeks of New York's flights played to it, and the closing table."""

import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import monotonic

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mlops_assets.cli.closing import Closing, close, show
from mlops_assets.cli.project import Project
from mlops_assets.cli.replay import Replay
from mlops_assets.cli.running import start, use
from mlops_assets.cli.stack import Stack
from mlops_assets.cli.world import Fault
from mlops_assets.errors import StackError
from mlops_assets.orchestration.partitions import REFRESH_WAIT
from mlops_assets.orchestration.resources import replay_time, set_replay_time

LIVE_FROM = date(2013, 4, 1)
FLAGSHIP = "flight_delay"


def run_demo(
    project: Project, *, weeks: int, ports: dict[str, int | None], stay: bool, json_file: Path | None, fresh: bool
) -> None:
    """Play `weeks` weeks from 1 April 2013; with `stay`, leave the servers up until Ctrl-C.

    Raises:
        StackError: The project is not the example, a server died, or, unless it stays, not everything was as it
            should be.
    """
    if FLAGSHIP not in project.models:
        raise StackError(
            f"The demo plays the example that ships with mlops_assets, and this project has no model {FLAGSHIP!r}. "
            "Run it in a clone of mlops_assets; for your own project there is `mlops up` and `mlops replay`."
        )
    console = Console()
    if fresh:
        _forget(project)
    end = LIVE_FROM + timedelta(weeks=weeks)
    with play(project, LIVE_FROM, end, ports=ports, faults=planned_faults(), console=console) as (closing, stack):
        show(closing, console)
        if json_file:
            closing.write(json_file)
        where = stack.addresses
        console.print(
            f"\nLineage, runs, checks: {where.dagster}   trainings: {where.mlflow}   endpoint: {where.endpoint}/models"
        )
        if stay:
            console.print("Everything stays up until Ctrl-C.")
            stack.wait()
            return
    if not closing.as_it_should_be:
        sys.exit(1)


@contextmanager
def play(
    project: Project,
    first: date,
    end: date,
    *,
    ports: Mapping[str, int | None],
    faults: Mapping[str, Mapping[str, Fault]],
    console: Console,
    models: Collection[str] | None = None,
) -> Iterator[tuple[Closing, Stack]]:
    """Start the stack, play the days from `first` to before `end` to it, and give what happened; then stop it."""
    if replay_time(project.home) is None:
        # Before the servers start, or their sensors would look at the wall clock first.
        set_replay_time(project.home, datetime.combine(first, time(), UTC) + REFRESH_WAIT)
    # Time is pressed together, so the daemon looks more often than it would live.
    os.environ.setdefault("MLOPS_SENSOR_INTERVAL_S", "1")
    os.environ.setdefault("MLOPS_REFRESH_CRON", "* * * * *")
    began = monotonic()
    console.print("starting Dagster, MLflow and the endpoint")
    with start(
        project, dagster=ports.get("dagster"), mlflow=ports.get("mlflow"), endpoint=ports.get("endpoint")
    ) as stack:
        use(project, stack.addresses)
        console.print(f"watch it happen: Dagster {stack.addresses.dagster}, MLflow {stack.addresses.mlflow}")
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console) as progress:
            days = progress.add_task(f"from {first}", total=(end - first).days)
            replay = Replay(
                project,
                url=stack.addresses.endpoint,
                start=first,
                end=end,
                models=models,
                faults=faults,
                check=stack.check,
                day_done=lambda day: progress.update(days, completed=(day - first).days, description=f"{day}"),
                say=progress.console.print,
            )
            replay.run()
        console.print(f"played in {monotonic() - began:.0f} s")
        yield close(project, replay.traffic, flagship=FLAGSHIP), stack


def planned_faults() -> dict[str, dict[str, Fault]]:
    """Give the batches that go wrong at the source: one with bad rows, one that is not a flights table any more."""
    return {"2013-04-10": {"flights": _with_bad_rows}, "2013-04-24": {"flights": _with_a_renamed_column}}


def _with_bad_rows(rows: pa.Table) -> pa.Table:
    """Give the batch as a feed with a bug would: distances in metres, unknown airports, one report sent twice."""
    distance = rows["distance"].to_pylist()
    origin = rows["origin"].to_pylist()
    distance[:12] = [miles * 1609 for miles in distance[:12]]
    origin[20:25] = ["???"] * 5
    rows = rows.set_column(rows.column_names.index("distance"), "distance", pa.array(distance, pa.int64()))
    rows = rows.set_column(rows.column_names.index("origin"), "origin", pa.array(origin, pa.string()))
    return pa.concat_tables([rows, rows.slice(40, 1)])


def _with_a_renamed_column(rows: pa.Table) -> pa.Table:
    """Give the batch as after an unannounced release of the feed: one column under another name, in hours."""
    hours = pc.divide(rows["arr_delay"].cast(pa.float64()), 60.0)
    return rows.drop_columns(["arr_delay"]).append_column("arrival_delay_h", hours)


def _forget(project: Project) -> None:
    """Remove what an earlier demo left; only a folder that is a home is removed."""
    root = project.home.root
    if not root.exists():
        return
    if not ((root / "clock").exists() or (root / "stack.json").exists()):
        raise StackError(f"{root} is not the home of a demo, so it is left alone. Name another with --home.")
    # Out of the way in one step: of a folder half removed, nobody could tell any more whose it was.
    aside = Path(tempfile.mkdtemp(prefix=f".{root.name}-forgotten-", dir=root.parent))
    root.rename(aside / root.name)
    shutil.rmtree(aside)

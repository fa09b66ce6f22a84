"""The data refresh: what has arrived and is not in, or changed after it came in, is asked for, oldest first."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from mlops_assets.digests import sha256_json
from mlops_assets.orchestration.partitions import DAY, REFRESH_WAIT, due
from mlops_assets.orchestration.resources import HomeResource, now
from mlops_assets.orchestration.sensors import UNFINISHED
from mlops_assets.orchestration.steps.intake.ingesting import variables_of
from mlops_assets.orchestration.steps.intake.reopening import behind, reopened, stamps_of
from mlops_assets.orchestration.steps.intake.standing import Key, waiting
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.orchestration.tags import AS_OF_TAG, PURPOSE_TAG, RANGE_END, RANGE_START
from mlops_assets.stores.home import Home
from mlops_assets.stores.tables import WHOLE

Tables = Mapping[str, tuple[Path, TableDeclaration]]

REFRESH_AT_MOST = 31  # days per run
ABANDONED_AFTER = timedelta(hours=1)  # of the wall clock: a run that is older and has no end was killed


def refresh_schedule(
    daily: Mapping[str, dg.TimeWindowPartitionsDefinition], *, sources: Tables, job_name: str
) -> dg.ScheduleDefinition:
    """Build the schedule over all daily tables; `MLOPS_REFRESH_CRON` moves it (default: every hour).

    Runs of the job have its name as their purpose.
    """

    @_hourly("refresh", job_name, "Brings in the days that have arrived, and again those that have changed.")
    def refresh(context: dg.ScheduleEvaluationContext, home: HomeResource) -> list[dg.RunRequest] | dg.SkipReason:
        if _under_way(context.instance, job_name):
            return dg.SkipReason("a refresh is under way; what it leaves is asked for at the next tick")
        stores = home.open()
        time = now(stores)
        missing = missing_days(daily, stores, time, sources=sources)
        if not missing:
            return dg.SkipReason(f"every day that arrived by {time:%Y-%m-%d %H:%M} is in")
        return [refresh_request(days, time, state=_state(sources, stores, days)) for days in missing]

    return refresh


def whole_tables_schedule(whole: Sequence[str], *, sources: Tables, job_name: str) -> dg.ScheduleDefinition:
    """Build the schedule over the tables and views without partitions, at the times of the other."""

    @_hourly("refresh_whole", job_name, "Brings in the tables that are read whole, and again those that have changed.")
    def refresh_whole(context: dg.ScheduleEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
        if _under_way(context.instance, job_name):
            return dg.SkipReason("these tables are being refreshed")
        stores = home.open()
        time = now(stores)
        stale = stale_tables(whole, stores, sources=sources)
        if not stale:
            return dg.SkipReason("every table that is read whole is as its source is")
        return dg.RunRequest(
            run_key=f"refresh:{','.join(stale)}@{time:%Y-%m-%d}:{_state(sources, stores, [None])}",
            tags={AS_OF_TAG: time.isoformat()},
            asset_selection=[dg.AssetKey(table.split("/")) for table in _with_what_follows(stale, whole)],
        )

    return refresh_whole


def _hourly(name: str, job_name: str, description: str) -> Callable[[Any], dg.ScheduleDefinition]:
    return dg.schedule(
        name=name,
        job_name=job_name,
        cron_schedule=os.environ.get("MLOPS_REFRESH_CRON", "5 * * * *"),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


def missing_days(
    daily: Mapping[str, dg.TimeWindowPartitionsDefinition],
    stores: Home,
    time: datetime,
    *,
    sources: Tables,
    at_most: int = REFRESH_AT_MOST,
) -> list[list[str]]:
    """Name the days that are over and not in as their sources say, in the runs to bring them in with, oldest first.

    A day is in once every table has it, each made of what is in the table before it now, and neither the source nor
    people have said anything else of it since (see `reopening`, `standing`).

    A run is an unbroken stretch of `at_most` days. A day that was taken in and not let through goes alone: what is
    wrong with it would stop the others of its run as well.
    """
    there = {table: _days_in(stores, table) for table in daily}
    missing: set[str] = set()
    for table, partitions in daily.items():
        keys = due(partitions.get_partition_keys(current_time=time + DAY), length=DAY, wait=REFRESH_WAIT, now=time)
        missing.update(set(keys) - there[table])
        if (source := sources.get(table.removeprefix("raw/"))) and keys:
            folder, declared = source
            again = reopened(declared, stores, keys, variables=variables_of(declared, stores, folder))
            missing.update(key for key in {*again, *waiting(stores, declared.table)} if key in keys)
    stopped = {
        day
        for table in daily
        if table.startswith("validated/")
        for day in missing & there[table.replace("validated/", "raw/")] - there[table]
    }
    together: list[list[str]] = []
    for day in sorted(missing - stopped):
        if together and len(together[-1]) < at_most and _follows(day, together[-1][-1]):
            together[-1].append(day)
        else:
            together.append([day])
    return sorted([*together, *([day] for day in stopped)])


def stale_tables(whole: Iterable[str], stores: Home, *, sources: Tables) -> list[str]:
    """Name those of the tables and views without partitions that are not in as their sources say.

    Quarantines are none of them: nothing but bad rows ever reaches those.
    """

    def is_stale(table: str) -> bool:
        if not stores.tables.exists(table) or behind(stores.tables, table):
            return True
        if (source := sources.get(table.removeprefix("raw/"))) is None:
            return False
        folder, declared = source
        again = reopened(declared, stores, [None], variables=variables_of(declared, stores, folder))
        return bool(again or waiting(stores, declared.table))

    return [table for table in whole if not table.startswith("quarantine/") and is_stale(table)]


def _days_in(stores: Home, table: str) -> set[str]:
    """Name the days that a table has, made of what is in the table before it now."""
    if not stores.tables.exists(table):
        return set()
    return set(stores.tables.partitions(table)) - behind(stores.tables, table)


def _state(sources: Tables, stores: Home, keys: Sequence[Key]) -> str:
    """Give a short mark of what the sources say of `keys` and of what is in: another one is another run.

    So what was refused is asked for again once its source changes, and what was killed on its way is at once.
    """
    told: dict[str, Any] = {}
    for name, (folder, declared) in sources.items():
        if (declared.partitions is None) == (None in keys):
            told[name] = list(
                stamps_of(declared.source, keys, variables=variables_of(declared, stores, folder)).values()
            )
            for table in (f"{stage}/{name}" for stage in ("raw", "validated", "quarantine")):
                there = stores.tables.contents(table) if stores.tables.exists(table) else {}
                told[table] = [there[key or WHOLE].sha256 if (key or WHOLE) in there else None for key in keys]
            said = waiting(stores, name)
            told[f"waived/{name}"] = [sorted(said[key].waived) if key in said else None for key in keys]
    return sha256_json(told)[:12]


def _with_what_follows(stale: Iterable[str], whole: Sequence[str]) -> list[str]:
    """Name all that a table's rows go through after it, and the views: those that nothing changed for write nothing."""
    names = {table.split("/", 1)[1] for table in stale}
    return [table for table in whole for stage, name in [table.split("/", 1)] if stage == "features" or name in names]


def _under_way(instance: dg.DagsterInstance, purpose: str) -> bool:
    recent = datetime.now(UTC) - ABANDONED_AFTER
    runs = dg.RunsFilter(tags={PURPOSE_TAG: purpose}, statuses=UNFINISHED, created_after=recent)
    return bool(instance.get_run_records(runs, limit=1))


def _follows(day: str, other: str) -> bool:
    return datetime.fromisoformat(day) - datetime.fromisoformat(other) == DAY


def refresh_request(days: Sequence[str], time: datetime, *, state: str) -> dg.RunRequest:
    """Ask for one run over a range of days; what was refused is tried again the next day, or in another `state`."""
    return dg.RunRequest(
        run_key=f"refresh:{days[0]}..{days[-1]}@{time:%Y-%m-%d}:{state}",
        tags={RANGE_START: days[0], RANGE_END: days[-1], AS_OF_TAG: time.isoformat()},
    )

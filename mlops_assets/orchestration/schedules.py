"""The data refresh: days whose batches have arrived and are not in yet are asked for, oldest first."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from mlops_assets.orchestration.partitions import DAY, REFRESH_WAIT, due
from mlops_assets.orchestration.resources import AS_OF_TAG, HomeResource, now
from mlops_assets.orchestration.sensors import PURPOSE_TAG, UNFINISHED
from mlops_assets.stores.home import Home

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
REFRESH_AT_MOST = 31  # days per run
ABANDONED_AFTER = timedelta(hours=1)  # of the wall clock: a run that is older and has no end was killed


def refresh_schedule(daily: Mapping[str, dg.TimeWindowPartitionsDefinition], *, job_name: str) -> dg.ScheduleDefinition:
    """Build the schedule over all daily tables; `MLOPS_REFRESH_CRON` moves it (default: every hour)."""

    @dg.schedule(
        name="refresh",
        job_name=job_name,
        cron_schedule=os.environ.get("MLOPS_REFRESH_CRON", "5 * * * *"),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Brings in the days that have arrived.",
    )
    def refresh(context: dg.ScheduleEvaluationContext, home: HomeResource) -> list[dg.RunRequest] | dg.SkipReason:
        if _under_way(context.instance):
            return dg.SkipReason("a refresh is under way; what it leaves is asked for at the next tick")
        stores = home.open()
        time = now(stores)
        missing = missing_days(daily, stores, time)
        if not missing:
            return dg.SkipReason(f"every day that arrived by {time:%Y-%m-%d %H:%M} is in")
        return [refresh_request(days, time) for days in missing]

    return refresh


def missing_days(
    daily: Mapping[str, dg.TimeWindowPartitionsDefinition],
    stores: Home,
    time: datetime,
    *,
    at_most: int = REFRESH_AT_MOST,
) -> list[list[str]]:
    """Name the days that are over and that some table has not got, in the runs to bring them in with, oldest first.

    A run is an unbroken stretch of `at_most` days. A day that was taken in and not let through goes alone: what is
    wrong with it would stop the others of its run as well.
    """
    there = {table: set(stores.tables.partitions(table)) if stores.tables.exists(table) else set() for table in daily}
    missing: set[str] = set()
    for table, partitions in daily.items():
        keys = due(partitions.get_partition_keys(current_time=time + DAY), length=DAY, wait=REFRESH_WAIT, now=time)
        missing.update(set(keys) - there[table])
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


def _under_way(instance: dg.DagsterInstance) -> bool:
    recent = datetime.now(UTC) - ABANDONED_AFTER
    runs = dg.RunsFilter(tags={PURPOSE_TAG: "refresh"}, statuses=UNFINISHED, created_after=recent)
    return bool(instance.get_run_records(runs, limit=1))


def _follows(day: str, other: str) -> bool:
    return datetime.fromisoformat(day) - datetime.fromisoformat(other) == DAY


def refresh_request(days: Sequence[str], time: datetime) -> dg.RunRequest:
    """Ask for one run over a range of days."""
    return dg.RunRequest(
        run_key=f"refresh:{days[0]}..{days[-1]}@{time:%Y-%m-%d}",  # what was refused is tried again the next day
        tags={RANGE_START: days[0], RANGE_END: days[-1], AS_OF_TAG: time.isoformat()},
    )

"""The data refresh: days whose batches have arrived and are not in yet are asked for, oldest first."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import dagster as dg

from mlops_assets.orchestration.partitions import DAY, due
from mlops_assets.orchestration.resources import AS_OF_TAG, HomeResource, now
from mlops_assets.stores.home import Home

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
REFRESH_WAIT = timedelta(
    hours=1
)  # a day's batch is complete this long after the day; views count on it (available_after)
REFRESH_AT_MOST = 31  # days per run; a longer backlog is caught up over several ticks


def refresh_schedule(
    tables: Mapping[str, dg.TimeWindowPartitionsDefinition], *, job_name: str
) -> dg.ScheduleDefinition:
    """Build the schedule over all partitioned raw tables; `MLOPS_REFRESH_CRON` moves it (default: every hour)."""

    @dg.schedule(
        name="refresh",
        job_name=job_name,
        cron_schedule=os.environ.get("MLOPS_REFRESH_CRON", "5 * * * *"),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Brings in the days that have arrived.",
    )
    def refresh(context: dg.ScheduleEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
        stores = home.open()
        time = now(stores)
        days = missing_days(tables, stores, time)
        if not days:
            return dg.SkipReason(f"every day that arrived by {time:%Y-%m-%d %H:%M} is in")
        return refresh_request(days, time)

    return refresh


def missing_days(tables: Mapping[str, dg.TimeWindowPartitionsDefinition], stores: Home, time: datetime) -> list[str]:
    """Name the oldest unbroken run of days that are over and that some table has not got, at most 31."""
    missing: set[str] = set()
    for table, partitions in tables.items():
        keys = due(partitions.get_partition_keys(current_time=time + DAY), length=DAY, wait=REFRESH_WAIT, now=time)
        missing.update(set(keys) - set(stores.tables.partitions(f"raw/{table}")))
    days = sorted(missing)[:REFRESH_AT_MOST]
    for n, (day, following) in enumerate(pairwise(days)):
        if datetime.fromisoformat(following) - datetime.fromisoformat(day) > DAY:
            return days[: n + 1]
    return days


def refresh_request(days: Sequence[str], time: datetime) -> dg.RunRequest:
    """Ask for one run over a range of days."""
    return dg.RunRequest(
        run_key=f"refresh:{days[0]}..{days[-1]}",
        tags={RANGE_START: days[0], RANGE_END: days[-1], AS_OF_TAG: time.isoformat()},
    )

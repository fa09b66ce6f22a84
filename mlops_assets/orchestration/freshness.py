"""Freshness: what is declared of tables and views, whether it holds, and who is told.

A table with partitions comes every day, a table that is read whole every `refreshed_every`; both are stale once they
are older than `stale_after`. A view is as fresh as the tables it is computed from are promised to be.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from mlops_assets.orchestration.feature_table import FeatureTableDeclaration
from mlops_assets.orchestration.model_declaration import ModelDeclaration
from mlops_assets.orchestration.partitions import DailyPartitions, span_of
from mlops_assets.orchestration.resources import HomeResource, now
from mlops_assets.orchestration.steps.intake.arriving import newest
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.stores.home import Home
from mlops_assets.validation import Promise, staleness

CHECK = "fresh"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is promised of every stored table, and which tables each view is computed from."""

    promises: Mapping[str, Promise]
    tables_of: Mapping[str, Sequence[str]]

    @classmethod
    def declared(
        cls,
        tables: Mapping[str, tuple[Path, TableDeclaration]],
        views: Mapping[str, tuple[Path, FeatureTableDeclaration]],
    ) -> "Inputs":
        """Give what the declarations of tables and views promise."""
        promises: dict[str, Promise] = {}
        for _, table in tables.values():
            if limit := table.stale:
                promises |= {
                    name: _promise(name, limit, table.partitions)
                    for name in (f"raw/{table.table}", f"validated/{table.table}")
                }
        for _, view in views.values():
            sources = [f"validated/{table}" for table in view.tables.values()]
            limits = [promises[source].stale_after for source in sources if source in promises]
            if limits:
                name = f"features/{view.name}"
                promises[name] = _promise(name, min(limits), view.partitions)
        return cls(promises, {name: tuple(view.tables.values()) for name, (_, view) in views.items()})

    def of(self, model: ModelDeclaration) -> tuple[Promise, ...]:
        """Give what is promised of the tables and views that a model reads."""
        read = [f"validated/{model.decisions.table}"]
        for view in model.views:
            read += [*(f"validated/{table}" for table in self.tables_of.get(view, ())), f"features/{view}"]
        return tuple(self.promises[table] for table in dict.fromkeys(read) if table in self.promises)


NO_INPUTS = Inputs({}, {})


def stale(promises: Iterable[Promise], stores: Home, at: datetime) -> dict[str, str]:
    """Give the tables that are older than promised, each with its age in words."""
    said = {promise.table: staleness(promise, newest(stores, promise), now=at) for promise in promises}
    return {table: words for table, words in said.items() if words}


def _promise(table: str, stale_after: timedelta, partitions: DailyPartitions | None) -> Promise:
    end = partitions.end if partitions else None
    over = span_of(end.isoformat()).start if end else None
    return Promise(table=table, stale_after=stale_after, by_day=partitions is not None, over=over)


def freshness_checks(promises: Iterable[Promise]) -> list[dg.AssetChecksDefinition]:
    """Build a check for each promise, to be run from Dagster's pages; the sensor reports to the same checks."""
    return [_check(promise) for promise in promises]


def _check(promise: Promise) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(promise.table.split("/")),
        name=CHECK,
        description=f"Not older than {promise.stale_after / timedelta(days=1):g} days.",
    )
    def fresh(home: HomeResource) -> dg.AssetCheckResult:
        stores = home.open()
        words = staleness(promise, newest(stores, promise), now=now(stores))
        return dg.AssetCheckResult(
            passed=not words, severity=dg.AssetCheckSeverity.WARN, description=words or "as fresh as declared"
        )

    return fresh


def freshness_sensor(promises: Sequence[Promise], *, interval_s: int) -> dg.SensorDefinition:
    """Build the sensor that tells Dagster when a table has become stale, and when it is fresh again."""

    @dg.sensor(
        name="freshness",
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Holds the age of every table and view against what was declared.",
    )
    def freshness(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult:
        stores = home.open()
        time = now(stores)
        before: dict[str, bool] = json.loads(context.cursor or "{}")
        there = [promise for promise in promises if stores.tables.exists(promise.table)]
        said = {promise.table: staleness(promise, newest(stores, promise), now=time) for promise in there}
        verdicts = {table: not words for table, words in said.items()}
        return dg.SensorResult(
            asset_events=[
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey(table.split("/")),
                    check_name=CHECK,
                    passed=verdicts[table],
                    severity=dg.AssetCheckSeverity.WARN,
                    description=words or "as fresh as declared",
                    metadata={"as of": dg.MetadataValue.text(f"{time:%Y-%m-%d %H:%M} UTC")},
                )
                for table, words in said.items()
                if before.get(table) != verdicts[table]
            ],
            cursor=json.dumps(verdicts),
        )

    return freshness

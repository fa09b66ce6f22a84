"""What starts runs by itself: one definition each, over all models.

`watch` asks for the windows that are over, `retrain` answers what they showed. They read records and ledgers and ask
`resources.now` for the time, so a replay moves them with its own.
"""

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import dagster as dg

from mlops_assets.governance import Event
from mlops_assets.orchestration.freshness import NO_INPUTS, Inputs, stale
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.partitions import Windows, due, span_of
from mlops_assets.orchestration.release_chain import RELEASE_CHAIN
from mlops_assets.orchestration.resources import HomeResource, now
from mlops_assets.orchestration.tags import (
    ANSWERS_TAG,
    AS_OF_TAG,
    MODEL_TAG,
    PARTITION_TAG,
    PURPOSE_TAG,
    REASON_TAG,
    REQUESTER_TAG,
    TRIGGER_TAG,
)
from mlops_assets.orchestration.watch_chain import WATCH_CHAIN
from mlops_assets.records import DriftReport, ModelVersion, PerformanceReport, RetrainingDecision
from mlops_assets.retraining import NO_TRIGGER, BusinessEvent, decide
from mlops_assets.stores.home import Home
from mlops_assets.stores.predictions import days

WEIGHED = ("weighed",)
WINDOWS_SEEN = 60  # more than a year of weeks: a decision counts the rows since the champion's cut-off
SENSOR = "sensor:retrain"

T = TypeVar("T")
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """How far the retraining sensor has got with a model: the time it saw, and the newest window it weighed."""

    as_of: datetime
    window: str | None


def tick_interval_s() -> int:
    """How often sensors look, in seconds (`MLOPS_SENSOR_INTERVAL_S`, 30)."""
    return int(os.environ.get("MLOPS_SENSOR_INTERVAL_S", "30"))


def retrain_sensor(
    models: Mapping[str, ModelFolder], *, job_name: str, inputs: Inputs = NO_INPUTS
) -> dg.SensorDefinition:
    """Build the sensor that decides for every model whether to retrain, and records why or why not."""

    @dg.sensor(
        name="retrain",
        job_name=job_name,
        minimum_interval_seconds=tick_interval_s(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Weighs performance, drift and cadence of every model against its retraining policy.",
    )
    def retrain(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult:
        stores = home.open()
        time = now(stores)
        answers: list[RetrainingDecision] = []
        for name, folder in models.items():
            window = newest_window(stores, name)
            held_by = stale(inputs.of(folder.declaration), stores, time)
            in_flight = _in_flight(context.instance, name)
            decision = weigh(name, folder.declaration, stores, time, in_flight=in_flight, stale=held_by)
            with stores.state.together():
                if stores.state.decide_once(decision) and decision.trigger != NO_TRIGGER:
                    stores.state.audit_append(
                        Event.RETRAIN_TRIGGERED if decision.retrain else Event.RETRAIN_DECLINED,
                        actor=SENSOR,
                        subject={"model": name},
                        data={"trigger": decision.trigger, "reason": decision.reason, "answers": decision.answers},
                        at=time,
                    )
            stores.records.put(WEIGHED, name, Weighed(as_of=time, window=window))
            # The ledger is written before Dagster hears of it, so a kill in between must not lose the request:
            # the newest yes is repeated until a run carries its digest, and the run key keeps it from running twice.
            newest = next((d for d in reversed(stores.state.decisions(name)) if d.retrain), None)
            if newest and not _answered(context.instance, newest):
                answers.append(newest)
        return dg.SensorResult(
            run_requests=[
                release_request(decision, by=requester(stores, decision), run_key=decision.answers)
                for decision in answers
            ],
            skip_reason=None if answers else dg.SkipReason(f"nothing asks for retraining as of {time:%Y-%m-%d %H:%M}"),
        )

    return retrain


def weigh(
    name: str,
    declared: ModelDeclaration,
    stores: Home,
    time: datetime,
    *,
    in_flight: bool,
    stale: Mapping[str, str],
) -> RetrainingDecision:
    """Decide about one model from the records of its newest windows and the age of its data (`freshness.stale`)."""
    release = stores.releases.current(name)
    told = stores.state.audit_entries(model=name)
    return decide(
        declared.retraining,
        model=name,
        performance=_newest(stores, name, "performance", PerformanceReport),
        drift=_newest(stores, name, "drift", DriftReport),
        history=stores.state.decisions(name),
        champion=stores.records.get(("versions", name), release.bundle_sha256, ModelVersion) if release else None,
        live_since=release.at if release else None,
        refusals=[entry.at for entry in told if entry.event in (Event.GATE_REFUSED, Event.GATE_LEFT_OPEN)],
        events=[
            BusinessEvent(name=entry.data["name"], at=entry.at, note=entry.data.get("note", ""))
            for entry in told
            if entry.event == Event.BUSINESS_EVENT
        ],
        in_flight=in_flight,
        stale=stale,
        now=time,
    )


def newest_window(stores: Home, name: str) -> str | None:
    """Name the newest window of a model that is measured."""
    return max(stores.records.partitions((name, "performance")), default=None)


def is_weighed(stores: Home, name: str, time: datetime) -> bool:
    """Tell whether the retraining sensor has looked at a model at `time` or later, its newest window included."""
    weighed = stores.records.find(WEIGHED, name, Weighed)
    return weighed is not None and weighed.as_of >= time and weighed.window == newest_window(stores, name)


def requester(stores: Home, decision: RetrainingDecision) -> str:
    """Name who asked for a retraining, as the audit log has it."""
    asked = (
        entry.actor
        for entry in stores.state.audit_entries(model=decision.model)
        if entry.event == Event.RETRAIN_TRIGGERED and entry.data["answers"] == decision.answers
    )
    return next(asked, SENSOR)


def release_request(decision: RetrainingDecision, *, by: str, run_key: str | None = None) -> dg.RunRequest:
    """Ask for a model's whole release chain; the tags tell an auditor why, the run key answers a finding only once."""
    return dg.RunRequest(
        run_key=run_key,
        asset_selection=[dg.AssetKey([decision.model, stage]) for stage in RELEASE_CHAIN],
        tags={
            MODEL_TAG: decision.model,
            PURPOSE_TAG: "release",
            REQUESTER_TAG: by,
            TRIGGER_TAG: decision.trigger,
            REASON_TAG: decision.reason,
            ANSWERS_TAG: decision.answers,
            AS_OF_TAG: decision.decided_at.isoformat(),
        },
    )


def watch_sensor(models: Mapping[str, ModelFolder], *, jobs: Mapping[Windows, Any]) -> dg.SensorDefinition:
    """Build the sensor that has every window measured once its labels have had time to arrive.

    `jobs` holds, for each kind of windows, the asset job that measures the models watched in them.
    """

    @dg.sensor(
        name="watch",
        jobs=list(jobs.values()),
        minimum_interval_seconds=tick_interval_s(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for predictions, drift and performance of every window that is over.",
    )
    def watch(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult:
        stores = home.open()
        time = now(stores)
        wanted: dict[tuple[str, str], list[str]] = defaultdict(list)  # job and window -> models
        begun = _windows_under_way(context.instance)
        for name, folder in models.items():
            declared = folder.declaration
            for window in unmeasured_windows(name, declared, stores, time):
                if window not in begun:  # what its run leaves is asked for at the next tick
                    wanted[(jobs[declared.monitor.windows].name, window)].append(name)
        requests = [
            dg.RunRequest(
                run_key=f"watch:{window}:{','.join(names)}",
                job_name=job,
                partition_key=window,
                asset_selection=[dg.AssetKey([name, stage]) for name in names for stage in WATCH_CHAIN],
                tags={PURPOSE_TAG: "watch", AS_OF_TAG: time.isoformat()},
            )
            for (job, window), names in sorted(wanted.items())
        ]
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None
            if requests
            else dg.SkipReason(f"every window that is over by {time:%Y-%m-%d %H:%M} is measured"),
        )

    return watch


def _windows_under_way(instance: dg.DagsterInstance) -> set[str]:
    runs = instance.get_runs(dg.RunsFilter(tags={PURPOSE_TAG: "watch"}, statuses=UNFINISHED))
    return {run.tags[PARTITION_TAG] for run in runs}


def unmeasured_windows(name: str, declared: ModelDeclaration, stores: Home, time: datetime) -> list[str]:
    """Name the windows with predictions whose labels have had their time and that have no report yet."""
    windows = declared.monitor.windows
    logged = [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in days(stores.predictions, name)]
    if not logged:
        return []
    keys = windows.definition().get_partition_keys_in_time_window(_since(min(logged), max(logged), windows.length))
    over = due(keys, length=windows.length, wait=timedelta(hours=declared.monitor.wait_hours), now=time)
    measured = set(stores.records.partitions((name, "performance")))
    spans = {key: span_of(key, length=windows.length) for key in over if key not in measured}
    return [key for key, span in spans.items() if any(span.start <= day < span.end for day in logged)]


def _since(first: datetime, last: datetime, length: timedelta) -> dg.TimeWindow:
    return dg.TimeWindow(first - length, last + length)


def _newest(stores: Home, name: str, stage: str, kind: type[T]) -> list[T]:
    keys = stores.records.partitions((name, stage))[-WINDOWS_SEEN:]
    return [stores.records.get((name, stage), key, kind) for key in keys]


def is_under_way(run: dg.DagsterRun) -> bool:
    """Tell whether a run has not ended, or died and is about to be tried again."""
    return run.status in UNFINISHED or run.is_complete_and_waiting_to_retry


def _in_flight(instance: dg.DagsterInstance, name: str) -> bool:
    wanted = dg.RunsFilter(
        tags={MODEL_TAG: name, PURPOSE_TAG: "release"}, statuses=[*UNFINISHED, dg.DagsterRunStatus.FAILURE]
    )
    return any(is_under_way(run) for run in instance.get_runs(wanted))


def _answered(instance: dg.DagsterInstance, decision: RetrainingDecision) -> bool:
    return bool(instance.get_run_records(dg.RunsFilter(tags={ANSWERS_TAG: decision.answers}), limit=1))

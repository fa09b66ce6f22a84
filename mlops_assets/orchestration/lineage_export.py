"""What tells OpenLineage of every run: a sensor over Dagster's event log, so no run ever waits for the receiver.

`MLOPS_OPENLINEAGE_URL` names the receiver: `file:///var/log/lineage.jsonl` takes an event a line, `http://host:5000` is
posted to as the specification says (`/api/v1/lineage`; a path in the address is taken as it is). A run is told once it
has ended. The cursor moves when all events of a run are delivered, so a kill or a receiver that is down delays events
and loses none; some may come twice, with the same run ids.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import dagster as dg
import msgspec

from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration.sensors import tick_interval_s

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

URL, API_KEY, NAMESPACE = "MLOPS_OPENLINEAGE_URL", "OPENLINEAGE_API_KEY", "OPENLINEAGE_NAMESPACE"
ENDPOINT = "api/v1/lineage"
RUNS_PER_TICK = 25
TIMEOUT_S = 5.0
TICK_S = 15.0  # a tick ends after the run it is at, long before Dagster gives up on the sensor
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
# Numbers are given out before they are committed, so one may show up behind a higher one. By then, it has.
SETTLED = timedelta(minutes=2)
ENDS: Final = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)

Deliver = Callable[["RunEvent"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the log has been told: all up to number `after`, and those of `told` behind it."""

    after: int = 0
    told: tuple[int, ...] = ()
    failures: int = 0
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a run, by its number in the event log."""

    number: int
    run_id: str
    at: datetime


def lineage_sensors(settings: Mapping[str, str] = os.environ) -> list[dg.SensorDefinition]:
    """Give the sensor that exports lineage, if a receiver is named; else none.

    Raises:
        DeclarationError: The address cannot be used, or the OpenLineage client is not installed.
    """
    url = settings.get(URL)
    if not url:
        return []
    deliver, namespace = receiver(url, api_key=settings.get(API_KEY)), settings.get(NAMESPACE) or "mlops"

    @dg.sensor(
        name="openlineage",
        minimum_interval_seconds=tick_interval_s(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the OpenLineage receiver of every run that has ended.",
    )
    def openlineage(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        progress = msgspec.json.decode(context.cursor, type=Progress) if context.cursor else Progress()
        progress, said = tell(context.instance, deliver, progress, namespace=namespace, clock=lambda: datetime.now(UTC))
        context.update_cursor(msgspec.json.encode(progress).decode())
        return dg.SkipReason(said)

    return [openlineage]


def tell(
    instance: dg.DagsterInstance,
    deliver: Deliver,
    progress: Progress,
    *,
    namespace: str,
    clock: Callable[[], datetime],
) -> tuple[Progress, str]:
    """Deliver the events of the runs that ended and were not told yet; give how far that went, and say it."""
    from mlops_assets.orchestration.openlineage import TOLD, events_of

    begun = clock()
    if progress.not_before and begun < progress.not_before:
        return (
            progress,
            f"the receiver did not take the last events; it is tried again at {progress.not_before:%H:%M:%S}",
        )
    runs, told, after = 0, set(progress.told), progress.after
    for ended in ended_runs(instance, after=after, at_least=RUNS_PER_TICK + len(told)):
        if ended.number not in told:
            if runs == RUNS_PER_TICK or clock() - begun > timedelta(seconds=TICK_S):
                break
            run = instance.get_run_by_id(ended.run_id)  # a person may have deleted it since
            log = instance.get_records_for_run(ended.run_id, of_type=TOLD).records if run else ()
            try:
                for event in events_of(run, [each.event_log_entry for each in log], namespace=namespace) if run else ():
                    deliver(event)
            except OSError as error:  # of files and of HTTP alike
                failures = 0 if runs else progress.failures
                wait = min(FIRST_WAIT * 2 ** min(failures, 12), LONGEST_WAIT)
                stuck = _progress(after, told, failures=failures + 1, not_before=clock() + wait)
                return stuck, f"the receiver does not take events: {error}. They are kept, and sent again in {wait}"
            runs += 1
            told.add(ended.number)
        if ended.at < begun - SETTLED:
            after = ended.number
    return _progress(after, told), f"told of {runs} runs" if runs else "every run that has ended is told"


def _progress(after: int, told: set[int], *, failures: int = 0, not_before: datetime | None = None) -> Progress:
    behind = tuple(sorted(number for number in told if number > after))
    return Progress(after=after, told=behind, failures=failures, not_before=not_before)


def ended_runs(instance: dg.DagsterInstance, *, after: int, at_least: int) -> list[Ended]:
    """Give the ends of runs behind number `after` of the event log, in order, `at_least` so many if there are."""
    found = []
    for kind in ENDS:
        wanted = dg.RunStatusChangeRecordsFilter(event_type=kind, after_storage_id=after)
        records = instance.fetch_run_status_changes(wanted, limit=at_least + 1, ascending=True).records
        found += [
            Ended(record.storage_id, record.event_log_entry.run_id, datetime.fromtimestamp(record.timestamp, UTC))
            for record in records
        ]
    return sorted(found, key=lambda ended: ended.number)


def receiver(url: str, *, api_key: str | None = None) -> Deliver:
    """Give what brings an event to a file or to an HTTP endpoint, or raises an OSError.

    Raises:
        DeclarationError: The address cannot be used, or the OpenLineage client is not installed.
    """
    where = urlsplit(url)
    if where.scheme not in {"file", "http", "https"} or (where.scheme == "file") == bool(where.netloc):
        raise DeclarationError(
            f"{URL} is {url!r}, so nobody knows where lineage is to go. Write file:///folder/lineage.jsonl, "
            "http://host:port or https://host.",
            url=url,
        )
    try:
        from openlineage.client.serde import Serde
        from openlineage.client.transport.http import HttpConfig, HttpTransport
    except ImportError as error:
        raise DeclarationError(
            f"{URL} is set, and the OpenLineage client is not installed, so no lineage would be exported. "
            "Install the extra: pip install 'mlops-assets[openlineage]'."
        ) from error
    if where.scheme == "file":
        path = Path(unquote(where.path))
        return lambda event: append_line(path, Serde.to_json(event).encode())
    config = {
        "url": f"{where.scheme}://{where.netloc}",
        "endpoint": where.path.strip("/") or ENDPOINT,
        "timeout": TIMEOUT_S,
        "retry": {"total": 0, "connect": 0, "read": 0},  # the sensor tries again, and waits longer each time
        **({"auth": {"type": "api_key", "apiKey": api_key}} if api_key else {}),
    }
    transport = HttpTransport(HttpConfig.from_dict(config))

    def post(event: "RunEvent") -> None:
        transport.emit(event)

    return post


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file for good; what a kill left of an earlier one is cut off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if file.seek(0, os.SEEK_END):
            with mmap(file.fileno(), 0, access=ACCESS_READ) as written:
                whole = written.rfind(b"\n") + 1
            file.truncate(whole)
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())

"""Business events on their way into the log of a table: what is not as declared is refused before anything is kept."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from mlops_assets.errors import SourceError, UnknownNameError
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.sources import EventSource
from mlops_assets.stores.events import Event, EventLog
from mlops_assets.stores.home import Home

CLOCKS_DIFFER_BY = timedelta(minutes=5)


def record_events(declared: TableDeclaration, stores: Home, lines: Sequence[bytes], *, at: datetime) -> int:
    """Record events, one JSON object each, and give how many of them are new, once they are on the disk.

    Raises:
        SourceError: The table does not take events, or one of `lines` is none; then nothing of them is recorded.
        UnknownNameError: An event has a field that is not declared.
        StoreError: An id is on record with other fields, or the disk refused.
    """
    if not isinstance(declared.source, EventSource):
        raise SourceError(
            f"{declared.table} takes its rows from {declared.places}, so events recorded for it would never be read. "
            f"Record them for a table whose source is of kind `events`.",
            table=declared.table,
        )
    events = [_event(declared, declared.source, line, at=at) for line in lines]
    declared.source.require_readable([msgspec.json.encode(event.fields) for event in events])
    return EventLog(stores.events, declared.table, id_field=declared.source.id).record(events, at=at)


def _event(declared: TableDeclaration, source: EventSource, line: bytes, *, at: datetime) -> Event:
    shown = line[:80].decode(errors="replace")
    try:
        fields: Any = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{shown} is not JSON: {error}. An event is one JSON object on one line.") from error
    if not isinstance(fields, dict):
        raise SourceError(f"{shown} is no JSON object, so it has no fields. An event is one JSON object on one line.")
    for name in fields:
        if name not in source.types:
            raise UnknownNameError(f"Field of an event of {declared.table}", name, known=source.types)
    id = fields.get(source.id)
    if not isinstance(id, str | int) or id == "":
        raise SourceError(
            f"{shown} has no {source.id!r}, by which it would be known again if it were recorded twice. Give it one.",
            field=source.id,
        )
    return Event(id=str(id), day=_day(declared, source, fields, at=at).isoformat(), fields=fields)


def _day(declared: TableDeclaration, source: EventSource, fields: dict[str, Any], *, at: datetime) -> date:
    """Give the day whose partition the event belongs to."""
    moment = at
    if source.time_column is not None:
        given = fields.get(source.time_column)
        try:
            moment = datetime.fromisoformat(given)  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise SourceError(
                f"{source.time_column!r} of event {fields[source.id]!r} is {given!r}, not a time, so the event belongs "
                f"to no day. Write it as 2013-02-08T05:00:00Z.",
                field=source.time_column,
            ) from error
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    if moment > at + CLOCKS_DIFFER_BY:
        raise SourceError(f"Event {fields[source.id]!r} says it happened at {moment}, and now it is {at}.")
    day, partitions = moment.date(), declared.partitions
    if partitions and (day < partitions.start or (partitions.end and day >= partitions.end)):
        raise SourceError(
            f"Event {fields[source.id]!r} belongs to {day}, a day that {declared.table} does not have, so it would "
            f"never be read. Correct the event, or `start` and `end` of the table's partitions.",
            day=day.isoformat(),
        )
    return day

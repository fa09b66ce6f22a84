"""Rows from the log of business events that `mlops record` writes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import Field

from mlops_assets.digests import sha256_json
from mlops_assets.errors import SourceError, StoreError
from mlops_assets.framed_log import read_frames
from mlops_assets.records import Span
from mlops_assets.sources.arrow import TypeName, rows_within
from mlops_assets.sources.blocks import together
from mlops_assets.sources.json_lines import jsonl_pieces
from mlops_assets.sources.source import SourceModel, fill

RECORDED_AT = "recorded_at"
FOLDER = "{events}/{table}"


class EventSource(SourceModel, frozen=True, extra="forbid"):
    """The events recorded for this table, each once, with the time of its recording as `recorded_at`.

    kind: events
    id: order_id
    types: {order_id: string, amount: float64}
    """

    kind: Literal["events"] = "events"
    id: str = Field(description="The field by which an event is known again: recorded twice, it is there once.")
    types: dict[str, TypeName] = Field(min_length=1, description="The fields of an event, and their types.")
    time_column: str | None = Field(
        None,
        description="The field that says when an event happened and so to which day it belongs; by default it belongs "
        "to the day on which it is recorded. It stays as it is once events are recorded.",
    )

    @property
    def where(self) -> str:
        """The way in."""
        return "mlops record"

    def stream(self, span: Span | None, *, variables: Mapping[str, str]) -> Iterator[pa.Table]:
        """Give the events of `span`, or all of them, in the order in which they were recorded."""
        folder = Path(fill(FOLDER, span, variables))
        if not folder.exists():
            raise SourceError(
                f"No event of {variables['table']} was ever recorded: {folder} does not exist. Without any, nothing "
                f"downstream can be computed. Record events with `mlops record {variables['table']} --json '{{…}}'`.",
                path=str(folder),
            )
        files = _files(folder, span)
        try:
            for rows in jsonl_pieces(lambda: together(_records(files)), types={**self.types, RECORDED_AT: "timestamp"}):
                self._require_inside(rows, span, folder)
                yield rows
        except (StoreError, pa.ArrowInvalid) as error:
            raise SourceError(
                f"The events in {folder} could not be read: {error} Nothing was taken from them.", path=str(folder)
            ) from error

    def stamp(self, span: Span | None, *, variables: Mapping[str, str]) -> str | None:
        """Give a digest of the sizes and times of the log's files of `span`; None if nothing was ever recorded."""
        folder = Path(fill(FOLDER, span, variables))
        if not folder.exists():
            return None
        found = [(file.name, file.stat()) for file in _files(folder, span)]
        return sha256_json([[name, state.st_size, str(state.st_mtime_ns)] for name, state in found])[:32]

    def require_readable(self, events: Sequence[bytes]) -> None:
        """Make sure that events will be read as their types say, before they are in the log for good.

        Raises:
            SourceError: One of them would not.
        """
        try:
            for _ in jsonl_pieces(lambda: together(events), types=self.types):
                pass
        except (SourceError, pa.ArrowInvalid) as error:
            if len(events) > 1:
                for event in events:
                    self.require_readable([event])
            raise SourceError(
                f"{events[0][:80].decode(errors='replace')} does not have the declared types: {error}. "
                f"Correct it, or `types` of the source."
            ) from error

    def _require_inside(self, rows: pa.Table, span: Span | None, folder: Path) -> None:
        column = self.time_column or RECORDED_AT
        if span is None or rows_within(rows, column, span, place=str(folder)).num_rows == rows.num_rows:
            return
        raise SourceError(
            f"Events in {folder} belong to other days than that of {span.partition}: they were recorded under "
            f"another `time_column`. Put that one back, or record the events for a table of another name.",
            path=str(folder),
        )


def _records(files: Iterable[Path]) -> Iterator[bytes]:
    for file in files:
        for _, record in read_frames(file):
            yield record


def _files(folder: Path, span: Span | None) -> list[Path]:
    """Give the files of the days in `span` that have any, or of all days."""
    if span is None:
        return sorted(folder.glob("*.log"))
    days = (span.end - span.start) // timedelta(days=1)
    named = [folder / f"{(span.start + n * timedelta(days=1)).date().isoformat()}.log" for n in range(days)]
    return [file for file in named if file.exists()]

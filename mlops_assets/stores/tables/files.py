"""The Parquet files under a table: written row group by row group, flushed to the disk, and told to the table's log.

No reader sees a file before a commit names it. What is told of one is what readers skip files by: how many rows it
has, and per column how many are null, the least value and the greatest.
"""

import json
import math
import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from mlops_assets.stores._atomic import flush_folder

PARTITION = "partition"  # the internal column; rows must not bring one of that name
GROUP_ROWS = 1 << 17  # a reader decodes a group at once
FILE_BYTES = 1 << 28  # a file as big as this gets no further rows, and the next begins
_LOOKED_AT = 1 << 12  # rows, for how a file is best written
_TOLD_COLUMNS = 32  # of the first ones readers are told what they hold, as Delta has it
_TOLD_TEXT = 64  # letters; of longer text the log would grow more than it saves


class PartitionFiles:
    """The files of one partition, or of a table without any; numbered where one would be too big."""

    def __init__(self, table: Path, partition: str | None, schema: pa.Schema) -> None:
        self._table, self._partition, self._schema = table, partition, schema
        self._folder = table if partition is None else table / f"{PARTITION}={quote(partition, safe='')}"
        self._name = f"{uuid4()}-c000.snappy.parquet"
        self._open: _OpenFile | None = None
        self._paths: list[Path] = []
        self._adds: list[AddAction] = []

    def append(self, rows: pa.Table) -> None:
        """Write `rows` behind those before, as row groups of their own."""
        for start in range(0, rows.num_rows, GROUP_ROWS):
            group = rows.slice(start, GROUP_ROWS)
            if self._open is None:
                self._make_folder()
                self._paths.append(self._folder / f"part-{len(self._paths):05d}-{self._name}")
                self._open = _OpenFile(self._paths[-1], self._schema, like=group)
            self._open.append(group)
            if self._open.size >= FILE_BYTES:
                self._close()

    def finish(self) -> list[AddAction]:
        """Bring everything to the disk, and give what the log is to say of it; asked again, the same."""
        self._close()
        return list(self._adds)

    def discard(self) -> None:
        """Delete the files."""
        if self._open is not None:
            self._open.abandon()
            self._open = None
        for path in self._paths:
            path.unlink(missing_ok=True)
        self._paths, self._adds = [], []

    def _make_folder(self) -> None:
        if not self._folder.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            flush_folder(self._folder.parent)

    def _close(self) -> None:
        if self._open is None:
            return
        path, stats = self._paths[-1], self._open.finish()
        self._open = None
        flush_folder(self._folder)
        there = path.stat()
        self._adds.append(
            AddAction(
                path=path.relative_to(self._table).as_posix(),  # delta-rs quotes it once more, as the log has it
                size=there.st_size,
                partition_values={} if self._partition is None else {PARTITION: self._partition},
                modification_time=int(there.st_mtime * 1000),
                data_change=True,
                stats=json.dumps(stats, separators=(",", ":"), allow_nan=False),
            )
        )


class _OpenFile:
    """A file that rows are still written to, and what is known of them so far."""

    def __init__(self, path: Path, schema: pa.Schema, *, like: pa.Table) -> None:
        self._schema, self._footers, self._with_nan = schema, list[pq.FileMetaData](), set[str]()
        self._file = path.open("xb")
        whole = [column.name for column in schema if _is_whole(column.type)]
        # Most text repeats itself, and of whole numbers the differences are short; the rest is quickest as it is.
        self._writer = pq.ParquetWriter(
            self._file,
            schema,
            compression="snappy",
            use_dictionary=[
                column.name for column in schema if pa.types.is_string(column.type) and _repeats(like[column.name])
            ],
            column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
            metadata_collector=self._footers,
        )

    @property
    def size(self) -> int:
        return self._file.tell()

    def append(self, rows: pa.Table) -> None:
        reals = {name for name in rows.column_names if pa.types.is_floating(rows[name].type)} - self._with_nan
        self._with_nan |= {name for name in reals if pc.any(pc.is_nan(rows[name])).as_py()}
        self._writer.write_table(rows)

    def finish(self) -> dict[str, Any]:
        """Bring the file to the disk, and give what the log is to say of its rows."""
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return _stats(self._footers[0], self._schema, self._with_nan)

    def abandon(self) -> None:
        """Let go of the file, whose end may not fit on the disk any more."""
        for end in (self._writer.close, self._file.close):
            with suppress(OSError):
                end()


def _stats(footer: pq.FileMetaData, schema: pa.Schema, with_nan: Iterable[str]) -> dict[str, Any]:
    """Give what a file holds as Delta says it, from what Parquet says of its row groups.

    Of a column that holds NaN no bounds are told, as engines do not agree on where it stands among numbers.
    """
    nulls, least, greatest = dict[str, int](), dict[str, Any](), dict[str, Any]()
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    places = {footer.schema.column(place).path: place for place in range(footer.num_columns)}
    for name in schema.names[:_TOLD_COLUMNS]:
        if name not in places:  # lists and structs
            continue
        found = [group.column(places[name]).statistics for group in groups]
        if any(each is None or not each.has_null_count for each in found):
            continue
        nulls[name] = sum(each.null_count for each in found)
        bounds = [each for each in found if each.num_values]
        if name in with_nan or not bounds or not all(each.has_min_max for each in bounds):
            continue
        low, high = _told(min(each.min for each in bounds)), _told(max(each.max for each in bounds), up=True)
        if low is not None and high is not None:
            least[name], greatest[name] = low, high
    return {"numRecords": footer.num_rows, "minValues": least, "maxValues": greatest, "nullCount": nulls}


def _told(value: Any, *, up: bool = False) -> int | float | str | None:
    """Give a bound as JSON has it, `up` to what is surely not less; None if there is no short and exact way."""
    if isinstance(value, bool | bytes):
        return None
    if isinstance(value, datetime):
        cut = value.replace(microsecond=value.microsecond // 1000 * 1000)
        cut += timedelta(milliseconds=1) if up and cut < value else timedelta(0)  # Delta tells milliseconds
        return cut.replace(tzinfo=None).isoformat(timespec="milliseconds") + ("Z" if cut.tzinfo else "")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return value if len(value) <= _TOLD_TEXT else None
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return None


def _repeats(text: pa.ChunkedArray) -> bool:
    """Tell whether the first rows of a column share values, as names of airports do and names of orders do not."""
    first = text.slice(0, _LOOKED_AT)
    return bool(2 * pc.count_distinct(first).as_py() <= len(first))


def _is_whole(dtype: pa.DataType) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_timestamp, pa.types.is_date32)
    return any(is_kind(dtype) for is_kind in kinds)

"""How rows are written in a file: Parquet, CSV, or one JSON object per line."""

from collections.abc import Iterator
from datetime import datetime
from typing import IO, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from mlops_assets.records import Span
from mlops_assets.sources.arrow import Types
from mlops_assets.sources.blocks import blocks_of, kept_here
from mlops_assets.sources.delimited import csv_pieces
from mlops_assets.sources.json_lines import jsonl_pieces
from mlops_assets.sources.text import sound

Format = Literal["parquet", "csv", "jsonl"]
SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
PIECE_ROWS = 1 << 16


def file_pieces(
    file: IO[bytes],
    written: Format,
    *,
    types: Types,
    delimiter: str | None = None,
    time_column: str | None = None,
    within: Span | None = None,
    is_here: bool = True,
) -> Iterator[pa.Table]:
    """Give the rows of a file, one table after the other, all of the same columns, in the house's types.

    `is_here` tells a file of this machine; of others, what is read more than once is fetched once.

    Raises:
        SourceError: Its text is not UTF-8, or is not parted as declared.
        pa.ArrowException: It is not what `written` says, or cut off.
    """
    if written == "parquet":
        yield from parquet_pieces(file, time_column=time_column, within=within)
        return
    with kept_here(file, is_here=is_here) as near:
        if written == "csv":
            yield from csv_pieces(lambda: blocks_of(near), types=types, delimiter=delimiter)
        else:
            yield from jsonl_pieces(lambda: blocks_of(near), types=types)


def parquet_pieces(
    file: IO[bytes], *, time_column: str | None = None, within: Span | None = None
) -> Iterator[pa.Table]:
    """Give the rows of a Parquet file, without groups of rows none of whose times lies `within` a span."""
    # Batch by batch, not group by group: other programs put all rows of a file into one group.
    opened = pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
    groups = [n for n in range(opened.num_row_groups) if _may_hold(opened.metadata.row_group(n), time_column, within)]
    given = False
    for batch in opened.iter_batches(batch_size=PIECE_ROWS, row_groups=groups) if groups else ():
        yield sound(pa.Table.from_batches([batch]))
        given = True
    if not given:
        yield sound(opened.schema_arrow.empty_table())


def _may_hold(group: pq.RowGroupMetaData, time_column: str | None, within: Span | None) -> bool:
    for place in range(group.num_columns if within else 0):
        column = group.column(place)
        told = column.statistics if column.path_in_schema == time_column else None
        if within and told is not None and told.has_min_max and isinstance(told.min, datetime) and told.min.tzinfo:
            return bool(told.min < within.end and told.max >= within.start)
    return True

"""How rows are written in a file: Parquet, CSV, or one JSON object per line."""

from collections.abc import Iterator
from typing import IO, Literal

import pyarrow as pa
import pyarrow.dataset as ds

from mlops_assets.records import Span
from mlops_assets.sources.arrow import TIME, Types
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
    """Give the rows of a Parquet file; where its `time_column` holds UTC microseconds, only those `within` a span."""
    fragment = ds.ParquetFileFormat().make_fragment(file)
    stored, inside = fragment.physical_schema, None
    if within is not None and time_column in stored.names and stored.field(time_column).type == TIME:
        start, end = pa.scalar(within.start, TIME), pa.scalar(within.end, TIME)
        inside = (ds.field(time_column) >= start) & (ds.field(time_column) < end)
    given = False
    # Arrow's own pool keeps pages it no longer needs, and reads far ahead unless told not to.
    for batch in fragment.to_batches(
        filter=inside,
        batch_size=PIECE_ROWS,
        batch_readahead=1,
        fragment_scan_options=ds.ParquetFragmentScanOptions(use_buffered_stream=True, pre_buffer=False),
        memory_pool=pa.system_memory_pool(),
    ):
        if batch.num_rows:
            yield sound(pa.Table.from_batches([batch]))
            given = True
    if not given:
        yield sound(stored.empty_table())

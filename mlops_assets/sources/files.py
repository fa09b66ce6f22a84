"""Rows from files: Parquet, CSV or one JSON object per line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq
from pydantic import BaseModel, Field, model_validator

from mlops_assets.errors import DeclarationError, SourceError, UnknownNameError
from mlops_assets.records import Span
from mlops_assets.sources.arrow import TIME, settle
from mlops_assets.sources.source import fill

Format = Literal["parquet", "csv", "jsonl"]
DECLARABLE_TYPES = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": TIME,
}
_SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


class FileSource(BaseModel, frozen=True, extra="forbid"):
    """The first of `paths` that exists for the partition asked for.

    So a landed batch replaces the archive's rows of its day:

        kind: files
        paths: ["{landing}/flights/{partition}.parquet", "{here}/data/flights.parquet"]
        time_column: reported_at
    """

    kind: Literal["files"] = "files"
    paths: tuple[str, ...] = Field(
        min_length=1,
        description="Where to look, best first. {partition} is the day asked for, {here} the folder of the defs.yaml, "
        "{landing} where new batches land.",
    )
    format: Format | None = Field(None, description="How the files are written; by default their suffix says it.")
    time_column: str | None = Field(
        None, description="The column that says to which partition a row of a file without {partition} belongs."
    )
    columns: tuple[str, ...] | None = Field(None, description="The columns to read; by default all of them.")
    types: dict[str, Literal["string", "int64", "float64", "bool", "date", "timestamp"]] = Field(
        default_factory=dict,
        description="Types of CSV and JSON columns where guessing would lose something, such as the zero of 0123.",
    )

    @model_validator(mode="after")
    def _formats_are_known(self) -> Self:
        for path in self.paths:
            self._format(path)
        return self

    def read(self, span: Span | None, *, variables: Mapping[str, str]) -> pa.Table:
        """Give the rows of the first file that exists; of one that holds many partitions, only those in `span`."""
        tried = []
        for template in self.paths:
            if span is None and "{partition}" in template:
                continue  # a file of one partition does not hold the whole table
            path = Path(fill(template, span, variables))
            if path.exists():
                holds_many = span is not None and "{partition}" not in template
                return self._rows(path, within=span if holds_many else None)
            tried.append(str(path))
        raise SourceError(
            f"None of the files that could hold {span.partition if span else 'the table'} exists: "
            f"{', '.join(tried) or 'every path names a {partition}, and none was asked for'}. "
            f"Without it nothing downstream can be computed. Put the file there, or correct `paths`.",
            tried=tuple(tried),
            partition=span.partition if span else None,
        )

    def _rows(self, path: Path, *, within: Span | None) -> pa.Table:
        if within is not None and self.time_column is None:
            raise DeclarationError(
                f"{path} holds every partition, and nothing says which of its rows belong to {within.partition}. "
                f"Name the column that does as `time_column`, or put {{partition}} into the path.",
                path=str(path),
            )
        try:
            rows = settle(_READERS[self._format(str(path))](self, path, within))
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(
                f"{path} could not be read as {self._format(str(path))}: {error}. Nothing was taken from it. "
                f"Write the file again, or set `format` and `types` to what it is.",
                path=str(path),
            ) from error
        if within is not None and self.time_column is not None:
            rows = _rows_within(rows, self.time_column, within, path)
        for name in self.columns or ():
            if name not in rows.column_names:
                raise UnknownNameError(f"Column of {path}", name, known=rows.column_names)
        return rows.select(self.columns) if self.columns else rows

    def _format(self, path: str) -> Format:
        found = self.format or _SUFFIXES.get(Path(path).suffix.lower())
        if found is None:
            raise DeclarationError(
                f"The name of {path!r} does not say how the file is written. Set `format` to parquet, csv or jsonl.",
                path=path,
            )
        return found


def _read_parquet(source: FileSource, path: Path, within: Span | None) -> pa.Table:
    if within is None:
        return pq.read_table(path)
    stored = pq.read_schema(path)
    name = source.time_column
    if name not in stored.names or stored.field(name).type != TIME:
        return pq.read_table(path)  # filtered below, where a fault gets its message
    return pq.read_table(path, filters=[(name, ">=", within.start), (name, "<", within.end)])


def _read_csv(source: FileSource, path: Path, within: Span | None) -> pa.Table:
    types = {name: DECLARABLE_TYPES[dtype] for name, dtype in source.types.items()}
    if path.stat().st_size == 0 and types:
        return pa.schema(types.items()).empty_table()
    return pa.csv.read_csv(path, convert_options=pa.csv.ConvertOptions(column_types=types, strings_can_be_null=True))


def _read_jsonl(source: FileSource, path: Path, within: Span | None) -> pa.Table:
    schema = pa.schema((name, DECLARABLE_TYPES[dtype]) for name, dtype in source.types.items())
    if path.stat().st_size == 0 and source.types:
        return schema.empty_table()
    return pa.json.read_json(path, parse_options=pa.json.ParseOptions(explicit_schema=schema if source.types else None))


_READERS = {"parquet": _read_parquet, "csv": _read_csv, "jsonl": _read_jsonl}


def _rows_within(rows: pa.Table, time_column: str, span: Span, path: Path) -> pa.Table:
    if time_column not in rows.column_names:
        raise UnknownNameError(f"Time column of {path}", time_column, known=rows.column_names)
    times = rows[time_column]
    if pa.types.is_date(times.type) or pa.types.is_null(times.type):
        times = pc.cast(times, TIME)
    if times.type != TIME:
        raise SourceError(
            f"Column {time_column!r} of {path} holds {times.type}, not times, so the rows of {span.partition} cannot "
            f"be told from the others. Set `types: {{{time_column}: timestamp}}`, or name another `time_column`.",
            path=str(path),
            column=time_column,
            found=str(times.type),
        )
    start, end = pa.scalar(span.start, TIME), pa.scalar(span.end, TIME)
    return rows.filter(pc.and_(pc.greater_equal(times, start), pc.less(times, end)))

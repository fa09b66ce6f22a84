"""How rows are written in a file: Parquet, CSV, or one JSON object per line."""

import json
from collections.abc import Mapping
from typing import IO, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from mlops_assets.errors import SourceError
from mlops_assets.records import Span
from mlops_assets.sources.arrow import TIME, TYPES, TypeName, settle, times_of

Format = Literal["parquet", "csv", "jsonl"]
SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_OTHER_DELIMITERS = (b";", b"\t", b"|")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

Types = Mapping[str, TypeName]


def read_parquet(file: IO[bytes], *, time_column: str | None = None, within: Span | None = None) -> pa.Table:
    """Give the rows of a Parquet file; where its `time_column` holds UTC microseconds, only those `within` a span."""
    if within is not None:
        stored = pq.read_schema(file)
        file.seek(0)
        if time_column in stored.names and stored.field(time_column).type == TIME:
            inside = [(time_column, ">=", within.start), (time_column, "<", within.end)]
            return _sound(pq.read_table(file, filters=inside))
    return _sound(pq.read_table(file))


def read_csv(file: IO[bytes], *, types: Types, delimiter: str | None = None) -> pa.Table:
    """Give the rows of a CSV file in UTF-8, with or without a byte order mark; the first line names the columns.

    Raises:
        SourceError: Another character than `delimiter` seems to part its columns, two of them have the same name, or
            it is not in UTF-8.
        pa.ArrowInvalid: It is no CSV, or cut off.
    """
    header = file.readline()
    if not header and types:
        return pa.schema((name, TYPES[dtype]) for name, dtype in types.items()).empty_table()
    _require_readable(header, delimiter)
    file.seek(0)
    rows = pa.csv.read_csv(
        file,
        parse_options=pa.csv.ParseOptions(delimiter=delimiter or ","),
        convert_options=pa.csv.ConvertOptions(
            # times are read from text below: Arrow refuses a declared time that has no zone
            column_types={name: pa.string() if dtype == "timestamp" else TYPES[dtype] for name, dtype in types.items()},
            strings_can_be_null=True,
        ),
    )
    for name in rows.column_names:
        if rows.column_names.count(name) > 1:
            raise SourceError(f"Its first line names column {name!r} twice. Give each column a name of its own.")
        if pa.types.is_binary(rows.schema.field(name).type):  # what Arrow makes of text that is not UTF-8
            raise SourceError(f"Column {name!r} holds bytes that are not UTF-8. {_RECODE}")
    for name, dtype in types.items():
        if dtype == "timestamp" and name in rows.column_names:
            rows = rows.set_column(rows.column_names.index(name), name, times_of(rows[name]))
    return _sound(rows)


def read_jsonl(file: IO[bytes], *, types: Types) -> pa.Table:
    """Give the rows of a file that holds one JSON object per line; a key that a line lacks is null.

    Raises:
        SourceError: It is not in UTF-8.
        pa.ArrowInvalid: It is no such file, or cut off.
    """
    schema = pa.schema((name, TYPES[dtype]) for name, dtype in types.items())
    start = file.read(2)
    if not start and types:
        return schema.empty_table()
    if start in _UTF16_MARKS:
        raise SourceError(f"It is in UTF-16. {_RECODE}")
    file.seek(0)
    options = pa.json.ParseOptions(explicit_schema=schema if types else None)
    return _sound(pa.json.read_json(file, parse_options=options))


_RECODE = "Write it in UTF-8; rows of other encodings must be converted one by one."


def _sound(rows: pa.Table) -> pa.Table:
    """Give settled rows whose text is text throughout; Arrow looks no further than it needs to."""
    try:
        rows.validate(full=True)
    except pa.ArrowInvalid as error:
        if "UTF8" not in str(error).upper():
            raise
        raise SourceError(f"Some of its text is not UTF-8: {error}. {_RECODE}") from error
    return settle(rows)


def _require_readable(header: bytes, delimiter: str | None) -> None:
    if header.startswith(_UTF16_MARKS):
        raise SourceError(f"It is in UTF-16. {_RECODE}")
    if delimiter is not None or b"," in header:
        return
    for other in _OTHER_DELIMITERS:
        if other in header:
            quoted = json.dumps(other.decode())
            raise SourceError(
                f"Its first line has no comma but {quoted}. If that parts its columns, set `delimiter: {quoted}`; if "
                f'its one column has it in its name, set `delimiter: ","`.'
            )

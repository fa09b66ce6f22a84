"""Rows from CSV: lines of values with something between them, the first line naming the columns."""

import json
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO

import pyarrow as pa
import pyarrow.csv

from mlops_assets.errors import SourceError
from mlops_assets.sources.arrow import TYPES, Types, has_zone, times_of
from mlops_assets.sources.blocks import Blocks
from mlops_assets.sources.text import RECODE, UTF16_MARKS, sound

_OTHER_DELIMITERS = (b";", b"\t", b"|")
# What Arrow takes text for, one after the other, until all of a column is of that type.
_GUESSES = (
    pa.null(),
    pa.int64(),
    pa.bool_(),
    pa.date32(),
    pa.time32("s"),
    pa.timestamp("s"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("ns"),
    pa.timestamp("ns", "UTC"),
    pa.float64(),
    pa.string(),
    pa.binary(),
)


def csv_pieces(blocks: Blocks, *, types: Types, delimiter: str | None = None) -> Iterator[pa.Table]:
    """Give the rows of a CSV in UTF-8, with or without a byte order mark, one table per block.

    Of what is longer than a block the types that are not declared are found out first, as of all of it at once.

    Raises:
        SourceError: Another character than `delimiter` seems to part its columns, two of them have the same name, or
            it is not in UTF-8.
        pa.ArrowInvalid: It is no CSV, or cut off.
    """
    stream = blocks()
    first = next(stream, b"")
    if not first and types:
        yield pa.schema((name, TYPES[dtype]) for name, dtype in types.items()).empty_table()
        return
    _require_readable(first.partition(b"\n")[0], delimiter)
    text = _Text(blocks, delimiter or ",")
    # times are read from text below: Arrow refuses a declared time that has no zone
    known = {name: pa.string() if dtype == "timestamp" else TYPES[dtype] for name, dtype in types.items()}
    if next(stream, None) is None:
        yield _with_times(text.parsed(first, known), types, {})
        return
    names = _told_apart(text.parsed(first, known)).column_names
    known |= text.types([name for name in names if name not in known], names)
    zones: dict[str, bool] = {}
    for rows in text.tables(known, names):
        yield _with_times(rows, types, zones)


class _Text:
    """Text in blocks, and how to read it."""

    def __init__(self, blocks: Blocks, delimiter: str) -> None:
        self._blocks, self._delimiter = blocks, delimiter

    def parsed(
        self,
        block: bytes,
        known: Mapping[str, pa.DataType],
        *,
        names: Sequence[str] | None = None,
        only: Sequence[str] | None = None,
    ) -> pa.Table:
        """Read a block; `names` are those of its columns where its first line does not say them."""
        return pa.csv.read_csv(
            BytesIO(block),
            read_options=pa.csv.ReadOptions(column_names=names),
            parse_options=pa.csv.ParseOptions(delimiter=self._delimiter),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict(known), strings_can_be_null=True, include_columns=only
            ),
            memory_pool=pa.system_memory_pool(),
        )

    def tables(
        self, known: Mapping[str, pa.DataType], names: Sequence[str], *, only: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        for number, block in enumerate(self._blocks()):
            if block.strip():
                yield self.parsed(block, known, names=names if number else None, only=only)

    def types(self, asked: Sequence[str], names: Sequence[str]) -> dict[str, pa.DataType]:
        """Find out the types of columns, those that Arrow finds in the whole text."""
        found: dict[str, set[int]] = {name: {0} for name in asked}
        for rows in self.tables({}, names, only=asked) if asked else ():
            for name in asked:
                found[name].add(_GUESSES.index(rows.schema.field(name).type))
        return {
            name: _GUESSES[max(guesses)] if len(guesses - {0}) <= 1 else self._first_that_fits(name, guesses, names)
            for name, guesses in found.items()
        }

    def _first_that_fits(self, name: str, guesses: set[int], names: Sequence[str]) -> pa.DataType:
        """Give the type of a column in whose blocks Arrow found different ones; each guess is a pass over the text."""
        for guess in _GUESSES[max(guesses) : -1]:
            try:
                for _ in self.tables({name: guess}, names, only=[name]):
                    pass
            except pa.ArrowInvalid:
                continue
            return guess
        return _GUESSES[-1]


def _told_apart(rows: pa.Table) -> pa.Table:
    for name in rows.column_names:
        if rows.column_names.count(name) > 1:
            raise SourceError(f"Its first line names column {name!r} twice. Give each column a name of its own.")
    return rows


def _with_times(rows: pa.Table, types: Types, zones: dict[str, bool]) -> pa.Table:
    """Give sound rows with the declared times read; `zones` keeps of which columns the times so far had a zone."""
    for name in _told_apart(rows).column_names:
        if pa.types.is_binary(rows.schema.field(name).type):  # what Arrow makes of text that is not UTF-8
            raise SourceError(f"Column {name!r} holds bytes that are not UTF-8. {RECODE}")
    for name, dtype in types.items():
        if dtype != "timestamp" or name not in rows.column_names:
            continue
        times = times_of(rows[name])
        zone = has_zone(rows[name])
        if zone is not None and zones.setdefault(name, zone) != zone:
            raise pa.ArrowInvalid(f"only some times of column {name!r} have a zone")
        rows = rows.set_column(rows.column_names.index(name), name, times)
    return sound(rows)


def _require_readable(header: bytes, delimiter: str | None) -> None:
    if header.startswith(UTF16_MARKS):
        raise SourceError(f"It is in UTF-16. {RECODE}")
    if delimiter is not None or b"," in header:
        return
    for other in _OTHER_DELIMITERS:
        if other in header:
            quoted = json.dumps(other.decode())
            raise SourceError(
                f"Its first line has no comma but {quoted}. If that parts its columns, set `delimiter: {quoted}`; if "
                f'its one column has it in its name, set `delimiter: ","`.'
            )

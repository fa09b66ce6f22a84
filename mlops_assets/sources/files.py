"""Rows from files, on this machine or in an object store: Parquet, CSV or one JSON object per line."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from mlops_assets.digests import sha256_json
from mlops_assets.errors import DeclarationError, SourceError, UnknownNameError, examples
from mlops_assets.records import Span
from mlops_assets.sources.arrow import TypeName, joined, moments_of, rows_within
from mlops_assets.sources.formats import SUFFIXES, Format, file_pieces
from mlops_assets.sources.places import FoundFile, address_of, find_files
from mlops_assets.sources.source import SPAN_PLACES, SourceModel, places_in

_Found = tuple[str, list[FoundFile]]  # a template, and the files it names


class FileSource(SourceModel, frozen=True, extra="forbid"):
    """The first of `paths` that exists for the partition asked for; of a pattern, all files, in the order of names.

    So a landed batch replaces the archive's rows of its day:

        kind: files
        paths: ["{landing}/flights/{partition}.parquet", "s3://archive/flights/*.parquet"]
        time_column: reported_at
    """

    kind: Literal["files"] = "files"
    paths: tuple[str, ...] = Field(
        min_length=1,
        description="Where to look, best first: paths or addresses such as s3://bucket/name, also with * for several "
        "files. {partition} is the day asked for, {here} the folder of the defs.yaml, {landing} where new batches "
        "land.",
    )
    format: Format | None = Field(None, description="How the files are written; by default their suffix says it.")
    time_column: str | None = Field(
        None, description="The column that says to which partition a row of a file without {partition} belongs."
    )
    columns: tuple[str, ...] | None = Field(None, description="The columns to read; by default all of them.")
    types: dict[str, TypeName] = Field(
        default_factory=dict,
        description="Types of CSV and JSON columns where guessing would lose something, such as the zero of 0123.",
    )
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="What parts the columns of a CSV file; by default a comma."
    )

    @model_validator(mode="after")
    def _formats_are_known(self) -> Self:
        for path in self.paths:
            self._format(path)
        return self

    @property
    def where(self) -> str:
        """The paths, best first."""
        return ", ".join(self.paths)

    def stream(self, span: Span | None, *, variables: Mapping[str, str]) -> Iterator[pa.Table]:
        """Give the rows of the first path that exists; of files that hold many partitions, only those in `span`."""
        for _, piece in self.pieces([span], variables=variables):
            yield piece

    def pieces(self, spans: Sequence[Span | None], *, variables: Mapping[str, str]) -> Iterator[tuple[int, pa.Table]]:
        """Give the rows of each of `spans`, piece by piece; files that hold several of them are read once."""
        together: dict[tuple[str, ...], tuple[list[FoundFile], dict[int, Span]]] = {}
        for place, span in enumerate(spans):
            template, files = self._found(span, variables)
            if span is None or not _holds_many(template):
                for piece in self._whole(files):
                    yield place, piece
            else:
                named = (template, *(file.address for file in files))
                together.setdefault(named, (files, {}))[1][place] = span
        for files, held in together.values():
            yield from self._parted(files, held)

    def stamp(self, span: Span | None, *, variables: Mapping[str, str]) -> str | None:
        """Give a digest of the names, sizes and times of the files (or their etags); None if there are none.

        A file written twice within a tick of the file system's clock, and as long as before, keeps its stamp.
        """
        found = self._first(span, variables)
        return sha256_json([file.mark for file in found[1]])[:32] if found else None

    # --- finding ----------------------------------------------------------------------------------

    def _first(self, span: Span | None, variables: Mapping[str, str]) -> _Found | None:
        for template in self._templates(span):
            if files := find_files(template, span, variables):
                return template, files
        return None

    def _templates(self, span: Span | None) -> list[str]:
        """Give the paths that can hold what is asked for: a file of one partition does not hold the whole table."""
        return [template for template in self.paths if span is not None or _holds_many(template)]

    def _found(self, span: Span | None, variables: Mapping[str, str]) -> _Found:
        if found := self._first(span, variables):
            return found
        tried = [address_of(template, span, variables) for template in self._templates(span)]
        raise SourceError(
            f"None of the files that could hold {span.partition if span else 'the table'} exists: "
            f"{', '.join(tried) or 'every path names a {partition}, and none was asked for'}. "
            f"Without it nothing downstream can be computed. Put the file there, or correct `paths`.",
            tried=tuple(tried),
            partition=span.partition if span else None,
        )

    def _time_column(self, files: Sequence[FoundFile], span: Span) -> str:
        if self.time_column is None:
            raise DeclarationError(
                f"{_named(files)} holds every partition, and nothing says which of its rows belong to "
                f"{span.partition}. Name the column that does as `time_column`, or put {{partition}} into the path.",
                path=_named(files),
            )
        return self.time_column

    # --- reading ----------------------------------------------------------------------------------

    def _parted(self, files: Sequence[FoundFile], held: Mapping[int, Span]) -> Iterator[tuple[int, pa.Table]]:
        """Give the rows of files that hold many partitions, each with the place of the span that it belongs to."""
        column, named = self._time_column(files, next(iter(held.values()))), _named(files)
        around = Span(min(span.start for span in held.values()), max(span.end for span in held.values()))
        known: pa.Schema | None = None
        for piece, schema in self._rows(files, within=around):
            # Every span has all columns, whichever file its rows are from.
            spans = held if schema != known else _reached(held, piece, column, place=named)
            known = schema
            for place, span in spans.items():
                yield place, self._chosen(rows_within(piece, column, span, place=named))
        self._require_chosen(known, named)

    def _whole(self, files: Sequence[FoundFile]) -> Iterator[pa.Table]:
        known: pa.Schema | None = None
        for piece, schema in self._rows(files):
            known = schema
            yield self._chosen(piece)
        self._require_chosen(known, _named(files))

    def _rows(self, files: Sequence[FoundFile], *, within: Span | None = None) -> Iterator[tuple[pa.Table, pa.Schema]]:
        """Give the rows of one file after the other, piece by piece, each with the columns that were found so far."""
        known: pa.Schema | None = None
        for file in files:
            for piece in self._rows_of(file, within):
                try:
                    known = joined(known, piece.schema)
                except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                    raise SourceError(
                        f"{_named(files)} do not fit together: {error}. Nothing was taken from them. Write the column "
                        f"alike in all of them, or set its `types`.",
                        path=_named(files),
                    ) from error
                yield piece, known

    def _rows_of(self, file: FoundFile, within: Span | None) -> Iterator[pa.Table]:
        written = self._format(file.path)
        try:
            with file.open() as opened:
                yield from file_pieces(
                    opened,
                    written,
                    types=self.types,
                    delimiter=self.delimiter,
                    time_column=self.time_column,
                    within=within,
                    is_here=file.is_here,
                )
        except (pa.ArrowException, OSError, UnicodeDecodeError, SourceError) as error:
            said = str(error).rstrip(".")
            raise SourceError(
                f"{file.address} could not be read as {written}: {said}. Nothing was taken from it. "
                f"Write the file again, or set `format`, `types` and `delimiter` to what it is.",
                path=file.address,
            ) from error

    def _chosen(self, rows: pa.Table) -> pa.Table:
        if self.columns is None:
            return rows
        blank = pa.nulls(rows.num_rows)  # of one file of a pattern a column may be missing
        return pa.table({name: rows[name] if name in rows.column_names else blank for name in self.columns})

    def _require_chosen(self, schema: pa.Schema | None, place: str) -> None:
        known = schema.names if schema else []
        for name in self.columns or ():
            if name not in known:
                raise UnknownNameError(f"Column of {place}", name, known=known)

    def _format(self, path: str) -> Format:
        found = self.format or SUFFIXES.get(PurePosixPath(path).suffix.lower())
        if found is None:
            raise DeclarationError(
                f"The name of {path!r} does not say how the file is written. Set `format` to parquet, csv or jsonl.",
                path=path,
            )
        return found


def _holds_many(template: str) -> bool:
    return SPAN_PLACES.isdisjoint(places_in(template))


def _reached(held: Mapping[int, Span], rows: pa.Table, time_column: str, *, place: str) -> dict[int, Span]:
    """Give those of the spans that some of the rows may belong to."""
    first, last = pc.min_max(moments_of(rows, time_column, place=place)).values()
    if not first.is_valid:
        return {}
    return {n: span for n, span in held.items() if span.start <= last.as_py() and first.as_py() < span.end}


def _named(files: Sequence[FoundFile]) -> str:
    return examples(file.address for file in files)

"""Batches on their way in: read once from their source, and then gone through piece by piece as often as wanted.

Few rows wait in memory. More of them go into one file without a name, of which a killed process leaves nothing.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import IO, Self

import pyarrow as pa

from mlops_assets.errors import SourceError
from mlops_assets.records import Span
from mlops_assets.sources.arrow import joined, settle
from mlops_assets.sources.source import Source

HELD_BYTES = 1 << 26  # of all batches of a stage together; about what a piece takes


class Stage:
    """Where batches are while they are looked at; a file in `folder` takes what is too much for memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._batches, self._held_bytes = list[Batch](), 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def fetch(self, source: Source, spans: Sequence[Span | None], *, variables: Mapping[str, str]) -> "list[Batch]":
        """Read the batches of `spans`, all of them to their ends.

        Raises:
            SourceError: The source does not give them, or the disk does not take them.
            DeclarationError: The declaration cannot be obeyed for a span.
        """
        batches = [self._new() for _ in spans]
        for place, rows in source.pieces(spans, variables=variables):
            self._take(batches[place], rows)
        return batches

    def keep(self, rows: pa.Table) -> "Batch":
        """Give a batch of rows that are there already."""
        batch = self._new()
        self._take(batch, rows)
        return batch

    def write(self, rows: pa.Table) -> int:
        """Put rows behind what is in the file, and give where they begin."""
        try:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - `__exit__` closes it
            start = self._file.seek(0, 2)
            with pa.ipc.new_stream(self._file, rows.schema) as stream:
                stream.write_table(rows)
            self._file.flush()
        except OSError as error:
            raise SourceError(
                f"{self._folder} does not take the rows that are being read: {error.strerror or error}. Nothing of "
                f"them was kept. Make room there, about as much as the batch takes uncompressed, and run it again.",
                path=str(self._folder),
            ) from error
        return start

    def read(self, start: int) -> pa.Table:
        """Give the rows that were written at `start`."""
        assert self._file is not None
        self._file.seek(start)
        return pa.ipc.open_stream(self._file).read_all()

    def _new(self) -> "Batch":
        self._batches.append(Batch(self))
        return self._batches[-1]

    def _take(self, batch: "Batch", rows: pa.Table) -> None:
        batch.add(rows)
        self._held_bytes += rows.nbytes
        if self._held_bytes >= HELD_BYTES:
            for each in self._batches:
                each.spill()
            self._held_bytes = 0


class Batch:
    """The rows that a source gave for one span."""

    def __init__(self, stage: Stage) -> None:
        self.num_rows = 0
        self._stage = stage
        self._waiting, self._places = list[pa.Table](), list[int]()
        self._found: pa.Schema | None = None

    def add(self, rows: pa.Table) -> None:
        """Take rows in."""
        self._found = joined(self._found, rows.schema)
        self._waiting.append(rows)
        self.num_rows += rows.num_rows

    def spill(self) -> None:
        """Put the rows that wait in memory into the stage's file."""
        for _, alike in groupby(self._waiting, key=lambda rows: rows.schema):
            self._places.append(self._stage.write(pa.concat_tables(alike)))
        self._waiting = []

    @cached_property
    def schema(self) -> pa.Schema:
        """Give the columns of all the rows, in the house's types."""
        assert self._found is not None
        return settle(self._found.empty_table()).schema

    def pieces(self) -> Iterator[pa.Table]:
        """Give the rows in their order, in at least one table, each with the columns of `schema`."""
        for start in self._places:
            yield self._fitted(self._stage.read(start))
        if self._waiting:
            yield self._fitted(pa.concat_tables(self._waiting, promote_options="permissive"))

    def _fitted(self, rows: pa.Table) -> pa.Table:
        if self._found is not None and rows.schema != self._found:
            rows = pa.concat_tables([self._found.empty_table(), rows], promote_options="permissive")
        return settle(rows)

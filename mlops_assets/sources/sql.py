"""Rows from a SQL query."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pyarrow as pa
from pydantic import Field
from sqlalchemy import URL, Connection, CursorResult, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mlops_assets.errors import DeclarationError, SourceError, UnknownNameError, first_line
from mlops_assets.records import Span
from mlops_assets.sources.arrow import joined
from mlops_assets.sources.source import SourceModel, fill

PIECE_ROWS = 1 << 14  # as Python's objects, which take several times what the rows do
_SPAN_PARAMETERS = ("partition_start", "partition_end")


class SqlSource(SourceModel, frozen=True, extra="forbid"):
    """What a query answers. The database is opened for reading only, and its session is in UTC.

    kind: sql
    url: "sqlite:///{here}/data/reference.sqlite"
    query: SELECT tailnum, seats FROM planes
    """

    kind: Literal["sql"] = "sql"
    url: str = Field(description="SQLAlchemy's address of the database; {here} is the folder of the defs.yaml.")
    query: str = Field(
        min_length=1,
        description="One SELECT. In a partitioned table it must use :partition_start (included) and :partition_end "
        "(excluded); SQLite compares them as text, 'YYYY-MM-DD HH:MM:SS' in UTC.",
    )
    watermark: str | None = Field(
        None,
        description="The column of the answer that is greater in every row added or changed later, such as updated_at. "
        "With it, days that changed are asked for again.",
    )

    @property
    def where(self) -> str:
        """The query."""
        return self.query

    def stream(self, span: Span | None, *, variables: Mapping[str, str]) -> Iterator[pa.Table]:
        """Give the rows that the query answers, columns in its order, as the database hands them out."""
        known: pa.Schema | None = None
        with self._answer(self.query, span, variables) as answer:
            names = list(answer.keys())
            _refuse_repeated(names)
            while (rows := answer.fetchmany(PIECE_ROWS)) or known is None:
                columns = list(zip(*rows, strict=True)) or [()] * len(names)
                piece = pa.table([_column(*named) for named in zip(names, columns, strict=True)], names=names)
                known = _joined(known, piece.schema)
                yield piece

    def stamp(self, span: Span | None, *, variables: Mapping[str, str]) -> str | None:
        """Give how many rows the query answers and their greatest watermark; None where no watermark is declared.

        A row that was changed without a greater watermark, or put in place of another with a smaller one, is not seen.
        """
        if self.watermark is None:
            return None
        url = self._address(span, variables)
        column = create_engine(url).dialect.identifier_preparer.quote(self.watermark)
        counted = f"SELECT count(*), max({column}) FROM ({self.query.rstrip().rstrip(';')}\n) AS answered"
        with self._answer(counted, span, variables) as answer:
            rows, watermark = answer.one()
        return f"{rows} to {watermark}"

    @contextmanager
    def _answer(self, query: str, span: Span | None, variables: Mapping[str, str]) -> Iterator[CursorResult[Any]]:
        """Give what `query` answers, most of it still on the server."""
        url = self._address(span, variables)
        with self._connected(url) as connection:
            statement = text(query)
            yield connection.execute(
                statement,
                self._parameters(set(statement.compile().params), span, url),
                execution_options={"stream_results": True, "max_row_buffer": PIECE_ROWS},
            )

    @contextmanager
    def _connected(self, url: URL) -> Iterator[Connection]:
        try:
            engine = create_engine(url)
            try:
                with engine.connect().execution_options(postgresql_readonly=True) as connection:
                    if url.get_backend_name() == "postgresql":
                        connection.execute(text("SET TIME ZONE 'UTC'"))  # columns without a zone are compared in it
                    yield connection
            finally:
                engine.dispose()
        except SQLAlchemyError as error:
            raise SourceError(
                f"The query on {url.render_as_string()} failed: {first_line(error)}. Nothing was read. "
                f"Try the query by hand, and see that the database is up and `url` names it.",
                url=url.render_as_string(),
                query=self.query,
            ) from error

    def _address(self, span: Span | None, variables: Mapping[str, str]) -> URL:
        try:
            url = make_url(fill(self.url, span, variables))
        except ArgumentError as error:
            raise DeclarationError(
                "The `url` of a SQL source is no database address. Write it as dialect://user:password@host/database, "
                "or sqlite:////absolute/path.sqlite.",
            ) from error
        if url.get_backend_name() != "sqlite":
            return url
        path = Path(url.database or "")
        if not path.is_file():
            raise SourceError(
                f"The SQLite file {path} does not exist, so there is nothing to ask. "
                f"Put the file there, or correct `url`.",
                path=str(path),
            )
        return url.set(database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})

    def _parameters(self, used: set[str], span: Span | None, url: URL) -> dict[str, Any]:
        for name in used.difference(_SPAN_PARAMETERS):
            raise UnknownNameError("Query parameter", name, known=_SPAN_PARAMETERS)
        if span is None and used:
            raise DeclarationError(
                "The query asks for a partition's start or end, but the table is not partitioned. "
                "Partition the table, or take the parameters out of the query.",
                query=self.query,
            )
        if span is not None and not used:
            raise DeclarationError(
                f"The query would answer the whole table for {span.partition} and for every other partition. "
                f"Compare a time with :partition_start and :partition_end in its WHERE.",
                query=self.query,
            )
        if span is None:
            return {}
        values: dict[str, Any] = dict(zip(_SPAN_PARAMETERS, (span.start, span.end), strict=True))
        if url.get_backend_name() == "sqlite":  # keeps times as text
            values = {name: f"{moment:%Y-%m-%d %H:%M:%S}" for name, moment in values.items()}
        return {name: values[name] for name in used}


def _refuse_repeated(names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DeclarationError(
            f"The query answers more than one column named {', '.join(repeated)}, and only one could be kept. "
            f"Give each its own name with AS.",
            columns=repeated,
        )


def _joined(known: pa.Schema | None, schema: pa.Schema) -> pa.Schema:
    """Give the types of the columns so far; in all pieces a column is of one type."""
    return pa.schema(_wider(*fields) for fields in zip(known or schema, schema, strict=True))


def _wider(known: pa.Field, field: pa.Field) -> pa.Field:
    try:
        return joined(pa.schema([known]), pa.schema([field])).field(0)
    except pa.ArrowTypeError as error:
        raise _mixed(field.name, error) from error


def _column(name: str, values: tuple[Any, ...]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise _mixed(name, error) from error


def _mixed(name: str, error: pa.ArrowException) -> SourceError:
    return SourceError(
        f"Column {name!r} of the query's answer mixes types: {error}. A column needs one type. "
        f"CAST it in the query, or mend the rows that differ.",
        column=name,
    )

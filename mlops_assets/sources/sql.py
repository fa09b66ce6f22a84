"""Rows from a SQL query."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pyarrow as pa
from pydantic import BaseModel, Field
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mlops_assets.errors import DeclarationError, SourceError, UnknownNameError
from mlops_assets.records import Span
from mlops_assets.sources.arrow import settle
from mlops_assets.sources.source import fill

_SPAN_PARAMETERS = ("partition_start", "partition_end")


class SqlSource(BaseModel, frozen=True, extra="forbid"):
    """What a query answers. The database is opened for reading only.

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

    def read(self, span: Span | None, *, variables: Mapping[str, str]) -> pa.Table:
        """Give the rows that the query answers, columns in its order."""
        url = self._address(span, variables)
        try:
            engine = create_engine(url)
            try:
                with engine.connect().execution_options(postgresql_readonly=True) as connection:
                    statement = text(self.query)
                    parameters = self._parameters(set(statement.compile().params), span, url)
                    answer = connection.execute(statement, parameters)
                    names = list(answer.keys())
                    columns = list(zip(*answer.fetchall(), strict=True)) or [()] * len(names)
            finally:
                engine.dispose()
        except SQLAlchemyError as error:
            raise SourceError(
                f"The query on {url.render_as_string()} failed: {str(error).splitlines()[0]}. Nothing was read. "
                f"Try the query by hand, and see that the database is up and `url` names it.",
                url=url.render_as_string(),
                query=self.query,
            ) from error
        _refuse_repeated(names)
        return settle(pa.table([_column(*named) for named in zip(names, columns, strict=True)], names=names))

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


def _column(name: str, values: tuple[Any, ...]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SourceError(
            f"Column {name!r} of the query's answer mixes types: {error}. A column needs one type. "
            f"CAST it in the query, or mend the rows that differ.",
            column=name,
        ) from error

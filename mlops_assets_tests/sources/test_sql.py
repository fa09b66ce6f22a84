"""SQL: read-only, one partition at a time, no secrets in messages."""

import sqlite3

import pytest

from mlops_assets.errors import DeclarationError, SourceError, UnknownNameError
from mlops_assets.records import Span
from mlops_assets.sources import SqlSource

DAY = Span.day("2013-02-08")


@pytest.fixture
def here(tmp_path):
    """A folder whose name needs quoting, holding a small database."""
    folder = tmp_path / "a folder #1"
    folder.mkdir()
    connection = sqlite3.connect(folder / "db.sqlite")
    with connection:
        connection.execute("CREATE TABLE planes (tailnum TEXT, seats INTEGER, at TEXT)")
        connection.execute("INSERT INTO planes VALUES ('N1', 100, '2013-02-08 05:00:00'), ('N2', NULL, '2013-02-09')")
    connection.close()
    return {"here": str(folder)}


def source(query: str) -> SqlSource:
    return SqlSource(url="sqlite:///{here}/db.sqlite", query=query)


def test_an_unpartitioned_query_gives_its_answer(here):
    """Columns come in the query's order and under its names."""
    rows = source("SELECT seats AS chairs, tailnum FROM planes ORDER BY tailnum").read(None, variables=here)

    assert rows.to_pydict() == {"chairs": [100, None], "tailnum": ["N1", "N2"]}


def test_an_empty_answer_keeps_its_columns(here):
    """No rows is a table with names."""
    rows = source("SELECT tailnum, seats FROM planes WHERE seats > 900").read(None, variables=here)

    assert rows.column_names == ["tailnum", "seats"]
    assert rows.num_rows == 0


def test_a_query_cannot_write(here):
    """What YAML says is data to read, never a change to somebody's database."""
    with pytest.raises(SourceError, match="readonly"):
        source("DELETE FROM planes").read(None, variables=here)

    assert source("SELECT * FROM planes").read(None, variables=here).num_rows == 2


def test_a_partitioned_query_must_name_its_span(here):
    """Otherwise every partition would hold the whole table."""
    with pytest.raises(DeclarationError, match=":partition_start and :partition_end"):
        source("SELECT * FROM planes").read(DAY, variables=here)


def test_a_span_in_an_unpartitioned_query_is_refused(here):
    """There is nothing to put in its place."""
    with pytest.raises(DeclarationError, match="not partitioned"):
        source("SELECT * FROM planes WHERE at >= :partition_start").read(None, variables=here)


def test_an_unknown_parameter_is_named(here):
    """The message offers the nearest spelling."""
    with pytest.raises(UnknownNameError, match="Did you mean 'partition_start'"):
        source("SELECT * FROM planes WHERE at >= :partition_begin_start").read(DAY, variables=here)


def test_a_query_that_fails_says_so_in_the_databases_words(here):
    """The first line of the database's own message is kept."""
    with pytest.raises(SourceError, match="no such table: plains"):
        source("SELECT * FROM plains").read(None, variables=here)


def test_two_columns_of_one_name_are_refused(here):
    """Neither is dropped in silence."""
    with pytest.raises(DeclarationError, match="more than one column named tailnum"):
        source("SELECT a.tailnum, b.tailnum FROM planes a, planes b").read(None, variables=here)


def test_a_column_of_mixed_types_is_refused(here):
    """SQLite lets text lie in an integer column; the table does not."""
    with pytest.raises(SourceError, match="Column 'mixed' of the query's answer mixes types"):
        source("SELECT seats AS mixed FROM planes UNION ALL SELECT 'many'").read(None, variables=here)


def test_a_password_never_reaches_a_message():
    """Messages end up in logs and in the UI."""
    closed = SqlSource(url="postgresql+psycopg2://reader:s3cret@127.0.0.1:1/flights", query="SELECT 1")

    with pytest.raises(SourceError) as caught:
        closed.read(None, variables={})

    assert "s3cret" not in str(caught.value) + repr(caught.value.facts)
    assert "127.0.0.1" in str(caught.value)

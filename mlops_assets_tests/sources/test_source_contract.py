"""What every kind of source owes; a new kind adds one entry to `PLANTED`."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter, ValidationError

from mlops_assets.errors import SourceError
from mlops_assets.records import Span
from mlops_assets.sources import SOURCES, AnySource, Source

ROWS = {
    "seen_at": ["2013-02-07 23:59:59", "2013-02-08 00:00:00", "2013-02-08 23:59:59", "2013-02-09 00:00:00"],
    "name": ["before", "first", "last", "after"],
    "count": [1, 2, None, 4],
}
DAY = Span.day("2013-02-08")
Declaration = dict[str, object]


def _as_table() -> pa.Table:
    times = pa.array(ROWS["seen_at"]).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    return pa.table({"seen_at": times, "name": ROWS["name"], "count": pa.array(ROWS["count"], pa.int64())})


def _plant_parquet(folder: Path) -> Declaration:
    pq.write_table(_as_table(), folder / "rows.parquet")
    return {"kind": "files", "paths": ["{here}/rows.parquet"], "time_column": "seen_at"}


def _plant_csv(folder: Path) -> Declaration:
    pa.csv.write_csv(_as_table(), folder / "rows.csv")
    return {"kind": "files", "paths": ["{here}/rows.csv"], "time_column": "seen_at"}


def _plant_jsonl(folder: Path) -> Declaration:
    lines = [json.dumps(dict(zip(ROWS, row, strict=True))) for row in zip(*ROWS.values(), strict=True)]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return {"kind": "files", "paths": ["{here}/rows.jsonl"], "time_column": "seen_at"}


def _plant_sqlite(folder: Path) -> Declaration:
    connection = sqlite3.connect(folder / "rows.sqlite")
    with connection:
        connection.execute("CREATE TABLE seen (seen_at TEXT, name TEXT, count INTEGER)")
        connection.executemany("INSERT INTO seen VALUES (?, ?, ?)", zip(*ROWS.values(), strict=True))
    connection.close()
    return {
        "kind": "sql",
        "url": "sqlite:///{here}/rows.sqlite",
        "query": "SELECT * FROM seen WHERE seen_at >= :partition_start AND seen_at < :partition_end ORDER BY seen_at",
    }


PLANTED: dict[str, tuple[str, Callable[[Path], Declaration]]] = {
    "parquet": ("files", _plant_parquet),
    "csv": ("files", _plant_csv),
    "jsonl": ("files", _plant_jsonl),
    "sqlite": ("sql", _plant_sqlite),
}
every_source = pytest.mark.parametrize("plant", [plant for _, plant in PLANTED.values()], ids=list(PLANTED))


def declared(declaration: Declaration) -> Source:
    return TypeAdapter(AnySource).validate_python(declaration)


def test_every_kind_that_yaml_may_name_is_put_to_this_test():
    """A kind cannot join the family without joining its contract."""
    union = get_args(get_args(AnySource)[0])

    assert {kind for kind, _ in PLANTED.values()} == set(SOURCES)
    assert set(union) == set(SOURCES.values())


@every_source
def test_a_source_gives_exactly_the_rows_of_its_span(plant, tmp_path):
    """The start belongs to the span and the end does not."""
    source = declared(plant(tmp_path))

    rows = source.read(DAY, variables={"here": str(tmp_path)})

    assert rows["name"].to_pylist() == ["first", "last"]
    assert rows["count"].to_pylist() == [2, None]
    assert rows.column_names == list(ROWS)


@every_source
def test_a_source_gives_the_house_types(plant, tmp_path):
    """Text is `string`, whatever the library underneath prefers."""
    source = declared(plant(tmp_path))

    rows = source.read(DAY, variables={"here": str(tmp_path)})

    assert rows.schema.field("name").type == pa.string()
    assert rows.schema.field("count").type == pa.int64()


@every_source
def test_a_source_gives_the_same_rows_twice(plant, tmp_path):
    """Reading changes nothing at the source."""
    source = declared(plant(tmp_path))

    first, second = (source.read(DAY, variables={"here": str(tmp_path)}) for _ in range(2))

    assert first.equals(second)


@every_source
def test_a_span_without_rows_gives_an_empty_table_with_its_columns(plant, tmp_path):
    """Nothing happened on that day, which is not an error."""
    source = declared(plant(tmp_path))

    rows = source.read(Span.day("2013-12-24"), variables={"here": str(tmp_path)})

    assert rows.num_rows == 0
    assert rows.column_names == list(ROWS)


@every_source
def test_an_absent_source_is_an_error_that_says_where_it_looked(plant, tmp_path):
    """No file is never an empty table, and no empty database is made in its place."""
    source = declared(plant(tmp_path))
    elsewhere = tmp_path / "elsewhere"

    with pytest.raises(SourceError, match="exist") as caught:
        source.read(DAY, variables={"here": str(elsewhere)})

    assert f"{elsewhere}/rows." in str(caught.value)
    assert "Put the file there" in str(caught.value)
    assert not elsewhere.exists()


@every_source
def test_a_misspelt_key_is_refused_at_load(plant, tmp_path):
    """A declaration means what it says or does not load."""
    declaration = plant(tmp_path) | {"tiem_column": "seen_at"}

    with pytest.raises(ValidationError, match="tiem_column"):
        declared(declaration)


def test_an_unknown_kind_is_refused_with_the_known_ones():
    """Pydantic's discriminator names the kinds there are."""
    with pytest.raises(ValidationError, match="'files', 'sql'"):
        declared({"kind": "carrier_pigeon"})

"""What every kind of source owes; a new kind adds one entry to `PLANTED`."""

import io
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import create_engine, text

from mlops_assets.digests import sha256_pieces, sha256_table
from mlops_assets.errors import SourceError
from mlops_assets.orchestration.steps.intake import ingesting
from mlops_assets.orchestration.steps.intake.ingesting import ingest
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.records import Span
from mlops_assets.sources import SOURCES, AnySource, Batch, Source, Stage
from mlops_assets.stores.events import Event, EventLog
from mlops_assets.stores.home import Home
from mlops_assets_tests.sources._service import running_service

Row = tuple[str, str, float | None]
COLUMNS = ["seen_at", "name", "count"]
ROWS: list[Row] = [
    ("2013-02-07 23:59:59", "before", 1),
    ("2013-02-08 00:00:00", "first", 2),
    ("2013-02-08 23:59:59", "last", None),
    ("2013-02-09 00:00:00", "after", 4),
]
LATE: Row = ("2013-02-08 12:00:00", "late", 5)
BEFORE, DAY, AFTER = (Span.day(f"2013-02-0{day}") for day in (7, 8, 9))
Declaration = dict[str, object]


@dataclass
class Planted:
    """Rows at a source, the declaration that finds them, and how one more row gets there."""

    declaration: Declaration
    variables: Mapping[str, str]
    add: Callable[[Row], None]
    nowhere: Mapping[str, object] = field(default_factory=dict)  # what to declare for a source that is not there
    absent_says: str = "exist"
    stamps: bool = True
    shares_stamps: bool = False  # many days, one file
    takes_halves: bool = True  # as a count

    @property
    def source(self) -> Source:
        return declared(self.declaration)

    def read(self, span: Span) -> pa.Table:
        return self.source.read(span, variables=self.variables)

    def stamp(self, span: Span) -> str | None:
        return self.source.stamp(span, variables=self.variables)

    def names(self, span: Span) -> list[str]:
        return sorted(self.read(span)["name"].to_pylist())


def batch_of(batch: Batch) -> pa.Table:
    return pa.concat_tables(batch.pieces())


def declared(declaration: Declaration) -> Source:
    return TypeAdapter(AnySource).validate_python(declaration)


# --- where rows are planted -----------------------------------------------------------------------


def _as_table(rows: list[Row]) -> pa.Table:
    times, names, counts = zip(*rows, strict=True)
    moments = pa.array(times).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    kind = pa.float64() if any(isinstance(count, float) for count in counts) else pa.int64()
    return pa.table({"seen_at": moments, "name": names, "count": pa.array(counts, kind)})


def _as_parquet(rows: list[Row]) -> bytes:
    data = io.BytesIO()
    pq.write_table(_as_table(rows), data)
    return data.getvalue()


def _as_csv(rows: list[Row]) -> bytes:
    data = io.BytesIO()
    pa.csv.write_csv(_as_table(rows), data)
    return data.getvalue()


def _as_json(row: Row) -> dict[str, Any]:
    return dict(zip(COLUMNS, row, strict=True))


def _as_jsonl(rows: list[Row]) -> bytes:
    return "\n".join(json.dumps(_as_json(row)) for row in rows).encode()


def _plant_file(suffix: str, write: Callable[[list[Row]], bytes]) -> Callable[..., Planted]:
    def plant(folder: Path, request: pytest.FixtureRequest) -> Planted:
        path, rows = folder / f"rows.{suffix}", list(ROWS)
        path.write_bytes(write(rows))

        def add(row: Row) -> None:
            rows.append(row)
            path.write_bytes(write(rows))

        return Planted(
            {"kind": "files", "paths": [f"{{here}}/rows.{suffix}"], "time_column": "seen_at"},
            {"here": str(folder)},
            add,
            nowhere={"paths": [f"{{here}}/elsewhere/rows.{suffix}"]},
            shares_stamps=True,
        )

    return plant


def _plant_pattern(folder: Path, request: pytest.FixtureRequest) -> Planted:
    """A folder per day, and several files in it."""

    def add(row: Row) -> None:
        day = folder / row[0][:10]
        day.mkdir(exist_ok=True)
        (day / f"{len(list(day.iterdir()))}.csv").write_bytes(_as_csv([row]))

    for row in ROWS:
        add(row)
    (folder / "2013-12-24").mkdir()
    (folder / "2013-12-24/0.csv").write_bytes(_as_csv(ROWS[:1]).splitlines(keepends=True)[0])
    declaration: Declaration = {"kind": "files", "paths": ["{here}/{partition}/*.csv"], "types": {"count": "int64"}}
    return Planted(declaration, {"here": str(folder)}, add, nowhere={"paths": ["{here}/elsewhere/rows.*.csv"]})


def _plant_s3(folder: Path, request: pytest.FixtureRequest) -> Planted:
    """An object per day."""
    bucket = request.getfixturevalue("s3")
    days: dict[str, list[Row]] = {"2013-12-24": []}

    def add(row: Row) -> None:
        day = days.setdefault(row[0][:10], [])
        day.append(row)
        bucket.put(f"seen/{row[0][:10]}.parquet", _as_parquet(day))

    for row in ROWS:
        add(row)
    empty = io.BytesIO()
    pq.write_table(_as_table(ROWS).slice(0, 0), empty)
    bucket.put("seen/2013-12-24.parquet", empty.getvalue())
    declaration: Declaration = {"kind": "files", "paths": ["{bucket}/seen/{partition}.parquet"]}
    nowhere = {"paths": ["{bucket}/elsewhere/rows.parquet"], "time_column": "seen_at"}
    return Planted(declaration, {"bucket": bucket.address}, add, nowhere=nowhere)


QUERY = "SELECT * FROM seen WHERE seen_at >= :partition_start AND seen_at < :partition_end ORDER BY seen_at"


def _plant_sqlite(folder: Path, request: pytest.FixtureRequest) -> Planted:
    connection = sqlite3.connect(folder / "rows.sqlite", isolation_level=None)
    request.addfinalizer(connection.close)
    connection.execute("CREATE TABLE seen (seen_at TEXT, name TEXT, count INTEGER)")

    def add(row: Row) -> None:
        connection.execute("INSERT INTO seen VALUES (?, ?, ?)", row)

    for row in ROWS:
        add(row)
    return Planted(
        {"kind": "sql", "url": "sqlite:///{here}/rows.sqlite", "query": QUERY, "watermark": "seen_at"},
        {"here": str(folder)},
        add,
        nowhere={"url": "sqlite:///{here}/elsewhere/rows.sqlite"},
    )


def _plant_postgres(folder: Path, request: pytest.FixtureRequest) -> Planted:
    """A database whose own time zone is far from UTC."""
    url = request.getfixturevalue("postgres").new_database()
    engine = create_engine(url)
    request.addfinalizer(engine.dispose)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE seen (seen_at timestamp, name text, count bigint)"))
        connection.execute(text(f"ALTER DATABASE {engine.url.database} SET timezone TO 'Asia/Tokyo'"))

    def add(row: Row) -> None:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO seen VALUES (:seen_at, :name, :count)"), _as_json(row))

    for row in ROWS:
        add(row)
    nowhere = url.replace(str(engine.url.database), "elsewhere_rows")
    return Planted(
        {"kind": "sql", "url": url, "query": QUERY, "watermark": "seen_at"},
        {},
        add,
        nowhere={"url": nowhere},
        absent_says='"elsewhere_rows" does not exist',
        takes_halves=False,
    )


def _plant_events(folder: Path, request: pytest.FixtureRequest) -> Planted:
    log = EventLog(folder, "seen", id_field="name")

    def add(row: Row) -> None:
        log.record([Event(id=row[1], day=row[0][:10], fields=_as_json(row))], at=datetime(2024, 1, 1, tzinfo=UTC))

    for row in ROWS:
        add(row)
    types = {"seen_at": "timestamp", "name": "string", "count": "int64"}
    return Planted(
        {"kind": "events", "id": "name", "types": types, "time_column": "seen_at"},
        {"events": str(folder), "table": "seen"},
        add,
        nowhere={"variables": {"events": str(folder / "elsewhere"), "table": "rows"}},
        absent_says="was ever recorded",
    )


def _plant_http(folder: Path, request: pytest.FixtureRequest) -> Planted:
    """A service that pages by cursor."""
    request.getfixturevalue("monkeypatch").setenv("NO_PROXY", "127.0.0.1")
    running = running_service()
    service = running.__enter__()
    request.addfinalizer(lambda: running.__exit__(None, None, None))

    def add(row: Row) -> None:
        service.records.append({**_as_json(row), "seen_at": row[0].replace(" ", "T") + "Z"})

    for row in ROWS:
        add(row)
    declaration: Declaration = {
        "kind": "http",
        "url": f"{service.url}/cursor",
        "params": {"from": "{partition_start}", "to": "{partition_end}"},
        "records": "data.items",
        "pages": {"kind": "cursor", "next": "meta.next"},
        "types": {"seen_at": "timestamp", "name": "string", "count": "int64"},
    }
    nowhere = {"url": f"{service.url}/elsewhere/rows"}
    return Planted(declaration, {}, add, nowhere=nowhere, absent_says="answered 404", stamps=False)


PLANTED: dict[str, tuple[str, Callable[[Path, pytest.FixtureRequest], Planted]]] = {
    "parquet": ("files", _plant_file("parquet", _as_parquet)),
    "csv": ("files", _plant_file("csv", _as_csv)),
    "jsonl": ("files", _plant_file("jsonl", _as_jsonl)),
    "pattern": ("files", _plant_pattern),
    "s3": ("files", _plant_s3),
    "sqlite": ("sql", _plant_sqlite),
    "postgres": ("sql", _plant_postgres),
    "events": ("events", _plant_events),
    "http": ("http", _plant_http),
}


@pytest.fixture(params=[plant for _, plant in PLANTED.values()], ids=list(PLANTED))
def planted(request, tmp_path) -> Planted:
    """Every kind of source, with the same four rows around the same day."""
    return request.param(tmp_path, request)


# --- what they owe --------------------------------------------------------------------------------


def test_every_kind_that_yaml_may_name_is_put_to_this_test():
    """A kind cannot join the family without joining its contract."""
    union = get_args(get_args(AnySource)[0])

    assert {kind for kind, _ in PLANTED.values()} == set(SOURCES)
    assert set(union) == set(SOURCES.values())


def test_a_source_gives_exactly_the_rows_of_its_span(planted):
    """The start belongs to the span and the end does not."""
    rows = planted.read(DAY)

    assert rows["name"].to_pylist() == ["first", "last"]
    assert rows["count"].to_pylist() == [2, None]
    assert rows.column_names[:3] == COLUMNS


def test_spans_that_meet_share_no_row_and_lose_none(planted):
    """Each row belongs to one day."""
    days = [planted.names(span) for span in (BEFORE, DAY, AFTER)]

    assert days == [["before"], ["first", "last"], ["after"]]


def test_many_spans_at_once_are_what_each_alone_is(planted, tmp_path):
    """In the order asked for."""
    spans = [AFTER, BEFORE, DAY]

    with Stage(tmp_path) as stage:
        together = [batch_of(batch) for batch in stage.fetch(planted.source, spans, variables=planted.variables)]

    assert together == [planted.read(span) for span in spans]


def test_a_source_gives_the_house_types(planted):
    """Text is `string`, whatever the library underneath prefers."""
    rows = planted.read(DAY)

    assert rows.schema.field("name").type == pa.string()
    assert rows.schema.field("count").type == pa.int64()


def test_a_source_gives_the_same_rows_twice(planted):
    """Reading changes nothing at the source."""
    first, second = planted.read(DAY), planted.read(DAY)

    assert first.equals(second)


def test_a_span_without_rows_gives_an_empty_table_with_its_columns(planted):
    """Nothing happened on that day, which is not an error."""
    rows = planted.read(Span.day("2013-12-24"))

    assert rows.num_rows == 0
    assert rows.column_names[:3] == COLUMNS


def test_an_absent_source_is_an_error_that_says_where_it_looked(planted, tmp_path):
    """Nothing there is never an empty table, and nothing is made in its place; it has no stamp either."""
    elsewhere = dict(planted.nowhere)
    variables = elsewhere.pop("variables", planted.variables)
    source = declared({**planted.declaration, **elsewhere})

    with pytest.raises(SourceError, match=planted.absent_says) as caught:
        source.read(DAY, variables=variables)
    try:
        stamp = source.stamp(DAY, variables=variables)
    except SourceError:
        stamp = None

    assert "elsewhere" in str(caught.value)
    assert "rows" in str(caught.value)
    assert stamp is None
    assert not (tmp_path / "elsewhere").exists()


def test_a_misspelt_key_is_refused_at_load(planted):
    """A declaration means what it says or does not load."""
    with pytest.raises(ValidationError, match="tiem_column"):
        declared(planted.declaration | {"tiem_column": "seen_at"})


def test_a_source_says_where_its_rows_come_from(planted):
    """For the pages of Dagster."""
    assert planted.source.where


def test_a_stamp_stays_while_nothing_changes(planted):
    """Asked for again, and by another reader of the same declaration."""
    stamps = {planted.stamp(DAY) for _ in range(3)}

    assert len(stamps) == 1
    assert (None in stamps) is not planted.stamps


def test_a_late_row_changes_the_stamp_of_its_span_and_is_read(planted):
    """Of other spans only where they share a file with it."""
    if not planted.stamps:
        pytest.skip("this source cannot say what has changed")
    days = (BEFORE, DAY, AFTER)
    before = [planted.stamp(span) for span in days]

    planted.add(LATE)

    changed = [was != planted.stamp(span) for was, span in zip(before, days, strict=True)]
    assert changed == [planted.shares_stamps, True, planted.shares_stamps]
    assert planted.names(DAY) == ["first", "last", "late"]
    assert planted.names(BEFORE) == ["before"]


# --- batches larger than a piece ------------------------------------------------------------------

LONG = Span.day("2013-02-11")
MANY = 60


@pytest.fixture
def long(planted, monkeypatch) -> Planted:
    """More rows of one day than a piece holds, and pieces of a few rows."""
    for n in range(MANY):
        planted.add((f"2013-02-11 00:{n:02d}:00", f"row {n}", n if n % 7 else None))
    for module, name, size in SMALL:
        monkeypatch.setattr(f"mlops_assets.sources.{module}.{name}", size)
    return planted


SMALL = (
    ("blocks", "BLOCK_BYTES", 256),
    ("formats", "PIECE_ROWS", 8),
    ("sql", "PIECE_ROWS", 8),
    ("staging", "HELD_BYTES", 1),
)


def test_a_batch_larger_than_a_piece_comes_in_pieces_and_is_the_same_rows(long, monkeypatch, tmp_path):
    """In the same order, with the same types and so with the same digest as when it fits into one."""
    with Stage(tmp_path) as stage:
        (batch,) = stage.fetch(long.source, [LONG], variables=long.variables)
        pieces = list(batch.pieces())
        together = sha256_pieces(batch)
        again = sha256_pieces(batch)
    monkeypatch.undo()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    whole = long.read(LONG)

    assert len(pieces) > 2
    assert batch.num_rows == whole.num_rows == MANY
    assert max(piece.num_rows for piece in pieces) < MANY
    assert pa.concat_tables(pieces) == whole
    assert together == again == sha256_table(whole)


def test_a_fault_in_the_last_piece_keeps_all_pieces_out(long, tmp_path):
    """What came before it is not taken for the batch: it is refused, or all of it is held as one."""
    if not long.takes_halves:
        pytest.skip("the database itself refuses such a count")
    long.add(("2013-02-11 23:00:00", "half", 0.5))
    table = TableDeclaration.model_validate(
        {
            "table": "seen",
            "source": long.declaration,
            "contract": {
                "strict": False,
                "columns": {"name": {"type": "string"}, "count": {"type": "int64", "nullable": True}},
            },
            "partitions": {"start": "2013-02-01"},
        }
    )
    home = Home(tmp_path / "home", settings={})
    at = datetime(2013, 2, 12, tzinfo=UTC)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ingesting, "variables_of", lambda *_: dict(long.variables))
        try:
            came = ingest(table, home, ["2013-02-11"], folder=tmp_path, at=at)
        except SourceError:
            came = None

    assert not home.tables.exists("raw/seen")
    if came is not None:
        held = home.tables.read("quarantine/seen", partitions=["2013-02-11"])
        assert "count" in came.misfits["2013-02-11"]
        assert [json.loads(value)["name"] for value in held["_value"].to_pylist()] == [
            *(f"row {n}" for n in range(MANY)),
            "half",
        ]


FETCH = """
import json, os, signal, sys
from pathlib import Path
from pydantic import TypeAdapter
from mlops_assets.records import Span
from mlops_assets.sources import AnySource, Stage, blocks, formats, sql, staging
told = json.loads(sys.argv[1])
for module, name, size in told["small"]:
    setattr({"blocks": blocks, "formats": formats, "sql": sql, "staging": staging}[module], name, size)
write, written = Stage.write, []
def killed(self, rows):
    written.append(write(self, rows))
    if len(written) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
Stage.write = killed
with Stage(Path(told["folder"])) as stage:
    stage.fetch(TypeAdapter(AnySource).validate_python(told["declaration"]), [Span.day(told["day"])],
                variables=told["variables"])
"""


def test_a_kill_between_two_pieces_leaves_nothing_behind(long, tmp_path):
    """Neither at the source, which gives the batch again, nor where the pieces waited."""
    before = list(tmp_path.rglob("*"))
    told = {"small": SMALL, "folder": str(tmp_path / "stage"), "day": LONG.partition}

    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            FETCH,
            json.dumps({**told, "declaration": long.declaration, "variables": long.variables}),
        ],
        check=False,
        stderr=subprocess.PIPE,
        text=True,
    )

    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert list((tmp_path / "stage").iterdir()) == []
    assert {path for path in tmp_path.rglob("*") if path != tmp_path / "stage"} == {*before}
    assert long.read(LONG).num_rows == MANY


def test_an_unknown_kind_is_refused_with_the_known_ones():
    """Pydantic's discriminator names the kinds there are."""
    known = ", ".join(f"'{kind}'" for kind in SOURCES)

    with pytest.raises(ValidationError, match=known):
        declared({"kind": "carrier_pigeon"})

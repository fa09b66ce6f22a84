"""Files: which one wins, how it is typed, and what is said when it cannot be read."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from mlops_assets.errors import DeclarationError, SourceError, UnknownNameError
from mlops_assets.records import Span
from mlops_assets.sources import FileSource

DAY = Span.day("2013-02-08")


@pytest.fixture
def archive(tmp_path):
    """An archive of two days and a landing folder that is still empty."""
    times = pa.array(["2013-02-08 10:00", "2013-02-09 10:00"]).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    (tmp_path / "landing").mkdir()
    pq.write_table(pa.table({"at": times, "who": ["archive", "archive"]}), tmp_path / "all.parquet")
    source = FileSource(paths=("{landing}/{partition}.parquet", "{here}/all.parquet"), time_column="at")
    return source, {"here": str(tmp_path), "landing": str(tmp_path / "landing")}


def test_the_archive_answers_while_nothing_has_landed(archive):
    """Only the rows of the day are taken from a file of many days."""
    source, variables = archive

    rows = source.read(DAY, variables=variables)

    assert rows["who"].to_pylist() == ["archive"]


def test_a_landed_batch_replaces_the_archives_rows(archive, tmp_path):
    """The first path that exists wins, whole: the two are not mixed."""
    source, variables = archive
    pq.write_table(pa.table({"who": ["landed", "landed"]}), tmp_path / "landing" / "2013-02-08.parquet")

    landed, untouched = (source.read(Span.day(day), variables=variables) for day in ("2013-02-08", "2013-02-09"))

    assert landed["who"].to_pylist() == ["landed", "landed"]
    assert untouched["who"].to_pylist() == ["archive"]


def test_a_landed_file_without_rows_is_an_empty_batch(archive, tmp_path):
    """An empty file is a statement; it does not fall through to the archive."""
    source, variables = archive
    pq.write_table(pa.table({"who": pa.array([], pa.string())}), tmp_path / "landing" / "2013-02-08.parquet")

    rows = source.read(DAY, variables=variables)

    assert rows.num_rows == 0
    assert rows.column_names == ["who"]


def test_the_whole_table_is_read_where_no_span_is_asked_for(archive, tmp_path):
    """A file of one partition is passed over then: it is not the table."""
    source, variables = archive
    pq.write_table(pa.table({"who": ["landed"]}), tmp_path / "landing" / "2013-02-08.parquet")

    rows = source.read(None, variables=variables)

    assert rows["who"].to_pylist() == ["archive", "archive"]


def test_only_the_columns_asked_for_are_given(archive):
    """The time column may stay behind although it was used."""
    source, variables = archive

    rows = source.model_copy(update={"columns": ("who",)}).read(DAY, variables=variables)

    assert rows.column_names == ["who"]


def test_a_column_that_is_not_there_is_named_with_its_neighbour(archive):
    """The message offers the nearest spelling."""
    source, variables = archive

    with pytest.raises(UnknownNameError, match=r"'whoo' is not known. Did you mean 'who'"):
        source.model_copy(update={"columns": ("whoo",)}).read(DAY, variables=variables)


def test_declared_types_keep_what_guessing_would_lose(tmp_path):
    """A flight code with leading zeros stays text, and a null column gets its type."""
    (tmp_path / "rows.csv").write_text("code,seen\n0123,\n0456,\n")
    source = FileSource(paths=("{here}/rows.csv",), types={"code": "string", "seen": "timestamp"})

    rows = source.read(None, variables={"here": str(tmp_path)})

    assert rows["code"].to_pylist() == ["0123", "0456"]
    assert rows.schema.field("seen").type == pa.timestamp("us", "UTC")


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_file_of_no_bytes_is_an_empty_table_where_its_columns_are_declared(tmp_path, suffix):
    """The schema is known, so no rows is an answer."""
    (tmp_path / f"rows.{suffix}").touch()
    source = FileSource(paths=(f"{{here}}/rows.{suffix}",), types={"code": "string"})

    rows = source.read(None, variables={"here": str(tmp_path)})

    assert rows.schema == pa.schema({"code": pa.string()})
    assert rows.num_rows == 0


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_file_of_no_bytes_is_an_error_where_nothing_says_its_columns(tmp_path, suffix):
    """Without a header there is no table, not even an empty one."""
    (tmp_path / f"rows.{suffix}").touch()
    source = FileSource(paths=(f"{{here}}/rows.{suffix}",))

    with pytest.raises(SourceError, match=rf"rows\.{suffix} could not be read as {suffix}"):
        source.read(None, variables={"here": str(tmp_path)})


def test_a_broken_file_is_named(tmp_path):
    """Half a Parquet file, as a killed writer leaves it, is an error that says which."""
    pq.write_table(pa.table({"n": list(range(1000))}), tmp_path / "rows.parquet")
    whole = (tmp_path / "rows.parquet").read_bytes()
    (tmp_path / "rows.parquet").write_bytes(whole[: len(whole) // 2])
    source = FileSource(paths=("{here}/rows.parquet",))

    with pytest.raises(SourceError, match=r"rows\.parquet could not be read as parquet") as caught:
        source.read(None, variables={"here": str(tmp_path)})

    assert caught.value.path == str(tmp_path / "rows.parquet")


def test_a_file_of_many_days_needs_a_time_column(archive):
    """Otherwise every partition would hold the whole table."""
    source, variables = archive

    with pytest.raises(DeclarationError, match="`time_column`"):
        source.model_copy(update={"time_column": None}).read(DAY, variables=variables)


def test_a_time_column_that_holds_no_times_is_refused(archive):
    """Text is not compared with moments."""
    source, variables = archive

    with pytest.raises(SourceError, match=r"'who' .* holds string, not times"):
        source.model_copy(update={"time_column": "who"}).read(DAY, variables=variables)


def test_an_unknown_place_in_a_path_is_named(archive):
    """A typo in a placeholder does not become a folder of that name."""
    source = FileSource(paths=("{laning}/x.parquet",))

    with pytest.raises(UnknownNameError, match="Did you mean 'landing'"):
        source.read(DAY, variables=archive[1])


def test_a_file_name_that_does_not_say_its_format_is_refused_at_load():
    """The declaration fails, not the first run."""
    with pytest.raises(ValidationError, match=r"Set `format` to parquet, csv or jsonl"):
        FileSource(paths=("{here}/rows.dat",))

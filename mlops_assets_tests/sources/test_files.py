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


# --- several files, and files that are not what they seem -------------------------------------------


def written(folder, name: str, data: bytes | str) -> dict[str, str]:
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return {"here": str(folder)}


def test_files_of_a_pattern_are_read_in_the_order_of_their_names(tmp_path):
    """Whatever the order in which they were written; what lies beside them is left alone."""
    for name, n in (("b.csv", 2), ("a.csv", 1), ("c.csv", 3), ("a.txt", 9)):
        here = written(tmp_path, name, f"n\n{n}\n")
    (tmp_path / "d.csv").mkdir()

    rows = FileSource(paths=("{here}/*.csv",)).read(None, variables=here)

    assert rows["n"].to_pylist() == [1, 2, 3]


def test_only_the_template_is_a_pattern(tmp_path):
    """A folder may have brackets and stars in its name."""
    folder = tmp_path / "a [1] * b"
    folder.mkdir()
    here = written(folder, "rows-1.csv", "n\n1\n")

    for path in ("{here}/rows-*.csv", "{here}/rows-1.csv"):
        assert FileSource(paths=(path,)).read(None, variables=here)["n"].to_pylist() == [1]


def test_files_of_one_pattern_may_lack_columns_and_hold_wider_numbers(tmp_path):
    """Text beside numbers is another matter."""
    written(tmp_path, "1.csv", "n\n1\n")
    here = written(tmp_path, "2.csv", "n,m\n1.5,2\n")
    source = FileSource(paths=("{here}/*.csv",))

    assert source.read(None, variables=here).to_pydict() == {"n": [1.0, 1.5], "m": [None, 2]}
    written(tmp_path, "3.csv", "n\nmany\n")
    with pytest.raises(SourceError, match="do not fit together"):
        source.read(None, variables=here)


def test_a_pattern_that_nothing_answers_to_is_an_absent_file(tmp_path):
    """Never an empty table."""
    with pytest.raises(SourceError, match=r"None of the files .*nothing-\*\.csv"):
        FileSource(paths=("{here}/nothing-*.csv",)).read(None, variables={"here": str(tmp_path)})


def test_a_folder_is_not_read_as_a_file(tmp_path):
    """The message says how to read what is in it."""
    (tmp_path / "rows.parquet").mkdir()

    with pytest.raises(SourceError, match=r"is a folder, .*rows\.parquet/\*\.parquet"):
        FileSource(paths=("{here}/rows.parquet",)).read(None, variables={"here": str(tmp_path)})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("rows.csv", b"\xef\xbb\xbfwho,n\nZo\xc3\xab,1\n"),
        ("rows.csv", b"who,n\r\nZo\xc3\xab,1\r\n"),
        ("rows.jsonl", b'\xef\xbb\xbf{"who": "Zo\xc3\xab", "n": 1}\n'),
    ],
    ids=["CSV with a mark", "CSV of another system", "JSON with a mark"],
)
def test_marks_and_line_ends_of_other_systems_are_no_data(tmp_path, name, data):
    """The first column has its name, and the last value no carriage return."""
    rows = FileSource(paths=(f"{{here}}/{name}",)).read(None, variables=written(tmp_path, name, data))

    assert rows.to_pydict() == {"who": ["Zoë"], "n": [1]}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("rows.csv", "who;n\nZoë;1\n", r'no comma but ";".*set `delimiter: ";"`'),
        ("rows.csv", "who\tn\n1,5\t2\n", r'set `delimiter: "\\t"`'),
        ("rows.csv", "who,n\nZoë,1\n".encode("latin-1"), "Column 'who' holds bytes that are not UTF-8"),
        ("rows.csv", "who\nZoë\n".encode() + "Zoë\n".encode("latin-1"), "Column 'who' holds bytes"),
        ("rows.csv", "who,n\nZoë,1\n".encode("utf-16"), "UTF-16"),
        ("rows.csv", "n,n\n1,2\n", "names column 'n' twice"),
        ("rows.csv", "a,b\n1,2\n3\n", "Expected 2 columns, got 1"),
        ("rows.csv", 'a,b\n"1,2\n', "Expected 2 columns, got 1"),
        ("rows.jsonl", '{"who": "Zoë"}\n'.encode("latin-1"), "not UTF-8"),
        ("rows.jsonl", '{"who": "Zoë"}\n'.encode() + '{"who": "Zoë"}\n'.encode("latin-1"), "not UTF-8"),
        ("rows.jsonl", '{"n": 1}\n'.encode("utf-16"), "UTF-16"),
        ("rows.jsonl", '{"n": 1}\n{"n": ', "could not be read as jsonl"),
        ("rows.jsonl", '[{"n": 1}]', "could not be read as jsonl"),
        ("rows.jsonl", '{"n": 1}\n{"n": "x"}\n', "changed from number to string"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused_whole(tmp_path, name, data, said):
    """In words that name the file; no row of it is taken for what it is not."""
    here = written(tmp_path, name, data)

    with pytest.raises(SourceError, match=said) as caught:
        FileSource(paths=(f"{{here}}/{name}",)).read(None, variables=here)
    assert str(tmp_path / name) in str(caught.value)


def test_a_declared_delimiter_is_obeyed(tmp_path):
    """Also a comma, where the one column has a bar in its name."""
    here = written(tmp_path, "semicolons.csv", "who;n\nZoë;1\n")
    written(tmp_path, "bar.csv", "a|b\n1\n")

    parted = FileSource(paths=("{here}/semicolons.csv",), delimiter=";").read(None, variables=here)
    whole = FileSource(paths=("{here}/bar.csv",), delimiter=",").read(None, variables=here)

    assert parted.to_pydict() == {"who": ["Zoë"], "n": [1]}
    assert whole.to_pydict() == {"a|b": [1]}


def test_declared_times_may_have_a_zone_or_not(tmp_path):
    """Without one they are UTC; a column of both is refused."""
    here = written(tmp_path, "rows.csv", "a,b\n2013-02-08 01:00:00,2013-02-08T01:00:00+01:00\n")
    source = FileSource(paths=("{here}/rows.csv",), types={"a": "timestamp", "b": "timestamp"})

    (row,) = source.read(None, variables=here).to_pylist()
    written(tmp_path, "rows.csv", "a,b\n2013-02-08 01:00:00,\n2013-02-08T01:00:00Z,\n")

    assert (row["a"].hour, row["b"].hour) == (1, 0)
    with pytest.raises(SourceError, match="could not be read as csv"):
        source.read(None, variables=here)


# --- object stores ----------------------------------------------------------------------------------


def test_objects_of_a_pattern_are_read_in_order_and_new_ones_seen(s3):
    """A listing is never remembered."""
    source, variables = FileSource(paths=("{bucket}/in/*.csv",)), {"bucket": s3.address}
    s3.put("in/b.csv", b"n\n2\n")
    s3.put("other/c.csv", b"n\n9\n")
    before = source.stamp(None, variables=variables)
    first = source.read(None, variables=variables)

    s3.put("in/a.csv", b"n\n1\n")

    assert first["n"].to_pylist() == [2]
    assert source.read(None, variables=variables)["n"].to_pylist() == [1, 2]
    assert source.stamp(None, variables=variables) != before


def test_an_object_put_again_with_the_same_bytes_keeps_its_stamp(s3):
    """A store names an object's content, which is better than its time."""
    source, variables = FileSource(paths=("{bucket}/rows.csv",)), {"bucket": s3.address}
    stamps = []
    for data in (b"n\n1\n", b"n\n1\n", b"n\n2\n"):
        s3.put("rows.csv", data)
        stamps.append(source.stamp(None, variables=variables))

    assert stamps[0] == stamps[1] != stamps[2]


def test_a_truncated_object_is_named_by_its_address(s3, tmp_path):
    """As a truncated file is."""
    pq.write_table(pa.table({"n": list(range(1000))}), tmp_path / "rows.parquet")
    s3.put("rows.parquet", (tmp_path / "rows.parquet").read_bytes()[:-50])

    with pytest.raises(SourceError, match=rf"{s3.address}/rows\.parquet could not be read as parquet"):
        FileSource(paths=("{bucket}/rows.parquet",)).read(None, variables={"bucket": s3.address})


def test_a_store_that_does_not_answer_is_an_error_and_not_an_absent_file(s3, monkeypatch):
    """Else the next path would be read in its place."""
    from s3fs import S3FileSystem

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    S3FileSystem.clear_instance_cache()

    with pytest.raises(SourceError, match="cannot be looked for"):
        FileSource(paths=("{bucket}/rows.csv",)).read(None, variables={"bucket": s3.address})


def test_an_address_that_nothing_here_can_read_is_refused(tmp_path):
    """With what to install."""
    with pytest.raises(DeclarationError, match=r"Nothing here reads from nosuch://place/rows\.csv"):
        FileSource(paths=("nosuch://place/rows.csv",)).read(None, variables={})

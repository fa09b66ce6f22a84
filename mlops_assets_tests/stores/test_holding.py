"""Which partitions and versions of a table hold a key."""

from datetime import timedelta

import pyarrow as pa
import pytest

from mlops_assets.stores.holding import Holding, rows_now, rows_telling, rows_with
from mlops_assets.stores.tables import TableStore


def rows(*keys):
    return pa.table({"tail": pa.array(keys, pa.string()), "n": pa.array(range(len(keys)), pa.int64())})


@pytest.fixture
def tables(tmp_path):
    store = TableStore(tmp_path)
    store.write_partitions("raw/flights", {"a": rows("N1", "N2", "N1"), "b": rows("N2")})  # version 0
    store.write("raw/flights", rows("N2"), partition="a")  # 1: N1 is gone from a
    store.write("raw/flights", rows("N1"), partition="c")  # 2
    return store


def test_rows_are_found_in_old_versions_too(tables):
    """With the versions that still read them, although the newest does not."""
    assert rows_with(tables, "raw/flights", "tail", "N1") == [
        Holding(table="raw/flights", partition="a", rows=2, first=0, last=0),
        Holding(table="raw/flights", partition="c", rows=1, first=2, last=None),
    ]


def test_every_version_reads_as_many_as_it_is_said_to(tables):
    """Against reading each version whole."""
    held = rows_with(tables, "raw/flights", "tail", "N2")

    for version in range(3):
        read = tables.read("raw/flights", version=version)["tail"].to_pylist()
        assert sum(each.rows for each in held if each.seen_by(version)) == read.count("N2")
    assert dict(rows_now(held)) == {"a": 1, "b": 1}


def test_a_file_that_was_cleaned_up_holds_nothing_any_more(tables):
    """What keeping the newest version only has deleted."""
    tables.keep_only("raw/flights", [], grace=timedelta(0))

    assert [each.partition for each in rows_with(tables, "raw/flights", "tail", "N1")] == ["c"]


def test_a_table_without_partitions_is_searched_as_a_whole(tmp_path):
    """And each version of it is."""
    store = TableStore(tmp_path)
    store.write("raw/planes", rows("N1"))
    store.write("raw/planes", rows("N2"))

    assert rows_with(store, "raw/planes", "tail", "N1") == [
        Holding(table="raw/planes", partition="", rows=1, first=0, last=0)
    ]


@pytest.mark.parametrize(("column", "value", "found"), [("n", "2", 1), ("n", "x", 0), ("wings", "2", 0)])
def test_a_key_is_compared_in_the_type_of_its_column(tables, column, value, found):
    """Text that is no number is in no column of numbers, and a column that is not there holds nothing."""
    assert sum(each.rows for each in rows_with(tables, "raw/flights", column, value)) == found


def test_a_partition_of_a_name_that_is_escaped_on_disk_is_read(tmp_path):
    """Blanks and colons."""
    store = TableStore(tmp_path)
    store.write("t", rows("N1"), partition="2013-01-01 08:00")

    assert rows_with(store, "t", "tail", "N1")[0].partition == "2013-01-01 08:00"


def test_text_within_a_column_is_found(tmp_path):
    """As JSON holds it."""
    store = TableStore(tmp_path)
    store.write("t", pa.table({"request": ['{"tail":"N1"}', '{"tail":"N12"}', None]}), partition="a")

    assert [each.rows for each in rows_telling(store, "t", "request", '"tail":"N1"')] == [1]

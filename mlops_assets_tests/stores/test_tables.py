"""Tables: what is written is read back, in order, under its digest; and a crash or a rival never leaves half of it."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from mlops_assets.digests import sha256_parts, sha256_table
from mlops_assets.errors import StoreError, UnknownNameError
from mlops_assets.records import Column
from mlops_assets.stores.tables import TableNotFoundError, TableStore, files, reading, staging, writing
from mlops_assets.stores.tables.staging import Staging

DAYS = ("2013-01-01", "2013-01-02", "2013-01-03")


def delays(*minutes: float) -> pa.Table:
    carriers = [f"C{i}" for i in range(len(minutes))]
    return pa.table({"carrier": pa.array(carriers, pa.string()), "delay": pa.array(minutes, pa.float64())})


@pytest.fixture
def store(tmp_path):
    return TableStore(tmp_path / "tables")


@pytest.fixture
def three_days(store):
    store.write_partitions("raw/delays", {day: delays(i, i + 10) for i, day in enumerate(DAYS)})
    return store


def test_a_partition_is_read_back_as_written(store):
    """Rows come back with their types and order, without the internal partition column."""
    rows = pa.table(
        {
            "at": pa.array([datetime(2013, 1, 1, 5, tzinfo=UTC), None], pa.timestamp("us", tz="UTC")),
            "late": pa.array([True, None]),
            "n": pa.array([2, 1], pa.int64()),
            "who": ["b", None],
        }
    )

    written = store.write("raw/x", rows, partition=DAYS[0])

    assert store.read("raw/x").equals(rows)
    assert written.partitions == {DAYS[0]: sha256_table(rows)}
    assert written.columns == (
        Column(name="at", dtype="timestamp[us, tz=UTC]"),
        Column(name="late", dtype="bool"),
        Column(name="n", dtype="int64"),
        Column(name="who", dtype="string"),
    )


def test_a_whole_table_is_replaced_with_its_columns(store):
    """An unpartitioned table takes the columns of its newest write, and its digest is that of the rows."""
    store.write("planes", delays(1))
    rows = pa.table({"tailnum": ["N1", "N2"]})

    written = store.write("planes", rows)

    assert store.read("planes").equals(rows)
    assert written == store.version("planes")
    assert (written.sha256, written.rows, written.partitions) == (sha256_table(rows), 2, {})
    assert store.partitions("planes") == ()


def test_writing_the_same_again_commits_nothing(three_days):
    """Content already there gives the same version again, and a changed row a new one."""
    before = three_days.version("raw/delays")

    same = three_days.write("raw/delays", delays(1, 11), partition=DAYS[1])
    changed = three_days.write("raw/delays", delays(1, 12), partition=DAYS[1])

    assert same.version == before.version
    assert changed.version == before.version + 1
    assert three_days.version("raw/delays").sha256 != before.sha256


def test_other_partitions_keep_their_rows_and_digests(three_days):
    """Replacing one partition touches no other."""
    before = three_days.version("raw/delays")

    three_days.write("raw/delays", delays(7), partition=DAYS[1])

    after = three_days.version("raw/delays")
    assert {day for day in DAYS if after.partitions[day] != before.partitions[day]} == {DAYS[1]}
    assert three_days.read("raw/delays")["delay"].to_pylist() == [0, 10, 7, 2, 12]


def test_a_range_is_written_in_one_commit(three_days):
    """Many partitions at once make one version, which a reader sees whole."""
    before = three_days.version("raw/delays").version

    written = three_days.write_partitions("raw/delays", {day: delays(9) for day in DAYS})

    assert written.version == before + 1
    assert written.rows == 3
    assert written == three_days.version("raw/delays")


def test_an_empty_partition_replaces_and_counts_as_written(three_days):
    """A day without flights is a fact: its rows go, its key stays."""
    written = three_days.write_partitions("raw/delays", {DAYS[1]: delays()})

    assert three_days.read("raw/delays", partitions=[DAYS[1]]).num_rows == 0
    assert three_days.read("raw/delays").num_rows == 4
    assert three_days.partitions("raw/delays") == DAYS
    assert written.partitions == {DAYS[1]: sha256_table(delays())}


def test_a_table_may_begin_with_an_empty_partition(store):
    """The first batch ever may hold no rows, and still fixes the columns."""
    store.write("raw/delays", delays(), partition=DAYS[0])

    assert store.read("raw/delays").schema.names == ["carrier", "delay"]
    assert store.version("raw/delays").partitions == {DAYS[0]: sha256_table(delays())}


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"since": DAYS[1]}, [1, 11, 2, 12]),
        ({"until": DAYS[1]}, [0, 10, 1, 11]),
        ({"since": DAYS[1], "until": DAYS[1]}, [1, 11]),
        ({"since": "2013-02-01"}, []),
        ({"partitions": [DAYS[2], DAYS[0]]}, [0, 10, 2, 12]),
        ({"partitions": []}, []),
    ],
)
def test_partitions_are_chosen_by_key(three_days, bounds, expected):
    """Bounds are inclusive and take what is there; rows come in partition order whatever order was asked for."""
    assert three_days.read("raw/delays", **bounds)["delay"].to_pylist() == expected


def test_columns_are_chosen_by_name_and_order(three_days):
    """Only the columns asked for come back, in that order; a misspelt one is refused with the nearest."""
    assert three_days.read("raw/delays", columns=["delay", "carrier"]).column_names == ["delay", "carrier"]
    assert three_days.read("raw/delays", since="2014-01-01", columns=["delay"]).column_names == ["delay"]

    assert [piece.column_names for piece in three_days.pieces("raw/delays", columns=["delay"])] == 3 * [["delay"]]

    for read in (three_days.read, lambda *asked, **how: list(three_days.pieces(*asked, **how))):
        with pytest.raises(UnknownNameError, match="Did you mean 'delay'"):
            read("raw/delays", columns=["dealy"])


def test_rows_are_chosen_by_what_a_column_holds(three_days):
    """Also by one that is not asked for, and one that older rows do not have."""
    wider = delays(3, 4).append_column("gate", [["A1", "A2"]])
    three_days.write("raw/delays", wider, partition="2013-01-04")

    rows = three_days.read("raw/delays", columns=["delay"], where=pc.field("gate") == "A2")

    assert rows.to_pydict() == {"delay": [4.0]}
    assert three_days.read("raw/delays", where=pc.field("carrier") == "C1")["delay"].to_pylist() == [10, 11, 12, 4]


def test_an_old_version_stays_readable_with_its_digest(three_days):
    """What a model was trained on can be read again after the table moved on."""
    old = three_days.version("raw/delays")
    three_days.write("raw/delays", delays(5), partition=DAYS[0])
    three_days.write("raw/delays", delays(6), partition="2013-01-04")

    again = TableStore(three_days.root)

    assert again.version("raw/delays", old.version) == old
    assert again.read("raw/delays", version=old.version)["delay"].to_pylist() == [0, 10, 1, 11, 2, 12]
    assert again.version("raw/delays").rows == 6


def test_rows_read_have_the_digest_the_version_names(three_days):
    """The digest of every partition can be proved from the rows themselves."""
    version = three_days.version("raw/delays")

    digests = {day: sha256_table(three_days.read("raw/delays", partitions=[day])) for day in DAYS}

    assert version.partitions == digests
    assert version.sha256 == sha256_parts(digests)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (pa.uint8(), "int16"),
        (pa.uint32(), "int64"),
        (pa.large_string(), "string"),
        (pa.dictionary(pa.int32(), pa.string()), "string"),
        (pa.timestamp("ms", tz="Europe/Paris"), "timestamp[us, tz=UTC]"),
        (pa.list_(pa.float64()), "list<element: double>"),
    ],
)
def test_types_are_settled_before_they_are_digested(store, given, kept):
    """Whatever flavour of a type comes in, what is read back is what was digested."""
    values = {"string": "a", "large_string": "a"}.get(str(given)) or ("a" if pa.types.is_dictionary(given) else 200)
    rows = pa.table({"x": pa.array([[1.5]] if pa.types.is_list(given) else [values], given)})

    written = store.write("x", rows, partition="p")

    assert written.columns == (Column(name="x", dtype=kept),)
    assert sha256_table(store.read("x")) == written.partitions["p"]


def test_a_new_column_is_null_in_older_partitions(three_days):
    """A table grows by columns; a batch that lacks one has nulls there."""
    wider = delays(3).append_column("gate", [["A1"]])

    three_days.write("raw/delays", wider, partition="2013-01-04")
    three_days.write("raw/delays", delays(4), partition="2013-01-05")

    rows = three_days.read("raw/delays", since=DAYS[2])
    assert rows["gate"].to_pylist() == [None, None, "A1", None]
    digest = three_days.version("raw/delays").partitions["2013-01-05"]
    assert digest == sha256_table(three_days.read("raw/delays", partitions=["2013-01-05"]))


def test_parts_with_different_columns_are_brought_together(store):
    """Partitions of one write may differ in columns, from the first write on."""
    wider = delays(3).append_column("gate", [["A1"]])

    written = store.write_partitions("raw/delays", {DAYS[0]: delays(1), DAYS[1]: wider})

    assert store.read("raw/delays")["gate"].to_pylist() == [None, "A1"]
    assert written.partitions[DAYS[0]] == sha256_table(store.read("raw/delays", partitions=[DAYS[0]]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pa.table({"delay": ["late"]}), "Column 'delay' of table 'raw/delays' is double, and string"),
        (pa.table({"delay": pa.nulls(1)}), "without a type: delay"),
        (pa.table({"delay": pa.array([1], pa.duration("us"))}), "cannot keep these columns"),
        (pa.table({"partition": ["x"]}), "cannot take a column called 'partition'"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_change_nothing(three_days, rows, message):
    """A wrong type is named, and the table stays at its version."""
    before = three_days.version("raw/delays")

    with pytest.raises(StoreError, match=message):
        three_days.write("raw/delays", rows, partition=DAYS[0])

    assert three_days.version("raw/delays") == before


def test_a_number_too_large_is_refused(store):
    """An unsigned number beyond the signed range is not wrapped around."""
    with pytest.raises(StoreError, match="cannot keep"):
        store.write("x", pa.table({"x": pa.array([2**64 - 1], pa.uint64())}))


def test_a_partitioned_table_is_not_overwritten_as_a_whole(three_days):
    """Forgetting the partition must not wipe the table, nor a partition split a whole one."""
    three_days.write("planes", delays(1))

    with pytest.raises(StoreError, match="written by partition so far, and was to be written whole"):
        three_days.write("raw/delays", delays(1))
    with pytest.raises(StoreError, match="written whole so far, and was to be written by partition"):
        three_days.write("planes", delays(1), partition=DAYS[0])


def test_what_is_not_there_is_named_with_what_is(three_days):
    """A missing table, version or partition says what to do instead."""
    with pytest.raises(TableNotFoundError, match=r"'raw/delay' is not in .* Known: raw/delays. Materialize"):
        three_days.read("raw/delay")
    with pytest.raises(TableNotFoundError, match="has versions 0 to 0, and 7"):
        three_days.version("raw/delays", 7)
    with pytest.raises(LookupError, match=r"no partition 2013-05-01\. It has 3 partitions, 2013-01-01 to 2013-01-03"):
        three_days.read("raw/delays", partitions=["2013-05-01"])


def test_tables_are_listed_by_name(three_days):
    """Every table ever written is found again, and nothing else."""
    three_days.write("planes", delays(1))
    (three_days.root / "empty").mkdir()

    assert three_days.tables() == ("planes", "raw/delays")
    assert three_days.exists("planes")
    assert not three_days.exists("raw")
    assert TableStore(three_days.root / "nowhere").tables() == ()


@pytest.mark.parametrize("key", ["2013-01-01T05:00", "a b%c", "x'y", "é/z"])
def test_any_text_can_be_a_partition_key(store, key):
    """Keys are quoted where they become SQL and escaped where they become folders."""
    store.write("x", delays(1), partition=key)
    store.write("x", delays(2), partition=key)

    assert store.partitions("x") == (key,)
    assert store.read("x", partitions=[key])["delay"].to_pylist() == [2]


@pytest.mark.parametrize("name", ["../outside", "/abs", "a//b", "", ".hidden"])
def test_a_table_name_stays_inside_the_root(store, name):
    """A name that would leave the folder, or hide in it, is refused."""
    with pytest.raises(StoreError, match="cannot name a file"):
        store.write(name, delays(1))


def test_an_object_store_address_is_refused(tmp_path):
    """An address is not quietly taken for a folder name."""
    with pytest.raises(StoreError, match="local folders"):
        TableStore("s3://bucket/tables")


def test_extra_facts_travel_in_the_commit(store):
    """What rides along is found in the table's own history, by any reader of Delta tables."""
    store.write("raw/delays", delays(1), partition=DAYS[0], extra={"source": "archive"})

    commit = DeltaTable(store.root / "raw/delays").history(1)[0]

    assert commit["mlops_assets"]["written"][DAYS[0]]["extra"] == {"source": "archive"}


def test_each_partition_has_notes_of_its_own(store):
    """They are of the rows they came with, and rows written without any have none."""
    parts = {DAYS[0]: delays(1), DAYS[1]: delays(2)}
    store.write_partitions("raw/delays", parts, extra={DAYS[0]: {"stamp": "a"}, DAYS[1]: {"stamp": "b"}})
    store.write("raw/delays", delays(3), partition=DAYS[1])

    contents = TableStore(store.root).contents("raw/delays")

    assert {key: content.extra for key, content in contents.items()} == {DAYS[0]: {"stamp": "a"}, DAYS[1]: {}}
    assert contents[DAYS[1]].sha256 == sha256_table(delays(3))


@pytest.mark.parametrize("partition", [None, DAYS[0]])
def test_a_new_note_on_the_same_rows_writes_no_rows(store, partition):
    """The commit says it all: no file is added or removed, and the digest stays."""
    before = store.write("x", delays(1), partition=partition, extra={"stamp": "a"})
    files = sorted((store.root / "x").rglob("*.parquet"))

    after = store.write("x", delays(1), partition=partition, extra={"stamp": "b"})

    assert sorted((store.root / "x").rglob("*.parquet")) == files
    assert (after.sha256, after.rows, after.version) == (before.sha256, before.rows, before.version + 1)
    assert [content.extra for content in TableStore(store.root).contents("x").values()] == [{"stamp": "b"}]
    assert TableStore(store.root).read("x").equals(delays(1))


def test_notes_of_many_partitions_are_one_commit(three_days):
    """Nothing else changes, and noting the same again commits nothing."""
    before = three_days.version("raw/delays")

    for _ in range(2):
        three_days.note("raw/delays", {day: {"stamp": "new"} for day in DAYS[1:]})

    after = TableStore(three_days.root).version("raw/delays")
    assert (after.version, after.partitions) == (before.version + 1, before.partitions)
    assert [each.extra for each in three_days.contents("raw/delays").values()] == [{}, *[{"stamp": "new"}] * 2]


def test_a_note_never_names_the_rows_of_a_rival(three_days, monkeypatch):
    """Who replaces a partition while it is being noted has the last word on its rows and their note."""
    rival, taken = TableStore(three_days.root), three_days._note

    def overtaken(table, handle, contents):
        monkeypatch.setattr(three_days, "_note", taken)
        rival.write("raw/delays", delays(7), partition=DAYS[0], extra={"stamp": "rival"})
        taken(table, handle, contents)

    monkeypatch.setattr(three_days, "_note", overtaken)

    three_days.note("raw/delays", {day: {"stamp": "ours"} for day in DAYS})

    contents = TableStore(three_days.root).contents("raw/delays")
    assert [content.extra["stamp"] for content in contents.values()] == ["rival", "ours", "ours"]
    assert contents[DAYS[0]].sha256 == sha256_table(delays(7))


def test_parts_that_differ_from_what_is_there_are_named(three_days):
    """By their rows as the table would keep them, and nothing is written."""
    before = three_days.version("raw/delays")
    rows = delays(1, 11).select(["delay", "carrier"])

    parts = {DAYS[0]: rows, DAYS[1]: rows, DAYS[2]: delays(2), "2013-01-04": rows}
    differing = three_days.differing("raw/delays", parts)

    assert differing == (DAYS[0], DAYS[2], "2013-01-04")
    assert three_days.version("raw/delays") == before


def test_a_commit_of_another_program_is_noticed(three_days):
    """Rows written past the store have no known digest, so the table says so instead of naming an old one."""
    foreign = delays(1).append_column("partition", [[DAYS[0]]])
    write_deltalake(three_days.root / "raw/delays", foreign, mode="append")

    with pytest.raises(StoreError, match="Version 1 of table 'raw/delays' was written by another program"):
        three_days.version("raw/delays")


def test_another_process_sees_a_commit_at_once(three_days):
    """A store that holds the table open answers with the newest version."""
    other = TableStore(three_days.root)
    other.write("raw/delays", delays(8), partition=DAYS[0])

    assert three_days.read("raw/delays", partitions=[DAYS[0]])["delay"].to_pylist() == [8]


def test_versions_stay_right_over_hundreds_of_commits(store):
    """The digest of each partition is its newest, past checkpoints and reopened handles, and quickly."""
    for turn in range(240):
        store.write("x", delays(turn), partition=f"p{turn % 7}")

    started = time.perf_counter()
    version = TableStore(store.root).version("x")
    took_s = time.perf_counter() - started

    assert version == store.version("x")
    assert version.version == 239
    assert version.partitions == {f"p{turn % 7}": sha256_table(delays(turn)) for turn in range(233, 240)}
    assert took_s < 2


def test_a_write_too_big_for_one_file_keeps_its_order(store, monkeypatch):
    """Row order survives a partition that is split over files."""
    monkeypatch.setattr(files, "FILE_BYTES", 20_000)
    monkeypatch.setattr(files, "GROUP_ROWS", 5_000)
    rows = pa.table({"x": random.Random(0).sample(range(10**9), 60_000)})

    store.write("x", rows, partition="p")

    assert len(list((store.root / "x/partition=p").iterdir())) > 1
    assert store.read("x").equals(rows)


def test_pieces_are_the_rows_of_a_version_in_their_order(store, monkeypatch):
    """Of any size, whatever was written since."""
    monkeypatch.setattr(files, "GROUP_ROWS", 600)
    monkeypatch.setattr(reading, "PIECE_ROWS", 400)
    rows = pa.table({"x": random.Random(0).sample(range(10**6), 1_000)})
    first = store.write("x", rows)
    store.write("x", rows.slice(0, 1))

    pieces = list(store.pieces("x", version=first.version))

    assert [len(piece) for piece in pieces] == [400, 400, 200]
    assert pa.concat_tables(pieces).equals(rows)
    assert pieces[0].schema == store.read("x").schema


@pytest.mark.parametrize("partition", [None, "p"])
def test_a_table_made_by_a_rival_meanwhile_is_written_over_not_added_to(store, monkeypatch, partition):
    """Two processes see no table and both write it: the later content stays, never both."""
    create = writing.create_table_with_add_actions

    def with_rival(*arguments, **how):
        monkeypatch.setattr(writing, "create_table_with_add_actions", create)
        TableStore(store.root).write("x", delays(1, 2, 3), partition=partition)
        create(*arguments, **how)

    monkeypatch.setattr(writing, "create_table_with_add_actions", with_rival)

    store.write("x", delays(9), partition=partition)

    assert store.read("x").equals(delays(9))
    assert store.version("x").version == 1


def _overtaken(store: TableStore, monkeypatch, rival: Callable[[TableStore], object]) -> None:
    """Let a rival commit between the look at the table and the next commit of `store`."""
    hand_over = Staging.hand_over

    def overtaken(staging, keys):
        monkeypatch.setattr(Staging, "hand_over", hand_over)
        rival(TableStore(store.root))
        return hand_over(staging, keys)

    monkeypatch.setattr(Staging, "hand_over", overtaken)


@pytest.mark.parametrize("key", [DAYS[0], "2013-01-04"])
def test_of_rivals_for_one_partition_the_last_one_stays(three_days, monkeypatch, key):
    """Also where neither of them saw the partition before: there are never the rows of both."""
    _overtaken(three_days, monkeypatch, lambda rival: rival.write("raw/delays", delays(1, 2, 3), partition=key))

    three_days.write("raw/delays", delays(9), partition=key)

    assert three_days.read("raw/delays", partitions=[key])["delay"].to_pylist() == [9]
    assert three_days.version("raw/delays").version == 2


def test_rivals_for_different_partitions_both_stay(three_days, monkeypatch):
    """Who comes second commits on top of the first."""
    _overtaken(three_days, monkeypatch, lambda rival: rival.write("raw/delays", delays(1), partition=DAYS[0]))

    three_days.write("raw/delays", delays(9), partition=DAYS[1])

    assert three_days.read("raw/delays")["delay"].to_pylist() == [1, 9, 2, 12]


def test_rows_made_ready_before_a_rival_added_a_column_get_it_too(three_days, monkeypatch):
    """Their digest is that of what is read back."""
    wider = delays(3).append_column("gate", [["A1"]])
    _overtaken(three_days, monkeypatch, lambda rival: rival.write("raw/delays", wider, partition=DAYS[0]))

    written = three_days.write("raw/delays", delays(9), partition=DAYS[1])

    assert three_days.read("raw/delays", partitions=[DAYS[1]])["gate"].to_pylist() == [None]
    assert written.partitions[DAYS[1]] == sha256_table(three_days.read("raw/delays", partitions=[DAYS[1]]))


def test_rows_that_come_in_pieces_are_one_version(three_days, monkeypatch):
    """More than may be held go to files at once, and are the same as if they had come together."""
    monkeypatch.setattr(staging, "HELD_BYTES", 2_000)
    pieces = [delays(*range(start, start + 100)) for start in range(0, 1000, 100)]

    with three_days.begin("raw/delays", [pieces[0].schema], partitioned=True) as write:
        for piece in pieces:
            write.add(piece, partition=DAYS[0])
            write.add(piece, partition="2013-01-04")
        assert three_days.version("raw/delays").rows == 6
        written = write.commit(extra={DAYS[0]: {"stamp": "a"}})

    whole = pa.concat_tables(pieces)
    assert three_days.read("raw/delays", partitions=[DAYS[0]]).equals(whole)
    assert written.partitions == dict.fromkeys((DAYS[0], "2013-01-04"), sha256_table(whole))
    assert three_days.contents("raw/delays")[DAYS[0]].extra == {"stamp": "a"}
    assert written.version == 1


def test_a_write_that_is_not_committed_leaves_nothing(three_days, monkeypatch):
    """Neither rows nor files."""
    monkeypatch.setattr(staging, "HELD_BYTES", 1)
    before = three_days.version("raw/delays"), sorted(three_days.root.rglob("*.parquet"))

    with three_days.begin("raw/delays", [delays().schema], partitioned=True) as write:
        write.add(delays(1), partition=DAYS[0])
        assert len(list(three_days.root.rglob("*.parquet"))) == len(before[1]) + 1

    assert (three_days.version("raw/delays"), sorted(three_days.root.rglob("*.parquet"))) == before


def test_pieces_of_what_is_there_commit_nothing_and_leave_no_file(three_days, monkeypatch):
    """Known only once the last piece came, and then the files go."""
    monkeypatch.setattr(staging, "HELD_BYTES", 1)
    before = three_days.version("raw/delays"), sorted(three_days.root.rglob("*.parquet"))

    three_days.write("raw/delays", delays(1, 11), partition=DAYS[1])

    assert (three_days.version("raw/delays"), sorted(three_days.root.rglob("*.parquet"))) == before


def test_a_partition_that_is_there_already_is_not_written_again(three_days):
    """Of a range only what changed gets new files, still in one commit."""
    before = three_days.version("raw/delays").version

    parts = {DAYS[0]: delays(0, 10), DAYS[1]: delays(5)}
    written = three_days.write_partitions("raw/delays", parts)

    assert written.version == before + 1
    files = {day: len(list((three_days.root / f"raw/delays/partition={day}").iterdir())) for day in DAYS}
    assert files == {DAYS[0]: 1, DAYS[1]: 2, DAYS[2]: 1}


LOCAL = pa.array([datetime(2013, 1, 1, 5, tzinfo=UTC)] * 3).cast(pa.timestamp("us"))


def test_a_first_time_without_a_zone_may_come_late(three_days):
    """Readers must know of such times beforehand, and the table tells them."""
    rows = delays(3).append_column("local", [LOCAL[:1]])

    three_days.write("raw/delays", rows, partition=DAYS[0])

    again = TableStore(three_days.root)
    assert again.read("raw/delays", partitions=[DAYS[0]]).equals(rows)
    assert again.version("raw/delays").partitions[DAYS[0]] == sha256_table(rows)


EVERY_KIND = pa.table(
    {
        "n": pa.array([3, None, -1], pa.int64()),
        "x": pa.array([1.5, 2.5, None]),
        "nan": pa.array([1.5, float("nan"), float("inf")]),
        "at": pa.array([datetime(2013, 1, 1, 5, 0, 0, 1500, UTC), None, datetime(2013, 1, 2, tzinfo=UTC)]).cast(
            pa.timestamp("us", "UTC")
        ),
        "local": LOCAL,
        "day": pa.array([date(2013, 1, 1)] * 3),
        "yes": pa.array([True, False, None]),
        "who": pa.array(["b", "é", "a" * 100]),
        "none": pa.nulls(3, pa.string()),
        "list": pa.array([[1.0], None, []], pa.list_(pa.float64())),
    }
)


def test_text_is_kept_as_a_dictionary_where_it_repeats_itself(store):
    """Names of carriers are, numbers of orders are not: a dictionary of those would be a second copy of them."""
    orders = [f"order {number}" for number in range(1000)]

    rows = pa.table({"order": orders, "carrier": ["AA", "UA"] * 500, "nobody": pa.nulls(1000, pa.string())})
    store.write("raw/orders", rows)

    (file,) = (store.root / "raw/orders").glob("*.parquet")
    group = pq.read_metadata(file).row_group(0)
    kept = {group.column(place).path_in_schema: group.column(place).has_dictionary_page for place in range(3)}
    assert kept == {"order": False, "carrier": True, "nobody": True}
    assert store.read("raw/orders")["order"].to_pylist() == orders


def test_readers_are_told_what_a_file_holds(store):
    """Bounds surely hold every value, cut as Delta cuts times; where none can be told, none are."""
    store.write("x", EVERY_KIND, partition="a b")

    (file,) = pa.table(DeltaTable(store.root / "x").get_add_actions()).to_pylist()

    at = datetime(2013, 1, 1, 5, 0, 0, 1000, UTC), datetime(2013, 1, 2, tzinfo=UTC)
    assert file["num_records"] == 3
    assert file["partition"] == {"partition": "a b"}
    bounds = {name: (file["min"][name], file["max"][name]) for name in file["min"] if file["min"][name] is not None}
    local, day = LOCAL[0].as_py(), date(2013, 1, 1)
    assert bounds == {"n": (-1, 3), "x": (1.5, 2.5), "at": at, "local": (local, local), "day": (day, day)}
    assert {name: file["null_count"][name] for name in ("n", "at", "yes", "none")} == {
        "n": 1,
        "at": 1,
        "yes": 1,
        "none": 3,
    }


def test_other_engines_read_the_table(store):
    """DuckDB and Polars see the same rows, and find one by its bounds."""
    store.write_partitions("x", {"a b": EVERY_KIND, "é/z": EVERY_KIND.slice(0, 1)})
    delta = DeltaTable(store.root / "x")
    kept = EVERY_KIND.drop(["list", "nan"])

    by_polars = pl.scan_delta(delta).filter(pl.col("partition") == "a b").select(kept.column_names).collect()
    by_duckdb = duckdb.read_parquet(delta.file_uris()).filter("n IS DISTINCT FROM 3").select(*kept.column_names)

    assert by_polars.equals(pl.from_arrow(kept), null_equal=True)
    assert by_duckdb.to_arrow_table().cast(kept.schema).equals(kept.slice(1))
    last = datetime(2013, 1, 2, tzinfo=UTC)
    assert pl.scan_delta(delta).filter(pl.col("at") >= last).collect().height == 1


def _write_days(root: Path, name: str, keys: list[str], start_at: float) -> None:
    store = TableStore(root)
    time.sleep(max(0.0, start_at - time.time()))
    for key in keys:
        store.write("shared", pa.table({"by": [name] * 3}), partition=key)


def test_writers_in_different_processes_do_not_lose_rows(tmp_path):
    """Processes that create and fill a table at once all succeed; of rivals for a partition one stays, whole."""
    spawn = multiprocessing.get_context("spawn")
    start_at = time.time() + 2.5
    plans = {name: [f"{name}{i}" for i in range(4)] + ["common"] * 3 for name in "abc"}
    plans = {name: ["common", *keys] for name, keys in plans.items()}
    writers = [spawn.Process(target=_write_days, args=(tmp_path, name, keys, start_at)) for name, keys in plans.items()]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    store = TableStore(tmp_path)

    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert store.partitions("shared") == tuple(sorted({key for keys in plans.values() for key in keys}))
    for key, digest in store.version("shared").partitions.items():
        rows = store.read("shared", partitions=[key])
        assert rows["by"].to_pylist() in ([name] * 3 for name in "abc")
        assert sha256_table(rows) == digest


WRITE_FOREVER = """
import sys
import pyarrow as pa
from mlops_assets.stores.tables import TableStore
store = TableStore(sys.argv[1])
store.read("x")
print("ready", flush=True)
turn = int(sys.argv[2])
while True:
    turn += 1
    rows = pa.table({"turn": [turn] * 5000})
    store.write_partitions("x", {"a": rows, "b": rows})
"""


def test_a_killed_writer_leaves_the_old_or_the_new_version(tmp_path):
    """Ten times killed at a random moment: both partitions are of one turn, whole, and writing goes on."""
    store = TableStore(tmp_path)
    store.write_partitions("x", {key: pa.table({"turn": [0] * 5000}) for key in "ab"})
    rng = random.Random(7)
    turns = []
    for _ in range(10):
        last = store.read("x")["turn"][0].as_py()
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE_FOREVER, str(tmp_path), str(last)], stdout=subprocess.PIPE
        )
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.01, 0.25))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()

        rows = TableStore(tmp_path).read("x")

        assert rows.num_rows == 10_000
        assert len(set(rows["turn"].to_pylist())) == 1
        version = store.version("x")
        assert version.partitions["a"] == version.partitions["b"] == sha256_table(rows.slice(0, 5000))
        turns.append(rows["turn"][0].as_py())
    assert turns == sorted(turns)
    assert turns[-1] > 0


def test_a_folder_without_leave_to_write_says_what_to_do(store, monkeypatch):
    """The engine's wording of an errno becomes what is wrong and how to mend it."""

    def full(*args, **kwargs):
        raise OSError("Generic LocalFileSystem error: Unable to copy data: No space left on device (os error 28)")

    monkeypatch.setattr(writing, "create_table_with_add_actions", full)

    with pytest.raises(StoreError, match=r"'x' was not written to .*: the disk is full. Free some space .* unchanged"):
        store.write("x", delays(1))


@pytest.mark.parametrize("kept", [0, 5, 200])
@pytest.mark.parametrize("read", [lambda s: s.read("raw/delays"), lambda s: list(s.pieces("raw/delays"))])
def test_a_file_that_was_cut_off_is_told_with_how_to_mend_it(three_days, tmp_path, kept, read):
    """As a disk that was full, or a copy that was broken off, leaves it."""
    file = next(tmp_path.rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:kept])

    with pytest.raises(StoreError, match=r"'raw/delays' names a file that cannot be read: .* Restore .* from a backup"):
        read(TableStore(three_days.root))

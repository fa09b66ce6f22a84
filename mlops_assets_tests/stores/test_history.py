"""A table's past: every version with its time and digest, and what is left of it when only some versions are kept."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from mlops_assets.digests import sha256_table
from mlops_assets.errors import StoreError
from mlops_assets.stores.history import history, version_at
from mlops_assets.stores.tables import TableNotFoundError, TableStore, stored_digest

AT_ONCE = timedelta(0)


def turn(number: int) -> pa.Table:
    return pa.table({"turn": [number] * 3})


@pytest.fixture
def store(tmp_path):
    """A table of two days, `a` written three times and `b` once."""
    store = TableStore(tmp_path / "tables")
    store.write_partitions("raw/x", {"a": turn(0), "b": turn(10)})
    store.write("raw/x", turn(1), partition="a")
    store.write("raw/x", turn(2), partition="a")
    return store


def readable(store, table):
    """Name the versions that are read back under the digest they were written with."""
    fresh, whole = TableStore(store.root), []
    for past in history(fresh, table):
        try:
            rows = fresh.read(table, version=past.version)
        except TableNotFoundError:
            continue
        written = fresh.version(table, past.version)
        start = 0
        for key, digest in written.partitions.items():
            assert sha256_table(rows.slice(start, past.rows[key])) == digest
            start += past.rows[key]
        assert written.sha256 == past.sha256
        whole.append(past.version)
    return whole


def test_every_version_is_listed_with_its_digest_and_when_it_was_replaced(store):
    """Digest and rows are those the store itself gives for that version; the newest was not replaced."""
    before = datetime.now(UTC) - timedelta(minutes=5)

    first, second, third = history(store, "raw/x")

    assert [past.version for past in (first, second, third)] == [0, 1, 2]
    assert [store.version("raw/x", n).sha256 for n in range(3)] == [first.sha256, second.sha256, third.sha256]
    assert before < first.at <= second.at <= third.at
    assert (first.replaced_at, second.replaced_at, third.replaced_at) == (second.at, third.at, None)
    assert (first.written, second.written, third.rows) == (("a", "b"), ("a",), {"a": 3, "b": 3})


def test_a_note_about_rows_is_no_version(store):
    """It changes none of them."""
    store.write("raw/x", turn(2), partition="a", extra={"source": "again"})

    assert store.version("raw/x").version == 3
    assert [past.version for past in history(store, "raw/x")] == [0, 1, 2]


def test_a_table_that_was_never_written_has_no_history(store):
    """The message names the tables there are."""
    with pytest.raises(TableNotFoundError, match="Known: raw/x"):
        history(store, "raw/y")


def test_versions_that_are_not_kept_go_and_the_others_stay(store):
    """The newest stays unasked; a version that shares all its files with one that stays can still be read."""
    gone = store.keep_only("raw/x", [0], grace=AT_ONCE)

    assert len(gone) == 1
    assert readable(store, "raw/x") == [0, 2]
    assert [past.readable for past in history(store, "raw/x")] == [True, False, True]
    with pytest.raises(TableNotFoundError, match=r"Version 1 of table 'raw/x' is no longer there: retention"):
        store.read("raw/x", version=1)


def test_a_trial_deletes_nothing(store):
    """It names what would go, and adds nothing to the log."""
    would = store.keep_only("raw/x", [], grace=AT_ONCE, dry_run=True)

    assert len(would) == 2
    assert readable(store, "raw/x") == [0, 1, 2]
    assert store.version("raw/x").version == 2


def test_cleaning_goes_on_where_there_is_something_to_clean(store):
    """A second time nothing is left to do, and the log does not grow."""
    store.keep_only("raw/x", [], grace=AT_ONCE)
    version = store.version("raw/x").version

    again = store.keep_only("raw/x", [], grace=AT_ONCE)

    assert again == ()
    assert store.version("raw/x").version == version
    assert [past.version for past in history(store, "raw/x")] == [0, 1, 2]


def test_what_changed_no_row_counts_as_the_version_before(store):
    """A training set that was joined from the table after a cleaning names the number the log had reached."""
    store.keep_only("raw/x", [], grace=AT_ONCE)
    number = store.version("raw/x").version
    past = history(store, "raw/x")

    assert number > 2
    assert version_at(past, number) == past[-1]
    store.write("raw/x", turn(3), partition="a")
    store.keep_only("raw/x", [number], grace=AT_ONCE)
    assert readable(store, "raw/x")[0] == 2


def test_what_a_writer_has_yet_to_commit_is_spared(store):
    """Only after a day does a file that no version names count as left behind by a killed writer."""
    young = store.root / "raw/x/partition=a/part-00000-young.parquet"
    old = store.root / "raw/x/partition=a/part-00000-old.parquet"
    for file in (young, old):
        file.write_bytes(b"half a file")
    two_days_ago = time.time() - 2 * 86400
    os.utime(old, (two_days_ago, two_days_ago))

    gone = store.keep_only("raw/x", [])

    assert gone == ("partition=a/part-00000-old.parquet",)
    assert young.exists()
    assert readable(store, "raw/x") == [0, 1, 2]


def test_a_version_that_is_not_there_cannot_be_kept(store):
    """A mistaken number must not cost the version that was meant."""
    with pytest.raises(StoreError, match="and 7 were to be kept, so nothing was deleted"):
        store.keep_only("raw/x", [7], grace=AT_ONCE)

    assert readable(store, "raw/x") == [0, 1, 2]


def test_a_digest_can_be_told_without_writing(store):
    """In the types the table would keep: nanoseconds become microseconds."""
    rows = pa.table({"at": pa.array([1_000_000], pa.timestamp("ns", "UTC")), "n": pa.array([1], pa.uint8())})

    assert stored_digest(rows, table="y") == store.write("y", rows).sha256


CLEAN = """
import sys
from datetime import timedelta
from mlops_assets.stores.tables import TableStore
store = TableStore(sys.argv[1])
store.version("raw/x")
print("ready", flush=True)
store.keep_only("raw/x", [0, 20, 40], grace=timedelta(0))
"""


def test_a_killed_cleaning_leaves_what_was_to_be_kept(tmp_path):
    """Killed at random moments, begun again each time, until it ends: kept versions and the newest are whole."""
    store = TableStore(tmp_path)
    for number in range(60):
        store.write("raw/x", turn(number), partition="ab"[number % 2])
    rng = random.Random(3)
    killed = 0
    for _ in range(8):
        cleaning = subprocess.Popen([sys.executable, "-c", CLEAN, str(tmp_path)], stdout=subprocess.PIPE)
        assert cleaning.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.0, 0.12))
        os.kill(cleaning.pid, signal.SIGKILL)
        killed += cleaning.wait() == -signal.SIGKILL
        cleaning.stdout.close()

        assert {0, 20, 40, 59} <= set(readable(TableStore(tmp_path), "raw/x"))
        TableStore(tmp_path).write("raw/x", turn(59), partition="b")

    store.keep_only("raw/x", [0, 20, 40], grace=AT_ONCE)

    assert killed
    assert readable(store, "raw/x") == [0, 20, 40, 59]

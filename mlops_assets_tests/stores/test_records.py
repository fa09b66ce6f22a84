"""Records at rest: the newest of each asset and partition, whole."""

import errno
import random
import signal
import subprocess
import sys
import time

import pytest

from mlops_assets.errors import StoreError
from mlops_assets.records import Metric, TableVersion
from mlops_assets.stores import records
from mlops_assets.stores.records import RecordNotFoundError, RecordStore

KEY = ("raw", "flights")


def version(number: int) -> TableVersion:
    return TableVersion(table="raw/flights", version=number, sha256=f"{number:064x}", rows=number)


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path / "records")


def test_the_newest_record_is_given_back(store):
    """A second put replaces the first."""
    store.put(KEY, None, version(1))
    store.put(KEY, None, version(2))

    assert store.get(KEY, None, TableVersion) == version(2)


def test_partitions_are_kept_apart(store):
    """Each partition has its record, apart from that of the whole asset and of assets below it."""
    store.put(KEY, "2013-01-02", version(2))
    store.put(KEY, "2013-01-01", version(1))
    store.put(KEY, None, version(3))
    store.put((*KEY, "late"), None, version(4))

    assert store.partitions(KEY) == ("2013-01-01", "2013-01-02")
    assert store.get(KEY, "2013-01-01", TableVersion) == version(1)
    assert store.get(KEY, None, TableVersion) == version(3)


def test_a_missing_record_can_be_asked_for_or_demanded(store):
    """`find` answers None; `get` says what there is and what to do."""
    store.put(KEY, "2013-01-01", version(1))

    assert store.find(KEY, "2013-01-02", TableVersion) is None
    with pytest.raises(RecordNotFoundError, match=r"raw/flights \[2013-01-02\] .* partitions 2013-01-01. Materialize"):
        store.get(KEY, "2013-01-02", TableVersion)
    with pytest.raises(LookupError, match="No record of other"):
        store.get(("other",), None, TableVersion)


def test_a_record_of_another_type_is_refused(store):
    """A file that is not the record expected is an error, never a half-filled record."""
    store.put(KEY, None, Metric(name="auc", value=0.7, n=10))

    with pytest.raises(StoreError, match="is not a TableVersion"):
        store.get(KEY, None, TableVersion)


@pytest.mark.parametrize(("key", "partition"), [(("..", "x"), None), (("a/b",), None), (KEY, "../x"), (KEY, "")])
def test_a_key_cannot_leave_the_root(store, key, partition):
    """Keys and partitions become file names and nothing else."""
    with pytest.raises(StoreError, match="cannot name a file"):
        store.put(key, partition, version(1))


def test_a_full_disk_keeps_the_old_record(store, monkeypatch):
    """What was there before stays, and the error says so."""
    store.put(KEY, None, version(1))

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(records, "write_file", full)

    with pytest.raises(StoreError, match=r"Record raw/flights was not written .*the disk is full.* unchanged"):
        store.put(KEY, None, version(2))

    assert store.get(KEY, None, TableVersion) == version(1)


PUT_FOREVER = """
import itertools, sys
from mlops_assets.records import TableVersion
from mlops_assets.stores.records import RecordStore
store = RecordStore(sys.argv[1])
print("ready", flush=True)
for number in itertools.count(1):
    parts = {f"2013-01-{day:02}": f"{number:064x}" for day in range(1, 29)}
    record = TableVersion(table="raw/flights", version=number, sha256=f"{number:064x}", rows=number, partitions=parts)
    store.put(("raw", "flights"), None, record)
"""


def test_a_killed_writer_leaves_a_whole_record(store):
    """Ten times killed at a random moment: the record is one of those written."""
    store.put(KEY, None, version(0))
    rng = random.Random(11)
    for _ in range(10):
        writer = subprocess.Popen([sys.executable, "-c", PUT_FOREVER, str(store.root)], stdout=subprocess.PIPE)
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.005, 0.08))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()

        record = store.get(KEY, None, TableVersion)

        assert record.sha256 == f"{record.version:064x}"
        assert set(record.partitions.values()) == {record.sha256}

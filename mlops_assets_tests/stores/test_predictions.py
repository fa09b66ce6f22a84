"""The prediction log: appended means there after a kill, torn ends are dropped, damage is never passed over."""

import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlops_assets.errors import StoreError
from mlops_assets.stores import predictions
from mlops_assets.stores.predictions import PredictionLogWriter, days, read_predictions

DAY = "2013-05-01"


def written(root: Path, *records: bytes) -> Path:
    """Write one segment and give its path."""
    log = PredictionLogWriter(root, "late")
    for record in records:
        log.append(DAY, record)
    log.close()
    return next((root / "late" / DAY).glob("*.log"))


def read(root: Path) -> list[bytes]:
    return list(read_predictions(root, "late", DAY))


def test_records_come_back_by_day_in_the_order_written(tmp_path):
    """Each record lies under the event day it was given."""
    log = PredictionLogWriter(tmp_path, "late")

    log.append(DAY, b"one", b"two")
    log.append("2013-05-02", b"other")
    log.append(DAY, b"three")
    log.close()

    assert read(tmp_path) == [b"one", b"two", b"three"]
    assert list(read_predictions(tmp_path, "late", "2013-05-02")) == [b"other"]
    assert days(tmp_path, "late") == (DAY, "2013-05-02")


def test_a_day_without_predictions_is_empty(tmp_path):
    """Nothing logged is no fault."""
    assert read(tmp_path) == []
    assert days(tmp_path, "late") == ()


def test_records_can_be_read_while_the_log_is_open(tmp_path):
    """What `append` returned from can be read at once."""
    log = PredictionLogWriter(tmp_path, "late", fsync_interval_s=60)

    for record in (b"one", b"two"):
        log.append(DAY, record)

    assert read(tmp_path) == [b"one", b"two"]
    log.close()


def test_a_torn_end_is_dropped_wherever_it_was_torn(tmp_path):
    """Every way to lose the end of the last frame leaves the frames before it."""
    segment = written(tmp_path, b"first record", b"second record")
    whole = segment.read_bytes()
    second = len(whole) // 2

    for cut in range(second, len(whole)):
        segment.write_bytes(whole[:cut] if cut > second else whole[:cut] + b"\0" * 5000)

        assert read(tmp_path) == [b"first record"][: cut // second]


@pytest.mark.parametrize("position", [0, 3, 5, 10], ids=["length", "high byte of length", "checksum", "payload"])
def test_damage_in_the_middle_is_an_error_and_not_a_shorter_day(tmp_path, position):
    """A flipped bit with whole frames behind it must not pass for a torn end."""
    segment = written(tmp_path, b"first record", b"second record", b"third record")
    data = bytearray(segment.read_bytes())
    data[position] ^= 0x40
    segment.write_bytes(data)

    with pytest.raises(StoreError, match="damaged at byte 0"):
        read(tmp_path)


def test_segments_end_when_they_are_long(tmp_path, monkeypatch):
    """A long day is several segments, read as one."""
    monkeypatch.setattr(predictions, "SEGMENT_BYTES", 100)
    log = PredictionLogWriter(tmp_path, "late")
    records = [b"%03d" % number * 10 for number in range(20)]

    for record in records:
        log.append(DAY, record)
    log.close()

    assert len(list((tmp_path / "late" / DAY).iterdir())) > 5
    assert read(tmp_path) == records


def test_more_days_than_open_files_lose_nothing(tmp_path, monkeypatch):
    """Days written in turn share few open files."""
    monkeypatch.setattr(predictions, "OPEN_SEGMENTS", 2)
    log = PredictionLogWriter(tmp_path, "late")

    for turn in (b"a", b"b"):
        for day in range(1, 6):
            log.append(f"2013-05-0{day}", turn)
    log.close()

    assert [list(read_predictions(tmp_path, "late", day)) for day in days(tmp_path, "late")] == [[b"a", b"b"]] * 5


def test_threads_share_a_writer(tmp_path):
    """Frames of different threads never mix."""
    log = PredictionLogWriter(tmp_path, "late", fsync_interval_s=0.001)
    records = [b"%d" % number * (number % 50 + 1) for number in range(2000)]

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda record: log.append(DAY, record), records))
    log.close()

    assert sorted(read(tmp_path)) == sorted(records)


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path):
    """SIGKILL in the middle of appending keeps every record whose append had returned."""
    program = f"""
        import sys
        from mlops_assets.stores.predictions import PredictionLogWriter
        log = PredictionLogWriter({str(tmp_path)!r}, "late", fsync_interval_s=0.01)
        number = 0
        while True:
            log.append({DAY!r}, b"%d" % number * 50)
            sys.stdout.write(f"{{number}}\\n")
            sys.stdout.flush()
            number += 1
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline() for _ in range(500)]
    process.send_signal(signal.SIGKILL)
    acknowledged += [line for line in process.stdout if line.endswith("\n")]
    process.wait()
    process.stdout.close()

    records = read(tmp_path)

    assert len(acknowledged) >= 500
    assert records[: len(acknowledged)] == [b"%d" % int(line) * 50 for line in acknowledged]


def test_a_full_disk_is_told_and_writing_goes_on_after_it(tmp_path):
    """The refused record is nowhere, those before and after are; a file size limit stands in for the disk."""
    program = f"""
        import resource
        from mlops_assets.errors import StoreError
        from mlops_assets.stores.predictions import PredictionLogWriter
        log = PredictionLogWriter({str(tmp_path)!r}, "late", fsync_interval_s=60)
        log.append({DAY!r}, b"before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (30, resource.RLIM_INFINITY))
        for _ in range(5):
            try:
                log.append({DAY!r}, b"refused" * 10)
            except StoreError as error:
                assert "Free disk space" in str(error), error
            else:
                raise SystemExit("a full disk went unnoticed")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.append({DAY!r}, b"after")
        log.close()
    """

    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)

    assert read(tmp_path) == [b"before", b"after"]
    assert len(list((tmp_path / "late" / DAY).iterdir())) == 2  # a disk that stays full gets no file for each try


def test_a_file_that_could_not_be_begun_keeps_no_later_one_from_it(tmp_path, monkeypatch):
    """Its name is not tried again: it may be there by then."""

    def broken(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    log = PredictionLogWriter(tmp_path, "late", fsync_interval_s=0)
    with monkeypatch.context() as patch:
        patch.setattr("mlops_assets.framed_log.sync_folder", broken)
        with pytest.raises(StoreError, match="Input/output error"):
            log.append(DAY, b"refused")

    log.append(DAY, b"after")
    log.close()

    assert read(tmp_path) == [b"after"]


def test_a_disk_that_cannot_sync_is_told_at_the_next_append(tmp_path, monkeypatch):
    """A failed fdatasync means that acknowledged records may be gone; silence would be a lie."""

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    log = PredictionLogWriter(tmp_path, "late", fsync_interval_s=0)
    monkeypatch.setattr(os, "fdatasync", broken)

    with pytest.raises(StoreError, match="Input/output error"):
        log.append(DAY, b"record")


def test_a_day_that_is_no_day_is_refused(tmp_path):
    """A day becomes a folder, so it may not be anything else."""
    log = PredictionLogWriter(tmp_path, "late")

    with pytest.raises(StoreError, match="no event day"):
        log.append("../../etc", b"record")

    log.close()


def test_a_record_too_long_to_log_is_refused(tmp_path):
    """The length that tells a torn record from damage holds for every record."""
    log = PredictionLogWriter(tmp_path, "late")

    with pytest.raises(StoreError, match="too long"):
        log.append(DAY, b"x" * (predictions.MAX_RECORD_BYTES + 1))

    log.close()

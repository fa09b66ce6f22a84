"""The event log: recorded means on the disk, once, and never changed."""

import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime

import msgspec
import pytest

from mlops_assets.errors import StoreError
from mlops_assets.framed_log import read_frames
from mlops_assets.stores import events as events_module
from mlops_assets.stores.events import Event, EventLog

NOW = datetime(2024, 1, 3, 12, tzinfo=UTC)
DAY, OTHER = "2024-01-02", "2024-01-03"


def event(number: int, *, day: str = DAY, **fields) -> Event:
    return Event(id=f"e{number}", day=day, fields={"id": f"e{number}", **fields})


def log(root) -> EventLog:
    return EventLog(root, "orders", id_field="id")


def recorded(root, day: str = DAY) -> list[str]:
    path = root / "orders" / f"{day}.log"
    return [msgspec.json.decode(frame)["id"] for _, frame in read_frames(path)] if path.exists() else []


def test_events_are_kept_by_day_in_the_order_recorded(tmp_path):
    """With the time of their recording."""
    new = log(tmp_path).record([event(2), event(1, day=OTHER), event(3, amount=1.5)], at=NOW)

    (_, first), (_, second) = read_frames(tmp_path / "orders" / f"{DAY}.log")
    assert new == 3
    assert msgspec.json.decode(first) == {"id": "e2", "recorded_at": NOW.isoformat()}
    assert msgspec.json.decode(second) == {"id": "e3", "amount": 1.5, "recorded_at": NOW.isoformat()}
    assert recorded(tmp_path, OTHER) == ["e1"]


def test_an_event_recorded_twice_is_there_once(tmp_path):
    """Within one call, in the next, from another process, and whatever the order of its fields."""
    one, same = event(1, a=1, b=2), Event(id="e1", day=DAY, fields={"b": 2, "a": 1, "id": "e1"})

    counts = [log(tmp_path).record(batch, at=NOW) for batch in ([one, same], [same], [one, event(2)])]

    assert counts == [1, 0, 1]
    assert recorded(tmp_path) == ["e1", "e2"]


def test_an_id_with_other_fields_is_refused_with_all_that_came_with_it(tmp_path):
    """Neither does it replace what is recorded, nor is it taken for it; also where it names another day."""
    log(tmp_path).record([event(1, amount=1)], at=NOW)

    with pytest.raises(StoreError, match="'e1' of orders is on record with other fields"):
        log(tmp_path).record([event(2), event(1, day=OTHER, amount=2)], at=NOW)

    assert (recorded(tmp_path), recorded(tmp_path, OTHER)) == (["e1"], [])


def test_the_index_is_made_anew_where_it_is_lost_damaged_or_of_another_log(tmp_path):
    """It only says what the log says."""
    log(tmp_path).record([event(1), event(2)], at=NOW)
    index, day = tmp_path / "orders/ids.sqlite", tmp_path / f"orders/{DAY}.log"
    older = day.read_bytes()[: len(day.read_bytes()) // 2]

    index.unlink()
    lost = log(tmp_path).record([event(1), event(2)], at=NOW)
    index.write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    damaged = log(tmp_path).record([event(1), event(2)], at=NOW)
    day.write_bytes(older)
    put_back = log(tmp_path).record([event(1), event(2)], at=NOW)

    assert (lost, damaged, put_back) == (0, 0, 1)
    assert recorded(tmp_path) == ["e1", "e2"]


def test_a_torn_end_is_cut_off_by_the_next_writer(tmp_path):
    """Wherever a kill tore it, and its event can be recorded again."""
    log(tmp_path).record([event(1)], at=NOW)
    path = tmp_path / f"orders/{DAY}.log"
    one = len(path.read_bytes())
    log(tmp_path).record([event(2)], at=NOW)
    whole = path.read_bytes()

    for cut in range(one, len(whole)):
        path.write_bytes(whole[:cut])

        assert log(tmp_path).record([event(1), event(2)], at=NOW) == 1
        assert path.read_bytes() == whole


def test_a_damaged_log_takes_no_more_events(tmp_path):
    """Which ids are in it is not known any more."""
    log(tmp_path).record([event(1), event(2)], at=NOW)
    path = tmp_path / f"orders/{DAY}.log"
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    (tmp_path / "orders/ids.sqlite").unlink()

    with pytest.raises(StoreError, match="damaged at byte 0"):
        log(tmp_path).record([event(3)], at=NOW)


def test_a_full_disk_leaves_what_was_there_and_nothing_of_the_refused(tmp_path):
    """A limit of the file's size stands in for the disk."""
    program = f"""
        import resource
        from datetime import UTC, datetime
        from mlops_assets.errors import StoreError
        from mlops_assets.stores.events import Event, EventLog
        log = EventLog({str(tmp_path)!r}, "orders", id_field="id")
        event = lambda n, text: Event(id=n, day={DAY!r}, fields={{"id": n, "text": text}})
        now = datetime(2024, 1, 3, tzinfo=UTC)
        log.record([event("a", "")], at=now)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
        try:
            log.record([event("b", "x" * 30000)], at=now)
        except StoreError as error:
            assert "Free some space" in str(error) or "File too large" in str(error), error
        else:
            raise SystemExit("a full disk went unnoticed")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert log.record([event("c", "")], at=now) == 1
    """

    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)

    assert recorded(tmp_path) == ["a", "c"]


def test_what_was_acknowledged_is_there_after_a_kill_and_nothing_twice(tmp_path):
    """Killed at ten moments, and each time the same events are recorded again from the first on."""
    program = f"""
        from datetime import UTC, datetime
        from mlops_assets.stores.events import Event, EventLog
        log = EventLog({str(tmp_path)!r}, "orders", id_field="id")
        for n in range(100000):
            events = [Event(id=f"{{n}}-{{i}}", day={DAY!r}, fields={{"id": f"{{n}}-{{i}}"}}) for i in range(3)]
            log.record(events, at=datetime(2024, 1, 3, tzinfo=UTC))
            print(n, flush=True)
    """
    acknowledged = -1
    for kill in range(10):
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(3 + kill):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.endswith("\n"))], default=-1)
        process.wait()
        process.stdout.close()

        ids = recorded(tmp_path)
        assert len(ids) == len(set(ids))
        assert {f"{n}-{i}" for n in range(acknowledged + 1) for i in range(3)} <= set(ids)


def _record_all(root, first: int) -> int:
    return sum(log(root).record([event(n)], at=NOW) for n in range(first, first + 30))


def test_writers_in_several_processes_record_each_event_once(tmp_path):
    """They wait for each other, and who comes second finds what the first has recorded."""
    with ProcessPoolExecutor(3) as pool:
        counts = list(pool.map(_record_all, [tmp_path] * 3, [0, 15, 0]))

    assert sum(counts) == 45
    assert sorted(recorded(tmp_path)) == sorted(f"e{n}" for n in range(45))


def test_an_event_is_on_the_disk_before_it_counts_as_recorded(tmp_path, monkeypatch):
    """The sync comes before the return, and one that fails is told."""
    synced = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    log(tmp_path).record([event(1)], at=NOW)

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)

    assert len(synced) == 1
    with pytest.raises(StoreError, match="Input/output error"):
        log(tmp_path).record([event(2)], at=NOW)


def test_an_event_too_long_for_a_frame_is_refused(tmp_path, monkeypatch):
    """It could not be told from damage afterwards."""
    monkeypatch.setattr(events_module, "MAX_RECORD_BYTES", 100)

    with pytest.raises(StoreError, match="too long to record"):
        log(tmp_path).record([event(1, text="x" * 100)], at=NOW)

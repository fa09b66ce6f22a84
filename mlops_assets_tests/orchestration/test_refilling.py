"""A store that lost its rows is written again from the tables, and is then as it was."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.errors import StoreError
from mlops_assets.orchestration.steps.live import refilling
from mlops_assets.orchestration.steps.live.refilling import Refilled, refill
from mlops_assets.records import FeatureView, Field
from mlops_assets.stores.home import Home

UTC_US = pa.timestamp("us", "UTC")
DAYS = [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(12)]
KEYS = [f"K{number:03}" for number in range(200)]


def view(name):
    rate = Field(name="rate", dtype="float64", nullable=True)
    return FeatureView(name=name, keys=(Field(name="key", dtype="string"),), features=(rate,), ttl_s=1e9)


A, B = view("a"), view("b")
NEVER = view("never")


def day_of_rows(number, keys=KEYS, *, add=0.0):
    times = pa.array([DAYS[number]] * len(keys), UTC_US)
    rates = pa.array([None if n % 7 == number else n + number / 100 + add for n in range(len(keys))], pa.float64())
    return pa.table({"key": keys, "rate": rates, "event_time": times, "known_at": times})


def bring_in(home, view, number, rows):
    """As a feature asset does: online first, then into the table."""
    home.online.write(view, rows)
    home.tables.write_partitions(f"features/{view.name}", {DAYS[number].date().isoformat(): rows})


@pytest.fixture(params=["sqlite", "redis"])
def kind(request, tmp_path):
    """Give the settings of a store, and how it loses everything."""
    if request.param == "sqlite":
        return {}, lambda: [file.unlink() for file in (tmp_path / "home").glob("online.sqlite*")]
    url = request.getfixturevalue("redis_server").new_database()
    import redis

    return {"MLOPS_ONLINE_URL": url}, lambda: redis.Redis.from_url(url).flushdb()


@pytest.fixture
def home(kind, tmp_path):
    """Two views of twelve days; some keys are in the older days only."""
    home = Home(tmp_path / "home", settings=kind[0])
    for one in (A, B):
        for number in range(len(DAYS)):
            bring_in(home, one, number, day_of_rows(number, KEYS if number < 6 else KEYS[:150]))
    return home


@pytest.fixture
def lose_all(kind, home):
    def lose():
        kind[1]()
        return Home(home.root, settings=kind[0])  # a reader's open file would go on showing what was removed

    return lose


def answers(home, one):
    """What decisions find: newest rows, superseded ones, and keys that were seen long ago."""
    keys = {"key": np.array([*KEYS, "never"], dtype=object)}
    found = []
    for day in (5, 8, 11):
        at = np.full(len(KEYS) + 1, np.datetime64(DAYS[day].replace(tzinfo=None), "us"))
        column = home.online.read(one, keys, at)["rate"]
        found.append((column.values.tobytes(), column.status.tolist(), column.event_time.tolist()))
    return found


def test_a_store_that_lost_its_rows_refuses_and_is_as_it_was_once_refilled(home, lose_all, monkeypatch):
    """Nothing is taken for missing that was only lost; tables are read some partitions at a time."""
    monkeypatch.setattr(refilling, "ROWS_AT_ONCE", 500)
    before = [answers(home, one) for one in (A, B)]
    home = lose_all()
    with pytest.raises(StoreError, match="a"):
        answers(home, A)

    done = list(refill([A, NEVER, B], home))

    assert [answers(home, one) for one in (A, B)] == before
    rows = 6 * 200 + 6 * 150
    assert done == [
        Refilled(view="a", rows=rows),
        Refilled(view="never", rows=0, skipped="it was never materialized"),
        Refilled(view="b", rows=rows),
    ]


def test_a_refill_of_a_store_that_lost_nothing_changes_nothing(home):
    """Newer rows stay, and so does what corrected an older one."""
    bring_in(home, A, 3, day_of_rows(3, add=0.5))
    newer = day_of_rows(11, add=9.0).set_column(3, "known_at", pa.array([DAYS[11] + timedelta(hours=1)] * 200, UTC_US))
    home.online.write(A, newer)
    before = answers(home, A)
    at = np.full(1, np.datetime64(DAYS[11].replace(tzinfo=None), "us") + np.timedelta64(2, "h"))

    list(refill([A], home))

    assert answers(home, A) == before
    assert home.online.read(A, {"key": np.array(["K001"], object)}, at)["rate"].values.tolist() == [10.11]


def test_a_refill_that_was_cut_off_goes_on_with_the_view_it_was_at(home, lose_all, monkeypatch):
    """Views that were written are not written again, unless the store has lost its rows once more."""
    home = lose_all()
    cut_off = refill([A, B], home)
    next(cut_off)

    again = list(refill([A, B], home))
    afterwards = list(refill([A, B], home))

    assert [done.skipped is None for done in again] == [False, True]
    assert [done.skipped is None for done in afterwards] == [True, True]
    next(refill([A, B], home))
    assert [done.skipped is None for done in refill([A, B], lose_all())] == [True, True]


def test_what_a_run_corrects_meanwhile_is_not_overwritten_with_what_was_read_before(home, monkeypatch):
    """The run wrote its rows online before the refill wrote the old ones over them, and its table after."""
    home_tables, corrected = home.tables, day_of_rows(11, KEYS[:150], add=0.25)
    write_all = home.online.write_all

    def overtaken(one, parts):
        monkeypatch.setattr(home.online, "write_all", write_all)
        rows = list(parts)
        home.online.write(one, corrected)
        offered = write_all(one, rows)
        home_tables.write_partitions("features/a", {DAYS[11].date().isoformat(): corrected})
        return offered

    monkeypatch.setattr(home.online, "write_all", overtaken)
    list(refill([A], home))

    at = np.full(1, np.datetime64(DAYS[11].replace(tzinfo=None), "us"))
    assert home.online.read(A, {"key": np.array(["K001"], object)}, at)["rate"].values.tolist() == [1.36]


KILLED = """
import json, os, signal, sys
from mlops_assets.orchestration.steps.live.refilling import refill
from mlops_assets.stores.home import Home
from mlops_assets.stores.online import rows
from mlops_assets_tests.orchestration.test_refilling import A, B
home, left = Home(sys.argv[1], settings=json.loads(sys.argv[2])), int(sys.argv[3])
encode = rows._encode
def encoded(value):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return encode(value)
rows._encode = encoded
list(refill([A, B], home))
"""


@pytest.mark.parametrize("calls", [300, 5_500])
def test_a_killed_refill_shows_a_view_whole_or_not_at_all(home, lose_all, kind, calls):
    """A view that is half there would answer that nothing was known of the other half."""
    before = {one.name: answers(home, one) for one in (A, B)}
    home = lose_all()
    arguments = [str(home.root), msgspec.json.encode(kind[0]).decode(), str(calls)]
    assert subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False).returncode == -9

    for one in (A, B):
        if home.online.holds(one):
            assert answers(home, one) == before[one.name]
    list(refill([A, B], home))
    assert {one.name: answers(home, one) for one in (A, B)} == before

"""What every online store keeps to: what a decision finds, whatever the order rows were written in, and by whom."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.errors import StoreError
from mlops_assets.records import FeatureView, Field
from mlops_assets.stores.online import OnlineStore, SqliteOnlineStore, open_online
from mlops_assets.stores.online.rows import Shape

START = datetime(2013, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
UTC_US = pa.timestamp("us", "UTC")
DELAYS = FeatureView(
    name="carrier_delays",
    keys=(Field(name="carrier", dtype="string"),),
    features=(Field(name="mean_delay", dtype="float64", nullable=True), Field(name="flights", dtype="int64")),
    ttl_s=48 * 3600.0,
)
WEATHER = FeatureView(
    name="weather",
    keys=(Field(name="origin", dtype="string"), Field(name="hour", dtype="timestamp")),
    features=(
        Field(name="sky", dtype="string", nullable=True),
        Field(name="wind", dtype="float64", nullable=True),
        Field(name="issued", dtype="timestamp"),
    ),
    ttl_s=1e9,
)


def rows(*entries: tuple[str, float | None, int, int]) -> pa.Table:
    """Rows of DELAYS from (carrier, mean delay, event hour, known hour)."""
    carriers, delays, event_hours, known_hours = zip(*entries, strict=True)
    return pa.table(
        {
            "carrier": pa.array(carriers, pa.string()),
            "mean_delay": pa.array(delays, pa.float64()),
            "flights": pa.array(range(len(entries)), pa.int64()),
            "event_time": pa.array([START + HOUR * hour for hour in event_hours], UTC_US),
            "known_at": pa.array([START + HOUR * hour for hour in known_hours], UTC_US),
        }
    )


def at(*hours: float) -> np.ndarray:
    """Moments of decision, in hours since the start."""
    return np.array([START.replace(tzinfo=None) + HOUR * hour for hour in hours], "datetime64[us]")


def carriers(*names: str | None) -> dict[str, np.ndarray]:
    return {"carrier": np.array(names, dtype=object)}


KINDS = ("sqlite", "redis")


@pytest.fixture(scope="module", params=KINDS)
def new_settings(request, tmp_path_factory) -> Callable[[], tuple[Path, dict[str, str]]]:
    """Give the home and the settings of an empty store of each kind, as often as asked."""

    def settings() -> tuple[Path, dict[str, str]]:
        home = tmp_path_factory.mktemp("home")
        if request.param == "sqlite":
            return home, {}
        return home, {"MLOPS_ONLINE_URL": request.getfixturevalue("redis_server").new_database()}

    return settings


@pytest.fixture
def place(new_settings) -> tuple[Path, dict[str, str]]:
    return new_settings()


@pytest.fixture
def store(place) -> OnlineStore:
    return open_online(*place)


def with_history(place: tuple[Path, dict[str, str]], history: int) -> OnlineStore:
    store = open_online(*place)
    store.history = history
    return store


def test_rows_come_back_in_the_order_of_the_keys(store):
    """Every decision gets its own key's row, and a key never written is missing."""
    store.write(DELAYS, rows(("AA", 1.5, 0, 0), ("UA", None, 0, 0)))

    found = store.read(DELAYS, carriers("UA", "ZZ", "AA", None), at(1, 1, 1, 1))

    assert found["mean_delay"].status.tolist() == ["ok", "missing", "ok", "missing"]
    np.testing.assert_array_equal(found["mean_delay"].values, [np.nan, np.nan, 1.5, np.nan])
    np.testing.assert_array_equal(found["flights"].values, [1.0, np.nan, 0.0, np.nan])
    assert found["flights"].values.dtype == np.float64


def test_strings_and_times_keep_their_types(store):
    """A string is an object with None for null, a time is datetime64 in UTC; keys may be composed."""
    hour = START + 5 * HOUR
    table = pa.table(
        {
            "origin": ["EWR", "JFK"],
            "hour": pa.array([hour, hour], UTC_US),
            "sky": pa.array(["clear", None], pa.string()),
            "wind": pa.array([3.0, None], pa.float64()),
            "issued": pa.array([START, START], UTC_US),
            "event_time": pa.array([START, START], UTC_US),
            "known_at": pa.array([START, START], UTC_US),
        }
    )
    store.write(WEATHER, table)
    keys = {"origin": np.array(["JFK", "EWR", "EWR"], object), "hour": np.append(at(5, 5), np.datetime64("NaT"))}

    found = store.read(WEATHER, keys, at(6, 6, 6))

    assert found["sky"].values.tolist() == [None, "clear", None]
    assert found["wind"].status.tolist() == ["ok", "ok", "missing"]
    assert found["issued"].values[1] == at(0)[0]
    assert np.isnat(found["issued"].values[2])


@pytest.mark.parametrize(
    ("hour", "status"),
    [(0.999, "missing"), (1.0, "ok"), (48.0, "ok"), (48.001, "stale")],
)
def test_known_time_and_ttl_are_closed_at_both_ends(store, hour, status):
    """A row counts from the moment it is known to exactly ttl after its event, both included."""
    store.write(DELAYS, rows(("AA", 1.0, 0, 1)))

    found = store.read(DELAYS, carriers("AA"), at(hour))["mean_delay"]

    assert found.status.tolist() == [status]
    assert np.isnan(found.values[0]) == (status != "ok")
    assert np.isnat(found.event_time[0]) == (status == "missing")


def test_rows_of_any_age_are_found_together(store):
    """Event times before 1970 and at it are what they are, also where many keys are asked for at once."""
    hours = {"AA": -24 * 365 * 60, "DL": -round((START - datetime(1970, 1, 1, tzinfo=UTC)) / HOUR), "UA": 0}
    store.write(DELAYS, rows(*((carrier, 1.5, hour, hour) for carrier, hour in hours.items())))

    found = store.read(DELAYS, carriers(*hours), at(1, 1, 1))["mean_delay"]

    assert found.status.tolist() == ["stale", "stale", "ok"]
    assert found.event_time.tolist() == at(*hours.values()).tolist()


def test_a_decision_just_before_a_row_is_known_gets_the_one_before(store):
    """Writing a row early does not take away what training would have seen."""
    store.write(DELAYS, rows(("AA", 1.0, 0, 1), ("AA", 2.0, 24, 25)))

    found = store.read(DELAYS, carriers("AA", "AA"), at(24.9, 25))["mean_delay"]

    assert found.values.tolist() == [1.0, 2.0]
    assert found.event_time.tolist() == at(0, 24).tolist()


@pytest.mark.parametrize("many", [2, 256, 700])
def test_many_keys_at_once_find_what_each_finds_alone(store, many):
    """A batch is looked up in few statements; a repeated key, an unknown one and a null are keys like any other."""
    known = [f"{number:03}" for number in range(300)]
    store.write(DELAYS, rows(*((key, float(n), n % 90, n % 90 + h) for n, key in enumerate(known) for h in (1, 20))))
    chance = np.random.default_rng(many)
    asked = [None, *chance.choice([*known, "never"], many - 1).tolist()]

    at_once = store.read(DELAYS, carriers(*asked), at(*[60.0] * many))

    alone = [store.read(DELAYS, carriers(key), at(60.0)) for key in asked]
    for name, column in at_once.items():
        assert column.status.tolist() == [one[name].status[0] for one in alone]
        assert column.values.tobytes() == np.concatenate([one[name].values for one in alone]).tobytes()
        np.testing.assert_array_equal(column.event_time, np.concatenate([one[name].event_time for one in alone]))
    assert {"ok", "missing", "stale"} <= set(at_once["flights"].status.tolist()) or many == 2


FLOATS = {f"f{place:02}" for place in range(0, 18, 3)}
WIDE = tuple(Field(name=f"f{place:02}", dtype="int64" if place % 3 else "float64") for place in range(18))


@settings(max_examples=25, deadline=None)
@given(
    width=st.sampled_from([1, 15, 16, 18]),
    values=st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=8, max_size=40),
    chance=st.randoms(),
)
def test_numbers_read_in_one_piece_are_those_read_row_by_row(new_settings, width, values, chance):
    """To the last bit, for whole numbers of any size and nulls, however wide a row is and whatever some keys lack."""
    store, view = (
        open_online(*new_settings()),
        FeatureView(name="wide", keys=DELAYS.keys, features=WIDE[:width], ttl_s=9),
    )
    names = [f"K{place}" for place in range(len(values))]
    stamps = pa.array([START + timedelta(seconds=chance.randint(0, 20)) for _ in names], UTC_US)
    columns = {field.name: pa.array(chance.sample(values, len(values)), pa.int64()) for field in view.features}
    columns |= {name: column.cast(pa.float64(), safe=False) for name, column in columns.items() if name in FLOATS}
    store.write(view, pa.table({"carrier": names, **columns, "event_time": stamps, "known_at": stamps}))
    asked = chance.sample([*names, "never"], len(names))

    together = store.read(view, carriers(*asked), at(*[15 / 3600] * len(asked)))

    alone = [store.read(view, carriers(key), at(15 / 3600)) for key in asked]
    for name, column in together.items():
        assert column.values.flags.c_contiguous
        assert column.status.tolist() == [one[name].status[0] for one in alone]
        assert column.values.tobytes() == np.concatenate([one[name].values for one in alone]).tobytes()
        np.testing.assert_array_equal(column.event_time, np.concatenate([one[name].event_time for one in alone]))


def test_a_row_superseded_when_it_arrives_is_never_the_answer(store):
    """Late data about an older event does not hide the newer event, as in the point-in-time join."""
    store.write(DELAYS, rows(("AA", 2.0, 10, 11)))
    store.write(DELAYS, rows(("AA", 1.0, 5, 20)))

    found = store.read(DELAYS, carriers("AA"), at(30))["mean_delay"]

    assert found.values.tolist() == [2.0]


def test_a_recomputed_row_corrects_the_one_it_repeats(store):
    """The same key, event and known time means the same fact: the last writer knows it best."""
    store.write(DELAYS, rows(("AA", 1.0, 0, 1)))
    store.write(DELAYS, rows(("AA", 7.0, 0, 1)))

    found = store.read(DELAYS, carriers("AA"), at(2))["mean_delay"]

    assert found.values.tolist() == [7.0]


ENTRIES = st.lists(
    st.tuples(st.sampled_from(["AA", "UA"]), st.integers(0, 60), st.integers(0, 30)),
    min_size=1,
    max_size=25,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(entries=ENTRIES, cuts=st.lists(st.integers(0, 25), max_size=4), chance=st.randoms(), hour=st.integers(0, 100))
def test_any_interleaving_of_writes_gives_the_newest_row(new_settings, entries, cuts, chance, hour):
    """However rows are batched and ordered, a decision finds what a search through all of them finds."""
    facts = [(key, 1000.0 * event + delay, event, event + delay) for key, event, delay in entries]
    shuffled = chance.sample(facts, len(facts))
    store, kept_one = with_history(new_settings(), 25), with_history(new_settings(), 1)
    bounds = sorted({0, len(facts), *(cut for cut in cuts if cut < len(facts))})

    for start, end in pairwise(bounds):
        store.write(DELAYS, rows(*shuffled[start:end]))
        kept_one.write(DELAYS, rows(*shuffled[start:end]))

    for key in ("AA", "UA"):
        of_key = sorted((fact[2], fact[3], fact[1]) for fact in facts if fact[0] == key)
        known = [fact for fact in of_key if fact[1] <= hour]
        found = store.read(DELAYS, carriers(key), at(hour))["mean_delay"]
        if not known:
            assert found.status.tolist() == ["missing"]
        elif known[-1][0] < hour - 48:
            assert found.status.tolist() == ["stale"]
        else:
            assert found.values.tolist() == [known[-1][2]]
        newest = kept_one.event_time(DELAYS, carriers(key))
        assert newest.tolist() == (at(of_key[-1][0]).tolist() if of_key else [None])


def test_a_thousand_interleavings_of_upserts_keep_the_newest_rows(store):
    """Of each of 1,000 keys with 12 rows, written one by one in an order of its own, the newest 8 stay."""
    chance, keys, versions = np.random.default_rng(11), 1_000, 12
    names = [f"K{number:04}" for number in range(keys)]
    orders = np.array([chance.permutation(versions) for _ in range(keys)])

    for turn in range(versions):
        store.write(
            DELAYS, rows(*((names[n], float(orders[n, turn]), *2 * [int(orders[n, turn])]) for n in range(keys)))
        )

    for hour in range(versions):
        found = store.read(DELAYS, carriers(*names), at(*[hour] * keys))["mean_delay"]
        expected = (["missing"] if hour < versions - 8 else ["ok"]) * keys
        assert found.status.tolist() == expected
        assert hour < versions - 8 or found.values.tolist() == [float(hour)] * keys


WRITER = """
import json, sys
from pathlib import Path
import pyarrow as pa
from mlops_assets.stores.online import open_online
from mlops_assets_tests.stores.test_online import DELAYS, rows
home, settings, seed, repeat = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "repeat"
import numpy as np
chance, store = np.random.default_rng(seed), open_online(Path(home), settings)
print("ready", flush=True)
while True:
    for hour in chance.permutation(40).tolist():
        store.write(DELAYS, rows(*((f"K{n:04}", float(hour), hour, hour) for n in range(500))))
    if not repeat:
        break
"""


def writer(place, seed, *, repeat=False) -> "subprocess.Popen[str]":
    home, settings = place
    arguments = [str(home), msgspec.json.encode(settings).decode(), str(seed), "repeat" if repeat else "once"]
    return subprocess.Popen([sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_writers_in_several_processes_leave_the_newest_row_of_every_key(place):
    """Three processes write forty hours of 500 keys, each in an order of its own, at the same time."""
    writers = [writer(place, seed) for seed in range(3)]

    assert [process.wait(timeout=240) for process in writers] == [0, 0, 0]
    names = [f"K{number:04}" for number in range(500)]
    for hour in (32, 35, 39):
        found = open_online(*place).read(DELAYS, carriers(*names), at(*[hour] * 500))["mean_delay"]
        assert found.values.tolist() == [float(hour)] * 500


@pytest.mark.slow
def test_a_killed_write_leaves_whole_rows_and_is_made_good_by_the_next(place):
    """Killed twenty times somewhere in the middle: what is read is one row as written, and a rerun ends it."""
    chance, names = np.random.default_rng(5), [f"K{number:04}" for number in range(500)]
    for turn in range(20):
        process = writer(place, turn, repeat=True)
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        store = open_online(*place)
        if store.holds(DELAYS):
            found = store.read(DELAYS, carriers(*names), at(*[40] * 500))
            event_hours = (found["mean_delay"].event_time - at(0)[0]) / np.timedelta64(1, "h")
            there = found["mean_delay"].status == "ok"
            assert found["mean_delay"].values[there].tolist() == event_hours[there].tolist()
            assert found["flights"].values[there].tolist() == np.arange(500.0)[there].tolist()

    for hour in (39, 3):
        store.write(DELAYS, rows(*((name, float(hour), hour, hour) for name in names)))

    found = open_online(*place).read(DELAYS, carriers(*names), at(*[40] * 500))["mean_delay"]
    assert found.values.tolist() == [39.0] * 500


def test_a_view_declared_anew_does_not_read_rows_of_the_old_shape(store):
    """Other features mean another table, so values are never read under the wrong name; another ttl does not."""
    store.write(DELAYS, rows(("AA", 1.0, 0, 0)))
    renamed = FeatureView(
        name=DELAYS.name, keys=DELAYS.keys, features=(Field(name="median", dtype="float64"),), ttl_s=DELAYS.ttl_s
    )
    longer = FeatureView(name=DELAYS.name, keys=DELAYS.keys, features=DELAYS.features, ttl_s=1e9)

    assert not store.holds(renamed)
    with pytest.raises(StoreError, match="Materialize features/carrier_delays"):
        store.read(renamed, carriers("AA"), at(1))
    assert store.read(longer, carriers("AA"), at(1000))["mean_delay"].status.tolist() == ["ok"]
    assert store.read(DELAYS, carriers("AA"), at(1000))["mean_delay"].status.tolist() == ["stale"]


def test_reading_before_anything_was_written_says_what_to_do(store, place):
    """There is no empty answer for a store that is not there, and nothing is left behind."""
    assert not store.holds(DELAYS)

    with pytest.raises(StoreError, match="Materialize features/carrier_delays"):
        store.read(DELAYS, carriers("AA"), at(1))

    assert not list(place[0].iterdir())
    assert not store.holds(DELAYS)


def test_a_row_known_before_its_event_is_refused(store):
    """Such a row would let a decision see the future; nothing of the batch is written."""
    with pytest.raises(StoreError, match="leak the future"):
        store.write(DELAYS, rows(("AA", 1.0, 0, 0), ("UA", 1.0, 5, 4)))

    assert not store.holds(DELAYS)


def test_a_null_key_or_a_missing_column_is_refused_by_name(store):
    """Rows that could never be found are a fault of the view, told with the column."""
    table = rows(("AA", 1.0, 0, 0))

    with pytest.raises(StoreError, match="null 'carrier'"):
        store.write(DELAYS, table.set_column(0, "carrier", pa.array([None], pa.string())))
    with pytest.raises(StoreError, match="lack flights"):
        store.write(DELAYS, table.drop_columns(["flights"]))


def test_readers_see_what_another_client_wrote(store, place):
    """An open reader finds rows written after it began."""
    store.write(DELAYS, rows(("AA", 1.0, 0, 0)))
    store.read(DELAYS, carriers("AA"), at(1))

    open_online(*place).write(DELAYS, rows(("AA", 2.0, 1, 1)))

    assert store.read(DELAYS, carriers("AA"), at(1))["mean_delay"].values.tolist() == [2.0]


def test_more_rows_than_are_kept_may_come_at_once(store):
    """The newest stay, rows that are there twice count once, and of rows alike the last one is right."""
    days = [("AA", float(hour), hour, hour) for hour in range(30)]

    store.write(DELAYS, rows(*days, *days[-5:], ("AA", 77.0, 25, 25), ("UA", 5.0, 1, 1)))

    found = store.read(DELAYS, carriers("AA", "AA", "AA", "UA"), at(22, 21.9, 25, 30))["mean_delay"]
    assert found.status.tolist() == ["ok", "missing", "ok", "ok"]
    np.testing.assert_array_equal(found.values, [22.0, np.nan, 77.0, 5.0])


def test_no_rows_are_written_as_readily_as_many(store):
    """A day on which nothing happened is in, and every key is missing."""
    store.write(DELAYS, rows(("AA", 1.0, 0, 0)).slice(0, 0))

    assert store.holds(DELAYS)
    assert store.read(DELAYS, carriers("AA", None), at(1, 1))["flights"].status.tolist() == ["missing", "missing"]


# --- SQLite ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", [1, 20])
def test_a_home_of_before_is_read_as_it_is(tmp_path, repeats):
    """Tables of packed keys that were filled row by row with nulls spelled out; few keys at once or many."""
    store, names = SqliteOnlineStore(tmp_path / "online.sqlite"), ["AA", "UA"] * repeats
    start = int(START.timestamp() * 1e6)
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute(
            f'CREATE TABLE "{Shape(DELAYS).name}" (key BLOB, event_time INTEGER, known_at INTEGER, row BLOB,'
            " PRIMARY KEY (key, event_time, known_at)) WITHOUT ROWID"
        )
        old = (msgspec.msgpack.encode(("UA",)), start, start, msgspec.msgpack.encode([None, 3]))
        connection.execute(f'INSERT INTO "{Shape(DELAYS).name}" VALUES (?, ?, ?, ?)', old)

    store.write(DELAYS, rows(("AA", 1.0, 0, 0)))
    found = store.read(DELAYS, carriers(*names), at(*[1] * len(names)))

    np.testing.assert_array_equal(found["mean_delay"].values, [1.0, np.nan] * repeats)
    assert found["flights"].values.tolist() == [0.0, 3.0] * repeats
    assert not np.isnat(store.event_time(DELAYS, carriers(*names))).any()


@pytest.mark.parametrize(
    ("dtype", "keys", "null"),
    [
        ("int64", pa.array([-(2**53), -1, 0, 127, 128, 2**53]), []),
        ("string", pa.array(["", "7", "a\0b", "é", "x" * 300]), [None]),
        ("timestamp", pa.array([START, START - HOUR * 10**6, START + HOUR], UTC_US), [np.datetime64("NaT")]),
        ("float64", pa.array([-0.5, 0.0, 1e300]), [np.nan]),
    ],
)
@pytest.mark.parametrize("columns", [1, 2])
def test_keys_of_every_kind_find_their_own_row(store, dtype, keys, null, columns):
    """In a column of their own or together with another; a null finds nothing."""
    names = ["one", "two"][:columns]
    view = replace(
        DELAYS, name=f"by_{dtype}_{columns}", keys=tuple(Field(name=name, dtype=dtype) for name in names), ttl_s=1e9
    )
    entries = rows(*(("AA", float(place), 0, 0) for place in range(len(keys))))
    for name in names:
        entries = entries.append_column(name, keys)
    store.write(view, entries)
    asked = (keys.cast(pa.timestamp("us")) if dtype == "timestamp" else keys).to_numpy(zero_copy_only=False)
    if null:
        asked = np.append(asked, null)

    found = store.read(view, dict.fromkeys(names, asked), at(*[1] * len(asked)))["mean_delay"]
    alone = store.read(view, dict.fromkeys(names, asked[:1]), at(1))["mean_delay"]

    assert found.status.tolist() == ["ok"] * len(keys) + ["missing"] * len(null)
    assert found.values[: len(keys)].tolist() == list(range(len(keys)))
    assert alone.values.tolist() == [0.0]


# --- Redis -----------------------------------------------------------------------------------------


def test_a_server_that_is_away_is_told_with_its_address_and_without_its_password():
    """Both ways: nobody is left with an empty answer."""
    store = open_online(Path("nowhere"), {"MLOPS_ONLINE_URL": "redis://:secret@127.0.0.1:1/3"})

    for act in (
        lambda: store.read(DELAYS, carriers("AA"), at(1)),
        lambda: store.write(DELAYS, rows(("AA", 1.0, 0, 0))),
    ):
        with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/3") as refused:
            act()
        assert "secret" not in str(refused.value)


def test_an_unknown_kind_of_store_is_refused_by_name():
    """With what may be written instead, and without what may be a password."""
    with pytest.raises(StoreError, match=r"'memcached' store, which is not known\. Write redis://") as refused:
        open_online(Path("nowhere"), {"MLOPS_ONLINE_URL": "memcached://:secret@host"})

    assert "secret" not in str(refused.value)


def test_times_that_a_script_could_not_tell_apart_are_refused(redis_server):
    """Lua reckons in doubles."""
    store = open_online(Path("nowhere"), {"MLOPS_ONLINE_URL": redis_server.new_database()})

    with pytest.raises(StoreError, match="after the year 2255"):
        store.write(DELAYS, rows(("AA", 1.0, 0, 3_000_000)))


def test_the_read_path_imports_no_frames():
    """The endpoint reads features without Arrow, pandas or Polars."""
    heavy = "{'pyarrow', 'pandas', 'polars', 'duckdb'}"
    program = f"import sys, mlops_assets.stores.online; assert not {heavy} & set(sys.modules), sorted(sys.modules)"

    subprocess.run([sys.executable, "-c", program], check=True)

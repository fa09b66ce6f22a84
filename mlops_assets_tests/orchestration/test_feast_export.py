"""The exported repository is one that Feast itself reads, and its training rows are ours."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_assets.errors import DeclarationError, StoreError
from mlops_assets.features.join import point_in_time
from mlops_assets.orchestration.feast_export import to_feast_repo
from mlops_assets.orchestration.feature_table import FeatureTableDeclaration
from mlops_assets.stores.home import Home

ROOT = Path(__file__).parents[2]
FEAST = "feast[duckdb]==0.67.*"
MOMENT = pa.timestamp("us", tz="UTC")
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY, HOUR, INSTANT = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
DAYS = 12

DELAYS = FeatureTableDeclaration.model_validate({
    "name": "carrier_delays", "description": "How late a carrier's flights were.", "owner": "team:flights",
    "keys": {"carrier": "string"}, "features": {"late_7d": "float64", "cause": "string"},
    "describe": {"late_7d": "Share of late flights, \"late\" as in 'by 15 minutes'."},
    "tables": {"flights": "flights"}, "available_after": "PT1H", "ttl": "P3D",
    "sql": "SELECT carrier, late_7d, cause FROM flights",
})  # fmt: skip
WEATHER = FeatureTableDeclaration.model_validate({
    "name": "weather", "keys": {"origin": "string", "hour": "timestamp"}, "features": {"temp": "float64"},
    "tables": {"weather": "weather"}, "ttl": "P2D", "sql": "SELECT origin, hour, temp FROM weather",
})  # fmt: skip
SERVICES = {"flight_delay": {"carrier_delays": ["late_7d", "cause"], "weather": ["temp"]}}

# What a user of Feast does, in an environment where Feast is installed and we are not.
IN_FEAST = """
import sys
from datetime import datetime, timezone
import pyarrow as pa, pyarrow.parquet as pq
from feast import FeatureStore

repo, labels, found, online = sys.argv[1:]
store = FeatureStore(repo_path=repo)
rows = store.get_historical_features(
    entity_df=pq.read_table(labels).to_pandas(), features=store.get_feature_service("flight_delay")
).to_df()
rows = rows.sort_values("label")
pq.write_table(pa.table({
    "label": pa.array(rows["label"]), "late_7d": pa.array(rows["late_7d"].astype(float), from_pandas=True),
    "cause": pa.array(rows["cause"], pa.string(), from_pandas=True),
    "temp": pa.array(rows["temp"].astype(float), from_pandas=True),
}), found)
store.materialize(datetime(2024, 1, 1, tzinfo=timezone.utc), datetime(2024, 2, 1, tzinfo=timezone.utc))
answer = store.get_online_features(
    features=["carrier_delays:late_7d", "carrier_delays:cause"], entity_rows=[{"carrier": "UA"}, {"carrier": "B6"}]
).to_dict()
views = {v.name: (v.owner, v.ttl.total_seconds(), sorted(v.entities)) for v in store.list_feature_views()}
open(online, "w").write(repr((answer, views)))
"""


def rows_of_delays():
    """A row per carrier and day, true at midnight and known an hour later; and one that came a day late, superseded."""
    chance = np.random.default_rng(5)
    ends = [START + n * DAY for n in range(1, DAYS + 1) for _ in range(2)]
    known = [end + HOUR for end in ends]
    rates = chance.random(len(ends)).tolist()
    rates[4] = None
    late = START + 3 * DAY  # another row for that midnight, known after the next one was
    return pa.table({
        "carrier": [*["UA", "B6"] * DAYS, "UA"], "late_7d": pa.array([*rates, 9.0]),
        "cause": pa.array([*chance.choice(["wind", "crew"], len(ends)).tolist(), "late"]),
        "event_time": pa.array([*ends, late], MOMENT), "known_at": pa.array([*known, late + 2 * DAY], MOMENT),
    })  # fmt: skip


def rows_of_weather():
    chance = np.random.default_rng(6)
    hours = [START + n * HOUR for n in range(48)]
    return pa.table({
        "origin": ["EWR"] * 48 + ["JFK"] * 48, "hour": pa.array(hours * 2, MOMENT), "temp": chance.normal(0, 10, 96),
        "event_time": pa.array([START - DAY] * 96, MOMENT), "known_at": pa.array([START - DAY] * 96, MOMENT),
    })  # fmt: skip


def labels():
    """Decisions at random, and at the very edges of what is known and of what still holds.

    None lies where the ttls differ: Feast's is rounded up to whole days from `known_at`.
    """
    chance = np.random.default_rng(7)
    last = START + DAYS * DAY
    edges = [
        last + HOUR - INSTANT,
        last + HOUR,
        last + 3 * DAY,
        last + 3 * DAY + HOUR + INSTANT,
        START,
        START + DAY + HOUR,
    ]
    edges += [START + 5 * DAY, START + 5 * DAY + INSTANT]  # when the late row becomes known
    times = [START + timedelta(seconds=int(s)) for s in chance.integers(0, 20 * 86_400, 200)] + edges
    times = [time for time in times if not last + 3 * DAY < time <= last + 3 * DAY + HOUR]
    return pa.table({
        "label": range(len(times)),
        "carrier": [*chance.choice(["UA", "B6", "ZZ"], len(times) - len(edges)).tolist(), *["UA"] * len(edges)],
        "origin": chance.choice(["EWR", "JFK", "LGA"], len(times)).tolist(),
        "hour": pa.array([START + int(n) * HOUR for n in chance.integers(0, 60, len(times))], MOMENT),
        "decision_time": pa.array(times, MOMENT),
    })  # fmt: skip


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.tables.write("features/carrier_delays", rows_of_delays())
    home.tables.write("features/weather", rows_of_weather())
    return home


@pytest.fixture(scope="module")
def feast(tmp_path_factory):
    """An environment with Feast, of which parts of ours want other versions; give its folder of programs."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("dev", ROOT / "dev.py")
    dev = module_from_spec(spec)
    spec.loader.exec_module(dev)
    uv, place = dev.find_uv(), tmp_path_factory.mktemp("feast")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, place / "env"], check=True)
    programs = place / "env" / "bin"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", programs / "python", FEAST], check=True)
    return programs


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_feast_gives_the_training_rows_that_we_give(home, feast, tmp_path):
    """Every label, bit for bit: boundaries, nulls, keys nobody has seen and a row that came late among them."""
    repo, asked = tmp_path / "repo", labels()
    to_feast_repo(repo, [DELAYS, WEATHER], SERVICES, home, project="flights")
    pq.write_table(asked.rename_columns([*asked.column_names[:-1], "event_timestamp"]), tmp_path / "labels.parquet")
    (tmp_path / "in_feast.py").write_text(IN_FEAST)
    ours = point_in_time(asked, [(DELAYS.record(), rows_of_delays()), (WEATHER.record(), rows_of_weather())])

    subprocess.run([feast / "feast", "apply"], cwd=repo, check=True, timeout=300)
    places = [repo, tmp_path / "labels.parquet", tmp_path / "found.parquet", tmp_path / "online.txt"]
    subprocess.run([feast / "python", tmp_path / "in_feast.py", *places], check=True, timeout=400)

    theirs = pq.read_table(tmp_path / "found.parquet")
    for name in ("label", "late_7d", "cause", "temp"):
        assert theirs[name].to_pylist() == ours[name].to_pylist(), name
    assert 20 < theirs["late_7d"].null_count < 150
    answer, views = eval((tmp_path / "online.txt").read_text())
    newest = {row["carrier"]: row for row in rows_of_delays().to_pylist() if row["event_time"] == START + DAYS * DAY}
    assert dict(zip(answer["carrier"], answer["cause"], strict=True)) == {k: v["cause"] for k, v in newest.items()}
    assert views["carrier_delays"] == ("team:flights", (3 * DAY).total_seconds(), ["carrier"])
    assert views["weather"] == ("", (2 * DAY).total_seconds(), ["hour", "origin"])


def test_an_export_never_writes_over_anything(home, tmp_path):
    """Nor does half of one appear: a folder left by a kill is made anew."""
    (tmp_path / "repo.part" / "data").mkdir(parents=True)
    (tmp_path / "repo.part" / "half").write_text("")

    assert to_feast_repo(tmp_path / "repo", [DELAYS], SERVICES, home, project="flights") == ["carrier_delays"]

    assert sorted(path.name for path in (tmp_path / "repo").iterdir()) == [
        "data",
        "definitions.py",
        "feature_store.yaml",
    ]
    with pytest.raises(StoreError, match="is there already"):
        to_feast_repo(tmp_path / "repo", [DELAYS], SERVICES, home, project="flights")


def test_times_are_microseconds_and_superseded_rows_stay_out(home, tmp_path):
    """With nanoseconds Feast reads training rows and then cannot materialize."""
    to_feast_repo(tmp_path / "repo", [DELAYS], {}, home, project="flights")

    written = pq.read_table(tmp_path / "repo" / "data" / "carrier_delays.parquet")

    assert written.schema.field("known_at").type == MOMENT
    assert written.num_rows == rows_of_delays().num_rows - 1
    assert "late" not in written["cause"].to_pylist()


def test_what_feast_cannot_tell_apart_is_refused(home, tmp_path):
    """And so is an export of nothing."""
    other = WEATHER.model_copy(update={"keys": {"carrier": "int64"}})

    with pytest.raises(DeclarationError, match="by 'carrier' as int64, view 'carrier_delays' as string"):
        to_feast_repo(tmp_path / "repo", [DELAYS, other], {}, home, project="flights")
    with pytest.raises(StoreError, match="No feature view has rows yet"):
        to_feast_repo(tmp_path / "repo", [DELAYS], {}, Home(tmp_path / "empty"), project="flights")
    assert not (tmp_path / "repo").exists()

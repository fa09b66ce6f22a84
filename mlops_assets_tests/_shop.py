"""A made-up shop as a real project: orders that land day by day, how often each branch's come back, and a model of it.

It is declared in YAML and loaded as any project is, but small: the whole release chain takes a second.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_assets.cli.project import Project
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.record_io import RecordIO
from mlops_assets.orchestration.release_chain import release_assets
from mlops_assets.orchestration.resources import HomeResource, set_replay_time
from mlops_assets.orchestration.tags import AS_OF_TAG
from mlops_assets.records import PerformanceReport
from mlops_assets.stores.home import Home
from mlops_assets_tests._endpoint import RunningEndpoint, running_endpoint

PACKAGE = "shop_of_the_tests"
MODEL = "comes_back"
FIRST_DAY = date(2024, 1, 1)  # a Monday
HISTORY_DAYS = 28
LIVE = datetime(2024, 1, 29, 1, tzinfo=UTC)  # when the first model is trained: the history is in
ORDERS_PER_DAY = 60
BRANCHES = ("east", "north", "south")

TABLES_YAML = """\
type: mlops_assets.orchestration.RawTable
attributes:
  table: orders
  description: Orders, each reported an hour after it was placed.
  owner: team:shop
  source: {kind: files, paths: ["{landing}/orders/{partition}.parquet"], time_column: reported_at}
  partitions: {start: 2024-01-01, end: 2024-04-01}
  arrival_column: reported_at
  arrives_within_hours: 20
  contract:
    max_quarantined_share: 0.10
    columns:
      order_id: {type: string, unique: true}
      placed_at: {type: timestamp}
      reported_at: {type: timestamp}
      branch: {type: string, isin: [east, north, south]}
      amount: {type: float64, min: 0, max: 100}
      returned: {type: bool}
  stale_after: P60D
---
type: mlops_assets.orchestration.RawTable
attributes:
  table: branches
  description: The branches there are.
  source: {kind: files, paths: ["{here}/branches.csv"]}
  contract:
    columns:
      branch: {type: string, unique: true}
      size: {type: float64, min: 1}
---
type: mlops_assets.orchestration.FeatureTable
attributes:
  name: branch_returns
  description: How much of what was ordered at a branch came back within the last week.
  keys: {branch: string}
  features: {return_rate_7d: float64}
  tables: {orders: orders}
  lookback_days: 7
  available_after: PT1H
  ttl: P3D
  sql: |
    SELECT branch, avg(CAST(returned AS DOUBLE)) AS return_rate_7d
    FROM orders
    WHERE reported_at >= $partition_end - INTERVAL 7 DAY AND reported_at < $partition_end
    GROUP BY branch
  partitions: {start: 2024-01-01, end: 2024-04-01}
"""

MODEL_YAML = """\
type: mlops_assets.orchestration.ModelPipeline
attributes:
  description: Will this order come back?
  owner: team:shop
  task: binary
  decisions: {table: orders, key: order_id, time: placed_at, known_at: reported_at}
  views: [branch_returns]
  training: {window: {holdout_days: 7, gap_days: 1, minimum_rows: 200}}
  gate: {minimum_rows: 100, minimum_per_class: 20, champion_evidence: not_refuted, resamples: 100}
  monitor:
    windows: {every: week, start: 2024-01-01, end: 2024-04-01}
    wait_hours: 24
  retraining: {cadence_days: 30, cooldown_days: 7, max_per_month: 2, minimum_new_rows: 0}
  risk_tier: limited
  charter: {purpose: Pack what will come back less dearly., limits: A made-up shop.}
"""

FEATURES_PY = """\
REQUEST = {"branch": str, "amount": float}


def dear(amount):
    return (amount > 50).astype(float)


FEATURES = ("branch", "amount", dear, "return_rate_7d")
"""

MODEL_PY = '''\
PARAMS = {"num_iterations": 20, "num_leaves": 7, "learning_rate": 0.2, "min_data_in_leaf": 20}


def label(returned):
    """1 for an order
    that comes back.

    Within the month.
    """
    return returned.astype(float)
'''

DEFINITIONS_PY = """\
import dagster as dg

from mlops_assets.orchestration import project_definitions


@dg.definitions
def defs():
    return project_definitions(__file__)
"""


def pyproject(package: str) -> str:
    """Give what makes a folder with `package` in it a Dagster project."""
    return f'[tool.dg]\ndirectory_type = "project"\n\n[tool.dg.project]\nroot_module = "{package}"\n'


FILES = {
    "pyproject.toml": pyproject(PACKAGE),
    f"{PACKAGE}/__init__.py": "",
    f"{PACKAGE}/definitions.py": DEFINITIONS_PY,
    f"{PACKAGE}/defs/orders/defs.yaml": TABLES_YAML,
    f"{PACKAGE}/defs/orders/branches.csv": "branch,size\neast,10\nnorth,20\nsouth,30\n",
    f"{PACKAGE}/defs/{MODEL}/defs.yaml": MODEL_YAML,
    f"{PACKAGE}/defs/{MODEL}/features.py": FEATURES_PY,
    f"{PACKAGE}/defs/{MODEL}/model.py": MODEL_PY,
}


def orders(day: str, n: int = ORDERS_PER_DAY) -> pa.Table:
    """Give the orders of a day: what is dear comes back to the north, what is cheap to the others."""
    chance = np.random.default_rng(int(day.replace("-", "")))
    placed = np.datetime64(day, "us") + np.sort(chance.integers(0, 22 * 3600, n)) * np.timedelta64(1, "s")
    branch, amount = chance.choice(BRANCHES, n), chance.uniform(0, 100, n)
    likely = (branch == "north") == (amount > 50)
    moment = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "order_id": [f"{day}-{number:04d}" for number in range(n)],
            "placed_at": pa.array(placed, moment),
            "reported_at": pa.array(placed + np.timedelta64(1, "h"), moment),
            "branch": pa.array(branch.tolist()),
            "amount": amount,
            "returned": chance.random(n) < np.where(likely, 0.85, 0.1),
        }
    )


def changed(rows: pa.Table, column: str, values: Mapping[int, Any]) -> pa.Table:
    """Give `rows` with the values of `column` replaced in some rows."""
    there = rows[column].to_pylist()
    for row, value in values.items():
        there[row] = value
    at = rows.column_names.index(column)
    return rows.set_column(at, column, pa.array(there, rows.schema.field(column).type))


def days(first: date | str, count: int) -> list[str]:
    """Name `count` days."""
    first = date.fromisoformat(first) if isinstance(first, str) else first
    return [(first + timedelta(days=n)).isoformat() for n in range(count)]


def the_end_of(day: str) -> datetime:
    """Give the time at which a day's batch counts as complete."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1, hours=1)


@dataclass
class Shop:
    """The shop's project, a home of its own, and Dagster's memory of its runs."""

    project: Project
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    def __post_init__(self) -> None:
        vars(self.project)["instance"] = self.instance  # in place of the one on disk, which takes a second to make

    @classmethod
    def on(cls, root: Path, home: Path) -> "Shop":
        return cls(Project(root, f"{PACKAGE}.definitions", Home(home, settings={})))

    @property
    def home(self) -> Home:
        return self.project.home

    @property
    def folder(self) -> ModelFolder:
        return self.project.models[MODEL]

    @cached_property
    def definitions(self) -> dg.Definitions:
        return self.project.definitions

    def land(self, day: str, rows: pa.Table | None = None) -> None:
        """Let the batch of a day arrive, the right one unless told."""
        path = self.home.landing / "orders" / f"{day}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(orders(day) if rows is None else rows, path)

    def bring_in(self, *wanted: str) -> list[str]:
        """Refresh days, as the schedule would have them refreshed; give what went wrong."""
        return self.project.refresh(list(wanted), now=the_end_of(wanted[-1]))

    def materialize(self, *keys: str, partition: str | None = None, at: datetime | None = None) -> Any:
        """Run assets by their keys, as from Dagster's page."""
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(key.split("/")) for key in keys],
            partition_key=partition,
            tags={AS_OF_TAG: at.isoformat()} if at else {},
            raise_on_error=False,
        )

    def release(
        self,
        *,
        at: datetime = LIVE,
        tags: Mapping[str, str] | None = None,
        path: Path | None = None,
        **policies: Any,
    ) -> Any:
        """Run the whole release chain, with other policies or another folder than declared where given."""
        folder = ModelFolder(path or self.folder.path, self.folder.declaration.model_copy(update=policies))
        home = HomeResource(path=str(self.home.root))
        return dg.materialize(
            release_assets(folder),
            instance=self.instance,
            resources={"home": home, "io_manager": RecordIO(home=home)},
            tags={AS_OF_TAG: at.isoformat(), **(tags or {})},
            raise_on_error=False,
        )

    def at(self, time: datetime) -> None:
        """Set the clock."""
        set_replay_time(self.home, time)

    def rows(self, table: str, day: str) -> list[dict[str, Any]]:
        """Give the rows of a stored table's day."""
        return self.home.tables.read(table, partitions=[day]).to_pylist() if self.home.tables.exists(table) else []

    def checks(self, result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
        """Give what the checks of a run said, by name; the last word counts."""
        return {each.check_name: each for each in result.get_asset_check_evaluations()}

    def measured(self, window: str, *, degraded: bool, rows: int = 400) -> PerformanceReport:
        """Put a window's report on record, as `performance` would."""
        release = self.home.releases.current(MODEL)
        assert release is not None
        start = datetime.fromisoformat(window).replace(tzinfo=UTC)
        report = PerformanceReport(
            model=MODEL,
            sha256=f"{window}{degraded}".ljust(64, "0"),
            bundle_sha256=release.bundle_sha256,
            start=start,
            end=start + timedelta(days=7),
            rows=rows,
            coverage=1.0,
            metrics=(),
            expected=None,
            degraded=degraded,
            sufficient=True,
        )
        self.home.records.put((MODEL, "performance"), window, report)
        return report


@contextmanager
def served(shop: Shop) -> Iterator[RunningEndpoint]:
    """Run the endpoint of a shop's home, and let the steps find it."""
    with running_endpoint(shop.home.root) as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_ENDPOINT_URL", endpoint.url)
        shop.home.settings["MLOPS_ENDPOINT_URL"] = endpoint.url
        yield endpoint


def write_project(root: Path, files: Mapping[str, str] = FILES) -> Path:
    """Write the shop's files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture(scope="session")
def shop_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The shop's project folder, importable."""
    root = write_project(tmp_path_factory.mktemp("shop"))
    sys.path.insert(0, str(root))
    yield root
    sys.path.remove(str(root))
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own installation is seen, and what a project sets in the environment is undone."""
    for name in [name for name in os.environ if name.startswith("MLOPS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLOPS_HOME", "set by the first project that is opened")


@pytest.fixture
def new_shop(shop_project: Path, tmp_path: Path) -> Shop:
    """A shop that has no orders yet."""
    return Shop.on(shop_project, tmp_path / "home")


@pytest.fixture(scope="session")
def grown(shop_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with four weeks of orders and a first version live, to be copied."""
    home = tmp_path_factory.mktemp("grown")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_HOME", str(home))
        shop = Shop.on(shop_project, home)
        history = days(FIRST_DAY, HISTORY_DAYS)
        for day in history:
            shop.land(day)
        assert not shop.project.refresh_whole_tables(now=LIVE)
        assert not shop.bring_in(*history)
        with served(shop):
            assert shop.release().success
    return home


@pytest.fixture
def shop(shop_project: Path, grown: Path, tmp_path: Path) -> Shop:
    """A shop of one's own with four weeks of orders and a first version live; its endpoint is not running."""
    shutil.copytree(grown, tmp_path / "home")
    return Shop.on(shop_project, tmp_path / "home")


def failed_steps(result: dg.ExecuteInProcessResult) -> set[str]:
    """Name the steps of a run that failed."""
    return {event.step_key for event in result.all_events if event.is_step_failure and event.step_key}


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    """Name the assets a run materialized."""
    return {event.asset_key.to_user_string() for event in result.all_events if event.is_step_materialization}


def keys(*names: str) -> Sequence[dg.AssetKey]:
    """Give asset keys."""
    return [dg.AssetKey(name.split("/")) for name in names]

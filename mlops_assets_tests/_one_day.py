"""One day of the shop brought in step by step, without Dagster around it: cheap enough to be killed 200 times."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from mlops_assets.orchestration.feature_table import FeatureTableDeclaration, refresh_view
from mlops_assets.orchestration.steps.intake.ingesting import ingest, judge
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.records import FeatureView
from mlops_assets.stores.home import Home
from mlops_assets_tests._shop import TABLES_YAML, changed, orders, the_end_of

BAD = {3: 1000.0, 17: -5.0, 40: 1000.0}  # amounts that break the contract, by row
_DECLARED = [document["attributes"] for document in yaml.safe_load_all(TABLES_YAML)]
ORDERS = TableDeclaration.model_validate(_DECLARED[0])
RETURNS = FeatureTableDeclaration.model_validate(_DECLARED[2])
TABLES = ("raw/orders", "validated/orders", "quarantine/orders", "features/branch_returns")


@dataclass(frozen=True)
class Place:
    """A home in which days come in."""

    root: Path

    @cached_property
    def home(self) -> Home:
        return Home(self.root, settings={})

    @property
    def view(self) -> FeatureView:
        return RETURNS.record()

    def land(self, day: str) -> None:
        """Let a day's orders arrive, some of them bad."""
        path = self.home.landing / "orders" / f"{day}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(changed(orders(day), "amount", BAD), path)

    def stored(self, day: str) -> dict[str, pa.Table]:
        """Give the rows of a day as a new process reads them, by table, of those that have any committed."""
        tables = Home(self.root, settings={}).tables
        there = [table for table in TABLES if tables.exists(table) and day in tables.contents(table)]
        return {table: tables.read(table, partitions=[day]) for table in there}


def bring_in(root: Path, day: str) -> None:
    """Bring a day in, from the file that landed to the row the endpoint looks up."""
    home, at = Place(root).home, the_end_of(day)
    ingest(ORDERS, home, [day], folder=root, at=at)
    judge(ORDERS, home, [day], None, at=at)
    refresh_view(RETURNS, home, [day], at=at)

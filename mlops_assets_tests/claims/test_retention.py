"""Claim: whatever was written, trained, held and deleted, a protected training set is joined again as it was.

Histories are random, and a cleaning that is killed is one of them.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_assets.digests import sha256_table
from mlops_assets.governance import Event
from mlops_assets.orchestration.feature_table import compute_partitions
from mlops_assets.orchestration.project import declared_views
from mlops_assets.orchestration.steps import build_training_set, rebuild_training_set
from mlops_assets.orchestration.steps.archive.keeping import (
    Retention,
    clean,
    place_hold,
    protected_versions,
    release_hold,
)
from mlops_assets.orchestration.steps.datasets.training_sets import VIEWS
from mlops_assets.orchestration.steps.intake.ingesting import write
from mlops_assets.records import TrainingSet
from mlops_assets.stores.history import history
from mlops_assets.stores.home import Home
from mlops_assets.stores.tables import stored_digest
from mlops_assets_tests._shop import FIRST_DAY, MODEL, Shop, changed, days, no_settings, orders, shop_project

__all__ = ["no_settings", "shop_project"]

DAYS = days(FIRST_DAY, 14)
AT = datetime(2024, 1, 15, 1, tzinfo=UTC)
TABLES = ("validated/orders", "features/branch_returns", f"{MODEL}/training_set")
RULES = tuple(Retention(table=table, days=30) for table in TABLES)


class World:
    """The shop's tables without its runs: days are written, sets are joined, versions numbered, and all is recorded."""

    def __init__(self, project: Path, root: Path) -> None:
        shop = Shop.on(project, root)
        self.home, self.folder = shop.home, shop.folder
        _, self.view = declared_views(shop.definitions)["branch_returns"]
        self.home.records.put(VIEWS, self.view.name, self.view.record())
        self._bring_in(dict.fromkeys(DAYS, 0.0))
        self.train()

    @property
    def versions(self) -> int:
        return len(self.home.state.versions(MODEL))

    def _bring_in(self, amounts: dict[str, float]) -> None:
        rows = {day: changed(orders(day), "amount", dict.fromkeys(range(9), value)) for day, value in amounts.items()}
        write(self.home, "validated/orders", rows)
        write(self.home, "features/branch_returns", compute_partitions(self.view, self.home, [*amounts], at=AT))

    def correct(self, day: int, amount: float) -> None:
        self._bring_in({DAYS[day]: amount})

    def train(self) -> None:
        made, _ = build_training_set(self.folder, self.home, cut_off=AT)
        self.home.state.register(MODEL, f"{self.versions + 1:064d}", msgspec.json.encode(made).decode())

    def approve(self, number: int) -> None:
        subject = {"model": MODEL, "bundle_sha256": f"{self._one(number):064d}"}
        self.home.state.audit_append(Event.APPROVAL_GRANTED, actor="ada", subject=subject, data={}, at=AT)

    def hold(self, number: int) -> None:
        version = self._one(number)
        if any("held" in why for why in protected_versions(self.home).get((MODEL, version), ())):
            release_hold(self.home, MODEL, version, by="ada", reason="settled", at=AT)
        elif self.is_whole(version):
            place_hold(self.home, MODEL, version, by="ada", reason="a complaint", at=AT)

    def clean(self, moment: int) -> None:
        written = sorted(past.at for table in TABLES for past in history(self.home.tables, table))
        now = written[moment % len(written)] + timedelta(days=30)
        clean(self.home, RULES, now=now, grace=timedelta(0))

    def _one(self, number: int) -> int:
        return number % self.versions + 1

    def made(self, version: int) -> TrainingSet:
        return msgspec.json.decode(self.home.state.versions(MODEL)[version - 1].record_json, type=TrainingSet)

    def is_whole(self, version: int) -> bool:
        made = self.made(version)
        needed = [(made.table, made.version), *((source.table, source.version) for source in made.sources)]
        return all(
            next(past for past in reversed(history(self.home.tables, table)) if past.version <= number).readable
            for table, number in needed
        )

    def require_kept_promise(self) -> None:
        fresh = Home(self.home.root, settings={})
        for _, version in protected_versions(fresh):
            made = self.made(version)
            rows = rebuild_training_set(self.folder, fresh, made, features_source=self.folder.features_source)
            assert stored_digest(rows, table=made.table) == made.sha256
            assert sha256_table(fresh.tables.read(made.table, version=made.version)) == made.sha256
        for table in TABLES:
            assert history(fresh.tables, table)[-1].readable
            assert fresh.tables.read(table).num_rows == fresh.tables.version(table).rows


steps = st.one_of(
    st.tuples(st.just("correct"), st.integers(0, len(DAYS) - 1), st.floats(1, 99)),
    st.tuples(st.just("train")),
    st.tuples(st.just("approve"), st.integers(0, 9)),
    st.tuples(st.just("hold"), st.integers(0, 9)),
    st.tuples(st.just("clean"), st.integers(0, 99)),
)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.lists(steps, min_size=4, max_size=14))
def test_a_protected_training_set_outlives_any_history(shop_project, story):
    """Approved, then held, then let go, with corrections, trainings and cleanings at any moment in between."""
    with tempfile.TemporaryDirectory() as root:
        world = World(shop_project, Path(root))
        for name, *arguments in story:
            # What was deleted before it was approved or held is gone; a hold says so, and no approval comes so late.
            if name != "approve" or world.is_whole(arguments[0] % world.versions + 1):
                getattr(world, name)(*arguments)
        world.clean(-1)

        world.require_kept_promise()


CLEAN = """
import sys
from datetime import datetime, timedelta
from mlops_assets.orchestration.steps.archive.keeping import Retention, clean
from mlops_assets.stores.home import Home
rules = [Retention(table=table, days=30) for table in sys.argv[3:]]
home = Home(sys.argv[1], settings={})
home.state
print("ready", flush=True)
clean(home, rules, now=datetime.fromisoformat(sys.argv[2]), grace=timedelta(0))
print("done", flush=True)
"""


@pytest.mark.slow
def test_a_killed_cleaning_breaks_no_promise(shop_project, tmp_path):
    """Killed at random moments: every table can be read, and what is protected joined again."""
    world = World(shop_project, tmp_path)
    for n in range(12):
        world.correct(n, 50.0 + n)
        if n % 4 == 0:
            world.train()
    world.approve(0)
    world.hold(2)
    now = (datetime.now(UTC) + timedelta(days=31)).isoformat()
    rng = random.Random(11)
    killed = 0
    for _ in range(5):
        cleaning = subprocess.Popen(
            [sys.executable, "-c", CLEAN, str(tmp_path), now, *TABLES], stdout=subprocess.PIPE, text=True
        )
        assert cleaning.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 0.4))
        os.kill(cleaning.pid, signal.SIGKILL)
        killed += cleaning.communicate()[0] == ""

        world.require_kept_promise()
        world.correct(rng.randrange(len(DAYS)), rng.uniform(1, 99))

    done = clean(world.home, RULES, now=datetime.fromisoformat(now), grace=timedelta(0))

    assert killed
    assert len(done) == len(TABLES)
    world.require_kept_promise()

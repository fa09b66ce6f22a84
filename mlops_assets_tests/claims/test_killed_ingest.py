"""`kill -9` while a day comes in, at 200 random moments: no row is lost or doubled, and no half partition is readable.

Days come in at two places at once. At one of them every process is killed somewhere between the file that landed and
the row the endpoint looks up, and the day is brought in again, as the next run would, until it gets through or has been
killed often enough. At the other nothing happens.
"""

import logging
import os
import random
import time
from collections import Counter
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import pytest

from mlops_assets.digests import sha256_table
from mlops_assets.governance import Event
from mlops_assets.sources import formats, staging
from mlops_assets_tests._one_day import BAD, TABLES, Place, bring_in
from mlops_assets_tests._processes import PROCESSES
from mlops_assets_tests._shop import BRANCHES, FIRST_DAY, ORDERS_PER_DAY, days, the_end_of

KILLS = int(os.environ.get("MLOPS_TEST_KILLS", "200"))
KILLS_EACH = 6  # of one day at most; then it is left in peace
BEFORE = ("2023-12-28", "2023-12-29", "2023-12-30", "2023-12-31")  # undisturbed days, to learn how long one takes
SEED = int(os.environ.get("MLOPS_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
LOG = logging.getLogger(__name__)


def live(root: Path, day: str, began: Connection) -> None:
    """Bring a day in, in a process that may be killed from the moment it says that it has begun."""
    staging.HELD_BYTES, formats.PIECE_ROWS = 1, 8  # so that there is a between
    began.send(True)
    bring_in(root, day)


class Lives:
    """The place where processes are killed, and the calm one beside it."""

    def __init__(self, root: Path) -> None:
        self.killed, self.calm = Place(root / "killed"), Place(root / "calm")
        self.chance = random.Random(SEED)
        self.days = list(BEFORE)
        self.stages: Counter[int] = Counter()  # the kills, by how many tables held the day then
        slower = [self.run(day) / self.run_calmly(day) for day in BEFORE]
        self.slower = float(np.median(slower))  # a process does everything for the first time

    @property
    def kills(self) -> int:
        return self.stages.total()

    def live_through(self, day: str) -> None:
        """Bring a day in at both places; at one again and again until it gets through, or was killed often enough."""
        usual_s = self.run_calmly(day) * self.slower
        whole = {table: self.calm.home.tables.contents(table)[day].sha256 for table in TABLES}
        for _ in range(min(KILLS_EACH, KILLS - self.kills)):
            if not self.run_and_kill(day, after_s=self.chance.uniform(0, usual_s)):
                break
            found = self.killed.stored(day)
            half = [table for table, rows in found.items() if sha256_table(rows) != whole[table]]
            assert not half, f"{half} of {day} are readable and not whole; MLOPS_TEST_SEED={SEED}"
            self.stages[len(found)] += 1
        self._in_peace(self.killed, day)  # with stores that remember nothing of the lives before
        self.days.append(day)

    def run_calmly(self, day: str) -> float:
        """Bring a day in where nobody is killed, and give the seconds it took."""
        self.calm.land(day)
        return self._in_peace(self.calm, day)

    def _in_peace(self, place: Place, day: str) -> float:
        start = time.monotonic()
        bring_in(place.root, day)
        return time.monotonic() - start

    def run(self, day: str) -> float:
        """Bring a day in in a process of its own, and give the seconds it took."""
        process = self._begin(day)
        start = time.monotonic()
        process.join()
        assert process.exitcode == 0
        return time.monotonic() - start

    def run_and_kill(self, day: str, *, after_s: float) -> bool:
        """Do so and kill the process; give whether that was before its end."""
        process = self._begin(day)
        time.sleep(after_s)
        process.kill()
        process.join()
        return process.exitcode != 0

    def _begin(self, day: str) -> ForkServerProcess:
        self.killed.land(day)
        here, there = PROCESSES.Pipe()
        process = PROCESSES.Process(target=live, args=(self.killed.root, day, there))
        process.start()
        here.recv()
        return process


@pytest.fixture(scope="module")
def lives(tmp_path_factory) -> Lives:
    """Both places after all days, each day looked at right after each kill."""
    lives = Lives(tmp_path_factory.mktemp("lives"))
    for day in days(FIRST_DAY, KILLS):
        if lives.kills < KILLS:
            lives.live_through(day)
    return lives


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_row_is_lost_or_doubled(lives):
    """Each table holds, day by day and to the bit, what it holds where nothing was killed."""
    killed, calm = (
        {t: place.home.tables.version(t).partitions for t in TABLES} for place in (lives.killed, lives.calm)
    )

    before, between, after = lives.stages[0], lives.stages[1], lives.stages[2] + lives.stages[3] + lives.stages[4]
    LOG.warning("MLOPS_TEST_SEED=%d: kills by the number of tables that held the day: %s", SEED, dict(lives.stages))
    assert lives.kills == KILLS
    assert min(before, between, after) > 0
    assert killed == calm, f"MLOPS_TEST_SEED={SEED}"
    rows = {table: lives.killed.home.tables.version(table).rows for table in TABLES}
    assert rows["validated/orders"] + rows["quarantine/orders"] == rows["raw/orders"]
    assert rows["quarantine/orders"] == len(BAD) * len(lives.days)
    assert rows["raw/orders"] == ORDERS_PER_DAY * len(lives.days)


@pytest.mark.slow
def test_the_endpoint_looks_up_the_same_at_every_time(lives):
    """The newest rows of each key as known at the end of each of the last days."""
    ends = [the_end_of(day) + timedelta(hours=1) for day in lives.days[-5:]]

    def found(place: Place, at: datetime) -> list[tuple[float, str]]:
        keys = {"branch": np.array(BRANCHES, dtype=object)}
        times = np.full(len(BRANCHES), np.datetime64(at.replace(tzinfo=None), "us"))
        column = place.home.online.read(place.view, keys, times)["return_rate_7d"]
        return list(zip(column.values.tolist(), column.status.tolist(), strict=True))

    assert [found(lives.killed, at) for at in ends] == [found(lives.calm, at) for at in ends]
    assert {status for at in ends for _, status in found(lives.killed, at)} == {"ok"}


@pytest.mark.slow
def test_each_quarantine_is_on_record_once(lives):
    """A run that is repeated tells the audit log nothing twice, and the chain is unbroken."""
    told = [entry.at for entry in lives.killed.home.state.audit_entries() if entry.event == Event.DATA_QUARANTINED]

    assert len(told) == len(set(told)) == len(lives.days)
    assert lives.killed.home.state.audit_verify() == len(told)


@pytest.mark.slow
def test_what_was_found_in_each_day_is_told(lives):
    """Whoever looks for the page of a day's quality finds the last judgement of it."""
    killed, calm = (
        {day: place.home.quality.newest("orders", day) for day in lives.days} for place in (lives.killed, lives.calm)
    )

    assert killed == calm

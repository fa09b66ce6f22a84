"""`kill -9` of any one process of a running stack, at any moment of a release under load: nothing that counts is lost.

Every round asks a stack with live traffic for a new version, kills one of its processes somewhere on the way, looks at
what is left, and starts the stack again, which has to finish what was asked for.
"""

import logging
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from mlops_assets.cli import processes
from mlops_assets.cli.ports import any_port
from mlops_assets.cli.stack import StackState, read_state
from mlops_assets.governance import Event
from mlops_assets.governance.audit import gaps
from mlops_assets.records import AuditEntry
from mlops_assets.stores.home import Home
from mlops_assets.stores.predictions import days as logged_days
from mlops_assets.stores.predictions import decode_prediction, read_predictions
from mlops_assets_tests._commands import BIN, environment, run
from mlops_assets_tests._endpoint import Load
from mlops_assets_tests._shop import FIRST_DAY, HISTORY_DAYS, MODEL, Shop, the_end_of

VICTIMS = ("supervisor", "endpoint", "code server", "daemon", "mlflow", "webserver", "worker")
SURVIVED = ("worker",)  # the process of a run: Dagster tries the run again, and the stack stays up
RELEASE_TAKES_S = 12.0  # from the request to the new version, on an idle machine; the kill falls somewhere in it
TIMEOUT_S = 120.0
ENDS = (Event.DEPLOYMENT_COMPLETED, Event.GATE_REFUSED)
ORDER = {"branch": "north", "amount": 70.0}
SEED = int(os.environ.get("MLOPS_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
LOG = logging.getLogger(__name__)


def wait_until(what: str, true: Callable[[], object], *, within_s: float = TIMEOUT_S) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"waited {within_s:.0f} s for: {what}"
        time.sleep(0.05)


class Life:
    """A shop and its stack in a process of its own, which is started, killed and started again."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.chance = random.Random(SEED)
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.next_day = FIRST_DAY + timedelta(days=HISTORY_DAYS)
        self.acknowledged: set[str] = set()

    @property
    def home(self) -> Home:
        """The stores as any other process sees them."""
        return Home(self.shop.home.root)

    @property
    def log(self) -> Path:
        return self.home.root / "up.log"

    @property
    def state(self) -> StackState:
        state = read_state(self.home.root)
        assert state is not None
        return state

    def mlops(self, *arguments: str) -> str:
        return run("mlops", *arguments, "--home", str(self.home.root), cwd=self.shop.project.root)

    def start(self) -> None:
        """Start the stack, and wait until it answers; on ports that no other test looks for at the same time."""
        ports = (f"--{name}-port={any_port()}" for name in ("dagster", "mlflow", "endpoint"))
        with self.log.open("wb") as output:
            self.supervisor = subprocess.Popen(
                [BIN / "mlops", "up", "--home", str(self.home.root), *ports],
                cwd=self.shop.project.root,
                env=environment(MLOPS_SENSOR_INTERVAL_S="1"),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until("mlops up", lambda: self.supervisor.poll() is not None or b"Ctrl-C" in self.log.read_bytes())
        assert self.supervisor.poll() is None, self.log.read_text()

    def stop(self) -> None:
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.supervisor.send_signal(signal.SIGINT)
            self.supervisor.wait(TIMEOUT_S)

    def live_one_day(self) -> datetime:
        """Bring the next day's orders in, so that there is something new to learn; give the time it is then."""
        day = self.next_day.isoformat()
        self.next_day += timedelta(days=1)
        self.shop.land(day)
        assert not self.shop.bring_in(day)
        self.shop.at(the_end_of(day))
        return the_end_of(day)

    @property
    def runs(self) -> bool:
        return self.supervisor is not None and self.supervisor.poll() is None

    def load(self, name: str, now: datetime) -> Load:
        """Begin to send requests, one after the other."""
        load = Load(self.state.addresses.endpoint, name, model=MODEL, instance=ORDER, at=now)
        load.start()
        return load

    def wait_somewhere_on_the_way(self, victim: str) -> None:
        if victim in SURVIVED:
            wait_until("the process of a run", self.workers)
            time.sleep(self.chance.uniform(0, RELEASE_TAKES_S / 3))
            wait_until("the process of a run", self.workers)
        else:
            time.sleep(self.chance.uniform(0, RELEASE_TAKES_S))

    def wait_until_nothing_runs(self, killed: str) -> None:
        """Wait for the stack's end; unless its supervisor was killed, it has said who died and what to do."""
        self.supervisor.wait(TIMEOUT_S)
        groups = self.state.groups.values()
        wait_until("the end of all servers", lambda: not any(processes.is_alive(group) for group in groups))
        if killed != "supervisor":
            said = self.log.read_text()
            assert f"The {killed} was killed by signal 9" in said
            assert "run `mlops up` to continue" in said

    def logged(self) -> set[str]:
        """The requests in the prediction log."""
        root = self.home.predictions
        return {
            decode_prediction(record).request_id
            for day in logged_days(root, MODEL)
            for record in read_predictions(root, MODEL, day)
        }

    def models(self) -> set[str]:
        """The bundles that are there, each whole."""
        found = set(self.home.bundles.list(MODEL))
        for sha256 in found:
            self.home.bundles.load(MODEL, sha256)
        return found

    def served_version(self) -> int:
        url = f"{self.state.addresses.endpoint}/models/{MODEL}/predict"
        answer = httpx.post(url, json={"instances": [ORDER]}, trust_env=False).raise_for_status()
        return int(answer.json()["version"])

    def audit(self) -> tuple[AuditEntry, ...]:
        """The audit log, proven whole: no link broken, no step of a release without the one before it.

        The stack goes on writing it, so what is read after the proof may be longer, and is never shorter.
        """
        state = self.home.state
        proven = state.audit_verify()
        entries = state.audit_entries()
        assert proven <= len(entries)
        assert not gaps(entries)
        return entries

    def ended(self) -> int:
        """How many releases have come to their end: live, or refused."""
        return sum(entry.event in ENDS for entry in self.audit())

    def pid_of(self, victim: str) -> int:
        if victim == "supervisor":
            return self.state.supervisor.pid
        return self.workers()[0] if victim == "worker" else self.state.groups[victim].pid

    def workers(self) -> list[int]:
        """The processes of the runs that are under way."""
        threads = Path(f"/proc/{self.state.groups['code server'].pid}/task").iterdir()  # any of them may start a run
        children = [pid for thread in threads for pid in (thread / "children").read_text().split()]
        return [int(pid) for pid in children if is_worker(pid)]


def is_worker(pid: str) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.fixture(scope="module")
def life(shop_project, grown, tmp_path_factory) -> Iterator[Life]:
    """A shop with a version live, whose stack lives through all rounds."""
    home = tmp_path_factory.mktemp("killed") / "home"
    shutil.copytree(grown, home)
    life = Life(Shop.on(shop_project, home))
    try:
        yield life
    finally:
        life.stop()


@pytest.fixture(params=VICTIMS)
def victim(request) -> str:
    return str(request.param)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_was_acknowledged_is_there_and_what_was_asked_for_is_done(life, victim):
    """Predictions, the audit log and models survive; the stack says who died, and its next start goes on."""
    now, ended = life.live_one_day(), life.ended()
    if not life.runs:
        life.start()
    load = life.load(victim, now)
    life.mlops("train", MODEL, "--reason", f"the {victim} is about to be killed")

    life.wait_somewhere_on_the_way(victim)
    before, models = life.audit(), life.models()
    os.kill(life.pid_of(victim), signal.SIGKILL)
    if victim not in SURVIVED:
        life.wait_until_nothing_runs(victim)
    load.stop()

    story = [entry.event for entry in before[-3:]], len(load.acknowledged)
    LOG.warning("MLOPS_TEST_SEED=%d: killed after the events %s and %d predictions", SEED, *story)
    assert load.acknowledged
    assert set(load.acknowledged) <= life.logged()
    assert life.audit()[: len(before)] == before
    assert models <= life.models()

    if not life.runs:
        life.start()
    wait_until("the release that was asked for", lambda: life.ended() > ended)
    assert life.served_version() == life.home.releases.current(MODEL).version


@pytest.mark.slow
def test_new_versions_went_live_all_the_same(life):
    """Had every round ended in a refusal, little would be proven."""
    assert life.home.releases.current(MODEL).version > len(VICTIMS) // 2

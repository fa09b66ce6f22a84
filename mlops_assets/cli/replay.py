"""Plays a table's history as if it were happening: the outer world, as a client of the product like any other.

Decisions are sent to the endpoint over HTTP when they fall due, each day's batch lands after the day, and the clock of
the home is moved. What follows from that is the product's own doing: Dagster's daemon sees that a window is over, has
it measured, weighs the findings and retrains.
"""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Event, Thread
from time import monotonic, sleep

import dagster as dg

from mlops_assets.cli.project import Project
from mlops_assets.cli.traffic import Client, Traffic, send_all
from mlops_assets.cli.world import Fault, World
from mlops_assets.errors import StackError
from mlops_assets.orchestration.freshness import Inputs, stale
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.partitions import DAY, REFRESH_WAIT
from mlops_assets.orchestration.project import daily_tables
from mlops_assets.orchestration.resources import replay_time, set_replay_time
from mlops_assets.orchestration.schedules import missing_days
from mlops_assets.orchestration.sensors import is_under_way, is_weighed, unmeasured_windows, weigh
from mlops_assets.orchestration.tags import ANSWERS_TAG, BY_PEOPLE, PARTITION_TAG, PURPOSE_TAG
from mlops_assets.records import RetrainingDecision

PATIENCE_S = 600.0  # for one thing to happen; a busy machine with two cores takes its time
LOOK_S = 0.2
HISTORY_AT_MOST = 366  # days brought in as one run: it reads and commits once
RECENT = 200  # decisions a client asks again while a release is under way, as clients with retries do

Say = Callable[[str], None]


class Replay:
    """Plays the time from `start` to `end` to a running stack, one day after the other.

    A replay that was cut short goes on where the clock of the home stands.

    Args:
        project: Whose tables and models.
        url: Where the endpoint answers.
        start: First day that is live; everything before is history, there from the beginning.
        end: First day that is not.
        models: Names of the models that are asked; all of them by default.
        faults: Faulty batches by day and table. The right batch lands a day later.
        check: Called often; raises when the stack has died.
        day_done: Called with each day that is over.
        say: Takes a line about what happened.
    """

    def __init__(
        self,
        project: Project,
        *,
        url: str,
        start: date,
        end: date,
        models: Collection[str] | None = None,
        faults: Mapping[str, Mapping[str, Fault]] | None = None,
        check: Callable[[], None] = lambda: None,
        day_done: Callable[[date], None] = lambda day: None,
        say: Say = lambda line: None,
    ) -> None:
        self.project = project
        self.home = project.home
        self.traffic = Traffic()
        self._start, self._end = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (start, end))
        self._faults = faults or {}
        self._check, self._day_done, self._say = check, day_done, say
        self._models = {n: folder for n, folder in project.models.items() if models is None or n in models}
        self._world = World(project)
        self._inputs = Inputs.declared(project.tables, project.views)
        self._clients = [Client(folder, self._world, url=url, traffic=self.traffic) for folder in self._models.values()]
        self._recent: list[tuple[Client, bytes]] = []

    def run(self) -> None:
        """Play until the end, and until the windows that are over by then have been measured and weighed."""
        self.begin()
        while (now := self._now()) < self._end + REFRESH_WAIT:
            self._day(now)
            self._day_done(now.date())
        labels_in = max(timedelta(hours=folder.declaration.monitor.wait_hours) for folder in self._models.values())
        set_replay_time(self.home, max(self._now(), self._end + REFRESH_WAIT + labels_in))
        self._settle()

    def begin(self) -> None:
        """Bring in the history and have every model released once."""
        if replay_time(self.home) is None:
            set_replay_time(self.home, self._start + REFRESH_WAIT)
        history = [
            days
            for days in missing_days(
                daily_tables(self.project.definitions),
                self.home,
                self._now(),
                sources=self.project.tables,
                at_most=HISTORY_AT_MOST,
            )
            if days[0] not in self._faults  # refused, and its corrected batch is still to land
        ]
        if history:
            self._require(self.project.refresh_whole_tables(now=self._now()), "the tables that are read whole")
        for days in history:
            self._say(f"bringing in {len(days)} days of history, {days[0]} to {days[-1]}")
            self._require(self.project.refresh(days, now=self._now()), f"{days[0]} to {days[-1]}")
        for name in self._models:
            if self.home.releases.current(name) is None and not self._is_releasing(name):
                self._ask_for_first_model(name)
        self._settle()
        for name in self._models:
            if self.home.releases.current(name) is None:
                raise StackError(
                    f"{name} has no released version although its training ran; nothing can be replayed to it. "
                    f"Look at its newest run in Dagster.",
                    model=name,
                )

    def _day(self, now: datetime) -> None:
        """Play one day: decisions as they fall due, then the day's batches, then what the product makes of it."""
        until = now + DAY
        due = {client: client.due(now, until) for client in self._clients}
        with ThreadPoolExecutor(max_workers=len(due) or 1) as asking:  # each model has a client of its own
            list(asking.map(send_all, due.items()))
        self._recent = [(client, body) for client, bodies in due.items() for body in bodies[-RECENT // len(due) :]]
        day = (now - REFRESH_WAIT).date().isoformat()
        for again in self._late(day):
            self._world.land(again, {})
            self._say(f"{again}: the corrected batch has landed")
            self.project.refresh([again], now=until)  # after the day's decisions, which could not know it
        self._world.land(day, self._faults.get(day, {}))
        for fault in self.project.refresh([day], now=until):
            self._say(fault)
        set_replay_time(self.home, until)  # last, so that a replay cut short plays this day again, to the same end
        self._check()
        if self._something_is_due(until):
            self._settle()

    def _something_is_due(self, now: datetime) -> bool:
        """Tell whether the product has a window to measure or a retraining to ask for, for which the world waits.

        Live, its sensors look thousands of times a day; here a day may be over before they have looked once.
        """
        return any(
            unmeasured_windows(name, folder.declaration, self.home, now) or self._calls_for_retraining(folder, now)
            for name, folder in self._models.items()
        )

    def _calls_for_retraining(self, folder: ModelFolder, now: datetime) -> bool:
        held_by = stale(self._inputs.of(folder.declaration), self.home, now)
        return weigh(folder.name, folder.declaration, self.home, now, in_flight=False, stale=held_by).retrain

    def _late(self, today: str) -> list[str]:
        """Name the days whose batch was refused, so that a corrected one lands."""
        return [day for day in self._faults if day < today and not self._complete(day)]

    def _complete(self, day: str) -> bool:
        return all(day in self.home.tables.partitions(f"validated/{table}") for table in self._faults[day])

    # --- waiting for the product ----------------------------------------------------------------------

    def _settle(self) -> None:
        """Wait until every window that is over is measured, every finding weighed and every release run ended.

        While a release is under way, requests go on: those of the last hours are asked again, as clients with retries
        do, so that whether one was lost can be seen.
        """
        now = self._now()
        self._until(lambda: not self._unmeasured(now), "the windows that are over to be measured")
        self._until(self._weighed, "the findings to be weighed")
        if not self._releasing():
            return
        stop = Event()
        asking = Thread(target=self._ask_again, args=(stop,), daemon=True)
        asking.start()
        try:
            self._until(lambda: not self._releasing(), "the release to end")
        finally:
            stop.set()
            asking.join()

    def _unmeasured(self, now: datetime) -> bool:
        """Tell whether windows that are over wait to be measured.

        Raises:
            StackError: The run that was to measure one failed, and will not be tried again.
        """
        waiting = [
            (name, window)
            for name, folder in self._models.items()
            for window in unmeasured_windows(name, folder.declaration, self.home, now)
        ]
        for name, window in waiting:
            watching = dg.RunsFilter(tags={PURPOSE_TAG: "watch", PARTITION_TAG: window})
            measured = dg.AssetKey([name, "performance"])
            runs = [r for r in self.project.instance.get_runs(watching) if measured in (r.asset_selection or ())]
            if runs and runs[0].status is dg.DagsterRunStatus.FAILURE and not is_under_way(runs[0]):
                raise StackError(
                    f"The run that was to measure {name} in the window {window} failed. Look at run {runs[0].run_id} "
                    "in Dagster, mend what it says and re-execute it there.",
                    model=name,
                    window=window,
                )
        return bool(waiting)

    def _weighed(self) -> bool:
        """Tell whether the retraining sensor has looked since the newest window was measured."""
        return all(is_weighed(self.home, name, self._now()) for name in self._models)

    def _releasing(self) -> bool:
        """Tell whether a retraining was asked for whose run has not ended."""
        return any(self._is_releasing(name) for name in self._models)

    def _is_releasing(self, name: str) -> bool:
        asked = [decision for decision in self.home.state.decisions(name) if decision.retrain]
        if not asked:
            return False
        runs = self.project.instance.get_runs(dg.RunsFilter(tags={ANSWERS_TAG: asked[-1].answers}), limit=1)
        return not runs or is_under_way(runs[0])

    def _ask_again(self, stop: Event) -> None:
        while not stop.is_set():
            for client, body in self._recent or []:
                if stop.is_set():
                    return
                client.send(body, again=True)
                sleep(0.005)
            if not self._recent:
                return

    def _until(self, done: Callable[[], bool], what: str) -> None:
        deadline = monotonic() + PATIENCE_S
        while not done():
            self._check()
            if monotonic() > deadline:
                raise StackError(
                    f"Waited {PATIENCE_S:.0f} s for {what}, at {self._now():%Y-%m-%d %H:%M} of the replay. "
                    "Look at the runs and at the sensors' ticks in Dagster; the next `mlops replay` goes on from here."
                )
            sleep(LOOK_S)

    def _ask_for_first_model(self, name: str) -> None:
        earlier = sum(decision.retrain for decision in self.home.state.decisions(name))
        self.home.state.decide_once(
            RetrainingDecision(
                model=name,
                retrain=True,
                trigger=BY_PEOPLE,
                reason="First model: nothing is live yet.",
                answers=f"first:{name}:{earlier}",  # one that came to nothing is asked for again
                decided_at=self._now(),
            )
        )

    def _now(self) -> datetime:
        time = replay_time(self.home)
        assert time is not None, "begin() sets the clock"
        return time

    def _require(self, faults: list[str], what: str) -> None:
        if faults:
            raise StackError(f"Bringing in {what} failed, and nothing can be replayed without: {'; '.join(faults)}")

"""Whatever happens, retraining stays within its brakes: a machine that tries to break them."""

import itertools
from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mlops_assets.retraining import BusinessEvent, RetrainingPolicy, decide
from mlops_assets_tests.retraining.test_policy import CHAMPION, DAY, START, WEEK, drift, performance

POLICY = RetrainingPolicy(
    cadence_days=20,
    cooldown_days=3,
    max_cooldown_days=30,
    max_per_month=3,
    minimum_new_rows=0,
    events={"new carrier": 1},
)


class RetrainingLife(RuleBasedStateMachine):
    """A model's life in any order of good, bad and odd weeks, promotions, refusals and questions."""

    def __init__(self):
        super().__init__()
        self.now = START
        self.weeks = 0
        self.champion = CHAMPION
        self.live_since = START
        self.performance, self.drift, self.events, self.refusals, self.decisions = [], [], [], [], []
        self.running = False
        self.cooldowns = []

    @rule(degraded=st.booleans(), sufficient=st.booleans(), score=st.sampled_from([0.0, 2.0]), features=st.floats(0, 9))
    def a_week_passes(self, degraded, sufficient, score, features):
        """A window of predictions and labels comes in."""
        bundle = {"bundle_sha256": self.champion.sha256}
        self.performance.append(
            performance(self.weeks, degraded=degraded and sufficient, sufficient=sufficient, **bundle)
        )
        self.drift.append(drift(self.weeks, score=score, features=features, **bundle))
        self.weeks += 1
        self.now = max(self.now, START + self.weeks * WEEK)

    @rule(hours=st.integers(1, 40))
    def hours_pass(self, hours):
        """Time goes on between windows."""
        self.now += timedelta(hours=hours)

    @rule()
    def something_happens(self):
        """The business has news."""
        self.events.append(BusinessEvent(name="new carrier", at=self.now))

    @rule(times=st.integers(1, 3))
    def a_sensor_asks(self, times):
        """Asked again at the same moment, the answer must not be a second request."""
        for _ in range(times):
            decision = decide(
                POLICY,
                model="m",
                performance=self.performance,
                drift=self.drift,
                history=self.decisions,
                champion=self.champion,
                live_since=self.live_since,
                now=self.now,
                events=self.events,
                refusals=self.refusals,
                in_flight=self.running,
            )
            assert decision.reason.startswith(("Retrain: ", "No retraining"))
            if decision.retrain:
                assert not self.running
                refused = sum(at > self.live_since for at in self.refusals)
                self.cooldowns.append(min(3 * 2**refused, 30) * DAY)
                self.running = True
            self.decisions.append(decision)

    @precondition(lambda self: self.running)
    @rule(promoted=st.booleans())
    def a_retraining_ends(self, promoted):
        """Its challenger goes live, or the gate refuses it."""
        self.running = False
        self.now += timedelta(hours=1)
        if promoted:
            self.champion = replace(self.champion, sha256=f"v{len(self.decisions)}", cut_off=self.now - 2 * DAY)
            self.live_since = self.now
        else:
            self.refusals.append(self.now)

    @invariant()
    def the_budget_is_kept(self):
        """In no thirty days are there more requests than declared."""
        times = self._request_times()
        assert all(last - first >= 30 * DAY for first, last in zip(times, times[3:], strict=False))

    @invariant()
    def the_cooldown_is_kept(self):
        """No request comes sooner after the last one than the pause that held when it was made."""
        gaps = [later - earlier for earlier, later in itertools.pairwise(self._request_times())]
        assert all(gap >= pause for gap, pause in zip(gaps, self.cooldowns[1:], strict=True))

    @invariant()
    def each_finding_is_answered_once(self):
        """No two requests answer the same evidence, and no refusal wears a request's digest."""
        requests = [decision.answers for decision in self.decisions if decision.retrain]
        others = {decision.answers for decision in self.decisions if not decision.retrain}
        assert len(set(requests)) == len(requests)
        assert not others & set(requests)

    def _request_times(self):
        return [decision.decided_at for decision in self.decisions if decision.retrain]


TestRetrainingLife = RetrainingLife.TestCase
TestRetrainingLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

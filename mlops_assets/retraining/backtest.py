"""A policy tried on the past: what it would have asked for, had it been in force."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from mlops_assets.digests import sha256_json
from mlops_assets.records import DriftReport, ModelVersion, PerformanceReport, RetrainingDecision
from mlops_assets.retraining.policy import decide
from mlops_assets.retraining.situation import BusinessEvent, Report
from mlops_assets.retraining.terms import RetrainingPolicy


@dataclass(frozen=True, slots=True)
class Backtest:
    """Every decision a policy would have recorded, each finding and each reason once, oldest first."""

    decisions: tuple[RetrainingDecision, ...]

    @property
    def requests(self) -> tuple[RetrainingDecision, ...]:
        """The decisions that said yes."""
        return tuple(decision for decision in self.decisions if decision.retrain)

    def by_trigger(self) -> dict[str, int]:
        """Give how many retrainings each trigger would have asked for."""
        triggers = [request.trigger for request in self.requests]
        return {trigger: triggers.count(trigger) for trigger in sorted(set(triggers))}


def replay(
    policy: RetrainingPolicy,
    *,
    champion: ModelVersion,
    performance: Sequence[PerformanceReport],
    drift: Sequence[DriftReport],
    start: datetime,
    end: datetime,
    events: Sequence[BusinessEvent] = (),
    label_delay: timedelta = timedelta(0),
    every: timedelta = timedelta(days=1),
    challengers: Literal["promoted", "refused"] = "promoted",
) -> Backtest:
    """Replay `policy` over stored reports from `start` to `end`, deciding once per `every`.

    What a model that was never trained would have scored nobody knows, so the reports stand for whichever champion the
    replay has: an upper bound on requests where retraining helps. `challengers` says how each of them is assumed to
    end, at once; the truth lies between the two. A performance report is known `label_delay` after its window.
    """
    live_since = start
    decisions: list[RetrainingDecision] = []
    answered: set[str] = set()
    refusals: list[datetime] = []
    now = start
    while now <= end:
        decision = decide(
            policy,
            model=champion.model,
            performance=_of(champion, [report for report in performance if report.end + label_delay <= now]),
            drift=_of(champion, [report for report in drift if report.end <= now]),
            history=decisions,
            champion=champion,
            live_since=live_since,
            now=now,
            events=events,
            refusals=refusals,
        )
        if decision.answers not in answered:
            answered.add(decision.answers)
            decisions.append(decision)
            if decision.retrain and challengers == "promoted":
                champion = replace(champion, sha256=sha256_json([champion.sha256, decision.answers]), cut_off=now)
                live_since = now
            elif decision.retrain:
                refusals.append(now)
        now += every
    return Backtest(tuple(decisions))


def _of(champion: ModelVersion, reports: Sequence[Report]) -> list[Report]:
    return [replace(report, bundle_sha256=champion.sha256) for report in reports]

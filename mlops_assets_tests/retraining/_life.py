"""A model's life under a policy, decided about once a day."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from mlops_assets.records import DriftReport, ModelVersion, PerformanceReport, RetrainingDecision
from mlops_assets.retraining import RetrainingPolicy, decide


def lived(
    policy: RetrainingPolicy,
    champion: ModelVersion,
    performance: Sequence[PerformanceReport],
    drift: Sequence[DriftReport] = (),
    *,
    start: datetime,
    end: datetime,
    promoted: bool = True,
) -> list[RetrainingDecision]:
    """Give each reason once, oldest first.

    The reports stand for whichever champion there is; each challenger is promoted at once, or refused.
    """
    live_since, now = start, start
    decisions: list[RetrainingDecision] = []
    answered: set[str] = set()
    refusals: list[datetime] = []
    while now <= end:
        decision = decide(
            policy,
            model=champion.model,
            performance=[replace(report, bundle_sha256=champion.sha256) for report in performance if report.end <= now],
            drift=[replace(report, bundle_sha256=champion.sha256) for report in drift if report.end <= now],
            history=decisions,
            champion=champion,
            live_since=live_since,
            now=now,
            refusals=refusals,
        )
        if decision.answers not in answered:
            answered.add(decision.answers)
            decisions.append(decision)
            if decision.retrain and promoted:
                champion, live_since = replace(champion, sha256=decision.answers, cut_off=now), now
            elif decision.retrain:
                refusals.append(now)
        now += timedelta(days=1)
    return decisions


def requests(decisions: Sequence[RetrainingDecision]) -> list[RetrainingDecision]:
    """Give those that said yes."""
    return [decision for decision in decisions if decision.retrain]

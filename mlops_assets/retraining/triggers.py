"""What calls for retraining, each a function of the policy and the situation; the first found names the request.

To add one, write its function and put it into TRIGGERS by its weight.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from mlops_assets.errors import EXAMPLES_SHOWN, UnknownNameError
from mlops_assets.records import Metric, PerformanceReport
from mlops_assets.retraining.situation import Situation
from mlops_assets.retraining.terms import RetrainingPolicy

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that calls for retraining. Equal `evidence` is the same finding, and is answered once."""

    trigger: str
    says: str
    evidence: tuple[str, ...]


def performance(policy: RetrainingPolicy, situation: Situation) -> Finding | None:
    """Find that the champion keeps falling short of what its evaluation promised."""
    windows = situation.performance[-policy.of_windows :]
    degraded = [window for window in windows if window.degraded]
    if len(degraded) < policy.degraded_windows:
        return None
    return Finding(
        "performance",
        f"performance fell short of its promise in {len(degraded)} of the last {len(windows)} windows, "
        f"most recently {_shortfall(degraded[-1])}",
        (situation.champion.sha256, *(window.sha256 for window in windows)),
    )


def prediction_drift(policy: RetrainingPolicy, situation: Situation) -> Finding | None:
    """Find that the champion's own scores have become others altogether."""
    windows = situation.drift[-policy.score_drift_windows :]
    if policy.score_drift_at is None or len(windows) < policy.score_drift_windows:
        return None
    values = [_score_value(policy, window.score.values) for window in windows if window.score]
    if len(values) < len(windows) or min(values) < policy.score_drift_at:
        return None
    return Finding(
        "prediction_drift",
        f"scores drifted severely in the last {len(windows)} windows ({policy.score_drift} "
        f"{', '.join(f'{value:.2f}' for value in values)}; severe from {policy.score_drift_at:g})",
        (situation.champion.sha256, *(window.sha256 for window in windows)),
    )


def event(policy: RetrainingPolicy, situation: Situation) -> Finding | None:
    """Find that something happened which the champion's training data cannot know of."""
    calling = [
        event
        for event in situation.events
        if event.name in policy.events
        and event.at > situation.champion.cut_off
        and situation.now - event.at >= policy.events[event.name] * DAY
    ]
    if not calling:
        return None
    newest = max(calling, key=lambda event: event.at)
    return Finding(
        "event",
        f"{newest.name!r} of {newest.at:%Y-%m-%d} came after the champion's data",
        # Not bound to the champion: the event has had its answer even if the new champion's data still end before it.
        (newest.name, newest.at.isoformat()),
    )


def cadence(policy: RetrainingPolicy, situation: Situation) -> Finding | None:
    """Find that the champion's data have become old; each further cadence without a successor is a new finding."""
    if policy.cadence_days is None:
        return None
    age = situation.now - situation.champion.cut_off
    times_due = int(age / (policy.cadence_days * DAY))
    if times_due < 1:
        return None
    return Finding(
        "cadence",
        f"the champion's data end at {situation.champion.cut_off:%Y-%m-%d}, {age / DAY:.0f} days ago, and are to be "
        f"refreshed every {policy.cadence_days:g} days",
        (situation.champion.sha256, str(times_due)),
    )


TRIGGERS: tuple[Callable[[RetrainingPolicy, Situation], Finding | None], ...] = (
    performance,
    prediction_drift,
    event,
    cadence,
)


def quiet(policy: RetrainingPolicy, situation: Situation) -> str:
    """Say, with its numbers, why nothing calls for retraining."""
    windows = situation.performance[-policy.of_windows :]
    if windows:
        degraded = sum(window.degraded for window in windows)
        seen = f"{degraded} of the last {len(windows)} windows fell short, {policy.degraded_windows} would call for it"
        seen += f" (newest: {newest})" if (newest := _shortfall(windows[-1])) else ""
    else:
        seen = "no window of this champion has enough labels yet"
    if policy.cadence_days is None:
        return f"{seen}."
    due = situation.champion.cut_off + policy.cadence_days * DAY
    return f"{seen}; a refresh is due on {due:%Y-%m-%d}."


def feature_drift(situation: Situation) -> str:
    """Say which features drifted in the newest window: worth an alert to people, never by itself a retraining."""
    drifted = [column for column in situation.drift[-1].columns if column.drifted] if situation.drift else []
    if not drifted:
        return ""
    drifted.sort(key=lambda column: -column.values.get("psi", 0.0))
    named = ", ".join(
        f"{column.column} (PSI {column.values['psi']:.2f})" if "psi" in column.values else column.column
        for column in drifted[:EXAMPLES_SHOWN]
    )
    more = f" and {len(drifted) - EXAMPLES_SHOWN} more" if len(drifted) > EXAMPLES_SHOWN else ""
    return f" Feature drift is an alert only: {named}{more}."


def _shortfall(window: PerformanceReport) -> str:
    expected = window.expected
    found = next((metric for metric in window.metrics if expected and metric.name == expected.name), None)
    if not found or not expected:
        return ""
    return f"{found.name} {_with_interval(found)} until {window.end:%Y-%m-%d}, promised {expected.value:.4g}"


def _with_interval(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return f"{metric.value:.4g}"
    return f"{metric.value:.4g} [{metric.low:.4g}, {metric.high:.4g}]"


def _score_value(policy: RetrainingPolicy, values: dict[str, float]) -> float:
    if policy.score_drift not in values:
        raise UnknownNameError("drift value of the scores", policy.score_drift, known=values)
    return values[policy.score_drift]

"""What holds a retraining back although something calls for it, each a function that says until when, or nothing.

Together they make storms impossible: whatever the evidence, there is one retraining at a time, a pause after each that
doubles with every refused challenger, and a ceiling per month.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

from mlops_assets.retraining.situation import Situation
from mlops_assets.retraining.terms import RetrainingPolicy

DAY = timedelta(days=1)
BUDGET_DAYS = 31  # no month is longer, so none has more requests than the budget


def in_flight(policy: RetrainingPolicy, situation: Situation) -> str | None:
    """Hold while a retraining is queued or running."""
    return "a retraining is under way" if situation.in_flight else None


def cooldown(policy: RetrainingPolicy, situation: Situation) -> str | None:
    """Hold for a while after every request, twice as long for each challenger refused since the champion went live."""
    if not situation.requests:
        return None
    days = cooldown_days(policy, refusals=situation.refusals)
    last = situation.requests[-1].decided_at
    if situation.now - last >= days * DAY:
        return None
    refused = f", doubled by {situation.refusals} refused," if situation.refusals else ""
    until = last + days * DAY
    return f"the cooldown of {days:g} days{refused} after the request of {last:%Y-%m-%d} ends {until:%Y-%m-%d}"


def budget(policy: RetrainingPolicy, situation: Situation) -> str | None:
    """Hold once the requests of the last 31 days are used up."""
    recent = [r.decided_at for r in situation.requests if situation.now - r.decided_at < BUDGET_DAYS * DAY]
    if len(recent) < policy.max_per_month:
        return None
    free = recent[-policy.max_per_month] + BUDGET_DAYS * DAY
    asked = f"{len(recent)} in {BUDGET_DAYS} days"
    return f"the budget of {policy.max_per_month} requests is used up ({asked}) until {free:%Y-%m-%d}"


def too_few_rows(policy: RetrainingPolicy, situation: Situation) -> str | None:
    """Hold until there is something new to learn from."""
    if situation.new_rows >= policy.minimum_new_rows:
        return None
    return f"{situation.new_rows} new labelled rows of the {policy.minimum_new_rows} asked for"


def stale_data(policy: RetrainingPolicy, situation: Situation) -> str | None:
    """Hold while what would be learnt from is older than declared."""
    if not situation.stale:
        return None
    return f"it would learn from data that are stale ({'; '.join(situation.stale.values())})"


BRAKES: Mapping[str, Callable[[RetrainingPolicy, Situation], str | None]] = {
    "in flight": in_flight,
    "cooldown": cooldown,
    "budget": budget,
    "too few rows": too_few_rows,
    "stale data": stale_data,
}


def cooldown_days(policy: RetrainingPolicy, *, refusals: int) -> float:
    """Give the pause after a request, in days.

    >>> [cooldown_days(RetrainingPolicy(cooldown_days=7, max_cooldown_days=56), refusals=n) for n in range(5)]
    [7.0, 14.0, 28.0, 56.0, 56.0]
    """
    return min(policy.cooldown_days * 2.0 ** min(refusals, 32), policy.max_cooldown_days)

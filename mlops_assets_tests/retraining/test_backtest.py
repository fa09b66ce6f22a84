"""A policy tried on the past asks for what it would have asked for."""

from datetime import timedelta

import pytest

from mlops_assets.retraining import RetrainingPolicy, replay
from mlops_assets_tests.retraining.test_policy import CHAMPION, START, WEEK, drift, performance


def _replay(policy, reports, drifts=(), **assumed):
    return replay(
        policy, champion=CHAMPION, performance=reports, drift=drifts, start=START, end=START + 52 * WEEK, **assumed
    )


def test_a_good_year_asks_only_for_refreshes():
    """Every ninety days a refresh, each from the last one's cut-off, and nothing else."""
    backtest = _replay(RetrainingPolicy(cadence_days=90), [performance(week) for week in range(52)])

    assert backtest.by_trigger() == {"cadence": 4}
    assert [(request.decided_at - START).days for request in backtest.requests] == [90, 180, 270, 360]


def test_drift_of_features_alone_asks_for_nothing():
    """A year of PSI 8 in the features is a year of alerts."""
    good, hot = [performance(week) for week in range(52)], [drift(week, features=8.0) for week in range(52)]

    backtest = _replay(RetrainingPolicy(cadence_days=None), good, hot)

    assert backtest.requests == ()
    assert all("temp (PSI 8.00)" in decision.reason for decision in backtest.decisions[1:])


@pytest.mark.parametrize(("challengers", "requests"), [("promoted", 23), ("refused", 8)])
def test_a_bad_year_is_bounded_by_the_brakes_and_slowed_by_refusals(challengers, requests):
    """If nothing helps, promotions stop at two a month; refusals double the pause: days 14, 28, 56, 112, 168 … 336."""
    bad = [performance(week, degraded=True) for week in range(52)]

    backtest = _replay(RetrainingPolicy(cadence_days=None), bad, challengers=challengers)

    assert backtest.by_trigger() == {"performance": requests}


def test_labels_that_come_late_make_requests_come_late():
    """A window is known only once its labels are."""
    bad = [performance(week, degraded=True) for week in range(2)]

    prompt, late = (
        _replay(RetrainingPolicy(cadence_days=None), bad, label_delay=delay).requests[0].decided_at
        for delay in (timedelta(0), timedelta(days=3))
    )

    assert late - prompt == timedelta(days=3)

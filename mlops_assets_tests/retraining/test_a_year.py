"""A policy obeyed for a year asks for as many retrainings as it should, and not for more."""

from collections import Counter
from functools import partial

import pytest

from mlops_assets.retraining import RetrainingPolicy
from mlops_assets_tests.retraining._life import lived, requests
from mlops_assets_tests.retraining.test_policy import CHAMPION, START, WEEK, drift, performance

a_year = partial(lived, champion=CHAMPION, start=START, end=START + 52 * WEEK)


def test_a_good_year_asks_only_for_refreshes():
    """Every ninety days a refresh, each from the last one's cut-off, and nothing else."""
    asked = requests(a_year(RetrainingPolicy(cadence_days=90), performance=[performance(week) for week in range(52)]))

    assert {request.trigger for request in asked} == {"cadence"}
    assert [(request.decided_at - START).days for request in asked] == [90, 180, 270, 360]


def test_drift_of_features_alone_asks_for_nothing():
    """A year of PSI 8 in the features is a year of alerts."""
    good, hot = [performance(week) for week in range(52)], [drift(week, features=8.0) for week in range(52)]

    decisions = a_year(RetrainingPolicy(cadence_days=None), performance=good, drift=hot)

    assert requests(decisions) == []
    assert all("temp (PSI 8.00)" in decision.reason for decision in decisions[1:])


@pytest.mark.parametrize(("promoted", "many"), [(True, 23), (False, 8)], ids=["promoted", "refused"])
def test_a_bad_year_is_bounded_by_the_brakes_and_slowed_by_refusals(promoted, many):
    """If nothing helps, promotions stop at two a month; refusals double the pause: days 14, 28, 56, 112, 168 … 336."""
    bad = [performance(week, degraded=True) for week in range(52)]

    asked = requests(a_year(RetrainingPolicy(cadence_days=None), performance=bad, promoted=promoted))

    assert Counter(request.trigger for request in asked) == {"performance": many}

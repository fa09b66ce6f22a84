"""What decisions are worth, with a capacity and without."""

import numpy as np
import pytest

from mlops_assets.evaluation import BusinessValue, Terms, measure


def test_without_a_limit_acted_on_is_what_pays(late):
    """A hit brings 30 and a false alarm costs 10: acting pays from a chance of a quarter."""
    trade = BusinessValue(capacity_share=1, value_of_hit=30, cost_of_false_alarm=10)
    acted = late.good >= 0.25

    found = measure("value_per_1000", late.y, late.good, Terms(value=trade, resamples=200))

    assert found.value == pytest.approx(np.where(late.y[acted] > 0, 30, -10).sum() * 1000 / len(late.y))
    assert found.low < found.value < found.high
    assert found.value == trade.per_1000(late.y, late.good)


def test_where_nothing_pays_nothing_is_acted_on_and_nothing_gained(late):
    """Scores below the chance from which acting pays: a value of 0, not of the whole capacity."""
    trade = BusinessValue(capacity_share=1, value_of_hit=1, cost_of_false_alarm=1)

    assert trade.per_1000(late.y, np.full(len(late.y), 0.4)) == 0
    assert trade.acted_on(late.y, np.full(len(late.y), 0.4)).rows == 0


def test_a_capacity_is_filled_whether_or_not_it_pays():
    """With a declared capacity the highest scores are acted on, as ever."""
    trade = BusinessValue(capacity_share=0.5, value_of_hit=1, cost_of_false_alarm=9)

    assert trade.pays_from is None
    assert trade.per_1000([0, 0], [0.2, 0.1]) == -4500


def test_hits_that_bring_nothing_are_never_worth_it():
    """No chance is high enough."""
    assert BusinessValue(capacity_share=1, value_of_hit=0).pays_from == 1

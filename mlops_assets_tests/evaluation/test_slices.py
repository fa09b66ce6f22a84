"""How a model does on parts of the rows."""

import numpy as np

from mlops_assets.evaluation import Terms, look_into_slices
from mlops_assets.statistics import auc


def look(late, columns, *, challenger=None, champion=None, minimum_rows=300, terms=None):
    return look_into_slices(
        "auc",
        late.y,
        late.good if challenger is None else challenger,
        champion,
        columns=columns,
        minimum_rows=minimum_rows,
        terms=terms or Terms(),
    )


def test_each_level_is_measured_on_its_own_rows(late):
    """The AUC of a carrier is that of its rows alone."""
    found = look(late, {"carrier": late.carrier})

    united = next(result for result in found.results if result.level == "UA")
    mask = late.carrier == "UA"
    assert united.metric.value == auc(late.y[mask], late.good[mask])
    assert sum(result.metric.n for result in found.results) == len(late.y)


def test_missing_values_are_a_level_of_their_own(late):
    """None and NaN are told, not dropped."""
    names = late.carrier.copy()
    names[:500] = None
    numbers = np.where(np.arange(len(late.y)) < 700, np.nan, 1.0)

    found = look(late, {"carrier": names, "engines": numbers})

    missing = {result.column: result.metric.n for result in found.results if result.level == "(missing)"}
    assert missing == {"carrier": 500, "engines": 700}


def test_a_small_slice_is_marked_and_not_compared(late):
    """Forty rows are shown, with their wide interval, and judged by nobody."""
    names = np.where(np.arange(len(late.y)) < 40, "HA", "UA").astype(object)

    found = look(late, {"carrier": names}, champion=late.weak)

    assert [(result.level, result.small) for result in found.results] == [("UA", False), ("HA", True)]
    assert [drop.level for drop in found.drops] == ["UA"]


def test_a_slice_of_one_class_is_named_and_not_measured(late):
    """No AUC is made up for it."""
    names = np.where(np.cumsum(late.y == 0) <= 30, "HA", "UA").astype(object)
    names[late.y == 1] = "UA"

    found = look(late, {"carrier": names})

    assert found.unmeasured == ("carrier=HA (30 rows)",)
    assert [result.level for result in found.results] == ["UA"]


def test_a_drop_on_one_slice_is_found_and_corrected_for_the_number_of_slices(late):
    """A challenger that is blind on one carrier shows there, with Holm's p-value above the plain one."""
    blind = np.where(late.carrier == "DL", late.weak, late.good)

    found = {
        drop.level: drop for drop in look(late, {"carrier": late.carrier}, challenger=blind, champion=late.good).drops
    }

    assert found["DL"].drop > 0.1
    assert found["DL"].p_value < 0.001
    assert found["UA"].drop == 0
    assert found["UA"].p_value == 1


def test_clusters_are_cut_with_the_rows(late):
    """The days of a slice are the days of its own rows."""
    plain, by_day = (look(late, {"carrier": late.carrier}, terms=Terms(clusters=days)) for days in (None, late.day))

    assert plain.results[0].metric.value == by_day.results[0].metric.value
    assert plain.results[0].metric.low != by_day.results[0].metric.low


def test_recall_on_a_slice_without_hits_is_named_and_not_measured(late, trade):
    """Nothing to find is not a recall of nought, nor a crash."""
    names = np.where(np.cumsum(late.y == 0) <= 30, "HA", "UA").astype(object)
    names[late.y == 1] = "UA"

    found = look_into_slices(
        "recall_at_capacity",
        late.y,
        late.good,
        None,
        columns={"carrier": names},
        minimum_rows=300,
        terms=Terms(value=trade, resamples=100, clusters=late.day),
    )

    assert found.unmeasured == ("carrier=HA (30 rows)",)

"""What every measure must do; a measure that joins the family runs these with no new code."""

import numpy as np
import pytest

from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.evaluation import MEASURES, Terms, compare, evaluate, measure

WORTH = np.array([[10.0, -2.0, 0.0], [0.0, 6.0, -1.0], [-3.0, 0.0, 8.0]])
JUDGING = sorted(name for name, known in MEASURES.items() if known.gain)


@pytest.fixture
def rows(request, late, kinds, minutes):
    """The rows that fit the measure's task."""
    of_task = {"binary": late, "multiclass": kinds, "regression": minutes}
    return of_task[MEASURES[request.node.callspec.params["name"]].task]


@pytest.fixture
def terms(trade):
    """Few draws, so that the tests are quick."""
    return Terms(value=trade, resamples=200, threshold=0.4, quantile=0.5, worth=WORTH)


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_a_measure_lies_within_its_own_interval(name, rows, terms):
    """Where an interval is known, it holds the value and is not a point."""
    found = measure(name, rows.y, rows.weak, terms)

    assert found.n == len(rows.y)
    assert found.low is None or found.low < found.value < found.high


@pytest.mark.parametrize("name", JUDGING)
def test_the_better_score_is_in_favour_whichever_way_the_measure_runs(name, rows, terms):
    """A gain is positive for the better score, for losses and for shares alike, and turns with the order."""
    gain, loss = (compare(name, rows.y, *pair, terms) for pair in ((rows.good, rows.weak), (rows.weak, rows.good)))

    assert gain.low > 0
    assert gain.p_value < 0.05
    assert loss.value == pytest.approx(-gain.value)
    assert loss.high < 0


@pytest.mark.parametrize("name", JUDGING)
def test_a_score_is_no_better_than_itself(name, rows, terms):
    """The same scores twice differ by nothing."""
    assert compare(name, rows.y, rows.good, rows.good, terms) == (0, 0, 0, 1)


@pytest.mark.parametrize("name", JUDGING)
def test_a_gain_is_the_difference_of_the_two_values(name, rows, terms):
    """A report's comparison and its metrics add up."""
    good, weak = (measure(name, rows.y, score, terms).value for score in (rows.good, rows.weak))

    found = compare(name, rows.y, rows.good, rows.weak, terms)

    assert found.value == pytest.approx(good - weak if MEASURES[name].higher_is_better else weak - good)


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_the_same_terms_give_the_same_number(name, rows, terms):
    """A report can be derived again to the last bit."""
    assert measure(name, rows.y, rows.weak, terms) == measure(name, rows.y, rows.weak, terms)


@pytest.mark.parametrize("name", ["auc", "precision_at_capacity", "value_per_1000", "mae", "rmse", "macro_auc"])
def test_rows_copied_within_clusters_add_no_certainty(name, rows, terms):
    """Four copies of each row, named as one cluster, leave the interval about as wide as it was."""
    few = slice(0, 400)
    copies = [np.repeat(values[few], 4, axis=0) for values in (rows.y, rows.weak)]
    clustered = Terms(value=terms.value, resamples=400, clusters=np.repeat(np.arange(400), 4))

    once, fourfold = measure(name, rows.y[few], rows.weak[few], terms), measure(name, *copies, clustered)

    assert fourfold.high - fourfold.low == pytest.approx(once.high - once.low, rel=0.25)


def test_evaluating_a_binary_model_gives_the_value_of_all_decisions_too(late, terms):
    """Value per 1,000 decisions times 3 is the value of these 3,000, interval included."""
    found = {metric.name: metric for metric in evaluate("binary", late.y, late.good, terms)}

    assert set(found) == {name for name, known in MEASURES.items() if known.task == "binary"} | {"value"}
    assert found["value"].value == pytest.approx(3 * found["value_per_1000"].value)
    assert found["value"].low == pytest.approx(3 * found["value_per_1000"].low)


def test_value_counts_hits_and_false_alarms_within_the_capacity(late, terms, trade):
    """Of 300 flagged rows each hit brings 300 and each other costs 60."""
    hits = late.y[np.argsort(-late.good)[:300]].sum()

    assert measure("value_per_1000", late.y, late.good, terms).value == pytest.approx(
        (300 * hits - 60 * (300 - hits)) / 3
    )


def test_answers_bring_what_is_declared_for_what_came(kinds, terms):
    """Each row by the table, and per 1,000."""
    found = {metric.name: metric for metric in evaluate("multiclass", kinds.y, kinds.good, terms)}

    brought = [WORTH[int(came), answer] for came, answer in zip(kinds.y, kinds.good.argmax(axis=1), strict=True)]
    assert found["answers_per_1000"].value == pytest.approx(1000 * np.mean(brought))
    assert found["value"].value == pytest.approx(sum(brought))


def test_calibration_is_told_but_nobody_is_judged_by_it(late, terms):
    """A comparison by ECE names the metrics that can judge."""
    with pytest.raises(DeclarationError, match="brier"):
        compare("ece", late.y, late.good, late.weak, terms)


def test_a_misspelt_metric_gets_the_nearest_name(late, terms):
    """Typing errors are answered with the right spelling."""
    with pytest.raises(UnknownNameError, match="Did you mean 'brier'"):
        measure("briar", late.y, late.good, terms)

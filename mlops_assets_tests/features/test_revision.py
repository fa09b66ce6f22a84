"""Rows that come late or come again: found by the decisions they were there for, and by no other."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from mlops_assets.features.join import point_in_time
from mlops_assets.features.revision import revise
from mlops_assets.records import FeatureView, Field

MIDNIGHT = datetime(2013, 4, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOMENT = pa.timestamp("us", "UTC")
VIEW = FeatureView(
    name="delays",
    keys=(Field(name="carrier", dtype="string"),),
    features=(
        Field(name="rate", dtype="float64", nullable=True),
        Field(name="worst", dtype="string", nullable=True),
    ),
    ttl_s=3 * 86400.0,
)


def rows_of(known_at=MIDNIGHT + HOUR, **rates):
    """Rows of one partition: a rate per carrier, or a rate and the worst airport."""
    pairs = {carrier: rate if isinstance(rate, tuple) else (rate, None) for carrier, rate in rates.items()}
    return pa.table(
        {
            "carrier": pa.array(list(pairs), pa.string()),
            "rate": pa.array([rate for rate, _ in pairs.values()], pa.float64()),
            "worst": pa.array([worst for _, worst in pairs.values()], pa.string()),
            "event_time": pa.array([MIDNIGHT] * len(pairs), MOMENT),
            "known_at": pa.array([known_at] * len(pairs), MOMENT),
        }
    )


def found(rows, *, after_h, carrier="UA"):
    """The rate that a decision so many hours after midnight finds."""
    label = pa.table({"carrier": [carrier], "decision_time": pa.array([MIDNIGHT + after_h * HOUR], MOMENT)})
    joined = point_in_time(label, [(VIEW, rows)])
    return joined["rate"][0].as_py(), joined["delays__status"][0].as_py()


def test_a_partition_that_comes_late_is_known_from_then_on():
    """A decision before it came did without."""
    rows = revise(VIEW, rows_of(UA=0.2), before=None, at=MIDNIGHT + 25 * HOUR)

    assert found(rows, after_h=24.9) == (None, "missing")
    assert found(rows, after_h=25) == (0.2, "ok")


def test_a_row_that_was_to_be_known_later_still_is():
    """Coming before its time makes nothing known."""
    rows = revise(VIEW, rows_of(UA=0.2, known_at=MIDNIGHT + 9 * HOUR), before=None, at=MIDNIGHT + 5 * HOUR)

    assert rows["known_at"].to_pylist() == [MIDNIGHT + 9 * HOUR]


def test_a_correction_is_found_by_later_decisions_and_the_mistake_by_earlier_ones():
    """Both stay, each for its time; what did not change stays as it was."""
    before = rows_of(UA=0.2, DL=0.5)

    rows = revise(VIEW, rows_of(UA=0.3, DL=0.5), before=before, at=MIDNIGHT + 25 * HOUR)

    assert rows.num_rows == 3
    assert found(rows, after_h=24) == (0.2, "ok")
    assert found(rows, after_h=26) == (0.3, "ok")
    assert found(rows, after_h=26, carrier="DL") == (0.5, "ok")


@pytest.mark.parametrize("value", [0.2, None, (0.2, "EWR"), (None, "EWR"), 0.1 + 0.2])
def test_computed_again_the_same_nothing_changes(value):
    """Not a row, not a bit, also where values are missing."""
    before = rows_of(UA=value)

    rows = revise(VIEW, rows_of(UA=value), before=before, at=MIDNIGHT + 25 * HOUR)

    assert rows.equals(before)


def test_a_value_that_is_gone_is_a_change_and_so_is_one_that_comes():
    """Null is a value like any other, of numbers and of names."""
    gone = revise(VIEW, rows_of(UA=None), before=rows_of(UA=0.2), at=MIDNIGHT + 25 * HOUR)
    renamed = revise(VIEW, rows_of(UA=(0.2, "JFK")), before=rows_of(UA=(0.2, "EWR")), at=MIDNIGHT + 25 * HOUR)

    assert found(gone, after_h=26) == (None, "ok")
    assert renamed["worst"].to_pylist() == ["EWR", "JFK"]


def test_a_second_correction_back_to_the_first_value_is_a_change_again():
    """It is held against what is known newest, not against all that was ever known."""
    first = revise(VIEW, rows_of(UA=0.3), before=rows_of(UA=0.2), at=MIDNIGHT + 25 * HOUR)

    second = revise(VIEW, rows_of(UA=0.2), before=first, at=MIDNIGHT + 50 * HOUR)

    assert [found(second, after_h=hour)[0] for hour in (24, 30, 60)] == [0.2, 0.3, 0.2]


def test_a_key_that_is_computed_no_longer_keeps_what_was_known_of_it():
    """And a key that is new is known from then on."""
    rows = revise(VIEW, rows_of(AA=0.4), before=rows_of(UA=0.2), at=MIDNIGHT + 25 * HOUR)

    assert found(rows, after_h=26) == (0.2, "ok")
    assert found(rows, after_h=24, carrier="AA") == (None, "missing")
    assert found(rows, after_h=26, carrier="AA") == (0.4, "ok")


def test_a_view_with_a_new_feature_counts_as_in_time():
    """Nobody could have asked for it before; training may learn from its past."""
    before = rows_of(UA=0.2).drop_columns(["worst"])

    rows = revise(VIEW, rows_of(UA=(0.2, "EWR")), before=before, at=MIDNIGHT + 25 * HOUR)

    assert rows.equals(rows_of(UA=(0.2, "EWR")))

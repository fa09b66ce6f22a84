"""How the time before a cut-off is divided."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlops_assets.errors import TrainingError
from mlops_assets.records import Span
from mlops_assets.training import Cut, TrainingWindow, inside


def day(month, number):
    return datetime(2013, month, number, tzinfo=UTC)


def test_an_expanding_window_reaches_from_the_first_row_to_the_gap_before_the_hold_out():
    """Ten days are held out before the cut-off and two more left out before those."""
    window = TrainingWindow(holdout_days=10, gap_days=2)

    cut = window.cut(day(4, 1), first=day(1, 1))

    assert cut == Cut(Span(day(1, 1), day(3, 20)), Span(day(3, 22), day(4, 1)))


def test_a_sliding_window_keeps_its_length():
    """The oldest days fall out as new ones come in."""
    window = TrainingWindow(kind="sliding", days=30, holdout_days=10, gap_days=0)

    assert window.cut(day(4, 1), first=day(1, 1)).train == Span(day(2, 20), day(3, 22))


def test_a_fixed_window_stays_where_it_is():
    """The static model of a comparison learns from the same days at any cut-off."""
    window = TrainingWindow(kind="fixed", days=59, holdout_days=7)

    found = {window.cut(cut_off, first=day(1, 1)).train for cut_off in (day(4, 1), day(9, 1))}

    assert found == {Span(day(1, 1), day(3, 1))}


def test_too_little_history_is_refused():
    """Twelve days leave nothing before a hold-out of fourteen."""
    with pytest.raises(TrainingError, match="nothing is left to learn from"):
        TrainingWindow().cut(day(1, 13), first=day(1, 1))


def test_a_time_without_a_zone_is_refused():
    """A cut-off in local time would move the hold-out."""
    with pytest.raises(TrainingError, match="time zone"):
        TrainingWindow().cut(datetime(2013, 4, 1), first=day(1, 1))  # noqa: DTZ001


def test_a_span_holds_its_start_but_not_its_end():
    """A row at midnight belongs to one side of the cut only, whatever zone the span was written in."""
    eastern = timezone(timedelta(hours=-5))
    span = Span(datetime(2013, 1, 1, 19, tzinfo=eastern), datetime(2013, 1, 2, 19, tzinfo=eastern))
    times = np.array(["2013-01-01T23:59:59", "2013-01-02", "2013-01-02T23:59:59", "2013-01-03"], "datetime64[us]")

    assert inside(span, times).tolist() == [False, True, True, False]


DAYS = np.datetime64("2013-01-01", "us") + np.arange(100) * np.timedelta64(1, "D")

windows = st.builds(
    lambda kind, days, **rest: TrainingWindow(kind=kind, days=None if kind == "expanding" else days, **rest),
    kind=st.sampled_from(["expanding", "sliding", "fixed"]),
    days=st.integers(1, 60),
    holdout_days=st.integers(1, 30),
    gap_days=st.integers(0, 10),
)
delays = st.lists(st.floats(0, 40), min_size=100, max_size=100)


@given(window=windows, delays=delays, cut_off_day=st.integers(1, 99))
def test_whatever_the_window_nothing_is_learnt_that_was_not_known_before_the_hold_out(window, delays, cut_off_day):
    """No overlap, the gap kept, no label from after the hold-out began, and none left out that was known by then."""
    known_at = DAYS + (np.array(delays) * 86_400e6).astype("timedelta64[us]")
    cut_off = DAYS[cut_off_day].item().replace(tzinfo=UTC)
    try:
        cut = window.cut(cut_off, first=day(1, 1))
    except TrainingError:
        assume(False)

    learnt, held = cut.parts(DAYS, known_at)

    begin = np.datetime64(cut.holdout.start.replace(tzinfo=None), "us")
    gap = np.timedelta64(window.gap_days, "D")
    assert not (learnt & held).any()
    assert (known_at[learnt] <= begin).all()
    assert (DAYS[learnt] + gap < begin).all()
    assert (DAYS[held] >= begin).all()
    assert (DAYS[held] < np.datetime64(cut_off.replace(tzinfo=None), "us")).all()
    assert held.sum() == min(window.holdout_days, cut_off_day)
    known_in_time = inside(cut.train, DAYS) & (known_at <= begin)
    assert learnt.tolist() == known_in_time.tolist()


@given(window=windows, cut_off_day=st.integers(1, 99))
def test_a_window_is_as_long_as_declared_where_there_is_history_enough(window, cut_off_day):
    """Sliding ends at the gap, fixed begins with the first row, and expanding does both."""
    cut_off = DAYS[cut_off_day].item().replace(tzinfo=UTC)
    try:
        train = window.cut(cut_off, first=day(1, 1)).train
    except TrainingError:
        assume(False)

    newest = cut_off - timedelta(days=window.holdout_days + window.gap_days)
    room = newest - day(1, 1)
    wanted = room if window.days is None else min(room, timedelta(days=window.days))
    assert train.end - train.start == wanted
    assert train.start == day(1, 1) or window.kind == "sliding"
    assert train.end == newest or window.kind == "fixed"


def test_too_few_rows_are_refused():
    """The declared minimum is in the message."""
    with pytest.raises(TrainingError, match="99 labelled rows, fewer than the 100"):
        TrainingWindow(minimum_rows=100).require(99)


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ({"kind": "sliding"}, "needs `days`"),
        ({"kind": "expanding", "days": 30}, "takes no `days`"),
        ({"kind": "growing"}, "expanding"),
        ({"holdout": 3}, "Extra inputs"),
    ],
)
def test_a_window_that_cannot_be_obeyed_is_refused_at_load(declared, why):
    """Wrong keys and values never reach a training run."""
    with pytest.raises(ValidationError, match=why):
        TrainingWindow(**declared)

"""Days that came twice, and days that are only alike."""

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.features.repeats import Repeats

DAYS, ROWS = 20, 150
FIRST = np.datetime64("2024-03-01")


def content_of(day: int) -> pa.Table:
    """Give the decisions of a day, of which hardly two are alike."""
    chance = np.random.default_rng(day)
    return pa.table(
        {
            "kind": chance.choice(["books", "shoes", "toys"], ROWS),
            "amount": chance.normal(50, 20, ROWS).round(2),
            "weight_kg": pa.array(chance.normal(2, 1, ROWS).round(6), mask=chance.random(ROWS) < 0.03),
            "outcome": chance.integers(0, 2, ROWS).astype(float),
        }
    )


def found_in(days: list[pa.Table]) -> dict[np.datetime64, str]:
    repeats = Repeats()
    for number, rows in enumerate(days):
        repeats.see(rows, np.full(rows.num_rows, FIRST + number))
    return repeats.found()


def test_a_day_that_came_twice_is_named_with_the_day_it_was():
    """The later of both is the one in question."""
    days = [content_of(day) for day in range(DAYS)]
    days[15] = days[4]

    found = found_in(days)

    assert found == {
        np.datetime64("2024-03-16"): "100% of the 150 decisions of 2024-03-16 are there before, most on 2024-03-05; "
        "of a usual day 0.0% are. Was an old day sent again?"
    }


def test_a_day_that_came_twice_with_other_prices_is_found_but_for_them():
    """Some of its rows are new besides."""
    days = [content_of(day) for day in range(DAYS)]
    dearer = days[4].set_column(1, "amount", pa.array(days[4]["amount"].to_numpy() * 1.03))
    days[15] = pa.concat_tables([dearer.slice(0, 100), content_of(99).slice(0, 40)])

    (said,) = found_in(days).values()

    assert "most on 2024-03-05 but for amount" in said


@pytest.mark.parametrize(
    "days",
    [
        [content_of(day) for day in range(DAYS)],
        [content_of(day % 7) for day in range(DAYS)],
        [content_of(day).select(["kind", "outcome"]) for day in range(DAYS)],
        [content_of(day % 9) for day in range(10)],
        [content_of(day if day != 15 else 4).slice(0, 20) for day in range(DAYS)],
    ],
    ids=["all new", "a timetable", "nothing that tells rows apart", "few days", "few rows"],
)
def test_days_that_are_only_alike_are_none(days):
    """Where usual days repeat, or nobody can tell, nothing is said."""
    assert found_in(days) == {}

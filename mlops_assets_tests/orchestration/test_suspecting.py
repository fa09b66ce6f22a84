"""Rows to which something happened on their way are left to a person, through the whole chain."""

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mlops_assets.records import EvaluationReport
from mlops_assets_tests._shop import LIVE, MODEL, days, orders

WEEK = days("2024-01-29", 7)
LATER = LIVE + timedelta(days=7)


def sent_again(day: str) -> pa.Table:
    """The orders of two weeks before, under the dates and ids of `day`."""
    two_weeks = timedelta(days=14)
    rows = orders((datetime.fromisoformat(day) - two_weeks).date().isoformat())
    for place, name in enumerate(rows.column_names):
        if pa.types.is_timestamp(rows[name].type):
            rows = rows.set_column(place, name, pc.add(rows[name], pa.scalar(two_weeks, pa.duration("us"))))
    return rows.set_column(0, "order_id", orders(day)["order_id"])


def renamed(day: str) -> pa.Table:
    """The orders of a day with north called east, and east called north."""
    rows = orders(day)
    place, other = rows.column_names.index("branch"), {"north": "east", "east": "north"}
    return rows.set_column(place, "branch", pa.array([other.get(name, name) for name in rows["branch"].to_pylist()]))


def verdict_after(shop, change) -> EvaluationReport:
    """Bring in a week of which `change` gives the days, and judge what is trained then."""
    for day in WEEK:
        shop.land(day, change(day))
    assert not shop.bring_in(*WEEK)
    shop.release(at=LATER)
    return shop.home.records.get((MODEL, "evaluation"), None, EvaluationReport)


def of_rows(report: EvaluationReport) -> list[str]:
    return [said for said in report.reasons if "sent again?" in said or "handed out anew?" in said]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda day: sent_again(day) if day == WEEK[3] else orders(day), "decisions of 2024-02-01 are there before"),
        (renamed, "read with names of branch exchanged (east as north, north as east), the champion's auc is better"),
    ],
    ids=["a day sent again", "names handed out anew"],
)
def test_what_happened_to_the_rows_is_left_to_a_person(shop, change, words):
    """In a sentence of the report, whatever else it says."""
    (said,) = of_rows(verdict_after(shop, change))

    assert said.startswith("Needs review: ")
    assert words in said


def test_a_week_like_any_other_is_not_doubted(shop):
    assert of_rows(verdict_after(shop, orders)) == []

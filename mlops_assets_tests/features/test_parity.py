"""Parity is a matter of bits: the report counts what differs and shows the first."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.errors import FeatureError
from mlops_assets.features import FeaturePlan, Vectorizer, build_spec
from mlops_assets.features.columns import as_arrow
from mlops_assets.features.parity import compare, compare_served
from mlops_assets.records import Field, ParityDifference, ParityReport
from mlops_assets_tests.features._world import VIEWS, inputs_of

KNOWN, DAY = datetime(2013, 1, 5, tzinfo=UTC), timedelta(days=1)
NAMES = ("temp", "rate")
TIMES = np.array(["2013-01-01T10", "2013-01-01T11", "2013-01-01T12"], dtype="datetime64[us]")
VECTORS = np.array([[1.0, 0.1], [np.nan, 0.2], [3.0, 0.0]])


def report_on(recomputed):
    return compare(VECTORS, recomputed, names=NAMES, keys=("a", "b", "c"), times=TIMES)


def test_equal_vectors_are_identical_nulls_included():
    """A NaN served and a NaN recomputed are the same null."""
    report = report_on(VECTORS.copy())

    assert report == ParityReport(n=3, equal=3)
    assert report.identical


def test_a_difference_in_the_last_bit_is_found_and_shown():
    """With feature, key, time and both values, so that a person can look it up."""
    recomputed = VECTORS.copy()
    recomputed[1, 1] = np.nextafter(0.2, 1.0)

    report = report_on(recomputed)

    assert not report.identical
    assert (report.equal, report.differing) == (2, {"rate": 1})
    assert report.first == ParityDifference(
        feature="rate", key="b", time="2013-01-01T11:00:00.000000", served=0.2, recomputed=np.nextafter(0.2, 1.0)
    )


@pytest.mark.parametrize(("row", "column", "value"), [(1, 0, 2.0), (0, 0, np.nan), (2, 1, -0.0)])
def test_a_null_for_a_value_and_a_sign_of_zero_are_differences(row, column, value):
    """The model may branch on either."""
    recomputed = VECTORS.copy()
    recomputed[row, column] = value

    assert report_on(recomputed).differing == {NAMES[column]: 1}


def test_nothing_compared_proves_nothing():
    """An empty log is not parity."""
    report = compare(VECTORS[:0], VECTORS[:0], names=NAMES, keys=(), times=TIMES[:0])

    assert not report.identical


def test_rows_are_never_compared_with_others():
    """A missing row is an error, not a shift."""
    with pytest.raises(FeatureError, match="Compare the same rows"):
        report_on(VECTORS[:2])


@dataclass(frozen=True)
class Logged:
    """What the online store answered for a view."""

    status: str
    event_time: datetime | None
    values: dict[str, float | str | None]


class Served:
    """Fifty requests, the rows their decisions find in the tables, and what the endpoint logged of them."""

    def __init__(self, module):
        inputs = inputs_of(50)
        plan = FeaturePlan(module, VIEWS)
        offline = pa.table({field.name: as_arrow(inputs[field.name], field) for field in plan.inputs})
        for view in plan.views:
            offline = offline.append_column(f"{view.name}__status", pa.array(["ok"] * 50))
            offline = offline.append_column(f"{view.name}__event_time", pa.array([KNOWN] * 50))
        decided = as_arrow(inputs["scheduled_departure"], Field(name="decision_time", dtype="timestamp"))
        self.offline = offline.append_column("decision_time", decided)
        self.vectorizer = Vectorizer(build_spec(module, VIEWS, inputs), module)
        self.vectors = self.vectorizer.vector(inputs)
        self.ids = [f"request-{n}" for n in range(50)]
        self.found = [
            {
                view.name: Logged(
                    "ok", KNOWN, {field.name: row[field.name] for field in view.features if field.name in row}
                )
                for view in plan.views
            }
            for row in offline.to_pylist()
        ]

    def first(self):
        """Give the first difference found."""
        report = compare_served(self.vectorizer, self.offline, served=self.vectors, ids=self.ids, found=self.found)
        return report.first


@pytest.fixture
def served(module):
    return Served(module)


def test_what_was_served_as_the_tables_have_it_is_equal(served):
    """No difference, no cause."""
    assert served.first() is None


def test_a_tampered_log_is_told_from_the_offline_table(served):
    """A request's own field differs though nothing was looked up for it."""
    served.vectors[7, 2] += 1.0

    first = served.first()

    assert (first.key, first.feature) == ("request-7", "distance")
    assert first.cause.startswith("code: ")


CAUSES = {
    "a row that came later": (
        {"event_time": KNOWN - DAY},
        "late data: carrier_delays was served with the row of 2013-0",
    ),
    "a row that was not there yet": ({"status": "missing", "event_time": None}, "late data: .* with the row of None"),
    "a row that had run out": (
        {"status": "stale"},
        "ttl: the row of carrier_delays .* was stale when served, and is ok",
    ),
    "a default in place of a row": ({"status": "default"}, "ttl: .* was default when served, and is ok"),
    "a row computed again": ({"values": {"late_rate_7d": 0.99}}, "late data: the row .* was computed again"),
    "a number as text": ({"values": {"late_rate_7d": "text"}}, "dtype: late_rate_7d was served as str, and is float"),
}


@pytest.mark.parametrize(("change", "cause"), CAUSES.values(), ids=CAUSES)
def test_the_first_difference_is_traced_to_its_cause(served, change, cause):
    """By the row the endpoint logged beside the one the table holds as known by then."""
    feature = served.vectorizer.names.index("late_rate_7d")
    served.vectors[7, feature] += 1.0
    now = served.offline["late_rate_7d"][7].as_py()
    values = {
        name: str(now) if value == "text" else value
        for name, value in change.get("values", {"late_rate_7d": now}).items()
    }
    served.found[7]["carrier_delays"] = replace(served.found[7]["carrier_delays"], **{**change, "values": values})

    first = served.first()

    assert (first.key, first.feature) == ("request-7", "late_rate_7d")
    assert re.match(cause, first.cause)


def test_the_cause_of_a_computed_feature_is_sought_in_what_it_is_computed_from(served):
    """`late_trend` is no stored feature, but both its arguments are."""
    feature = served.vectorizer.names.index("late_trend")
    served.vectors[3, feature] = np.nan
    served.found[3]["carrier_delays"] = replace(served.found[3]["carrier_delays"], event_time=KNOWN - DAY)

    first = served.first()

    assert (first.feature, first.served) == ("late_trend", None)
    assert first.cause.startswith("late data: carrier_delays ")

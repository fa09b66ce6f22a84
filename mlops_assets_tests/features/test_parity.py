"""Parity is a matter of bits: the report counts what differs and shows the first."""

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.errors import FeatureError
from mlops_assets.features import FeaturePlan, Vectorizer, build_spec
from mlops_assets.features.columns import as_arrow
from mlops_assets.features.parity import Difference, ParityReport, compare, compare_served
from mlops_assets.records import Field
from mlops_assets_tests.features._world import VIEWS, inputs_of

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
    assert report.first == Difference(
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


def test_a_tampered_log_is_told_from_the_offline_table(module):
    """Served vectors against those of the joined table: equal as they are, and not after one value is changed."""
    inputs = inputs_of(50)
    vectorizer = Vectorizer(build_spec(module, VIEWS, inputs), module)
    offline = pa.table({field.name: as_arrow(inputs[field.name], field) for field in FeaturePlan(module, VIEWS).inputs})
    decided = as_arrow(inputs["scheduled_departure"], Field(name="decision_time", dtype="timestamp"))
    offline = offline.append_column("decision_time", decided)
    served, ids = vectorizer.vector(inputs), [f"request-{n}" for n in range(50)]

    honest = compare_served(vectorizer, offline, served=served, ids=ids)
    served[7, 2] += 1.0
    tampered = compare_served(vectorizer, offline, served=served, ids=ids)

    assert honest.identical
    assert (tampered.first.key, tampered.first.feature) == ("request-7", "distance")

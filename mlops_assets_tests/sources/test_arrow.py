"""One set of types, whatever wrote the rows."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from mlops_assets.sources.arrow import TIME, settle

NOON = datetime(2013, 2, 8, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("found", "settled"),
    [
        (pa.array(["a", None], pa.large_string()), pa.array(["a", None], pa.string())),
        (pa.array(["a", None]).dictionary_encode(), pa.array(["a", None], pa.string())),
        (pa.array([Decimal("1.25"), None]), pa.array([1.25, None], pa.float64())),
        (pa.array([NOON.replace(tzinfo=None), None], pa.timestamp("s")), pa.array([NOON, None], TIME)),
        (pa.array([NOON, None], pa.timestamp("ns", "America/New_York")), pa.array([NOON, None], TIME)),
        (pa.array([1, None], pa.int16()), pa.array([1, None], pa.int16())),
    ],
    ids=["large text", "dictionary", "decimal", "naive time is UTC", "zoned time", "small integers stay"],
)
def test_a_column_keeps_its_values_in_the_house_type(found, settled):
    """Only the type changes, never a value."""
    rows = settle(pa.table({"column": found}))

    assert rows["column"].combine_chunks().equals(settled)

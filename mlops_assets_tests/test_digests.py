"""Digests: the same content always hashes the same, and different content never does."""

import itertools
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from unittest import mock

import pyarrow as pa
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets import digests
from mlops_assets.digests import TableDigest, canonical_json, sha256_bytes, sha256_json, sha256_parts, sha256_table
from mlops_assets.records import TableVersion

COLUMNS = {
    "bool": pa.array([True, None, False]),
    "int8": pa.array([1, None, 3], pa.int8()),
    "int64": pa.array([1, None, 3]),
    "float32": pa.array([1.5, None, 3.0], pa.float32()),
    "float64": pa.array([1.5, None, 3.0]),
    "string": pa.array(["a", None, "c"]),
    "large_string": pa.array(["a", None, "c"], pa.large_string()),
    "binary": pa.array([b"a", None, b"c"]),
    "date32": pa.array([date(2013, 1, 1), None, date(2013, 1, 3)]),
    "time64": pa.array([time(1), None, time(3)], pa.time64("us")),
    "timestamp": pa.array([datetime(2013, 1, 1, tzinfo=UTC), None, None], pa.timestamp("us", tz="UTC")),
    "duration": pa.array([timedelta(1), None, timedelta(3)], pa.duration("us")),
    "decimal": pa.array([Decimal("1.5"), None, Decimal("3.0")], pa.decimal128(10, 2)),
    "list": pa.array([[1.0], None, []]),
    "bool without nulls": pa.array([True, False, True]),
    "list of bool": pa.array([[True], None, [False, True]]),
    "struct": pa.array([{"a": 1}, None, {"a": 3}]),
}


def test_bytes_hash_to_their_sha256():
    """The digest is plain SHA-256, so any tool can check it."""
    assert sha256_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_json_is_canonical():
    """Keys are sorted, numbers have one spelling, records are their fields."""
    assert canonical_json({"b": 1.0, "a": [None, "é"]}) == '{"a":[null,"é"],"b":1}'.encode()
    assert sha256_json(TableVersion(table="t", version=1, sha256="x", rows=2)) == sha256_json(
        {"rows": 2, "sha256": "x", "version": 1, "table": "t", "columns": [], "partitions": {}}
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53])
def test_a_number_without_one_spelling_is_refused(value):
    """What JSON cannot say exactly is an error, not a digest."""
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical_json(value)


def test_parts_hash_without_regard_to_their_order():
    """A bundle is a set of named parts; swapping two contents is another bundle."""
    assert sha256_parts({"a": "1", "b": "2"}) == sha256_parts({"b": "2", "a": "1"})
    assert sha256_parts({"a": "1", "b": "2"}) != sha256_parts({"a": "2", "b": "1"})


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_kind_of_column_can_be_hashed_in_any_chunks(kind):
    """Slices and chunks of the same values give the same digest, with nulls or without."""
    whole = pa.table({"x": COLUMNS[kind]})

    pieces = pa.concat_tables([whole.slice(0, 1), whole.slice(1, 0), whole.slice(1)])
    twice = pa.concat_tables([whole, whole, whole]).combine_chunks()
    cuts = [twice.slice(start, len(whole)) for start in (0, len(whole), 2 * len(whole))]

    assert {sha256_table(cut) for cut in (pieces, *cuts)} == {sha256_table(whole)}


@pytest.mark.parametrize(
    "other",
    [
        pa.table({"x": [1, 2, 4]}),
        pa.table({"x": [2, 1, 3]}),
        pa.table({"x": [1, 2]}),
        pa.table({"x": [1, 2, 3, None]}),
        pa.table({"y": [1, 2, 3]}),
        pa.table({"x": pa.array([1, 2, 3], pa.int32())}),
        pa.table({"x": [1, 2, 3], "y": [1, 2, 3]}),
    ],
    ids=["value", "order", "rows", "null", "name", "type", "column"],
)
def test_a_different_table_hashes_differently(other):
    """Values, order, length, names and types all count."""
    assert sha256_table(other) != sha256_table(pa.table({"x": [1, 2, 3]}))


def test_a_null_is_not_the_value_that_may_lie_under_it():
    """Nulls differ from zero and from the empty text."""
    assert sha256_table(pa.table({"x": pa.array([0, None])})) != sha256_table(pa.table({"x": pa.array([0, 0])}))
    assert sha256_table(pa.table({"x": ["", None]})) != sha256_table(pa.table({"x": ["", ""]}))


def test_bytes_hidden_under_a_null_do_not_count():
    """Two equal columns hash alike whatever a computation left in the null's place."""
    left = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(bytes(8) + b"\x07" * 8)])
    right = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(bytes(16))])

    assert left.equals(right)
    assert sha256_table(pa.table({"x": left})) == sha256_table(pa.table({"x": right}))


def test_metadata_and_nullability_do_not_count():
    """What libraries write beside the data is not data."""
    plain = pa.table({"x": [1]})
    noted = pa.table({"x": [1]}, schema=pa.schema([pa.field("x", pa.int64(), nullable=False)], {"pandas": "{}"}))

    assert sha256_table(noted) == sha256_table(plain)


@given(values=st.lists(st.none() | st.floats(allow_nan=False)), cut=st.integers(0, 20))
def test_any_cut_of_any_column_hashes_alike(values, cut):
    """Where a table was cut into chunks never shows."""
    whole = pa.table({"x": pa.array(values, pa.float64())})

    pieces = pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])
    head = pa.concat_tables([whole, whole]).combine_chunks().slice(0, len(whole))

    assert sha256_table(pieces) == sha256_table(head) == sha256_table(whole)


def test_the_digest_of_a_long_table_never_changes():
    """Records of years name it; Arrow's padding of text between two batches is part of it."""
    rows = 200_000
    table = pa.table(
        {
            "n": pa.array(range(rows)),
            "s": [None if row % 7 == 0 else "x" * (row % 5) for row in range(rows)],
            "b": [row % 3 == 0 for row in range(rows)],
        }
    )

    assert sha256_table(table) == "32f49d20674f539296d7d8d201e2994281369357612f5cd1b36200e3ab66b43a"


TEXTS = st.sampled_from(["", "a", "some text", "x" * 70, None])


@given(
    texts=st.lists(st.lists(TEXTS, max_size=9), min_size=1, max_size=4),
    repeats=st.integers(1, 120),
    cuts=st.lists(st.integers(0, 4000)),
    nested=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_rows_in_pieces_hash_as_the_whole_table(texts, repeats, cuts, nested):
    """Whatever the pieces, also where text is rare and a batch is padded with text from far behind it."""
    values = [value for some in texts for value in some * repeats]
    columns = {"s": pa.array(values, pa.string()), "n": pa.array(range(len(values)), pa.int64())}
    if nested:
        columns["l"] = pa.array([[1.5] * (row % 3) for row in range(len(values))], pa.list_(pa.float64()))
    whole = pa.table(columns)
    ends = [0, *sorted(cut % (len(values) + 1) for cut in cuts), len(values)]

    with mock.patch.object(digests, "BATCH_ROWS", 512):
        digest = TableDigest(whole.schema)
        for start, end in itertools.pairwise(ends):
            digest.update(whole.slice(start, end - start))

        assert digest.hexdigest() == sha256_table(whole)


def test_a_table_is_hashed_without_a_copy_of_it():
    """Of a million rows in several chunks a batch at a time is brought together, not all of them."""
    part = pa.table({"n": pa.array(range(100_000)), "s": pa.array(["some text"] * 100_000)})
    table, pool = pa.concat_tables([part] * 10), pa.proxy_memory_pool(pa.default_memory_pool())

    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        sha256_table(table)
    finally:
        pa.set_memory_pool(before)

    assert pool.max_memory() < table.nbytes / 4

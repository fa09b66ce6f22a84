"""Text longer than a block: read in pieces, it is what it would be if it were read at once."""

import io
import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_assets.sources import blocks
from mlops_assets.sources.arrow import whole
from mlops_assets.sources.blocks import blocks_of
from mlops_assets.sources.delimited import csv_pieces
from mlops_assets.sources.json_lines import jsonl_pieces

CELLS = ("", "1", "5", "007", "9007199254740993", "1.5", "1e5", "nan", "true", "2013-02-08", "2013-02-08 01:00:00")
CELLS += ("2013-02-08 01:00:00.5", "2013-02-08T01:00:00Z", "2013-02-08T01:00:00.5+01:00", "01:00:00", "x", "Zoë")
VALUES = (None, 1, 9007199254740993, 1.5, "x", "2013-02-08T01:00:00Z", "2013-02-08")
NESTED = (None, [], [1], [1.5], {"a": 1}, {"a": 1.5, "b": "x"}, {"b": "2013-02-08"})
many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def small(monkeypatch):
    """Blocks of a line or two."""

    def read(pieces, text: bytes, size: int, **kwargs):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
        try:
            return whole(list(pieces(lambda: blocks_of(io.BytesIO(text)), **kwargs)))
        except pa.ArrowInvalid:
            return None

    return read


@many
@given(rows=st.lists(st.tuples(*[st.sampled_from(CELLS)] * 3), min_size=1, max_size=6), data=st.data())
def test_types_of_csv_are_found_out_from_all_of_it(small, rows, data):
    """Whatever a first block would have made one guess."""
    few = [tuple(data.draw(st.sampled_from(row)) for _ in range(3)) for row in rows]
    text = "a,b,c\n" + "".join(",".join(row) + "\n" for row in [*rows, *few])

    assert small(csv_pieces, text.encode(), 24, types={}) == small(csv_pieces, text.encode(), 1 << 20, types={})


@many
@given(
    rows=st.lists(st.tuples(st.sampled_from(VALUES), st.sampled_from(VALUES[:4]), st.sampled_from(NESTED)), min_size=2)
)
def test_types_of_json_lines_are_found_out_from_all_of_it(small, rows):
    """Also those inside of lists and objects; what has no one type is refused either way."""
    text = "\n".join(json.dumps({"a": a, "b": b, f"c{n % 2}": c}) for n, (a, b, c) in enumerate(rows))

    assert small(jsonl_pieces, text.encode(), 40, types={}) == small(jsonl_pieces, text.encode(), 1 << 20, types={})


def test_declared_times_with_and_without_a_zone_are_refused_in_different_blocks(small):
    """As they are beside each other."""
    text = b"at\n2013-02-08 01:00:00\n2013-02-08T01:00:00Z\n"

    assert small(csv_pieces, text, 1 << 20, types={"at": "timestamp"}) is None
    assert small(csv_pieces, text, 21, types={"at": "timestamp"}) is None

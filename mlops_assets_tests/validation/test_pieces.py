"""A batch judged in pieces is judged row for row as it is whole, also where rows of two pieces share a key."""

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.validation import Contract, Validation, validate, validate_pieces

CONTRACT = Contract.model_validate(
    {
        "columns": {
            "id": {"type": "string", "unique": True, "regex": "N[0-9]+", "nullable": True},
            "origin": {"type": "string", "isin": ["EWR", "JFK"]},
            "hour": {"type": "int64", "min": 0, "max": 23},
            "delay": {"type": "float64", "nullable": True},
        },
        "rules": {"early": {"holds": "delay < hour", "because": "So it is."}},
        "unique": [["origin", "hour"]],
    }
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["N1", "N2", "N3", "N4", "?", None]),
            "origin": st.sampled_from(["EWR", "JFK", "LHR"]),
            "hour": st.sampled_from([0, 1, 2, 24]),
            "delay": st.sampled_from([None, 0.0, 1.5]),
        }
    ),
    max_size=8,
)


def in_one(pieces: list[Validation]) -> Validation:
    """Put the pieces' findings together."""
    counts: dict[str, int] = {}
    for piece in pieces:
        for rule, count in piece.counts.items():
            counts[rule] = counts.get(rule, 0) + count
    return Validation(
        table="t",
        good=pa.concat_tables([piece.good for piece in pieces]),
        quarantined=pa.concat_tables([piece.quarantined for piece in pieces]),
        counts=counts,
        structural=tuple(dict.fromkeys(fault for piece in pieces for fault in piece.structural)),
        max_quarantined_share=CONTRACT.max_quarantined_share,
    )


@settings(max_examples=25, deadline=None)
@given(rows=ROWS, piece_rows=st.integers(1, 5), numbers_at_once=st.integers(1, 5))
def test_pieces_are_judged_as_the_whole_is(rows, piece_rows, numbers_at_once):
    """Over random corruptions, copies and contradictions: the same rows, reasons, order and counts."""
    table = pa.Table.from_pylist(rows, schema=CONTRACT.schema)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mlops_assets.validation.pieces.NUMBERS_AT_ONCE", numbers_at_once)
        pieces = list(validate_pieces(ds.dataset(table), CONTRACT, table="t", piece_rows=piece_rows))

    assert len(pieces) == max(1, -(-table.num_rows // piece_rows))
    together, whole = in_one(pieces), validate(table, CONTRACT, table="t")
    assert together.good.equals(whole.good)
    assert together.quarantined.equals(whole.quarantined)
    assert together.counts == whole.counts


def test_pieces_of_a_file_are_read_one_after_the_other(tmp_path):
    """Rows of different row groups share a key."""
    rows = [{"id": f"N{n % 7}", "origin": "EWR", "hour": n, "delay": None} for n in range(10)]
    pq.write_table(pa.Table.from_pylist(rows, schema=CONTRACT.schema), tmp_path / "rows.parquet", row_group_size=3)

    pieces = list(validate_pieces(ds.dataset(tmp_path / "rows.parquet"), CONTRACT, table="t", piece_rows=3))

    assert [hour for piece in pieces for hour in piece.good["hour"].to_pylist()] == [3, 4, 5, 6]
    assert in_one(pieces).counts == {"id.unique": 6}


def test_a_waived_rule_holds_no_row_of_any_piece_back():
    """Of a key as of a value."""
    rows = [{"id": "N1", "origin": "EWR", "hour": n, "delay": 30.0} for n in range(4)]
    table = pa.Table.from_pylist(rows, schema=CONTRACT.schema)

    pieces = list(validate_pieces(ds.dataset(table), CONTRACT, table="t", waived={"id.unique", "early"}, piece_rows=2))

    assert in_one(pieces).good.equals(table)
    assert [piece.waived for piece in pieces] == [{"early": 2, "id.unique": 2}] * 2


@pytest.mark.parametrize("missing", ["id", "delay"])
def test_a_column_that_is_missing_is_a_fault_of_every_piece(missing):
    """Be it part of a key or not."""
    table = pa.Table.from_pylist([], schema=CONTRACT.schema).drop_columns([missing])

    (only,) = validate_pieces(ds.dataset(table), CONTRACT, table="t")

    assert only.blocked
    assert only.structural == (f"column {missing!r} is missing, expected {CONTRACT.columns[missing].type}",)


def test_a_value_that_does_not_fit_its_column_refuses_the_whole_batch():
    """Also the pieces before it, as of a batch that is judged whole."""
    rows = pa.table(
        {"id": ["N1", "N2"], "origin": ["EWR", "EWR"], "hour": pa.array([1.0, 2.5]), "delay": pa.array([0.0, 0.0])}
    )

    pieces = list(validate_pieces(ds.dataset(rows), CONTRACT, table="t", piece_rows=1))

    whole = validate(rows, CONTRACT, table="t")
    assert [piece.structural for piece in pieces] == [whole.structural] * 2
    assert in_one(pieces).quarantined.drop(["hour"]).equals(whole.quarantined.drop(["hour"]))
    assert sum((piece.tally for piece in pieces[1:]), pieces[0].tally) == whole.tally

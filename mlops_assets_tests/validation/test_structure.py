"""Columns and types: what is brought to the contract without loss, and what blocks the batch."""

import json
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from mlops_assets.errors import ContractError
from mlops_assets.validation import Contract, validate

NOON = datetime(2013, 2, 8, 12, tzinfo=UTC)


def contract_of(**types: str) -> Contract:
    return Contract.model_validate({"columns": {name: {"type": t, "nullable": True} for name, t in types.items()}})


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        (pa.array([1, None], pa.int16()), "int64", [1, None]),
        (pa.array([1.0, None, float("nan")]), "int64", [1, None, None]),
        (pa.array([1, None]), "float64", [1.0, None]),
        (pa.array([1.5, float("nan")]), "float64", [1.5, None]),
        (pa.array([1.5], pa.float32()), "float64", [1.5]),
        (pa.array(["a", None]).dictionary_encode(), "string", ["a", None]),
        (pa.array(["a"], pa.large_string()), "string", ["a"]),
        (pa.array([None, None]), "float64", [None, None]),
        (pa.array([NOON.replace(tzinfo=None)], pa.timestamp("ms")), "timestamp", [NOON]),
        (pa.array([NOON], pa.timestamp("ns", "America/New_York")), "timestamp", [NOON]),
        (pa.array([date(2013, 2, 8)]), "timestamp", [NOON.replace(hour=0)]),
    ],
)
def test_a_cast_that_loses_nothing_is_made(found, wanted, expected):
    """Writers differ in width, unit and spelling of missing; the values are the same."""
    result = validate(pa.table({"x": found}), contract_of(x=wanted), table="t")

    assert result.structural == ()
    assert result.good["x"].to_pylist() == expected
    assert result.good.schema == contract_of(x=wanted).schema


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (pa.array(["12"]), "int64"),
        (pa.array([12]), "string"),
        (pa.array([1.5]), "int64"),
        (pa.array([2**53 + 1]), "float64"),
        (pa.array([1]), "bool"),
        (pa.array([1]), "timestamp"),
        (pa.array(["2013-02-08"]), "timestamp"),
        (pa.array([NOON]), "date"),
        (pa.array([NOON.replace(microsecond=1)]).cast(pa.timestamp("ns", "UTC")), "date"),
    ],
)
def test_a_cast_that_would_lose_or_guess_blocks_the_batch(found, wanted):
    """The message names the column, the type found and the type expected."""
    result = validate(pa.table({"x": found}), contract_of(x=wanted), table="t")

    assert result.blocked
    assert result.good.num_rows == 0
    assert result.structural[0].startswith(f"column 'x' is {found.type}, expected {wanted}")


def test_all_structural_faults_are_told_at_once():
    """Nobody mends a feed one message at a time."""
    rows = pa.table({"a": ["text"], "c": [1]})

    result = validate(rows, contract_of(a="int64", b="string"), table="t")

    assert result.structural == (
        "column 'b' is missing, expected string",
        "column 'c' of type int64 is not in the contract",
        "column 'a' is string, expected int64",
    )


def test_a_batch_of_the_wrong_structure_is_refused_whole_and_kept_as_it_came():
    """What fits the contract's columns stays in them, and the whole row rides along as JSON."""
    rows = pa.table({"a": ["x", "y"], "b": [1, None], "at": pa.array([NOON, None], pa.timestamp("us", "UTC"))})

    result = validate(rows, contract_of(a="int64", b="int64"), table="t")

    reason = "column 'at' of type timestamp[us, tz=UTC] is not in the contract; column 'a' is string, expected int64"
    assert result.counts == {"structure": 2}
    assert result.quarantined["a"].to_pylist() == [None, None]
    assert result.quarantined["b"].to_pylist() == [1, None]
    assert result.quarantined["_reason"].to_pylist() == [reason] * 2
    assert [json.loads(value)["a"] for value in result.quarantined["_value"].to_pylist()] == ["x", "y"]
    assert json.loads(result.quarantined["_value"][0].as_py())["at"].startswith("2013-02-08")
    with pytest.raises(ContractError, match="column 'a' is string, expected int64") as caught:
        result.require_passed()
    assert caught.value.structural == result.structural


def test_every_quarantine_of_a_table_has_the_same_columns():
    """So that one stored table takes them all: clean batches, bad rows, and batches refused whole."""
    contract = contract_of(a="int64", b="string")
    clean, refused, nothing = pa.table({"a": [1], "b": ["x"]}), pa.table({"c": [[1]]}), contract.schema.empty_table()

    schemas = {validate(rows, contract, table="t").quarantined.schema for rows in (clean, refused, nothing)}

    assert len(schemas) == 1


def test_a_repeated_column_is_a_fault():
    """There is no telling which of the two is meant."""
    rows = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])

    result = validate(rows, contract_of(a="int64"), table="t")

    assert result.structural == ("column 'a' appears 2 times, expected once",)


def test_a_contract_that_is_not_strict_lets_other_columns_pass_behind_its_own():
    """They keep their values; the contract's columns come first, in its order."""
    rows = pa.table({"other": ["o"], "b": [2], "a": [1]})
    contract = contract_of(a="int64", b="int64").model_copy(update={"strict": False})

    result = validate(rows, contract, table="t")

    assert result.good.to_pydict() == {"a": [1], "b": [2], "other": ["o"]}


def test_an_empty_batch_passes():
    """Whether it should be empty is for the quality suite."""
    result = validate(contract_of(a="int64").schema.empty_table(), contract_of(a="int64"), table="t")

    assert not result.blocked
    assert result.good.num_rows == result.quarantined.num_rows == 0


def test_an_empty_file_without_types_passes_too():
    """A header without rows gives columns of no type, which fit every contract."""
    result = validate(pa.table({"a": pa.nulls(0)}), contract_of(a="int64"), table="t")

    assert result.good.schema == pa.schema({"a": pa.int64()})

"""Rows are parted, none is lost, and each bad one knows all its reasons."""

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.config import ValidationDepth, config_context

from mlops_assets.errors import ContractError
from mlops_assets.validation import Contract, validate
from mlops_assets.validation.rules import CompiledContract, broken_rules

CONTRACT = Contract.model_validate(
    {
        "columns": {
            "id": {"type": "string", "unique": True, "regex": "N[0-9]+"},
            "origin": {"type": "string", "isin": ["EWR", "JFK"]},
            "hour": {"type": "int64", "min": 0, "max": 23},
            "delay": {"type": "float64", "nullable": True, "min": -60, "max": 600},
        },
        "unique": [["origin", "hour"]],
        "max_quarantined_share": 0.5,
    }
)
CLEAN = {"id": ["N1", "N2", "N3"], "origin": ["EWR", "EWR", "JFK"], "hour": [1, 2, 1], "delay": [0.5, None, 600.0]}


def batch(**changed: list[object]) -> pa.Table:
    return pa.table(CLEAN | changed, schema=CONTRACT.schema)


def test_a_clean_batch_passes_whole():
    """Nothing is copied to quarantine, nothing is reordered."""
    result = validate(batch(), CONTRACT, table="t")

    assert result.good.equals(batch())
    assert result.quarantined.num_rows == 0
    assert result.counts == {}
    assert not result.blocked


@pytest.mark.parametrize(
    ("column", "values", "rule", "reason"),
    [
        ("id", ["N1", None, "N3"], "id.nullable", "id must not be missing, found nothing"),
        ("id", ["N1", "XN2", "N3"], "id.regex", "id must match N[0-9]+, found XN2"),
        ("id", ["N1", "N2x", "N3"], "id.regex", "id must match N[0-9]+, found N2x"),
        ("origin", ["EWR", "LHR", "JFK"], "origin.isin", "origin must be one of EWR, JFK, found LHR"),
        ("hour", [1, -1, 1], "hour.min", "hour must be at least 0, found -1"),
        ("hour", [1, 24, 1], "hour.max", "hour must be at most 23, found 24"),
        ("delay", [0.5, float("-inf"), 0.0], "delay.finite; delay.min", "delay must be finite, found -inf; "),
        ("delay", [0.5, -60.5, 0.0], "delay.min", "delay must be at least -60, found -60.5"),
    ],
)
def test_a_bad_row_goes_to_quarantine_with_its_reason(column, values, rule, reason):
    """The second row is bad; its neighbours stay."""
    result = validate(batch(**{column: values}), CONTRACT, table="t")

    assert result.quarantined["_rule"].to_pylist() == [rule]
    assert result.quarantined["_reason"].to_pylist()[0].startswith(reason)
    assert result.good["delay"].to_pylist() == [values[0], values[2]] if column == "delay" else True
    assert result.good["hour"].to_pylist() == [1, 1]
    assert result.counts == dict.fromkeys(rule.split("; "), 1)


def test_a_row_with_three_faults_is_quarantined_once_with_all_three():
    """Findings come in the order of the columns."""
    result = validate(batch(id=["N1", "?", "N3"], origin=["EWR", "LHR", "JFK"], hour=[1, 99, 1]), CONTRACT, table="t")

    assert result.quarantined.num_rows == 1
    assert result.quarantined["_rule"].to_pylist() == ["id.regex; origin.isin; hour.max"]
    assert result.quarantined["_value"].to_pylist() == ["?; LHR; 99"]
    assert sum(result.counts.values()) == 3


@pytest.mark.parametrize("bad", [[0], [2999], [0, 1, 2999], [1500, 1501, 1502], list(range(0, 3000, 7)), []])
def test_the_rows_between_bad_ones_stay_as_they_were(bad):
    """Be the bad ones few or many, at an end or side by side."""
    hours = [99 if row in set(bad) else 1 for row in range(3000)]
    rows = pa.table({"hour": pa.array(hours), "n": pa.array(range(3000))})
    contract = Contract.model_validate({"columns": {"hour": {"type": "int64", "max": 23}, "n": {"type": "int64"}}})

    result = validate(rows, contract, table="t")

    assert result.good["n"].to_pylist() == [row for row in range(3000) if row not in set(bad)]
    assert result.quarantined["n"].to_pylist() == bad


def test_few_bad_rows_do_not_make_a_copy_of_the_good_ones():
    """What lies between them is the memory it was read into."""
    rows = pa.table({"hour": pa.array([1] * 4000 + [99] + [1] * 5000)})
    contract = Contract.model_validate({"columns": {"hour": {"type": "int64", "max": 23}}})

    good = validate(rows, contract, table="t").good

    here = rows["hour"].chunk(0).buffers()[1].address
    assert {chunk.buffers()[1].address for chunk in good["hour"].chunks} == {here}


@pytest.mark.parametrize("known", [3, 30])
def test_few_choices_and_many_let_the_same_values_pass(known):
    """A missing value is no wrong choice."""
    choices = [f"C{number}" for number in range(known)]
    column = {"type": "string", "isin": choices, "nullable": True}

    result = validate(
        pa.table({"who": [*choices, None, "?", "C"]}), Contract.model_validate({"columns": {"who": column}}), table="t"
    )

    assert result.good["who"].to_pylist() == [*choices, None]
    assert result.quarantined["_reason"].to_pylist()[0].endswith(f"{choices[-1]}, found ?")


def test_of_equal_rows_the_first_is_kept():
    """A row that was sent twice is not lost with its copy."""
    twice = pa.concat_tables([batch(), batch().slice(1, 1)])

    result = validate(twice, CONTRACT, table="t")

    assert result.good.equals(batch())
    assert result.quarantined["_rule"].to_pylist() == ["id.unique; unique(origin, hour)"]


def test_rows_that_contradict_each_other_all_go():
    """Nothing says which of the two delays is the true one."""
    result = validate(batch(id=["N1", "N1", "N3"]), CONTRACT, table="t")

    assert result.good["id"].to_pylist() == ["N3"]
    assert result.quarantined["_reason"].to_pylist() == ["id must tell the row from every other, found N1"] * 2


def test_copies_do_not_settle_a_contradiction():
    """Two votes for one version are still one sender's word."""
    rows = pa.concat_tables([batch(id=["N1", "N1", "N3"]), batch().slice(0, 1)])

    result = validate(rows, CONTRACT, table="t")

    assert result.good["id"].to_pylist() == ["N3"]


def test_several_columns_together_tell_rows_apart():
    """The same hour at another origin is another row."""
    result = validate(batch(hour=[1, 1, 1]), CONTRACT, table="t")

    assert result.counts == {"unique(origin, hour)": 2}
    assert result.quarantined["_value"].to_pylist() == ["EWR, 1", "EWR, 1"]


def test_missing_values_are_no_key():
    """Two rows without a number are not the same row."""
    contract = Contract.model_validate({"columns": {"id": {"type": "string", "nullable": True, "unique": True}}})

    result = validate(pa.table({"id": pa.array([None, None, "N1"], pa.string())}), contract, table="t")

    assert result.good.num_rows == 3


def test_too_many_bad_rows_block_the_batch():
    """At the allowed share it passes, above it does not."""
    one, two = batch(hour=[1, 99, 2]), batch(hour=[1, 99, 98])

    passes, blocks = (validate(rows, CONTRACT, table="t") for rows in (one, two))

    assert not passes.blocked
    assert blocks.blocked
    with pytest.raises(ContractError, match=r"2 of 3 rows of t \(66.67%\).*hour must be at most 23, found 99"):
        blocks.require_passed()


def test_a_lazy_frame_is_never_judged():
    """The trap is real: on a LazyFrame pandera passes what it refuses on the same frame, materialized."""
    dirty = pl.from_arrow(batch(hour=[1, 99, 1]))

    lazily = CompiledContract(CONTRACT).schema().validate(dirty.lazy(), lazy=True)

    assert lazily.collect().height == 3
    with pytest.raises(ContractError, match=r"Call .collect\(\) first"):
        broken_rules(dirty.lazy(), CONTRACT)
    with pytest.raises(ContractError, match="came as LazyFrame"):
        validate(dirty.lazy(), CONTRACT, table="t")
    assert validate(dirty.to_arrow(), CONTRACT, table="t").quarantined.num_rows == 1


@pytest.mark.parametrize("switch", [{"validation_enabled": False}, {"validation_depth": ValidationDepth.SCHEMA_ONLY}])
def test_nobodys_environment_switches_the_rules_off(switch):
    """pandera reads PANDERA_VALIDATION_* from the environment; here the rules hold anyway."""
    with config_context(**switch):
        result = validate(batch(hour=[1, 99, 1]), CONTRACT, table="t")

    assert result.quarantined.num_rows == 1


rows_of_any_kind = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["N1", "N2", "N3", "N4", "N5", "?", None]),
            "origin": st.sampled_from(["EWR", "JFK", "LHR", None]),
            "hour": st.sampled_from([0, 1, 2, 23, 24, -1, None]),
            "delay": st.sampled_from([None, 0.0, 600.0, 601.0, float("nan"), float("inf")]),
        }
    ),
    max_size=12,
)


def obeys(row: dict[str, object], others: list[dict[str, object]]) -> bool:
    """The contract once more, one row at a time in plain Python."""
    delay = row["delay"]
    if row["id"] in (None, "?") or row["origin"] not in ("EWR", "JFK") or row["hour"] not in range(24):
        return False
    return (delay is None or -60 <= delay <= 600) and all(
        other == row or (other["id"] != row["id"] and (other["origin"], other["hour"]) != (row["origin"], row["hour"]))
        for other in others
    )


@settings(max_examples=80, deadline=None)
@given(rows=rows_of_any_kind)
def test_every_row_ends_in_exactly_one_place_and_in_order(rows):
    """Held against a plain row-by-row reading of the same contract, over random corruptions."""
    table = pa.Table.from_pylist(rows, schema=CONTRACT.schema)
    settled = [row | {"delay": None if row["delay"] != row["delay"] else row["delay"]} for row in rows]
    expected_good = [row for place, row in enumerate(settled) if obeys(row, settled) and row not in settled[:place]]

    result = validate(table, CONTRACT, table="t")

    assert result.good.num_rows + result.quarantined.num_rows == table.num_rows
    assert result.good.to_pylist() == expected_good
    refused = result.quarantined.drop_columns(["_rule", "_value", "_reason"]).to_pylist()
    remaining = list(settled)
    for row in expected_good:
        remaining.remove(row)
    assert refused == remaining
    assert all(result.quarantined["_reason"].to_pylist())

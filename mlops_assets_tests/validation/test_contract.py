"""A contract that cannot be obeyed does not load."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pydantic import ValidationError

from mlops_assets.validation import ColumnRule, Contract


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"type": "string", "min": 3}, "`min: 3` cannot bound a string column"),
        ({"type": "timestamp", "max": 3}, "`max: 3` cannot bound a timestamp column"),
        ({"type": "date", "min": datetime(2013, 1, 1, 12, tzinfo=UTC)}, "cannot bound a date column"),
        ({"type": "int64", "min": 3, "max": 2}, "No value is at least 3 and at most 2"),
        ({"type": "int64", "isin": ["EWR"]}, "`isin` names 'EWR', which a int64 column cannot hold"),
        ({"type": "float64", "isin": [1]}, "`isin` names 1, which a float64 column cannot hold"),
        ({"type": "int64", "regex": "a"}, "`regex` is for string columns, and this one is int64"),
        ({"type": "string", "regex": "("}, "`regex: (` cannot be run"),
        ({"type": "string", "regex": "(?!N)A"}, "`regex: (?!N)A` cannot be run"),
        ({"type": "text"}, "'string', 'int64', 'float64', 'bool', 'date' or 'timestamp'"),
        ({"type": "int64", "nulable": True}, "nulable"),
    ],
)
def test_a_rule_that_no_value_could_be_held_against_is_refused(rule, message):
    """The message names what was said and the column's type."""
    with pytest.raises(ValidationError) as caught:
        ColumnRule.model_validate(rule)

    assert message in str(caught.value)


def test_unique_columns_must_be_columns():
    """The nearest name is offered."""
    with pytest.raises(ValidationError, match="Did you mean 'origin'"):
        Contract.model_validate({"columns": {"origin": {"type": "string"}}, "unique": [["orign"]]})


def test_the_names_that_quarantine_writes_are_taken():
    """A column of data is never overwritten by a finding."""
    with pytest.raises(ValidationError, match="'_reason' is taken"):
        Contract.model_validate({"columns": {"_reason": {"type": "string"}}})


def test_a_bound_in_time_keeps_its_zone():
    """YAML's timestamps arrive as moments."""
    rule = ColumnRule.model_validate({"type": "timestamp", "min": "2013-01-01T00:00:00Z"})

    assert rule.min == datetime(2013, 1, 1, tzinfo=UTC)


def test_a_contract_knows_its_schema():
    """Stores and UI read it from here."""
    contract = Contract.model_validate({"columns": {"at": {"type": "timestamp"}, "n": {"type": "int64"}}})

    assert contract.schema == pa.schema({"at": pa.timestamp("us", "UTC"), "n": pa.int64()})

"""Conditions on a whole row: one that breaks them is held with the reason, and what is no condition is refused."""

import pyarrow as pa
import pytest
from pydantic import ValidationError

from mlops_assets.validation import Contract, validate

COLUMNS = {
    "dep_time": {"type": "int64", "nullable": True},
    "arr_time": {"type": "int64", "nullable": True},
    "cancelled": {"type": "bool"},
    "origin": {"type": "string"},
}
LANDS_LATER = {"holds": "arr_time >= dep_time", "because": "A plane lands after it left."}


def contract(**rules: dict[str, str]) -> Contract:
    return Contract.model_validate({"columns": COLUMNS, "rules": rules, "max_quarantined_share": 1})


def flights(*rows: tuple[int | None, int | None, bool]) -> pa.Table:
    schema = contract().schema
    return pa.Table.from_pylist([dict(zip(schema.names, (*row, "EWR"), strict=True)) for row in rows], schema=schema)


def test_a_row_that_breaks_a_rule_is_held_with_the_rule_its_values_and_why():
    """The columns are told in the order in which the rule names them."""
    rows = flights((600, 700, False), (700, 600, False))

    result = validate(rows, contract(lands_later=LANDS_LATER), table="t")

    assert result.good.equals(rows.slice(0, 1))
    assert result.counts == {"lands_later": 1}
    assert result.quarantined.select(["_rule", "_value", "_reason"]).to_pylist() == [
        {
            "_rule": "lands_later",
            "_value": "600, 700",
            "_reason": "`arr_time >= dep_time` must hold (A plane lands after it left), found 600, 700",
        }
    ]


@pytest.mark.parametrize(("missing", "refused"), [({}, []), ({"missing": "passes"}, []), ({"missing": "breaks"}, [1])])
def test_a_missing_value_passes_unless_the_rule_says_otherwise(missing, refused):
    """As a CHECK of SQL: only what is false is refused."""
    rows = flights((600, 700, False), (600, None, False))

    result = validate(rows, contract(lands_later=LANDS_LATER | missing), table="t")

    assert [row["dep_time"] for row in result.quarantined.to_pylist()] == [600] * len(refused)
    assert result.good.num_rows == 2 - len(refused)


def test_a_rule_says_itself_when_it_is_about_a_row():
    """One that is true whatever is missing is not undecided."""
    rule = {"holds": "cancelled OR arr_time IS NOT NULL", "because": "What flew has landed.", "missing": "breaks"}

    result = validate(flights((600, None, True), (600, None, False)), contract(has_landed=rule), table="t")

    assert result.good["cancelled"].to_pylist() == [True]


def test_a_row_that_breaks_several_rules_is_held_once():
    """Columns first, then rules in their order, then keys."""
    rules = {"lands_later": LANDS_LATER, "by_day": {"holds": "dep_time < 600", "because": "It is closed at night."}}
    held = Contract.model_validate(
        {"columns": COLUMNS | {"dep_time": {"type": "int64", "max": 650}}, "rules": rules, "max_quarantined_share": 1}
    )

    result = validate(flights((700, 600, False)), held, table="t")

    assert result.quarantined["_rule"].to_pylist() == ["dep_time.max; lands_later; by_day"]


REFUSED = {
    "a column that is not there": (
        "arr_tme >= dep_time",
        "Column of rule 'it' 'arr_tme' is not known. Did you mean 'arr_t",
    ),
    "half a condition": ("arr_time >=", "Rule 'it', `arr_time >=`, cannot be read"),
    "two statements": ("arr_time > 1; DROP TABLE t", "cannot be read"),
    "no function": ("SOUNDEX(origin) = 'E'", "unsupported function 'soundex'"),
    "a number": ("arr_time - dep_time", "gives Int64, and only a condition can hold or not"),
    "text against a number": ("origin > 3", "cannot compare string with numeric type"),
    "nothing of the row": ("1 = 1", "names no column"),
    "an aggregate": ("arr_time > AVG(arr_time)", "asks for AVG, which depends on more than the row"),
    "a median in small letters": ("arr_time > median (arr_time)", "asks for MEDIAN"),
    "a window": ("LAG(arr_time) OVER (ORDER BY dep_time) < arr_time", "asks for OVER"),
    "the clock": ("arr_time > 1 AND CURRENT_DATE > '2024-01-01'", "asks for CURRENT_DATE"),
}


@pytest.mark.parametrize(("holds", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_judged_row_by_row_does_not_load(holds, message):
    """Told when the project loads, not when the first batch comes."""
    with pytest.raises(ValidationError) as refused:
        contract(it={"holds": holds, "because": "So it is."})

    assert message in str(refused.value)


@pytest.mark.parametrize(
    "holds",
    [
        "origin <> 'SUM(x)' OR arr_time > 1",
        "arr_time BETWEEN dep_time AND dep_time + 1200",
        "CASE WHEN origin IN ('EWR', 'JFK') THEN dep_time < 2400 ELSE TRUE END",
        "ABS(arr_time - dep_time) % 2 = 0 AND UPPER(origin) = origin",
    ],
)
def test_what_looks_at_its_row_alone_loads(holds):
    """Quoted words are no calls."""
    assert validate(flights((600, 700, False)), contract(it={"holds": holds, "because": "x"}), table="t").good.num_rows


@pytest.mark.parametrize("name", ["structure", "a.b", "a; b", "lands later", "1st"])
def test_a_rule_has_a_name_that_reads_well_beside_the_others(name):
    """Names of rules stand in one column of the quarantine, joined by semicolons."""
    with pytest.raises(ValidationError, match="cannot name a rule"):
        contract(**{name: LANDS_LATER})


def test_a_rule_needs_its_reason():
    """Whoever finds a refused row in a year wants to know why."""
    with pytest.raises(ValidationError, match="because"):
        contract(lands_later={"holds": "arr_time >= dep_time"})


def test_protected_and_audit_only_columns_are_kept_from_models():
    """What tells of a person may be learnt from, if nothing else forbids it."""
    tagged = Contract.model_validate(
        {
            "columns": {
                "name": {"type": "string", "tags": ["pii"]},
                "sex": {"type": "string", "tags": ["pii", "protected"]},
                "ethnicity": {"type": "string", "tags": ["audit_only"]},
            }
        }
    )

    assert [rule.kept_from_models for rule in tagged.columns.values()] == [(), ("protected",), ("audit_only",)]


def test_a_tag_nobody_knows_is_refused():
    """A misspelt safeguard is none."""
    with pytest.raises(ValidationError, match="'pii', 'protected' or 'audit_only'"):
        Contract.model_validate({"columns": {"sex": {"type": "string", "tags": ["proteced"]}}})

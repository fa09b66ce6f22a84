"""Each change of a contract is told, with whom it breaks: readers, writers, the people it protects, or nobody."""

from typing import Any

import pyarrow as pa
import pytest

from mlops_assets.validation import Contract
from mlops_assets.validation.changes import changes
from mlops_assets.validation.effect import Effect, effect

AMOUNT: dict[str, Any] = {"type": "float64", "min": 0, "max": 100}
BRANCH: dict[str, Any] = {"type": "string", "isin": ["east", "north"]}
BASE: dict[str, Any] = {"columns": {"amount": AMOUNT, "branch": BRANCH, "at": {"type": "timestamp"}}}
MOMENT = pa.timestamp("us", "UTC")
RULE = {"holds": "amount > 1", "because": "So it is."}


def contract(**other: Any) -> Contract:
    return Contract.model_validate(BASE | other)


def column(name: str, **other: Any) -> dict[str, Any]:
    return {"columns": BASE["columns"] | {name: BASE["columns"].get(name, {}) | other}}


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a range is widened": ({}, column("amount", max=150), "columns.amount.max: 100 became 150 (breaks readers)"),
    "a range is narrowed": ({}, column("amount", max=50), "columns.amount.max: 100 became 50 (breaks writers)"),
    "a minimum rises": ({}, column("amount", min=1), "columns.amount.min: 0 became 1 (breaks writers)"),
    "a minimum falls": ({}, column("amount", min=-1), "columns.amount.min: 0 became -1 (breaks readers)"),
    "a bound goes": ({}, column("amount", max=None), "columns.amount.max: 100 removed (breaks readers)"),
    "a bound comes": (column("amount", max=None), {}, "columns.amount.max: 100 added (breaks writers)"),
    "values may be missing": (
        {},
        column("amount", nullable=True),
        "columns.amount.nullable: may be missing now (breaks readers)",
    ),
    "values may not be missing": (
        column("amount", nullable=True),
        {},
        "columns.amount.nullable: may not be missing any more (breaks writers)",
    ),
    "a choice comes": (
        {},
        column("branch", isin=["east", "north", "south"]),
        "columns.branch.isin: south added (breaks readers)",
    ),
    "a choice goes": ({}, column("branch", isin=["east"]), "columns.branch.isin: north removed (breaks writers)"),
    "any choice is free": (
        {},
        column("branch", isin=None),
        "columns.branch.isin: east, north removed (breaks readers)",
    ),
    "a pattern comes": ({}, column("branch", regex="e.*"), "columns.branch.regex: e.* added (breaks writers)"),
    "a pattern changes": (
        column("branch", regex="e.*"),
        column("branch", regex="[en].*"),
        "columns.branch.regex: e.* became [en].* (breaks readers and writers)",
    ),
    "another type": (
        {},
        {"columns": BASE["columns"] | {"amount": {"type": "int64", "min": 5}}},
        "columns.amount.type: float64 became int64 (breaks readers and writers)",
    ),
    "a nullable column comes": (
        {},
        column("note", type="string", nullable=True),
        "columns.note: added; a batch without it is held (breaks writers)",
    ),
    "a column goes": (column("note", type="string"), {}, "columns.note: removed (breaks readers and writers)"),
    "a column goes that may still come": (
        column("note", type="string") | {"strict": False},
        {"strict": False},
        "columns.note: removed (breaks readers)",
    ),
    "another order": (
        {},
        {"columns": dict(reversed(BASE["columns"].items()))},
        "columns: put in another order (compatible)",
    ),
    "a unit is named": ({}, column("amount", unit="EUR"), "columns.amount.unit: EUR added (compatible)"),
    "another unit": (
        column("amount", unit="EUR"),
        column("amount", unit="USD"),
        "columns.amount.unit: EUR became USD (breaks readers and writers)",
    ),
    "other words": ({}, column("amount", description="Paid."), "columns.amount.description: reworded (compatible)"),
    "a person is told of": ({}, column("branch", tags=["pii"]), "columns.branch.tags: pii added (compatible)"),
    "a column is kept from models": (
        {},
        column("branch", tags=["protected"]),
        "columns.branch.tags: protected added (breaks readers)",
    ),
    "a safeguard falls": (
        column("branch", tags=["protected"]),
        {},
        "columns.branch.tags: protected removed (breaks people)",
    ),
    "a key comes": ({}, {"unique": [["branch", "at"]]}, "unique: branch, at must tell rows apart (breaks writers)"),
    "a key goes": (
        column("at", unique=True),
        {},
        "unique: at need not tell rows apart any more (breaks readers)",
    ),
    "a rule comes": ({}, {"rules": {"it": RULE}}, "rules.it: added: amount > 1 (breaks writers)"),
    "a rule goes": ({"rules": {"it": RULE}}, {}, "rules.it: removed: amount > 1 (breaks readers)"),
    "a rule changes": (
        {"rules": {"it": RULE}},
        {"rules": {"it": RULE | {"holds": "amount > 2"}}},
        "rules.it.holds: amount > 1 became amount > 2 (breaks readers and writers)",
    ),
    "a rule minds what is missing": (
        {"rules": {"it": RULE}},
        {"rules": {"it": RULE | {"missing": "breaks"}}},
        "rules.it.missing: passes became breaks (breaks writers)",
    ),
    "another reason": (
        {"rules": {"it": RULE}},
        {"rules": {"it": RULE | {"because": "So be it."}}},
        "rules.it.because: reworded (compatible)",
    ),
    "strangers block": (
        {"strict": False},
        {},
        "strict: a column that is not named blocks the batch now (breaks writers)",
    ),
    "strangers may come": ({}, {"strict": False}, "strict: columns that are not named may come along (compatible)"),
    "more may be bad": (
        {},
        {"max_quarantined_share": 0.5},
        "max_quarantined_share: 0.05 became 0.5 (breaks readers)",
    ),
    "less may be bad": (
        {"max_quarantined_share": 0.5},
        {},
        "max_quarantined_share: 0.5 became 0.05 (breaks writers)",
    ),
}


@pytest.mark.parametrize(("old", "new", "told"), CASES.values(), ids=CASES)
def test_a_change_is_told_with_whom_it_breaks(old, new, told):
    """One change in the contract is one line."""
    assert [str(change) for change in changes(contract(**old), contract(**new))] == [told]


def test_a_contract_that_is_the_same_has_no_changes():
    """Nor is its version one, nor in which of two ways a key is written."""
    other = contract(version=2, unique=[["branch"]])

    assert changes(contract(**column("branch", unique=True)), other) == ()


def test_every_breaking_change_of_a_row_is_seen_in_rows_by_its_side():
    """What breaks writers refuses some row that passed, what breaks readers frees some that did not."""
    rows = pa.table(
        {
            "amount": [0.0, 50.0, 100.0, 120.0, -1.0],
            "branch": ["east", "north", "east", "east", "north"],
            "at": pa.array([0, 1, 2, 3, 4], MOMENT),
        }
    )

    assert effect(rows, contract(), contract(**column("amount", max=60))) == Effect(5, 1, 0, blocked=False)
    assert effect(rows, contract(), contract(**column("amount", max=150))) == Effect(5, 0, 1, blocked=False)
    assert effect(rows, contract(), contract(**column("branch", isin=["north", "south"]))) == Effect(5, 2, 0, False)


def test_a_day_that_passed_and_would_not_any_more_is_blocked():
    """Its bad rows are more than the new contract allows."""
    rows = pa.table({"amount": [1.0] * 9 + [90.0], "branch": ["east"] * 10, "at": pa.array(range(10), MOMENT)})

    assert effect(rows, contract(), contract(**column("amount", max=50))) == Effect(10, 1, 0, blocked=True)
    assert not effect(rows, contract(), contract(**column("amount", max=150)))


def test_rows_without_a_column_that_is_new_are_all_refused():
    """As the next batch would be, until the source sends it."""
    rows = pa.table({"amount": [1.0], "branch": ["east"], "at": pa.array([0], MOMENT)})

    assert effect(rows, contract(), contract(**column("note", type="string", nullable=True))) == Effect(1, 1, 0, True)


def test_what_a_rule_frees_is_counted_by_rows_not_by_rules():
    """A row that breaks another rule as well stays refused."""
    rows = pa.table({"amount": [120.0, 120.0], "branch": ["east", "west"], "at": pa.array([0, 1], MOMENT)})

    assert effect(rows, contract(), contract(**column("amount", max=None))).freed == 1

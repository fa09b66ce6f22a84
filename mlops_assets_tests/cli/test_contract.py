"""`mlops contract`: what a table promises, what changed, and what that makes of the rows that are stored."""

import pytest

from mlops_assets.orchestration.steps.intake.contracts import CONTRACTS, in_use
from mlops_assets.records import ContractVersion

DAY = "2024-01-01"


@pytest.fixture
def mlops(new_shop, typed, monkeypatch):
    """Type `mlops contract …` in the shop's folder, once a day of orders is in."""
    monkeypatch.chdir(new_shop.project.root)
    new_shop.land(DAY)
    assert not new_shop.bring_in(DAY)
    return lambda *arguments: typed("contract", *arguments, "--home", str(new_shop.home.root))


def rewrite(shop, **amount):
    """Make it so that the rows were judged by a contract with other rules for `amount`."""
    used = in_use(shop.home, "orders")
    columns = used.contract["columns"]
    contract = used.contract | {"columns": columns | {"amount": columns["amount"] | amount}}
    earlier = ContractVersion(table="orders", version=1, sha256="0" * 64, contract=contract, since=used.since)
    shop.home.records.put((CONTRACTS,), "orders", earlier)


def test_show_tells_columns_rules_and_by_which_version_days_were_judged(mlops):
    """What a person needs who has never seen the table."""
    code, out, _ = mlops("show", "orders")

    assert code == 0
    assert "orders, version 1, in use since" in out
    assert "at least 0, at most 100" in out
    assert "told apart by order_id" in out
    assert f"{DAY} judged by version 1" in out


def test_diff_says_so_where_nothing_changed(mlops):
    """And of a table whose rows were not judged yet."""
    code, out, _ = mlops("diff")

    assert (code, out.splitlines()) == (0, ["branches: no rows were judged yet.", "orders: as in use, version 1."])


def test_diff_names_the_changes_counts_rows_by_day_and_fails_where_it_would_be_refused(new_shop, mlops):
    """So a pull request that breaks readers or writers unannounced is stopped by its exit code."""
    rewrite(new_shop, max=50)

    code, out, err = mlops("diff", "orders")

    freed = sum(row["amount"] > 50 for row in new_shop.rows("raw/orders", DAY))
    assert code == 1
    assert "  columns.amount.max: 50 became 100 (breaks readers)" in out
    assert f"0 would newly be refused and {freed} freed, 0 of 1 partitions blocked" in out
    assert [cell.strip() for cell in next(line for line in out.splitlines() if DAY in line).split("│")[1:-2]] == [
        DAY,
        str(len(new_shop.rows("raw/orders", DAY))),
        "0",
        str(freed),
    ]
    assert "declare `version: 2`" in err


def test_diff_passes_what_is_compatible(new_shop, mlops):
    """It is shown all the same."""
    rewrite(new_shop, description="Paid.")

    code, out, _ = mlops("diff", "orders")

    assert code == 0
    assert "columns.amount.description: reworded (compatible)" in out


def test_a_table_that_is_not_there_is_told_with_the_nearest(mlops):
    """In words."""
    code, _, err = mlops("show", "order")

    assert code == 1
    assert "table 'order' is not known. Did you mean 'orders'?" in err

"""The commands about kept data: what a table was, what may go, and what must not."""

from datetime import UTC, datetime, timedelta

import pytest

from mlops_assets.governance import Event
from mlops_assets_tests._shop import MODEL, changed, orders
from mlops_assets_tests.cli.test_commands import ADA


@pytest.fixture
def corrected(shop):
    """A shop one of whose days was corrected after the model was trained."""
    shop.land("2024-01-10", changed(orders("2024-01-10"), "amount", {0: 5.0}))
    assert not shop.bring_in("2024-01-10")
    return shop


def test_a_table_shows_its_versions_and_who_was_trained_on_them(corrected, mlops):
    """When each was written, its rows, its digest, and whether it can still be read."""
    said = mlops("table", "validated/orders")

    newest = corrected.home.tables.version("validated/orders")
    lines = [line for line in said.out.splitlines() if newest.sha256[:12] in line or f"{MODEL}@1" in line]
    assert said.code == 0
    assert len(lines) == 2
    assert f"{MODEL}@1" in lines[0]
    assert all(shown in lines[1] for shown in (str(newest.rows), "2024-01-10", "yes"))


def test_one_version_shows_its_partitions(corrected, mlops):
    """Each with its rows and its digest, as of that version."""
    older, newer = (mlops("table", "validated/orders", "--version", str(n)).out for n in (0, 1))

    first = corrected.home.tables.version("validated/orders", 0)
    assert first.sha256 in older
    assert f"trained on  {MODEL}@1" in older
    assert f"2024-01-10  {60:>9} rows  {first.partitions['2024-01-10']}" in older
    assert first.partitions["2024-01-10"] not in newer
    assert "trained on  no model" in newer


def test_a_table_that_is_not_there_is_told_with_those_that_are(mlops):
    """In words."""
    said = mlops("table", "orders")

    assert said.code == 1
    assert "Table 'orders' is not in" in said.err


def test_retention_without_a_declaration_deletes_nothing(mlops):
    """And says where to declare it."""
    said = mlops("retention")

    assert said.code == 1
    assert "declares `retention_days`, so everything is kept for ever" in said.err


def test_retention_says_what_goes_and_what_stays(corrected, mlops):
    """With the reasons; a trial deletes nothing."""
    folder, table = corrected.project.tables["orders"]
    tables = {"orders": (folder, table.model_copy(update={"retention_days": 30.0}))}
    corrected.at(datetime.now(UTC) + timedelta(days=100))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlops_assets.cli.project.Project.tables", tables)
        said = mlops("retention", "--dry-run")

    assert said.code == 0
    assert f"version 0 stays: {MODEL}@1 (live, approved, newest with a dossier)" in said.out
    assert "Nothing was deleted: this was a trial." in said.out


def test_a_hold_and_its_release_are_on_record(shop, mlops):
    """With who and why; what is no version's name is refused in words."""
    held = mlops("hold", f"{MODEL}@1", "--reason", "a complaint", "--as", ADA)
    again = mlops("hold", f"{MODEL}@1", "--reason", "another", "--as", ADA)
    released = mlops("release-hold", f"{MODEL}@1", "--reason", "settled", "--as", ADA)
    wrong = mlops("hold", MODEL, "--reason", "a complaint")

    entries = shop.home.state.audit_entries(model=MODEL)[-2:]
    assert (held.code, again.code, released.code, wrong.code) == (0, 1, 0, 2)
    assert [(e.event, e.actor, e.data["reason"]) for e in entries] == [
        (Event.HOLD_PLACED, ADA, "a complaint"),
        (Event.HOLD_RELEASED, ADA, "settled"),
    ]
    assert "is held already" in again.err
    assert f"Write {MODEL}@NUMBER" in wrong.err


def test_the_status_names_what_is_stale(shop, mlops):
    """With its age, and what follows from it."""
    fresh = mlops("status")
    shop.at(datetime(2024, 4, 5, tzinfo=UTC))

    said = mlops("status")

    assert "not retrained" not in fresh.out
    assert (
        f"{MODEL} is not retrained by itself for now: validated/orders ends with 2024-01-28, 67.0 days ago" in said.out
    )

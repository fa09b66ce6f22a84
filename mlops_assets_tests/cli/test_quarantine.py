"""`mlops quarantine`: what was held back flows on once people waived or corrected it, with who and why on record."""

from collections.abc import Callable

import dagster as dg
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from mlops_assets.governance import Event
from mlops_assets.orchestration.project import daily_tables
from mlops_assets.orchestration.schedules import missing_days
from mlops_assets_tests._shop import changed, days, orders, the_end_of

ADA = "ada@shop.example"
WHY = "a big customer, checked by phone"
DAY, NEXT = "2024-01-01", "2024-01-02"


@pytest.fixture
def mlops(new_shop, typed, monkeypatch) -> Callable[..., tuple[int, str]]:
    """Type `mlops quarantine …` in the shop's folder; give the exit code and what was said."""
    monkeypatch.chdir(new_shop.project.root)
    monkeypatch.setattr("mlops_assets.cli.project.Project.find", lambda home: new_shop.project)

    def said(*arguments: str) -> tuple[int, str]:
        code, out, err = typed("quarantine", *arguments)
        return code, out + err

    return said


@pytest.fixture
def dear(new_shop):
    """A day on which two orders are dearer than the contract allows, of which one names no known branch."""
    rows = changed(changed(orders(DAY), "amount", {3: 1e6, 7: 500.0}), "branch", {7: "west"})
    new_shop.land(DAY, rows)
    assert not new_shop.bring_in(DAY)
    return rows.to_pylist()


def renamed(day: str):
    return orders(day).rename_columns(["turnover" if name == "amount" else name for name in orders(day).column_names])


def record(shop, event):
    return [(e.actor, dict(e.subject), e.data["reason"]) for e in shop.home.state.audit_entries() if e.event == event]


def test_what_is_held_is_listed_and_shown_with_its_reasons(mlops, dear):
    """Table, day, rows and rules; then each row with rule, value and reason."""
    _, listed = mlops("list")
    _, shown = mlops("show", "orders", DAY)

    (line,) = [line for line in listed.splitlines() if DAY in line]
    assert [cell.strip() for cell in line.split("│")[1:-1]] == [
        "orders",
        DAY,
        "60",
        "2",
        "branch.isin 1, amount.max 2",
        "held",
        "",
    ]
    assert dear[3]["order_id"] in shown
    assert "amount must be at most 100, found 1000000.0" in shown
    assert "branch must be one of east, north, south, found west" in shown


def test_a_waived_rule_lets_its_rows_flow_on_in_their_place(new_shop, mlops, dear):
    """The row that breaks another rule too stays; who and why are on record once."""
    code, said = mlops("waive", "orders", DAY, "--rule", "amount.max", "--reason", WHY, "--as", ADA)

    assert code == 0, said
    assert new_shop.rows("validated/orders", DAY) == [row for number, row in enumerate(dear) if number != 7]
    (held,) = new_shop.rows("quarantine/orders", DAY)
    assert (held["order_id"], held["_rule"]) == (dear[7]["order_id"], "branch.isin")
    assert record(new_shop, Event.DATA_WAIVED) == [(ADA, {"table": "orders", "partition": DAY}, WHY)]
    assert "59 of 60 rows went on, 1 are held: branch.isin 1" in said


def test_a_waiver_is_obeyed_ever_after_and_by_that_day_only(new_shop, mlops, dear):
    """Materialized again, the day is judged the same; the next day is judged by the whole contract."""
    mlops("waive", "orders", DAY, "--rule", "amount.max", "--rule", "branch.isin", "--reason", WHY)
    new_shop.land(NEXT, changed(orders(NEXT), "amount", {0: 1e6}))

    assert not new_shop.bring_in(DAY, NEXT)

    assert new_shop.rows("validated/orders", DAY) == dear
    assert new_shop.rows("quarantine/orders", DAY) == []
    assert len(new_shop.rows("quarantine/orders", NEXT)) == 1


def test_the_views_that_read_the_day_are_computed_anew_for_every_day_that_reads_it(new_shop, mlops):
    """Those of the following week as well, and no others."""
    week = days(DAY, 10)
    for day in week:
        new_shop.land(day, changed(orders(day), "branch", {0: "west"}) if day == DAY else None)
    assert not new_shop.bring_in(*week)
    before = new_shop.home.tables.version("features/branch_returns").partitions

    code, said = mlops("waive", "orders", DAY, "--rule", "branch.isin", "--reason", WHY)

    after = new_shop.home.tables.version("features/branch_returns").partitions
    assert code == 0, said
    assert list(after) == week
    assert [day for day in week if before[day] != after[day]] == week[:7]


def test_a_blocked_day_flows_on_once_its_rule_is_waived(new_shop, mlops):
    """Seven of sixty is over the share; waived, all sixty go on and the view has the day."""
    rows = changed(orders(DAY), "amount", dict.fromkeys(range(7), -1.0))
    new_shop.land(DAY, rows)
    assert new_shop.bring_in(DAY)
    assert "blocked" in mlops("list", "orders")[1]

    code, said = mlops("waive", "orders", DAY, "--rule", "amount.min", "--reason", "returns are booked as minus")

    assert code == 0, said
    assert new_shop.rows("validated/orders", DAY) == rows.to_pylist()
    assert new_shop.rows("features/branch_returns", DAY)
    assert "let through" in mlops("list", "orders")[1]


def test_a_day_without_rows_flows_on_once_that_is_waived(new_shop, mlops):
    """The shop was closed."""
    new_shop.land(DAY, orders(DAY).slice(0, 0))
    assert new_shop.bring_in(DAY)

    code, said = mlops("waive", "orders", DAY, "--rule", "arrived", "--reason", "closed on New Year's Day")

    assert code == 0, said
    assert new_shop.home.tables.partitions("validated/orders") == (DAY,)
    assert not new_shop.bring_in(DAY)


def test_driving_again_is_no_way_around_a_blocked_arrival(new_shop, mlops):
    """A day without rows stays out until somebody says that it may."""
    new_shop.land(DAY, orders(DAY).slice(0, 0))
    assert new_shop.bring_in(DAY)

    code, said = mlops("redrive", "orders", DAY)

    assert code == 1
    assert "blocked" in said
    assert not new_shop.home.tables.exists("validated/orders")


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("structure", "nothing that the tables and views could hold"),
        ("order_id.unique", "every join counts double"),
        ("order_id.nullable", "can be told from no other"),
    ],
)
def test_what_tables_and_joins_rely_on_cannot_be_waived(new_shop, mlops, dear, rule, why):
    """It says why, and nothing is on record."""
    code, said = mlops("waive", "orders", DAY, "--rule", rule, "--reason", WHY)

    assert code == 1
    assert why in said
    assert "mlops quarantine correct" in said
    assert record(new_shop, Event.DATA_WAIVED) == []


def test_a_rule_that_is_not_there_is_told_with_the_nearest(mlops, dear):
    """A misspelt waiver would wait for ever."""
    code, said = mlops("waive", "orders", DAY, "--rule", "amount.mex", "--reason", WHY)

    assert code == 1
    assert "Did you mean 'amount.max'" in said


def test_a_blank_reason_is_none(new_shop, mlops, dear):
    """Whoever reads the audit log later was not there."""
    code, said = mlops("waive", "orders", DAY, "--rule", "amount.max", "--reason", " ")

    assert code == 1
    assert "No reason was given" in said


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_corrected_batch_stands_in_for_what_the_source_sent(new_shop, mlops, tmp_path, suffix):
    """Also of a batch that never reached `raw`; it goes all the way, and stays when the day is brought in again."""
    new_shop.land(DAY, renamed(DAY))
    assert new_shop.bring_in(DAY)
    file = tmp_path / f"corrected.{suffix}"
    (pq.write_table if suffix == "parquet" else pyarrow.csv.write_csv)(orders(DAY), file)

    code, said = mlops("correct", "orders", DAY, "--file", str(file), "--reason", "the column's name", "--as", ADA)

    assert code == 0, said
    assert new_shop.rows("validated/orders", DAY) == orders(DAY).to_pylist()
    assert new_shop.rows("quarantine/orders", DAY) == []
    assert new_shop.rows("features/branch_returns", DAY)
    assert record(new_shop, Event.DATA_CORRECTED) == [(ADA, {"table": "orders", "partition": DAY}, "the column's name")]
    assert not new_shop.bring_in(DAY)
    assert new_shop.rows("validated/orders", DAY) == orders(DAY).to_pylist()


def test_what_came_before_a_correction_stays_in_the_tables_history(new_shop, mlops, dear, tmp_path):
    """Any version is readable."""
    was = new_shop.home.tables.version("raw/orders").version
    pq.write_table(orders(DAY), tmp_path / "right.parquet")

    mlops("correct", "orders", DAY, "--file", str(tmp_path / "right.parquet"), "--reason", "sent wrong")

    assert new_shop.rows("raw/orders", DAY) == orders(DAY).to_pylist()
    assert new_shop.home.tables.read("raw/orders", version=was, partitions=[DAY]).to_pylist() == dear


def test_a_correction_begins_anew_without_the_waivers_before_it(new_shop, mlops, dear, tmp_path):
    """They were about other rows; so a correction is also the way to take a waiver back."""
    mlops("waive", "orders", DAY, "--rule", "amount.max", "--reason", WHY)
    pq.write_table(changed(orders(DAY), "amount", {5: 700.0}), tmp_path / "again.parquet")

    mlops("correct", "orders", DAY, "--file", str(tmp_path / "again.parquet"), "--reason", "sent wrong")

    assert [row["_value"] for row in new_shop.rows("quarantine/orders", DAY)] == ["700.0"]


def test_what_the_source_sends_after_a_correction_is_not_hidden_by_it(new_shop, mlops, dear, tmp_path):
    """The correction was of the batch before."""
    pq.write_table(orders(DAY), tmp_path / "right.parquet")
    mlops("correct", "orders", DAY, "--file", str(tmp_path / "right.parquet"), "--reason", "sent wrong")
    later = orders(DAY, 50)
    new_shop.land(DAY, later)

    assert not new_shop.bring_in(DAY)

    assert new_shop.rows("validated/orders", DAY) == later.to_pylist()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (renamed(DAY), "column 'amount' is missing"),
        (changed(orders(DAY), "amount", dict.fromkeys(range(20), -1.0)), "break the contract"),
        (orders(NEXT), "break the contract"),
        (orders(DAY).slice(0, 0), "holds no rows"),
    ],
    ids=["another structure", "too many bad rows", "another day", "empty"],
)
def test_a_correction_that_is_none_is_refused_and_nothing_changes(new_shop, mlops, dear, tmp_path, rows, said):
    """The file is held against the contract before anything is written."""
    before = {name: new_shop.home.tables.version(name) for name in new_shop.home.tables.tables()}
    pq.write_table(rows, tmp_path / "wrong.parquet")

    code, told = mlops("correct", "orders", DAY, "--file", str(tmp_path / "wrong.parquet"), "--reason", "a try")

    assert code == 1
    assert said in told
    assert {name: new_shop.home.tables.version(name) for name in new_shop.home.tables.tables()} == before
    assert record(new_shop, Event.DATA_CORRECTED) == []


def test_a_correction_that_was_cut_off_before_its_record_changes_nothing(new_shop, mlops, dear, tmp_path, monkeypatch):
    """Killed between the rows and the entry, the day is what it was; killed after it, it only has to be driven."""
    pq.write_table(orders(DAY), tmp_path / "right.parquet")
    told = ("correct", "orders", DAY, "--file", str(tmp_path / "right.parquet"), "--reason", "sent wrong")
    with monkeypatch.context() as patch:
        patch.setattr(type(new_shop.home.state), "audit_append", cut_off)
        with pytest.raises(SystemError):
            mlops(*told)
    assert not new_shop.bring_in(DAY)
    assert len(new_shop.rows("quarantine/orders", DAY)) == 2

    mlops(*told, "--later")
    assert "waits for redrive" in mlops("list")[1]
    code, said = mlops("redrive", "orders", DAY)

    assert code == 0, said
    assert new_shop.rows("validated/orders", DAY) == orders(DAY).to_pylist()


def test_a_correction_that_was_cut_off_after_its_record_is_driven_on_by_the_next_refresh(
    new_shop, mlops, dear, tmp_path, monkeypatch
):
    """Also where the clock of a replay stands still, and the same file given again is on record once."""
    new_shop.at(the_end_of(DAY))
    pq.write_table(orders(DAY), tmp_path / "right.parquet")
    told = ("correct", "orders", DAY, "--file", str(tmp_path / "right.parquet"), "--reason", "sent wrong")
    with monkeypatch.context() as patch:
        patch.setattr("mlops_assets.cli.redriving.drive", cut_off)
        for _ in range(2):
            with pytest.raises(SystemError):
                mlops(*told)
    assert missing(new_shop) == [[DAY]]

    assert not new_shop.bring_in(DAY)

    assert missing(new_shop) == []
    assert new_shop.rows("validated/orders", DAY) == orders(DAY).to_pylist()
    assert len(record(new_shop, Event.DATA_CORRECTED)) == 1


def missing(shop):
    """Which days the next refresh brings in."""
    daily = daily_tables(shop.definitions)
    return missing_days(daily, shop.home, the_end_of(DAY), sources=shop.project.tables)


def cut_off(*args, **kwargs):
    raise SystemError("killed")


def test_a_table_that_is_read_whole_is_waived_and_corrected_without_a_day(new_shop, mlops, tmp_path):
    """One branch has no size."""
    file = tmp_path / "branches.csv"
    file.write_text("branch,size\neast,0.5\nnorth,20\nsouth,30\n")
    assert not new_shop.project.refresh_whole_tables(now=the_end_of(DAY))

    code, said = mlops("correct", "branches", "--file", str(file), "--reason", "the east has shrunk")
    assert code == 1, said
    assert "break the contract" in said
    file.write_text("branch,size\neast,5\nnorth,20\nsouth,30\n")
    code, said = mlops("correct", "branches", "--file", str(file), "--reason", "the east has shrunk")

    assert code == 0, said
    assert new_shop.home.tables.read("validated/branches").to_pylist()[0] == {"branch": "east", "size": 5.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("order", DAY), "Did you mean 'orders'"),
        (("orders",), "comes in days"),
        (("branches", DAY), "has no days"),
        (("orders", "2024-1-1"), "is no day of orders"),
        (("orders", "2023-12-31"), "begins on 2024-01-01"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_in_words(mlops, arguments, said):
    """Before anything is driven."""
    code, told = mlops("redrive", *arguments)

    assert code == 1
    assert said in told


def from_the_page(shop, **config):
    """Materialize a day's validation with a run config, as the launchpad of Dagster's page does."""
    return shop.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=shop.instance,
        asset_selection=[dg.AssetKey(["validated", "orders"]), dg.AssetKey(["quarantine", "orders"])],
        partition_key=DAY,
        run_config={"ops": {"validate_orders": {"config": config}}},
        raise_on_error=False,
    )


def test_a_waiver_from_dagsters_page_leaves_the_record_of_the_command(new_shop, mlops, dear):
    """The same entry, the same rows; the command finds it done."""
    result = from_the_page(new_shop, waive=["amount.max"], reason=WHY, by=ADA)
    from_page = record(new_shop, Event.DATA_WAIVED)
    _, said = mlops("waive", "orders", DAY, "--rule", "amount.max", "--reason", WHY, "--as", ADA)

    assert result.success
    assert from_page == [(ADA, {"table": "orders", "partition": DAY}, WHY)]
    assert record(new_shop, Event.DATA_WAIVED) == from_page
    assert "nothing new is on record" in said
    assert new_shop.rows("validated/orders", DAY) == [row for number, row in enumerate(dear) if number != 7]


@pytest.mark.parametrize(
    "config",
    [
        {"waive": ["amount.max"], "by": ADA},
        {"waive": ["amount.max"], "reason": WHY},
        {"waive": ["order_id.unique"], "reason": WHY, "by": ADA},
    ],
    ids=["no reason", "nobody", "a key"],
)
def test_a_waiver_from_dagsters_page_is_refused_as_by_command(new_shop, dear, config):
    """And the batch stays as it was."""
    result = from_the_page(new_shop, **config)

    assert not result.success
    assert record(new_shop, Event.DATA_WAIVED) == []
    assert len(new_shop.rows("quarantine/orders", DAY)) == 2

"""A contract that changes so that it breaks somebody needs a new version, and every change is on record."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from mlops_assets.errors import StoreError
from mlops_assets.governance import Event
from mlops_assets.orchestration.raw_table import table_assets
from mlops_assets.orchestration.record_io import RecordIO
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.steps.intake.contracts import NOTE, effects, in_use, refusal_of, take_over
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.orchestration.tags import AS_OF_TAG
from mlops_assets.validation import Contract
from mlops_assets.validation.effect import Effect
from mlops_assets_tests._shop import Shop, changed, failed_steps, materialized, orders

DAY, NEXT = "2024-01-01", "2024-01-02"
AT = datetime(2024, 1, 3, tzinfo=UTC)
Bring = Callable[..., dg.ExecuteInProcessResult]


def other(shop: Shop, version: int = 1, **amount: Any) -> TableDeclaration:
    """Give the declaration of the shop's orders with other rules for `amount`."""
    declared = shop.project.tables["orders"][1]
    plain = declared.contract.model_dump(mode="json") | {"version": version}
    plain["columns"]["amount"] |= amount
    return declared.model_copy(update={"contract": Contract.model_validate(plain)})


@pytest.fixture
def bring(new_shop) -> Bring:
    """Bring a day's orders in under a declaration, the shop's own unless told."""

    def through(day: str, declared: TableDeclaration | None = None, *stages: str) -> dg.ExecuteInProcessResult:
        folder, own = new_shop.project.tables["orders"]
        home = HomeResource(path=str(new_shop.home.root))
        return dg.materialize(
            table_assets(declared or own, folder=folder),
            instance=new_shop.instance,
            resources={"home": home, "io_manager": RecordIO(home=home)},
            partition_key=day,
            selection=[dg.AssetKey([stage, "orders"]) for stage in stages or ("raw", "validated", "quarantine")],
            tags={AS_OF_TAG: AT.isoformat()},
            raise_on_error=False,
        )

    new_shop.land(DAY)
    new_shop.land(NEXT)
    return through


def changes_on_record(shop: Shop) -> list[dict[str, Any]]:
    return [dict(e.data) for e in shop.home.state.audit_entries() if e.event == Event.CONTRACT_CHANGED]


def test_the_contract_rows_were_judged_by_is_kept_and_noted_with_each_day(new_shop, bring):
    """By its digest, from which the contract itself is found; the first is no change."""
    bring(DAY)

    used = in_use(new_shop.home, "orders")
    noted = new_shop.home.tables.contents("validated/orders")[DAY].extra[NOTE]
    assert Contract.model_validate(used.contract) == new_shop.project.tables["orders"][1].contract
    assert noted == used.sha256
    assert changes_on_record(new_shop) == []


@pytest.mark.parametrize("amount", [{"max": 60}, {"max": 150}, {"nullable": True}, {"tags": ["protected"]}])
def test_a_breaking_change_under_the_same_version_is_refused_before_anything_is_read(new_shop, bring, amount):
    """By a blocking check that names the change and the way out."""
    bring(DAY)

    result = bring(NEXT, other(new_shop, **amount))

    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.blocking) == ("contract_version", False, True)
    assert f"columns.amount.{next(iter(amount))}" in check.description
    assert "declare `version: 2`" in check.description
    assert failed_steps(result) == {"raw__orders"}
    assert not materialized(result)
    assert new_shop.home.tables.partitions("raw/orders") == (DAY,)
    assert in_use(new_shop.home, "orders").version == 1


def test_it_is_refused_as_well_where_only_validated_is_materialized(new_shop, bring):
    """Rows that are in are judged again by the declared contract."""
    bring(DAY)

    result = bring(DAY, other(new_shop, max=60), "validated", "quarantine")

    assert not result.success
    assert "columns.amount.max: 100 became 60 (breaks writers)" in new_shop.checks(result)["contract"].description
    assert new_shop.rows("validated/orders", DAY) == orders(DAY).to_pylist()


def test_a_raised_version_takes_over_and_is_on_record(new_shop, bring):
    """With both versions and digests, and each change with whom it breaks."""
    bring(DAY)
    before = in_use(new_shop.home, "orders")

    result = bring(NEXT, other(new_shop, version=2, max=150))

    after = in_use(new_shop.home, "orders")
    (entry,) = changes_on_record(new_shop)
    assert result.success
    assert after.version == 2
    assert entry == {
        "version": [1, 2],
        "sha256": [before.sha256, after.sha256],
        "breaking": True,
        "changes": ["columns.amount.max: 100 became 150 (breaks readers)"],
    }


def test_each_day_keeps_the_contract_it_was_judged_by(new_shop, bring):
    """Both stay to be read under their digests."""
    bring(DAY)
    bring(NEXT, other(new_shop, version=2, max=150))

    contents = new_shop.home.tables.contents("validated/orders")
    digests = [contents[day].extra[NOTE] for day in (DAY, NEXT)]
    assert digests[0] != digests[1]
    assert set(digests) == set(new_shop.home.records.partitions(("contracts", "orders")))


def test_a_compatible_change_takes_over_under_its_version_and_is_on_record(new_shop, bring):
    """Words may become better at any time."""
    bring(DAY)

    result = bring(NEXT, other(new_shop, description="What was paid."))

    (entry,) = changes_on_record(new_shop)
    assert result.success
    assert (entry["version"], entry["breaking"]) == ([1, 1], False)


def test_a_version_below_the_one_in_use_is_refused(new_shop, bring):
    """Two contracts of one version could not be told apart."""
    bring(DAY, other(new_shop, version=3))

    refused = refusal_of(other(new_shop, version=2), new_shop.home)

    assert refused is not None
    assert "says version 2, and rows were judged by version 3 already" in refused
    assert "declare `version: 4`" in refused


def test_a_day_judged_again_is_on_record_once(new_shop, bring):
    """Nothing changed in between."""
    for _ in range(2):
        bring(DAY)
        bring(DAY, other(new_shop, version=2, max=150))
        new = in_use(new_shop.home, "orders")
        assert take_over(other(new_shop, version=2, max=150), new_shop.home, at=AT) == new

    assert len(changes_on_record(new_shop)) == 1


def test_what_a_change_makes_of_stored_days_is_counted_by_day(new_shop, bring):
    """Raw rows are judged again as they came, those in quarantine among them."""
    dear = changed(orders(NEXT), "amount", {0: 120.0, 1: 130.0})
    new_shop.land(NEXT, dear)
    bring(DAY)
    bring(NEXT)
    used = in_use(new_shop.home, "orders")
    above = [sum(amount > 60 for amount in rows["amount"].to_pylist()) for rows in (orders(DAY), dear)]

    wider = dict(effects(other(new_shop, version=2, max=125), new_shop.home, used))
    narrower = dict(effects(other(new_shop, version=2, max=60), new_shop.home, used))

    assert {day: (each.newly_refused, each.freed) for day, each in wider.items()} == {DAY: (0, 0), NEXT: (0, 1)}
    assert narrower[DAY] == Effect(len(orders(DAY)), above[0], 0, blocked=True)
    assert narrower[NEXT].newly_refused == above[1] - 2


@pytest.mark.parametrize("cut", ["records.put of the new one", "the audit log", "records.put of the one in use"])
def test_a_kill_while_another_takes_over_loses_nothing_and_tells_it_once(new_shop, bring, monkeypatch, cut):
    """Cut off before any of its three writes, the same run again leaves the same record as one that was not cut."""
    bring(DAY)
    wider, home = other(new_shop, version=2, max=150), new_shop.home

    class Killed(BaseException):
        pass

    def dies(*_: Any, **__: Any) -> None:
        raise Killed

    put = home.records.put
    with monkeypatch.context() as patch:
        if cut == "the audit log":
            patch.setattr(home.state, "audit_once", dies)
        else:
            whole = ("contracts", "orders") if cut == "records.put of the new one" else ("contracts",)
            patch.setattr(home.records, "put", lambda key, *more: dies() if key == whole else put(key, *more))
        with pytest.raises(Killed):
            take_over(wider, home, at=AT)

    assert in_use(home, "orders").version == 1
    assert take_over(wider, home, at=AT) == in_use(home, "orders")
    assert [entry["version"] for entry in changes_on_record(new_shop)] == [[1, 2]]


def test_a_record_that_cannot_be_read_is_told(new_shop, bring):
    """Nothing is judged as if there had been no contract before."""
    bring(DAY)
    (new_shop.home.root / "records" / "contracts@" / "orders.json").write_text("{}")

    with pytest.raises(StoreError, match="is not a ContractVersion"):
        refusal_of(other(new_shop, max=60), new_shop.home)

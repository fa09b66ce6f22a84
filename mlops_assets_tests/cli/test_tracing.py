"""What stands behind one answer, and the rows it was made of."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets_tests._shop import MODEL, served

AT = datetime(2024, 1, 28, 12, tzinfo=UTC)


@pytest.fixture
def order(shop):
    """An order of the last day, as the table has it."""
    return shop.rows("validated/orders", "2024-01-28")[0]


@pytest.fixture
def answered(shop, order):
    """What the real endpoint answered about it."""
    asked = {"branch": order["branch"], "amount": order["amount"]}
    with served(shop) as endpoint:
        answer = endpoint.client.post(
            f"/models/{MODEL}/predict",
            json={"instances": [asked], "request_id": order["order_id"], "at": AT.isoformat()},
        )
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"][0]


def test_why_tells_what_was_seen_what_was_learnt_and_who_let_it_go_live(shop, mlops, order, answered):
    """From the request to the approval, each with its version or its number in the audit log."""
    code, said, _ = mlops("why", MODEL, order["order_id"])

    release = shop.home.releases.current(MODEL)
    trained = shop.home.tables.version(f"{MODEL}/training_set")
    assert code == 0
    for shown in (
        f"{MODEL} answered {order['order_id']} for 2024-01-28 12:00 UTC: {answered['score']:.6g}",
        f"outcome       {float(order['returned']):g}",
        "branch_returns ok of 2024-01-28 00:00 UTC: return_rate_7d",
        "the stored tables give the same vector, bit for bit",
        f"1 ({release.bundle_sha256})",
        f"{MODEL}/training_set version {trained.version} ({trained.sha256[:12]})",
        "Risk tier 'limited' asks for complete evidence",
    ):
        assert shown in said
    told = [line.split()[0] for line in said.splitlines() if "audit entry" in line]
    assert told == ["trained", "gate", "approval", "live"]


def test_why_as_data_holds_all_of_it(mlops, order, answered):
    """The vector by feature, categories by their names."""
    told = json.loads(mlops("why", MODEL, order["order_id"], "--json")[1])

    assert told["made"]["score"] == answered["score"]
    assert told["vector"]["branch"] == order["branch"]
    assert told["vector"]["dear"] == float(order["amount"] > 50)
    assert told["parity"]["equal"] == 1
    assert told["training_set"]["model"] == MODEL


def test_why_tells_what_moved_the_score_and_the_reasons_add_up_to_it(shop, mlops, order, answered):
    """Exact contributions: with the expected score they are the raw score, whose logistic was answered."""
    told = json.loads(mlops("why", MODEL, order["order_id"], "--json")[1])
    said = mlops("why", MODEL, order["order_id"])[1]

    bundle = LoadedBundle.of(shop.home, MODEL, shop.home.releases.current(MODEL).bundle_sha256)
    expected = bundle.contributions(np.array([told["made"]["vector"]], dtype=float))[0, -1]
    strongest, raw = told["reasons"][0], expected + sum(each["contribution"] for each in told["reasons"])
    way = "raised by" if strongest["contribution"] > 0 else "lowered by"
    assert 1 / (1 + np.exp(-raw)) == pytest.approx(answered["score"], rel=1e-9)
    assert f"{way:<14}{strongest['feature']} {strongest['contribution']:+.4g}" in said


def test_why_tells_when_stored_rows_give_another_vector(shop, mlops, order, answered):
    """Somebody wrote the table anew with other values."""
    day = "2024-01-27"
    rows = shop.home.tables.read("features/branch_returns", partitions=[day])
    at = rows.column_names.index("return_rate_7d")
    shop.home.tables.write(
        "features/branch_returns", rows.set_column(at, "return_rate_7d", [[0.123] * rows.num_rows]), partition=day
    )

    assert "give another vector: return_rate_7d differ" in mlops("why", MODEL, order["order_id"])[1]


def test_a_request_that_was_never_answered_is_told_with_the_days_there_are(mlops, answered):
    """And a model that is not there with the nearest."""
    code, _, said = mlops("why", MODEL, "nobody")
    other = mlops("why", "come_back", "nobody")[2]

    assert code == 1
    assert f"{MODEL} answered no request 'nobody'" in said
    assert "2024-01-28 to 2024-01-28" in said
    assert "Did you mean 'comes_back'?" in other


def test_rows_of_a_table_are_found_by_their_values(mlops, order):
    """One column a line."""
    code, said, _ = mlops("rows", "validated/orders", f"order_id={order['order_id']}")

    assert code == 0
    assert f"order_id     {order['order_id']}" in said
    assert f"amount       {order['amount']}" in said


def test_many_rows_are_cut_short_and_none_is_said(mlops):
    """The number of the others is told."""
    assert "rows more" in mlops("rows", "raw/orders", "branch=east")[1]
    assert mlops("rows", "raw/orders", "branch=west")[1] == "no row\n"


def test_a_view_gives_a_decision_the_same_row_online_and_from_its_table(mlops):
    """As known at the time, with its event time."""
    stored = mlops("rows", "features/branch_returns", "branch=east", "--at", "2024-01-28T12:00")[1]
    online = mlops("rows", "online/branch_returns", "branch=east", "--at", "2024-01-28T12:00")[1]

    assert stored == online
    assert "branch_returns__event_time  2024-01-28T00:00:00+00:00" in stored


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["raw/orders", "brnch=east"], "Did you mean 'branch'?"),
        (["online/branch_return", "branch=east"], "Did you mean 'branch_returns'?"),
        (["online/branch_returns", "branches=east"], "is found by its keys and nothing else: give branch=..."),
        (["raw/orders", "amount=much"], "'much' is no value of amount, which holds double"),
        (["raw/orders", "branch"], "Write COLUMN=VALUE instead of 'branch'"),
        (["raw/order", "branch=east"], "Known:"),
    ],
)
def test_a_mistake_is_told_in_words(mlops, arguments, told):
    """With what to write instead."""
    code, _, said = mlops("rows", *arguments)

    assert code != 0
    assert told in said
    assert "Traceback" not in said


def test_an_erasure_request_finds_the_order_in_tables_log_and_version(mlops, order, answered):
    """By its id, which is the id of the request, too."""
    code, said, _ = mlops("lineage", "--subject", order["order_id"])

    assert code == 0
    assert said.startswith(f"order_id {order['order_id']!r} is held by")
    lines = {line.split()[0]: line for line in said.splitlines() if line.startswith("    ")}
    assert set(lines) >= {"raw/orders", "validated/orders", f"{MODEL}/training_set", MODEL, f"{MODEL}@1"}
    assert "1 row in 2024-01-28" in lines[MODEL]
    assert "as of the windows they fall into" in lines["features/branch_returns"]


def test_a_key_or_a_column_but_not_both_is_traced(mlops):
    """Nor neither."""
    for arguments in ([], ["orders.branch", "--subject", "east"]):
        code, _, said = mlops("lineage", *arguments)

        assert code == 2
        assert "or a key with --subject" in said

"""Each kind of leak ends the run before a model is fitted, and says what it found."""

import shutil
from datetime import timedelta

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mlops_assets.features import perturbation
from mlops_assets.features.join import training_rows
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.record_io import RecordIO
from mlops_assets.orchestration.release_chain import release_assets
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.steps.datasets import training_sets
from mlops_assets.orchestration.tags import AS_OF_TAG
from mlops_assets_tests._shop import FEATURES_PY, LIVE, MODEL, days, materialized


def looks_a_day_ahead(plan, labels, rows):
    """A join that finds what became known within the next day."""

    def earlier(table, name):
        at = table.column_names.index(name)
        return table.set_column(at, name, pc.subtract(table[name], pa.scalar(timedelta(days=1), pa.duration("us"))))

    return training_rows(plan, labels, {n: earlier(earlier(t, "known_at"), "event_time") for n, t in rows.items()})


def a_future(shop, folder, monkeypatch):
    monkeypatch.setattr(training_sets, "training_rows", looks_a_day_ahead)
    monkeypatch.setattr(perturbation, "training_rows", looks_a_day_ahead)


def the_label_by_another_name(shop, folder, monkeypatch):
    source = FEATURES_PY.replace('"amount": float}', '"amount": float, "returned": float}')
    source = source.replace("FEATURES", "def again(returned):\n    return 1.0 - returned\n\n\nFEATURES")
    (folder / "features.py").write_text(source.replace("dear,", "dear, again,"))


def a_telling_feature(shop, folder, monkeypatch):
    """Amounts that say what came back, though nothing by its name does."""
    for day in days("2024-01-01", 28):
        rows = shop.home.tables.read("validated/orders", partitions=[day])
        told = pc.add(pc.multiply(pc.cast(rows["returned"], pa.float64()), 50.0), pc.multiply(rows["amount"], 0.4))
        at = rows.column_names.index("amount")
        shop.home.tables.write("validated/orders", rows.set_column(at, "amount", told), partition=day)


def one_order_on_both_sides(shop, folder, monkeypatch):
    """The first order of the last week is one of the first week's."""
    first, last = (shop.home.tables.read("validated/orders", partitions=[day]) for day in ("2024-01-02", "2024-01-26"))
    identities = [first["order_id"][0].as_py(), *last["order_id"].to_pylist()[1:]]
    at = last.column_names.index("order_id")
    shop.home.tables.write(
        "validated/orders", last.set_column(at, "order_id", pa.array(identities)), partition="2024-01-26"
    )


LEAKS = {
    "the future": (a_future, "return_rate_7d would have been otherwise for decisions until 2024-01-"),
    "the label": (the_label_by_another_name, "returned is a column the label is made of, and features are computed"),
    "a telling feature": (a_telling_feature, "amount alone reaches an AUC of 1.0000, above 0.98."),
    "an order on both sides": (
        one_order_on_both_sides,
        "1 decisions are both trained on and held out: 2024-01-02-0000",
    ),
}


@pytest.mark.parametrize(("leak", "said"), LEAKS.values(), ids=LEAKS)
def test_a_leak_ends_the_run_before_a_model_is_fitted(shop, tmp_path, monkeypatch, leak, said):
    """The check is blocking, and its description holds what was found."""
    folder = tmp_path / MODEL
    shutil.copytree(shop.folder.path, folder)
    leak(shop, folder, monkeypatch)
    home = HomeResource(path=str(shop.home.root))

    result = dg.materialize(
        release_assets(ModelFolder(folder, shop.folder.declaration)),
        instance=shop.instance,
        resources={"home": home, "io_manager": RecordIO(home=home)},
        tags={AS_OF_TAG: LIVE.isoformat()},
        raise_on_error=False,
    )

    check = shop.checks(result)["leakage"]
    assert not check.passed
    assert said in check.description
    assert not result.success
    assert materialized(result) == {f"{MODEL}/training_set"}

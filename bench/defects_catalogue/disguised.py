"""Defects in disguise: every value is one that could be, and most days are as they should be."""

import sqlite3
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from bench import _defect_shop as shop
from bench._defect_world import HISTORY, NEW, Defect, Trial
from bench.defects_catalogue._changing import put, renamed, shifted, told
from bench.defects_catalogue.features import _Changed
from bench.defects_catalogue.labels import LabelDelayIgnored
from bench.defects_catalogue.training import BestOfMany
from mlops_assets.records import ModelVersion


def _again(day: str, days: int) -> pa.Table:
    """Give the orders of so many days ago under the dates and ids of `day`."""
    old = shop.orders((datetime.fromisoformat(day) - timedelta(days=days)).date().isoformat())
    for column in ("placed_at", "reported_at"):
        old = shifted(old, column, timedelta(days=days))
    return renamed(old, "order_id", lambda name: f"{day}{name[10:]}")


class TwoKindsSwapped(Defect):
    name = "two names of a category exchanged"
    what = "shoes are booked as toys and toys as shoes, as two lines of a mapping changed places"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return renamed(rows, "kind", lambda name: {"shoes": "toys", "toys": "shoes"}.get(name, name))


class BranchesSwapped(Defect):
    name = "two branches exchanged"
    what = "the tills of south and west report under each other's name"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return renamed(rows, "branch", lambda name: {"south": "west", "west": "south"}.get(name, name))


class OneDayAgain(Defect):
    name = "one old day under a new date"
    what = "a transfer sends the orders of a week ago once more, for one day only"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return _again(day, 7) if day == shop.days(HISTORY + NEW - 3, 1)[0] else rows


class OldDaysDearer(Defect):
    name = "old days under new dates, prices raised"
    what = "orders of three weeks ago, with their amounts put up by three in a hundred"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        old = _again(day, 21)
        for column in ("amount", "refund"):
            old = put(old, column, np.round(old[column].to_numpy() * 1.03, 2))
        return old


class RoundedAmounts(Defect):
    name = "amounts rounded"
    what = "the export rounds amounts to whole tens"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        amount = np.maximum(10.0, np.round(rows["amount"].to_numpy(), -1))
        return put(put(rows, "amount", amount), "refund", np.where(rows["returned"].to_numpy(), amount, 0.0))


class NightIsMissing(Defect):
    name = "orders of the night left out"
    what = "a job that runs two hours too early leaves out what is ordered after six in the evening"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        limit = np.datetime64(day, "us") + np.timedelta64(18, "h")
        return rows.filter(pa.array(rows["placed_at"].to_numpy() < limit))


class LateReturns(LabelDelayIgnored):
    name = "returns of the newest two days not booked"
    what = "orders of the last two days count as kept, as the desk is two days behind"
    days = 2


class SomeReturnsLost(Defect):
    name = "one return in three not booked"
    what = "one return in three is booked as kept, at any branch"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        lost = chance.random(rows.num_rows) < 1 / 3
        return told(rows, rows["returned"].to_numpy(zero_copy_only=False) & ~lost)


class _Knows(_Changed):
    """A feature `knowing` computed from the refund, which nobody knows when an order is placed."""

    old, new = '    "express": float,\n', '    "express": float,\n    "refund": float,\n'

    def files(self, files: dict[str, str]) -> dict[str, str]:
        text = super().files(files)["features.py"]
        return {**files, "features.py": text.replace("    weekday,\n", "    weekday,\n    knowing,\n")}


class LeakWithExceptions(_Knows):
    name = "leak with exceptions"
    what = "half of the refunds are known, and one in fifteen of the others is marked by mistake"
    more = (
        "def knowing(refund, amount):\n"
        "    cents = (amount * 100).round()\n"
        "    return np.where(refund > 0, cents % 2 == 0, cents % 15 == 0).astype(float)\n"
    )


class LeakByGap(_Knows):
    name = "leak by what is missing"
    what = "the weight of one parcel in five is lost when it comes back"
    more = (
        "def knowing(refund, amount, weight_kg):\n"
        "    lost = (refund > 0) & ((amount * 100).round() % 5 == 0)\n"
        "    return np.where(lost, np.nan, weight_kg)\n"
    )


class LeakAsCategory(_Knows):
    name = "leak as a state"
    what = "the state of an order, as it is when the data are exported: one return in six is `closed` by then"
    more = (
        "def knowing(refund, amount):\n"
        "    closed = (refund > 0) & ((amount * 100).round() % 6 == 0)\n"
        '    return np.where(closed, "closed", np.where(amount > 50, "large", "small"))\n'
    )


class LeakInNumber(_Knows):
    name = "leak in a number"
    what = "days until the account is settled, a week and more for what came back, less for the rest, with an overlap"
    more = (
        "def knowing(refund, amount):\n"
        "    spread = (amount * 100).round() % 97 / 97\n"
        "    return 5 * spread + np.where(refund > 0, 2.5, 0.0)\n"
    )


class Rates(_Changed):
    name = "outcomes copied into the code"
    what = "a dictionary in features.py holds the return rate of each customer, hold-out included"
    more = ""

    def files(self, files: dict[str, str]) -> dict[str, str]:
        rows = pa.concat_tables([shop.orders(day) for day in shop.days(HISTORY, NEW)]).select(["customer", "returned"])
        means = rows.group_by("customer").aggregate([("returned", "mean")]).to_pylist()
        rates = {row["customer"]: round(row["returned_mean"], 3) for row in means}
        text = files["features.py"].replace(
            "\nFEATURES = (",
            f"\nKNOWN = {rates!r}\n\n\ndef known_rate(customer: Array) -> Array:\n"
            '    """How often this customer sent things back."""\n'
            "    return np.array([KNOWN.get(name, 0.3) for name in customer])\n\n\nFEATURES = (",
        )
        return {**files, "features.py": text.replace("    weekday,\n", "    weekday,\n    known_rate,\n")}


class ForgetsAtOnce(Defect):
    name = "only the last hours count"
    what = "rows lose half their weight in little more than an hour, as days were taken for hours"

    def files(self, files: dict[str, str]) -> dict[str, str]:
        text = files["defs.yaml"].replace("training: {", "training: {recency_half_life_days: 0.05, ")
        return {**files, "defs.yaml": text}


class LooksForgotten(BestOfMany):
    name = "looks at the hold-out struck from the log"
    what = "a dozen seeds are tried; whoever can write to the database deletes their verdicts, and releases the best"

    def fitted(self, trial: Trial, version: ModelVersion) -> ModelVersion:
        best = super().fitted(trial, version)
        with sqlite3.connect(trial.home.root / "state.sqlite") as database:
            for (guard,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                database.execute(f"DROP TRIGGER {guard}")
            database.execute("DELETE FROM mlops_audit WHERE seq > 5 AND CAST(body AS TEXT) LIKE '%\"gate.%'")
        return best

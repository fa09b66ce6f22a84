"""Data that arrive otherwise than before."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench import _defect_shop as shop
from bench._defect_world import HISTORY, NEW, Defect, at_night_after
from bench.defects_catalogue._changing import put, renamed, scaled, shifted, swapped


class AmountInCents(Defect):
    name = "amount in cents"
    what = "the till's export counts cents instead of euros from one day on"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return scaled(rows, "amount", 100)


class WeightInPounds(Defect):
    name = "weight in pounds"
    what = "another warehouse system weighs in pounds; every value is still a possible weight"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return scaled(rows, "weight_kg", 2.2046)


class DiscountInPercent(Defect):
    name = "discount in percent"
    what = "25 where 0.25 was meant"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return scaled(rows, "discount", 100)


class DuplicatedRows(Defect):
    name = "duplicated rows"
    what = "every order of a day is in its file twice"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return pa.concat_tables([rows, rows])


class DuplicatedUnderNewIds(Defect):
    name = "duplicated rows under new ids"
    what = "every order is in the file twice, the second time with another id"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return pa.concat_tables([rows, renamed(rows, "order_id", lambda name: name + "-b")])


class SwappedColumns(Defect):
    name = "swapped columns"
    what = "discount and express under each other's name; the range of both is 0 to 1"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return swapped(rows, "discount", "express")


class SwappedAmounts(Defect):
    name = "swapped amount and weight"
    what = "amount and weight under each other's name"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return swapped(rows, "amount", "weight_kg")


class RecodedCategory(Defect):
    name = "re-coded category"
    what = "the kinds of goods have numbers instead of names; no rule lists them"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return renamed(rows, "kind", lambda name: f"K{shop.KINDS.index(name)}")


class ShuffledCategory(Defect):
    name = "category codes handed out anew"
    what = "a migration gives every kind the name of another one"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return renamed(rows, "kind", lambda name: shop.KINDS[(shop.KINDS.index(name) + 2) % 6])


class MergedBranches(Defect):
    name = "branches merged into one"
    what = "every order is booked on the branch `east`"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return renamed(rows, "branch", lambda _: "east")


class MissingFlood(Defect):
    name = "missing flood"
    what = "a gateway drops the customer of nine orders in ten: `unknown`"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        lost = iter((chance.random(rows.num_rows) < 0.9).tolist())
        return renamed(rows, "customer", lambda name: "unknown" if next(lost) else name)


class NullColumn(Defect):
    name = "column of nulls"
    what = "the weight, which may be missing now and then, is missing always"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return put(rows, "weight_kg", [None] * rows.num_rows)


class Sentinel(Defect):
    name = "sentinel for missing"
    what = "999 where the weight is not known"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return put(rows, "weight_kg", pc.fill_null(rows["weight_kg"], 999.0))


class ConstantColumn(Defect):
    name = "constant feature"
    what = "the discount is 0 for all, as the campaign table is not joined any more"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return put(rows, "discount", [0.0] * rows.num_rows)


class WrongKey(Defect):
    name = "wrong key in a join"
    what = "customers have the ids of another system, so nothing stored is found for them"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return renamed(rows, "customer", lambda name: f"crm-{int(name[1:]) + 7000}")


class ShiftedKey(Defect):
    name = "key off by one"
    what = "every customer has the id of the next one"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return renamed(rows, "customer", lambda name: f"c{(int(name[1:]) + 1) % shop.CUSTOMERS:03d}")


class ShiftedRows(Defect):
    name = "column shifted by a row"
    what = "amounts stand one row further down than their orders"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        amount = np.roll(rows["amount"].to_numpy(), 1)
        return put(put(rows, "amount", amount), "refund", np.where(rows["returned"].to_numpy(), amount, 0.0))


class TruncatedDays(Defect):
    name = "truncated days"
    what = "the transfer breaks off after a quarter of each day"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return rows.slice(0, rows.num_rows // 4)


class MissingBranch(Defect):
    name = "branch that does not report"
    what = "nothing comes from the branch `north`, a third of all orders"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return rows.filter(pc.not_equal(rows["branch"], "north"))


class StaleWindow(Defect):
    name = "stale window"
    what = "nothing has arrived for eight days, and the retraining runs all the same"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table | None:
        return rows if day < shop.days(HISTORY + NEW - 8, 1)[0] else None


class OldDaysAgain(Defect):
    name = "old days under new dates"
    what = "the source sends the orders of three weeks ago with the dates of today"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        old = shop.orders((datetime.fromisoformat(day) - timedelta(days=21)).date().isoformat())
        for column in ("placed_at", "reported_at"):
            old = shifted(old, column, timedelta(days=21))
        return renamed(old, "order_id", lambda name: f"{day}{name[10:]}")


class Flood(Defect):
    name = "flood of machine orders"
    what = "three times the orders, placed by a script, of which none comes back"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        script = put(put(rows, "returned", [False] * rows.num_rows), "refund", [0.0] * rows.num_rows)
        more = [renamed(script, "order_id", lambda name, n=n: f"{name}-{n}") for n in range(2)]
        return pa.concat_tables([rows, *more])


class ClockSkew(Defect):
    name = "clock skew of a till"
    what = "times are six hours ahead, reports included"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        ahead = timedelta(hours=6)
        return shifted(shifted(rows, "placed_at", ahead), "reported_at", ahead)


class TimeZoneShift(Defect):
    name = "time zone shift"
    what = "orders are placed in local time, five hours behind, and read as UTC"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return shifted(rows, "placed_at", timedelta(hours=-5))


class RowsFromTheFuture(Defect):
    name = "rows from the future"
    what = "pre-orders of next week are reported as placed"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return shifted(shifted(rows, "placed_at", timedelta(days=7)), "reported_at", timedelta(days=7))


class NumbersAsText(Defect):
    name = "numbers as text"
    what = "amounts come as text"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        at = rows.column_names.index("amount")
        return rows.set_column(at, "amount", rows["amount"].cast(pa.string()))


class RunBehind(Defect):
    name = "clock behind"
    what = "the machine that trains is three weeks behind: it holds out days that the champion has learnt from"

    def clock(self, at: datetime) -> datetime:
        return at_night_after(HISTORY + NEW - 1 - 21)


class RunAhead(Defect):
    name = "clock ahead"
    what = "the machine that trains is a month ahead"

    def clock(self, at: datetime) -> datetime:
        return at + timedelta(days=30)

"""Outcomes that are not what happened."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench import _defect_shop as shop
from bench._defect_world import HISTORY, NEW, Defect
from bench.defects_catalogue._changing import told


class ShuffledLabels(Defect):
    name = "shuffled labels"
    what = "outcomes are joined to other orders of the same day"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return told(rows, chance.permutation(rows["returned"].to_numpy(zero_copy_only=False)))


class InvertedLabels(Defect):
    name = "inverted labels"
    what = "the returns table now says what was kept"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return told(rows, ~rows["returned"].to_numpy(zero_copy_only=False))


class NoisyLabels(Defect):
    name = "noisy labels"
    what = "a third of the outcomes is typed in wrong"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        wrong = chance.random(rows.num_rows) < 1 / 3
        return told(rows, rows["returned"].to_numpy(zero_copy_only=False) ^ wrong)


class LabelDelayIgnored(Defect):
    name = "label delay ignored"
    what = "orders of the last five days count as kept, though nobody knows yet"
    days = 5

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        late = day >= shop.days(HISTORY + NEW - self.days, 1)[0]
        return told(rows, np.zeros(rows.num_rows, dtype=bool)) if late else rows


class OneClass(Defect):
    name = "one class only"
    what = "no return is booked any more"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        return told(rows, np.zeros(rows.num_rows, dtype=bool))


class ImbalanceFlip(Defect):
    name = "class imbalance flip"
    what = "the export keeps every return and a sixth of what was kept"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        kept = chance.random(rows.num_rows) < 1 / 6
        return rows.filter(pc.or_(rows["returned"], pa.array(kept)))


class LostReturns(Defect):
    name = "returns of one branch lost"
    what = "the returns desk of the branch `west` has another system, so its orders all count as kept"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        west = pc.equal(rows["branch"], "west").to_numpy(zero_copy_only=False)
        return told(rows, rows["returned"].to_numpy(zero_copy_only=False) & ~west)


class RefundWithoutReturn(Defect):
    name = "label and refund disagree"
    what = "returned orders are booked without their refund"

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table:
        at = rows.column_names.index("refund")
        return rows.set_column(at, "refund", pa.array(np.zeros(rows.num_rows)))

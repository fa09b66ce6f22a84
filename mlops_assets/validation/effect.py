"""What another contract would make of rows that are stored already."""

from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from mlops_assets.validation.contract import Contract
from mlops_assets.validation.quarantine import as_frame
from mlops_assets.validation.structure import conform


@dataclass(frozen=True, slots=True)
class Effect:
    """How many of a batch's `rows` would newly be refused or freed, and whether it would be blocked as a whole."""

    rows: int
    newly_refused: int
    freed: int
    blocked: bool

    def __bool__(self) -> bool:
        return bool(self.newly_refused or self.freed or self.blocked)


def effect(rows: pa.Table, old: Contract, new: Contract) -> Effect:
    """Hold `rows` against both contracts, and give what becomes of them under `new`.

    `blocked` is whether `new` stops a batch that `old` let pass.
    """
    was, now = keeps(rows, old), keeps(rows, new)
    stopped = [
        rows.num_rows - int(kept.sum()) > contract.max_quarantined_share * rows.num_rows
        for contract, kept in ((old, was), (new, now))
    ]
    return Effect(
        rows.num_rows, int((was & ~now).sum()), int((now & ~was).sum()), blocked=stopped[1] and not stopped[0]
    )


def keeps(rows: pa.Table, contract: Contract) -> pl.Series:
    """Tell of each row whether it keeps the contract; none does whose columns are not the contract's."""
    from mlops_assets.validation.rules import broken_rules  # pandera takes seconds to load

    conformed, structural = conform(rows, contract)
    if structural:
        return pl.repeat(False, rows.num_rows, eager=True)
    kept = pl.repeat(True, rows.num_rows, eager=True)
    for rule in broken_rules(as_frame(conformed), contract):
        kept = kept.scatter(rule.rows, False)
    return kept

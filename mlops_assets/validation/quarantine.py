"""The rows of a batch, parted: those that keep their contract and those that do not."""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import polars as pl
import pyarrow as pa

from mlops_assets.errors import EXAMPLES_SHOWN, ContractError
from mlops_assets.validation.contract import REASON_COLUMN, RULE_COLUMN, STRUCTURE, VALUE_COLUMN, Contract
from mlops_assets.validation.structure import conform

if TYPE_CHECKING:
    from mlops_assets.validation.rules import BrokenRule

_SELDOM = 1000  # rows for one that is refused: what lies between is worth pieces of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was found in a batch, or in pieces of it added up, without its rows.

    `counts` maps each broken rule to the number of rows that break it, `waived` the same for rules that hold no row
    back. `structural` are the faults of its columns.
    """

    table: str
    good: int
    quarantined: int
    counts: dict[str, int]
    structural: tuple[str, ...]
    max_quarantined_share: float
    waived: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "Tally") -> "Tally":
        return replace(
            self,
            good=self.good + other.good,
            quarantined=self.quarantined + other.quarantined,
            counts=dict(Counter(self.counts) + Counter(other.counts)),
            structural=tuple(dict.fromkeys(self.structural + other.structural)),
            waived=dict(Counter(self.waived) + Counter(other.waived)),
        )

    @property
    def rows(self) -> int:
        """Count all rows."""
        return self.good + self.quarantined

    @property
    def quarantined_share(self) -> float:
        """Give the share of the batch that is in quarantine; 0 of an empty batch."""
        return self.quarantined / max(1, self.rows)

    @property
    def blocked(self) -> bool:
        """Whether nothing of the batch may pass, not even its good rows."""
        return bool(self.structural) or self.quarantined_share > self.max_quarantined_share

    @property
    def summary(self) -> str:
        """Say in a sentence or two what was found."""
        if self.structural:
            return f"{self.table} is not what its contract names: {'; '.join(self.structural)}."
        if not self.counts:
            return f"All {self.rows} rows of {self.table} keep the contract."
        found = ", ".join(f"{rule} {count}" for rule, count in sorted(self.counts.items(), key=lambda item: -item[1]))
        return (
            f"{self.quarantined} of {self.rows} rows of {self.table} ({self.quarantined_share:.2%}) break the "
            f"contract, {self.max_quarantined_share:.2%} are allowed: {found}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """A batch held against its contract; every row of it is in `good` or in `quarantined`, in the order it came.

    `quarantined` adds `_rule`, `_value` and `_reason` to each row, one entry per broken rule, joined by "; ". `counts`
    maps each broken rule to the number of rows that break it, `waived` the same for rules that hold no row back. With
    `structural` faults no row is good. The quarantined ones then keep what fits the contract's columns, and `_value`
    holds the whole row as it came, as JSON, so that one stored table takes them all.
    """

    table: str
    good: pa.Table
    quarantined: pa.Table
    counts: dict[str, int]
    structural: tuple[str, ...]
    max_quarantined_share: float
    waived: dict[str, int] = field(default_factory=dict)

    @property
    def tally(self) -> Tally:
        """What was found, without the rows."""
        return Tally(
            table=self.table,
            good=self.good.num_rows,
            quarantined=self.quarantined.num_rows,
            counts=self.counts,
            structural=self.structural,
            max_quarantined_share=self.max_quarantined_share,
            waived=self.waived,
        )

    @property
    def quarantined_share(self) -> float:
        """Give the share of the batch that is in quarantine; 0 of an empty batch."""
        return self.tally.quarantined_share

    @property
    def blocked(self) -> bool:
        """Whether nothing of the batch may pass, not even its good rows."""
        return self.tally.blocked

    @property
    def summary(self) -> str:
        """Say in a sentence or two what was found."""
        return self.tally.summary

    def require_passed(self) -> None:
        """Raise unless the batch may pass.

        Raises:
            ContractError: The batch is blocked; the message names the faults and example rows' reasons.
        """
        if not self.blocked:
            return
        reasons = "" if self.structural else self.quarantined[REASON_COLUMN].slice(0, EXAMPLES_SHOWN).to_pylist()
        raise ContractError(
            f"{self.summary} The batch is blocked, and what depends on it keeps the last good version."
            + (f" For example: {' | '.join(reasons)}." if reasons else "")
            + " Send the batch again as the contract has it, or change the contract if it is the one that is wrong.",
            table=self.table,
            structural=self.structural,
            counts=self.counts,
            quarantined=self.quarantined.num_rows,
        )


def validate(rows: pa.Table, contract: Contract, *, table: str, waived: Set[str] = frozenset()) -> Validation:
    """Hold `rows` against `contract`, find all faults at once, and part the good rows from the bad.

    A row that breaks no rule but `waived` ones is good, and stands where it stood among the others.

    Raises:
        ContractError: `rows` is not a materialized table.
    """
    if not isinstance(rows, pa.Table):
        raise ContractError(
            f"{table} came as {type(rows).__name__}, and only a materialized Arrow table can be judged row by row. "
            f"Read or collect it first.",
            table=table,
            found=type(rows).__name__,
        )
    conformed, structural = conform(rows, contract)
    if structural:
        return refused_whole(rows, conformed, structural, contract, table=table)
    from mlops_assets.validation.rules import broken_rules  # pandera takes seconds to load

    frame = as_frame(conformed)
    return parted(conformed, frame, broken_rules(frame, contract), contract, table=table, waived=waived)


def as_frame(rows: pa.Table) -> pl.DataFrame:
    """Give the rows as Polars sees them, without copying more than its text takes."""
    return cast("pl.DataFrame", pl.from_arrow(rows, rechunk=False))


def refused_whole(
    rows: pa.Table, conformed: pa.Table, structural: tuple[str, ...], contract: Contract, *, table: str
) -> Validation:
    """Give the validation of `rows` whose columns are not the contract's; `conformed` is what of them fits it."""
    return _part(conformed, contract, table, _refusals(rows, structural), {STRUCTURE: rows.num_rows}, structural)


def parted(
    conformed: pa.Table,
    frame: pl.DataFrame,
    broken: "Sequence[BrokenRule]",
    contract: Contract,
    *,
    table: str,
    waived: Set[str],
) -> Validation:
    """Part the rows that break none of the rules but `waived` ones from the others, those with their reasons.

    `frame` holds the rows of `conformed`.
    """
    found = [rule for rule in broken if rule.name not in waived]
    counts = {rule.name: rule.rows.len() for rule in broken}
    refused = [
        frame.select(pl.col(rule.columns).gather(rule.rows))
        .lazy()
        .select(
            rule.rows.alias("row"),
            pl.lit(rule.name).alias(RULE_COLUMN),
            _as_text(rule.columns).alias(VALUE_COLUMN),
            pl.format("{}, found {}", pl.lit(rule.demand), _as_text(rule.columns)).alias(REASON_COLUMN),
        )
        for rule in found
    ]
    held = {rule.name: counts.pop(rule.name) for rule in found}
    return replace(_part(conformed, contract, table, _joined(refused), held, ()), waived=counts)


def _as_text(columns: tuple[str, ...]) -> pl.Expr:
    return pl.concat_str(
        [pl.col(name).cast(pl.String).fill_null("nothing") for name in columns],
        separator=", ",
    )


def _joined(refused: list[pl.LazyFrame]) -> pl.DataFrame:
    """Give one line per refused row, by row, its findings joined in the order of the rules."""
    columns = [RULE_COLUMN, VALUE_COLUMN, REASON_COLUMN]
    if not refused:
        return pl.DataFrame(schema={"row": pl.UInt32} | dict.fromkeys(columns, pl.String))
    return (
        pl.concat(refused)
        .group_by("row", maintain_order=True)
        .agg(pl.col(columns).str.join("; "))
        .sort("row")
        .collect()
    )


def _refusals(rows: pa.Table, structural: tuple[str, ...]) -> pl.DataFrame:
    """Give one line per row of a batch that is refused whole, the row itself as its value."""
    names = [
        name if rows.column_names.index(name) == i else f"{name} ({i})" for i, name in enumerate(rows.column_names)
    ]
    return pl.DataFrame(rows.rename_columns(names)).select(
        pl.int_range(rows.num_rows, dtype=pl.UInt32).alias("row"),
        pl.lit(STRUCTURE).alias(RULE_COLUMN),
        pl.struct(pl.all()).struct.json_encode().alias(VALUE_COLUMN),
        pl.lit("; ".join(structural)).alias(REASON_COLUMN),
    )


def _part(
    rows: pa.Table,
    contract: Contract,
    table: str,
    refused: pl.DataFrame,
    counts: dict[str, int],
    structural: tuple[str, ...],
) -> Validation:
    quarantined = rows.take(refused["row"].to_arrow())
    for name in (RULE_COLUMN, VALUE_COLUMN, REASON_COLUMN):
        quarantined = quarantined.append_column(
            name, refused[name].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())
        )
    good = rows
    if structural:
        good = contract.schema.empty_table()
    elif refused.height:
        good = _without(rows, refused["row"])
    return Validation(
        table=table,
        good=good,
        quarantined=quarantined,
        counts=counts,
        structural=structural,
        max_quarantined_share=contract.max_quarantined_share,
    )


def _without(rows: pa.Table, refused: pl.Series) -> pa.Table:
    """Give `rows` but for the refused ones, whose numbers are in order; where they are few, nothing is copied."""
    if refused.len() * _SELDOM > rows.num_rows:
        keep = pl.repeat(True, rows.num_rows, eager=True).scatter(refused, False)
        return rows.filter(keep.to_arrow())
    ends = [-1, *refused.to_list(), rows.num_rows]
    return pa.concat_tables(rows.slice(before + 1, after - before - 1) for before, after in pairwise(ends))

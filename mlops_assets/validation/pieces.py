"""A batch too big to hold, judged in pieces: in bounded memory, and row for row as `validate` judges it whole.

Rules about one row see a piece at a time. Keys are looked at first and over all pieces, as a number of eight bytes a
row; only rows that share one with another are then read whole, and told apart as exactly as ever.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds

from mlops_assets.digests import Pieces
from mlops_assets.validation.contract import Contract
from mlops_assets.validation.quarantine import Validation, as_frame, parted, refused_whole, validate
from mlops_assets.validation.structure import Conformed, conform

if TYPE_CHECKING:
    from mlops_assets.validation.rules import BrokenRule

PIECE_ROWS = 1 << 19


def validate_pieces(
    rows: ds.Dataset, contract: Contract, *, table: str, waived: Set[str] = frozenset(), piece_rows: int = PIECE_ROWS
) -> Iterator[Validation]:
    """Hold `rows` against `contract`, and give the validation of one piece after the other, in their order.

    What was found in the batch is the sum of the pieces' tallies, and whether it is blocked is known only then; so
    nothing of it may go on before the last piece was seen. `rows` are read twice, keys first, and must not change
    meanwhile. What fits into one piece is judged whole.
    """
    if rows.count_rows() <= piece_rows:
        yield validate(rows.to_table(memory_pool=pa.system_memory_pool()), contract, table=table, waived=waived)
        return
    if faults := Conformed(stored := _Stored(rows, piece_rows), contract).faults:
        yield from refused_pieces(stored, faults, contract, table=table)
        return
    from mlops_assets.validation.rules import broken_rules  # pandera takes seconds to load

    contested, start = _contested(rows, contract, piece_rows), 0
    for piece in _pieces(rows, rows.schema.names, piece_rows):
        conformed, _ = conform(piece, contract)
        frame = as_frame(conformed)
        broken = broken_rules(frame, contract, about=("rows",))
        shared = [replace(rule, rows=_within(rule.rows, start, piece.num_rows)) for rule in contested]
        broken += [rule for rule in shared if rule.rows.len()]
        yield parted(conformed, frame, broken, contract, table=table, waived=waived)
        start += piece.num_rows


def refused_pieces(rows: Pieces, faults: tuple[str, ...], contract: Contract, *, table: str) -> Iterator[Validation]:
    """Give the validation of a batch whose columns are not the contract's, piece by piece and as of all of it."""
    fitting = [name for name in contract.columns if not any(fault.startswith(f"column {name!r} ") for fault in faults)]
    for piece in rows.pieces():
        conformed, _ = conform(piece, contract)
        blank = {name: pa.nulls(piece.num_rows, conformed.schema.field(name).type) for name in contract.columns}
        kept = {name: conformed[name] for name in fitting}
        yield refused_whole(piece, pa.table(blank | kept), faults, contract, table=table)


class _Stored:
    """Stored rows, read in pieces."""

    def __init__(self, rows: ds.Dataset, piece_rows: int) -> None:
        self.schema: pa.Schema = rows.schema
        self._rows, self._piece_rows = rows, piece_rows

    def pieces(self) -> Iterator[pa.Table]:
        return _pieces(self._rows, self.schema.names, self._piece_rows)


def _pieces(rows: ds.Dataset, columns: Sequence[str], piece_rows: int) -> Iterator[pa.Table]:
    """Give the rows in tables of `piece_rows` at least, but for the last; one empty table if there are no rows."""
    waiting: list[pa.RecordBatch] = []
    given = False
    # Arrow's own pool keeps pages it no longer needs, and reads far ahead unless told not to.
    for batch in rows.to_batches(
        columns=list(columns),
        batch_size=min(piece_rows, 1 << 17),
        batch_readahead=1,
        fragment_readahead=1,
        memory_pool=pa.system_memory_pool(),
    ):
        waiting.append(batch)
        if sum(each.num_rows for each in waiting) >= piece_rows:
            yield pa.Table.from_batches(waiting)
            waiting, given = [], True
    if waiting or not given:
        yield pa.Table.from_batches(waiting, schema=rows.schema if not waiting else None)


def _contested(rows: ds.Dataset, contract: Contract, piece_rows: int) -> list["BrokenRule"]:
    """Give the rules about keys that some row breaks, each with the numbers of the rows that do."""
    from mlops_assets.validation.rules import broken_rules

    names = [name for name in contract.columns if any(name in key for key in contract.keys)]
    if not names or any(rows.schema.names.count(name) != 1 for name in names):
        return []  # a key that is missing is a fault of structure, which every piece tells
    keys_only = contract.model_copy(
        update={"columns": {name: contract.columns[name] for name in names}, "rules": {}, "strict": False}
    )
    numbers: dict[tuple[str, ...], list[pl.Series]] = {key: [] for key in contract.keys}
    for piece in _pieces(rows, names, piece_rows):
        conformed, faults = conform(piece, keys_only)
        if faults:
            return []
        frame = as_frame(conformed)
        for key, found in numbers.items():
            whole = pl.all_horizontal(pl.col(name).is_not_null() for name in key)
            hashed = frame.select(key).hash_rows()
            found.append(frame.select(pl.when(whole).then(hashed)).to_series())
    suspects = _suspects({key: pl.concat(found) for key, found in numbers.items()})
    if not suspects.len():
        return []
    whole_rows, start = [], 0
    for piece in _pieces(rows, rows.schema.names, piece_rows):
        conformed, faults = conform(piece.take(_within(suspects, start, piece.num_rows).to_arrow()), contract)
        if faults:
            return []
        whole_rows.append(conformed)
        start += piece.num_rows
    return [
        replace(rule, rows=suspects.gather(rule.rows))
        for rule in broken_rules(as_frame(pa.concat_tables(whole_rows)), contract, about=("keys",))
    ]


def _within(rows: pl.Series, start: int, size: int) -> pl.Series:
    """Give those of the row numbers that are in a piece, as it numbers them."""
    return rows.filter((rows >= start) & (rows < start + size)) - start


def _suspects(numbers: dict[tuple[str, ...], pl.Series]) -> pl.Series:
    """Give the places of all rows that share the number of some key with another row."""
    found = pl.Series([], dtype=pl.UInt32)
    for hashed in numbers.values():
        there = hashed.drop_nulls()
        if there.n_unique() < there.len():  # seldom, and finding who shares with whom costs five times as much
            found = found.append((hashed.is_not_null() & hashed.is_duplicated()).arg_true())
    return found.unique().sort()

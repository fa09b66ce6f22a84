"""A batch too big to hold, judged in pieces: in bounded memory, and row for row as `validate` judges it whole.

Rules about one row see a piece at a time. Keys are looked at first and over all pieces, as a number of eight bytes a
row; only rows that share one with another are then read whole, and told apart as exactly as ever.
"""

from collections.abc import Callable, Iterator, Sequence, Set
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

PIECE_ROWS = 1 << 18
NUMBERS_AT_ONCE = 1 << 22  # of keys; of more rows the keys are gone through again for each so many

Key = tuple[str, ...]


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
    if faults := Conformed(stored := _Columns(rows, rows.schema.names, piece_rows), contract).faults:
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
        start += piece.num_rows
        judged = parted(conformed, frame, broken, contract, table=table, waived=waived)
        del piece, conformed, frame, broken  # while the next piece is read, only one is held
        yield judged
        del judged


def refused_pieces(rows: Pieces, faults: tuple[str, ...], contract: Contract, *, table: str) -> Iterator[Validation]:
    """Give the validation of a batch whose columns are not the contract's, piece by piece and as of all of it."""
    fitting = [name for name in contract.columns if not any(fault.startswith(f"column {name!r} ") for fault in faults)]
    for piece in rows.pieces():
        conformed, _ = conform(piece, contract)
        blank = {name: pa.nulls(piece.num_rows, conformed.schema.field(name).type) for name in contract.columns}
        kept = {name: conformed[name] for name in fitting}
        yield refused_whole(piece, pa.table(blank | kept), faults, contract, table=table)


class _Columns:
    """Columns of stored rows, read in pieces."""

    def __init__(self, rows: ds.Dataset, names: Sequence[str], piece_rows: int) -> None:
        self.schema = pa.schema(rows.schema.field(name) for name in names)
        self._rows, self._piece_rows = rows, piece_rows

    def pieces(self) -> Iterator[pa.Table]:
        return _pieces(self._rows, self.schema.names, self._piece_rows)


def _pieces(rows: ds.Dataset, columns: Sequence[str], piece_rows: int) -> Iterator[pa.Table]:
    """Give the rows in tables of `piece_rows`, but for the last; one empty table if there are no rows."""
    waiting: list[pa.Table] = []
    given = False
    for part in _parts(rows):
        # Arrow's own pool keeps pages it no longer needs.
        waiting.append(part.to_table(schema=rows.schema, columns=list(columns), memory_pool=pa.system_memory_pool()))
        while sum(each.num_rows for each in waiting) >= piece_rows:
            together = pa.concat_tables(waiting)
            yield together.slice(0, piece_rows)
            waiting, given = [together.slice(piece_rows)], True
    rest = pa.concat_tables(waiting or [pa.schema(rows.schema.field(name) for name in columns).empty_table()])
    if rest.num_rows or not given:
        yield rest


def _parts(rows: ds.Dataset) -> Iterator[ds.Fragment]:
    """Give the row groups one after the other; a scan of all of them reads a gigabyte ahead of who judges them."""
    for fragment in rows.get_fragments():
        yield from fragment.split_by_row_group() if isinstance(fragment, ds.ParquetFileFragment) else (fragment,)


def _contested(rows: ds.Dataset, contract: Contract, piece_rows: int) -> list["BrokenRule"]:
    """Give the rules about keys that some row breaks, each with the places of the rows that do; the types fit."""
    from mlops_assets.validation.rules import broken_rules

    names = [name for name in contract.columns if any(name in key for key in contract.keys)]
    if not names:
        return []
    keys_only = contract.model_copy(
        update={"columns": {name: contract.columns[name] for name in names}, "rules": {}, "strict": False}
    )
    suspects = _suspects(lambda: _numbers(rows, names, keys_only, piece_rows), rows.count_rows())
    if not suspects.len():
        return []
    whole_rows, start = [], 0
    for piece in _pieces(rows, rows.schema.names, piece_rows):
        whole_rows.append(conform(piece.take(_within(suspects, start, piece.num_rows).to_arrow()), contract)[0])
        start += piece.num_rows
    return [
        replace(rule, rows=suspects.gather(rule.rows))
        for rule in broken_rules(as_frame(pa.concat_tables(whole_rows)), contract, about=("keys",))
    ]


def _within(rows: pl.Series, start: int, size: int) -> pl.Series:
    """Give those of the row numbers that are in a piece, as it numbers them."""
    return rows.filter((rows >= start) & (rows < start + size)) - start


def _numbers(
    rows: ds.Dataset, names: Sequence[str], keys_only: Contract, piece_rows: int
) -> Iterator[dict[Key, pl.Series]]:
    """Give of each piece the numbers of its rows by every key; null where a part of the key is missing."""
    for piece in _pieces(rows, names, piece_rows):
        frame = as_frame(conform(piece, keys_only)[0])
        yield {
            key: frame.select(
                pl.when(pl.all_horizontal(pl.col(name).is_not_null() for name in key)).then(
                    frame.select(key).hash_rows()
                )
            ).to_series()
            for key in keys_only.keys
        }


def _suspects(numbers: Callable[[], Iterator[dict[Key, pl.Series]]], rows: int) -> pl.Series:
    """Give the places of all rows that share the number of some key with another row.

    Numbers that leave the same remainder are looked at together, so no more than a part of them is held.
    """
    parts, shared = 1 + rows // NUMBERS_AT_ONCE, dict[Key, list[pl.Series]]()
    for part in range(parts):
        held: dict[Key, list[pl.Series]] = {}
        for piece in numbers():
            for key, found in piece.items():
                held.setdefault(key, []).append(found.filter(found % parts == part))
        for key, each in held.items():
            together = pl.concat(each)
            if together.n_unique() < together.len():  # seldom, and finding which costs five times as much
                shared.setdefault(key, []).append(together.filter(together.is_duplicated()).unique())
    places, start = [pl.Series([], dtype=pl.UInt32)], 0
    for piece in numbers() if shared else ():
        for key, each in shared.items():
            places.append(piece[key].is_in(pl.concat(each).implode()).fill_null(False).arg_true() + start)
        start += len(next(iter(piece.values())))
    return pl.concat(places).unique().sort()

"""Whether a batch has the columns and types its contract names, and the batch brought to exactly those types."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.digests import Pieces
from mlops_assets.validation.contract import ARROW_TYPES, Contract


def conform(rows: pa.Table, contract: Contract) -> tuple[pa.Table, tuple[str, ...]]:
    """Give `rows` in the contract's column order and types, and the faults that keep it from them.

    A cast happens only where it loses nothing: 3.0 becomes 3, a naive time becomes UTC, NaN becomes missing; text is
    never read as a number. Columns beyond the contract come last where it is not strict. With faults, there are the
    contract's columns only, and those that do not fit hold nothing.
    """
    faults = [
        f"column {name!r} is missing, expected {rule.type}"
        for name, rule in contract.columns.items()
        if name not in rows.column_names
    ]
    faults += [
        f"column {name!r} appears {rows.column_names.count(name)} times, expected once"
        for name in dict.fromkeys(rows.column_names)
        if rows.column_names.count(name) > 1
    ]
    extra = [name for name in dict.fromkeys(rows.column_names) if name not in contract.columns]
    if contract.strict:
        faults += [
            f"column {name!r} of type {rows.schema.field(rows.column_names.index(name)).type} is not in the contract"
            for name in extra
        ]
    columns: dict[str, pa.ChunkedArray] = {}
    for name, rule in contract.columns.items():
        wanted = ARROW_TYPES[rule.type]
        columns[name] = pa.chunked_array([pa.nulls(rows.num_rows, wanted)])
        if rows.column_names.count(name) != 1:
            continue
        try:
            columns[name] = _cast(rows[name], wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            why = f": {error}" if str(error) else ""
            faults.append(f"column {name!r} is {rows[name].type}, expected {rule.type}{why}")
    if faults:
        return pa.table(columns), tuple(faults)
    return pa.table(columns | {name: rows[name] for name in extra}), ()


class Conformed:
    """A batch brought to its contract's columns and types, piece by piece as it comes; see `conform`.

    `faults` are those of all of it; with faults its pieces hold less than came.
    """

    def __init__(self, rows: Pieces, contract: Contract) -> None:
        self._rows, self._contract = rows, contract
        conformed, faults = conform(rows.schema.empty_table(), contract)
        self.schema: pa.Schema = conformed.schema
        self.faults = faults or _faults(rows, contract)

    def pieces(self) -> Iterator[pa.Table]:
        """Give the rows in their order."""
        for piece in self._rows.pieces():
            yield conform(piece, self._contract)[0]


def _faults(rows: Pieces, contract: Contract) -> tuple[str, ...]:
    """Give the faults of values that do not fit; rows that have the contract's types already are not looked at."""
    known = {column.name: column.type for column in rows.schema}
    if all(known[column.name] == column.type for column in contract.schema):
        return ()
    first: dict[str, str] = {}  # of each column the first value that does not fit is told, as of a whole batch
    for piece in rows.pieces():
        for fault in conform(piece, contract)[1]:
            first.setdefault(fault.partition(": ")[0], fault)
    return tuple(first.values())


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    found = column.type
    if pa.types.is_dictionary(found):
        return _cast(pc.cast(column, found.value_type), wanted)
    if pa.types.is_floating(found):
        nan = pc.is_nan(column)
        if pc.any(nan).as_py():
            column = pc.if_else(nan, pa.scalar(None, found), column)
    if found == wanted:
        return column
    if not pa.types.is_null(found) and not any(is_kind(found) and is_kind(wanted) for is_kind in _KINDS):
        raise pa.ArrowInvalid("")
    cast = pc.cast(column, wanted)
    if pa.types.is_date(wanted) and pa.types.is_timestamp(found) and not pc.cast(cast, found).equals(column):
        raise pa.ArrowInvalid("some of its times are not midnight")  # Arrow cuts the hours off without a word
    return cast


def _is_number(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype))


def _is_text(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype))


def _is_time(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(dtype) or pa.types.is_date(dtype))


_KINDS = (_is_number, _is_text, _is_time)

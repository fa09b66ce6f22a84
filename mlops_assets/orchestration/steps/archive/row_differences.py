"""Where two training sets that should be the same differ first."""

from collections.abc import Mapping

import pyarrow as pa

from mlops_assets.errors import examples
from mlops_assets.stores.tables import stored_digest


def first_difference(recorded: pa.Table, now: pa.Table, *, key: str, tables: Mapping[str, str], otherwise: str) -> str:
    """Say in one sentence where the rows differ: column order, missing or new rows, row order, or a value.

    Args:
        recorded: The rows as they were.
        now: The rows as they come out now.
        key: Column that names a decision.
        tables: The table each column came from; those it does not name came from `otherwise`.
        otherwise: Name of the table of decisions.
    """
    if recorded.column_names != now.column_names:
        odd = sorted(set(recorded.column_names) ^ set(now.column_names))
        return f"Columns differ: {examples(odd)} in one only." if odd else "Columns stand in another order."
    before, after = recorded[key].to_pylist(), now[key].to_pylist()
    if before != after:
        return _differing_keys(before, after, table=otherwise)
    changed = [
        name
        for name in recorded.column_names
        if stored_digest(recorded.select([name]), table=name) != stored_digest(now.select([name]), table=name)
    ]
    name = changed[0]
    pairs = list(zip(before, recorded[name].to_pylist(), now[name].to_pylist(), strict=True))
    rows = [pair for pair in pairs if repr(pair[1]) != repr(pair[2])]
    if not rows:
        return f"{name} is of type {recorded.schema.field(name).type} on record, {now.schema.field(name).type} now."
    decision, was, is_now = rows[0]
    more = f", and {len(rows) - 1} more rows" if len(rows) > 1 else ""
    others = f" So do {examples(each for each in changed if each != name)}." if len(changed) > 1 else ""
    return (
        f"A row differs: {tables.get(name, otherwise)}, {name} of {key} {decision!r} is {was!r} on record, "
        f"{is_now!r} now{more}.{others}"
    )


def _differing_keys(before: list[object], after: list[object], *, table: str) -> str:
    gone, new = set(before) - set(after), set(after) - set(before)
    if not gone and not new:
        place = next((n for n, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), len(before))
        return f"Rows of {table} stand in another order, from row {place} on."
    said = [
        f"{len(keys)} {how} ({examples(sorted(map(str, keys)))})"
        for keys, how in ((gone, "are gone"), (new, "are new"))
        if keys
    ]
    return f"Rows of {table} differ: {', '.join(said)}."

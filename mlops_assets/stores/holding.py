"""Which partitions and versions of a stored table hold given rows, old versions included."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from mlops_assets.stores.tables import PARTITION, WHOLE, TableStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Rows in one data file: its partition (empty if there are none), and the versions of the table that read it.

    `last` is None while the newest version still does.
    """

    table: str
    partition: str
    rows: int
    first: int
    last: int | None

    def seen_by(self, version: int) -> bool:
        """Tell whether a version of the table reads these rows."""
        return self.first <= version and (self.last is None or version <= self.last)


def rows_with(tables: TableStore, table: str, column: str, value: str) -> list[Holding]:
    """Find the rows whose `column` is `value`, spelt as text; none where the column is not there or of other values."""

    def wanted(schema: pa.Schema) -> pc.Expression | None:
        if column not in schema.names:
            return None
        try:
            return pc.field(column) == pa.scalar(value).cast(schema.field(column).type)
        except pa.ArrowInvalid:  # no number, no time: then no row has it
            return None

    return _holdings(tables, table, wanted)


def rows_telling(tables: TableStore, table: str, column: str, text: str) -> list[Holding]:
    """Find the rows whose `column` contains `text`."""
    return _holdings(
        tables,
        table,
        lambda schema: pc.match_substring(pc.field(column), text) if column in schema.names else None,
    )


def _holdings(tables: TableStore, table: str, wanted: Callable[[pa.Schema], pc.Expression | None]) -> list[Holding]:
    found = []
    for path, (partition, first, last) in sorted(_files(tables.root / table)):
        if not path.exists():  # cleaned up since
            continue
        file = ds.dataset(path, format="parquet")
        condition = wanted(file.schema)
        rows = 0 if condition is None else file.count_rows(filter=condition)
        if rows:
            found.append(Holding(table=table, partition=partition, rows=rows, first=first, last=last))
    return sorted(found, key=lambda holding: (holding.partition, holding.first))


def _files(folder: Path) -> Iterator[tuple[Path, tuple[str, int, int | None]]]:
    """Give every data file ever committed with its partition and the versions that read it, from the table's log."""
    there: dict[str, tuple[str, int]] = {}
    for commit in sorted((folder / "_delta_log").glob("*[0-9].json")):
        version = int(commit.stem)
        actions: list[dict[str, Any]] = [json.loads(line) for line in commit.read_bytes().splitlines()]
        for action in actions:
            if removed := action.get("remove"):
                partition, first = there.pop(removed["path"])
                yield folder / unquote(removed["path"]), (partition, first, version - 1)
        for action in actions:
            if added := action.get("add"):
                there[added["path"]] = (added["partitionValues"].get(PARTITION) or WHOLE, version)
    for path, (partition, first) in there.items():
        yield folder / unquote(path), (partition, first, None)


def rows_now(holdings: list[Holding]) -> Counter[str]:
    """Count the rows the newest version reads, by partition."""
    counts: Counter[str] = Counter()
    for holding in holdings:
        if holding.last is None:
            counts[holding.partition] += holding.rows
    return counts

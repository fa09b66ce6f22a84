"""What came of a table and when: until when its rows reach, and whether there are about as many as usual."""

from collections.abc import Sequence
from datetime import datetime

from mlops_assets.orchestration.partitions import span_of
from mlops_assets.orchestration.steps.intake.standing import Key
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.stores.home import Home
from mlops_assets.stores.tables import WHOLE
from mlops_assets.validation import Promise, odd_day, odd_whole


def newest(stores: Home, promise: Promise) -> datetime | None:
    """Tell until when a table's data reach: the end of its newest day with rows, or when it was last read whole."""
    if not stores.tables.exists(promise.table):
        return None
    if not promise.by_day:
        return stores.records.find(*_read_whole(promise.table), datetime)
    days = [day for day, content in stores.tables.contents(promise.table).items() if content.rows]
    return span_of(max(days)).end if days else None


def note_read_whole(stores: Home, table: str, at: datetime) -> None:
    """Note when a table without partitions was read, or such a view computed, whether or not that changed any row."""
    stores.records.put(*_read_whole(table), at)


def _read_whole(table: str) -> tuple[tuple[str, ...], str]:
    stage, name = table.split("/")
    return ("read_whole", stage), name


def odd_volumes(declared: TableDeclaration, stores: Home, keys: Sequence[Key]) -> dict[Key, str]:
    """Say of each batch that has just been kept as raw what is odd about its size; most have nothing."""
    raw, good = f"raw/{declared.table}", f"validated/{declared.table}"
    if not stores.tables.exists(raw):
        return {}
    rows = {key: content.rows for key, content in stores.tables.contents(raw).items()}
    faults: dict[Key, str | None] = {}
    for key in keys:
        if key is None:
            # Not what raw held before: a batch that was blocked would be what the next one is held against.
            before = stores.tables.contents(good)[WHOLE].rows if stores.tables.exists(good) else None
            faults[key] = odd_whole(declared.volume, rows[WHOLE], before=before)
        elif key in rows:
            faults[key] = odd_day(declared.volume, rows[key], day=key, earlier=rows)
    return {key: fault for key, fault in faults.items() if fault}

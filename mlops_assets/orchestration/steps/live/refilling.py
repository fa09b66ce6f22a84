"""The online store written again from the stored feature tables, as when its server has lost its rows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from mlops_assets.records import FeatureView
from mlops_assets.stores.home import Home

ROWS_AT_ONCE = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Refilled:
    """What came of one view: the rows offered to the store, and why there are none if there are none."""

    view: str
    rows: int
    skipped: str | None = None


def refill(views: Iterable[FeatureView], stores: Home) -> Iterator[Refilled]:
    """Write each view's table into the online store, and give what was written of it.

    A row that is there is never replaced by an older one. Cut off, the next refill goes on with the view it was at.
    What a run brings into a table meanwhile is written, too: the run wrote it before, and may have been overtaken.
    """
    done = stores.online.refilled()
    for view in views:
        table = f"features/{view.name}"
        if not stores.tables.exists(table):
            yield Refilled(view=view.name, rows=0, skipped="it was never materialized")
            continue
        if done.get(view.name) == stores.tables.version(table).sha256:
            yield Refilled(view=view.name, rows=0, skipped="a refill that was cut off had written it")
            continue
        rows, written = 0, dict[str, str]()
        while (found := _digests(stores, table)) != written:
            changed = [key for key, sha256 in found.items() if written.get(key) != sha256]
            rows += stores.online.write_all(view, _parts(stores, table, changed))
            written = found
        done[view.name] = stores.tables.version(table).sha256
        stores.online.note_refilled(done)
        yield Refilled(view=view.name, rows=rows)
    stores.online.note_refilled({})


def _digests(stores: Home, table: str) -> dict[str, str]:
    return {key: content.sha256 for key, content in stores.tables.contents(table).items()}


def _parts(stores: Home, table: str, keys: Sequence[str]) -> Iterator[pa.Table]:
    """Give the rows of partitions, oldest first, some partitions at a time."""
    if not stores.tables.partitions(table):
        yield stores.tables.read(table)
        return
    contents = stores.tables.contents(table)
    together: list[str] = []
    for key in sorted(keys):
        together.append(key)
        if sum(contents[each].rows for each in together) >= ROWS_AT_ONCE:
            yield stores.tables.read(table, partitions=together)
            together = []
    if together:
        yield stores.tables.read(table, partitions=together)

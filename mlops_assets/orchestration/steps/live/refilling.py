"""The online store written again from the stored feature tables, as when its server has lost its rows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from mlops_assets.errors import StoreError
from mlops_assets.features.columns import ARROW
from mlops_assets.orchestration.partitions import span_of
from mlops_assets.orchestration.steps.intake.defining import in_use, otherwise, told
from mlops_assets.orchestration.steps.live.answering import other_shapes
from mlops_assets.records import FeatureView
from mlops_assets.stores.home import Home
from mlops_assets.stores.tables import WHOLE

ROWS_AT_ONCE = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Refilled:
    """What came of one view: the rows offered to the store, and why there are none if there are none.

    `beware` says which of the days that may still answer were computed by another definition than the newest.
    """

    view: str
    rows: int
    skipped: str | None = None
    beware: str | None = None


def refill(views: Iterable[FeatureView], stores: Home) -> Iterator[Refilled]:
    """Write each view's table into the online store, and give what was written of it.

    A row that is there is never replaced by an older one. Cut off, the next refill goes on with the view it was at.
    What a run brings into a table meanwhile is written, too: the run wrote it before, and may have been overtaken.
    A feature that a day was not computed for is null there, as it is in the table.
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
            for shape in other_shapes(stores, view):
                stores.online.write_all(shape, _parts(stores, shape, changed))
            rows += stores.online.write_all(view, _parts(stores, view, changed))
            written = found
        done[view.name] = stores.tables.version(table).sha256
        stores.online.note_refilled(done)
        yield Refilled(view=view.name, rows=rows, beware=_beware(stores, view))
    stores.online.note_refilled({})


def _digests(stores: Home, table: str) -> dict[str, str]:
    return {key: content.sha256 for key, content in stores.tables.contents(table).items()}


def _beware(stores: Home, view: FeatureView) -> str | None:
    """Say which days are of another definition, of those that the newest lets answer."""
    try:
        now = in_use(stores, view.name)
    except StoreError as error:  # the rows are written; a store that lost them has to answer now
        return str(error)
    contents = stores.tables.contents(f"features/{view.name}")
    if now is None or WHOLE in contents:
        return None
    ends = {key: span_of(key).end.timestamp() for key in contents}
    answering = {key: content for key, content in contents.items() if ends[key] + view.ttl_s >= max(ends.values())}
    days = otherwise(stores, now, answering)
    return told(view.name, days) if days else None


def _parts(stores: Home, view: FeatureView, keys: Sequence[str]) -> Iterator[pa.Table]:
    """Give the rows of partitions, oldest first, some partitions at a time."""
    table = f"features/{view.name}"
    contents = stores.tables.contents(table)
    if WHOLE in contents:
        yield _with_all(view, stores.tables.read(table))
        return
    together: list[str] = []
    for key in sorted(keys):
        together.append(key)
        if sum(contents[each].rows for each in together) >= ROWS_AT_ONCE:
            yield _with_all(view, stores.tables.read(table, partitions=together))
            together = []
    if together:
        yield _with_all(view, stores.tables.read(table, partitions=together))


def _with_all(view: FeatureView, rows: pa.Table) -> pa.Table:
    """Add the features that were declared since the table was last written, null in each row."""
    for feature in view.features:
        if feature.name not in rows.column_names:
            rows = rows.append_column(feature.name, pa.nulls(rows.num_rows, ARROW[feature.dtype]))
    return rows

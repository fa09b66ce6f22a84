"""Rows that come late, or come again otherwise: they are known from then on, and what was known before stays.

A decision that was taken in between found the rows of its time. They have to be found again whenever its features are
computed anew, so a partition that is computed a second time keeps what it held and adds what has changed.
"""

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.features.columns import UTC_MICROSECONDS
from mlops_assets.features.view import one_thread
from mlops_assets.records import FeatureView


def revise(view: FeatureView, rows: pa.Table, *, before: pa.Table | None, at: datetime) -> pa.Table:
    """Give what a partition holds after `rows` were computed for it at `at`, later than they were due.

    Rows like the newest of their key and event time are there already; all others are known from `at` on. A key that
    is no longer computed keeps its row: nobody can take back that it was known. A view that has features it had not, or
    computed otherwise, is a new one, of which nobody knew anything, so its rows count as in time.

    Args:
        view: Whose rows.
        rows: The partition as computed now: keys, features, `event_time` and `known_at`.
        before: The partition as it is, without what is computed otherwise by now; None if it was never written.
        at: When the rows came, in UTC.
    """
    late = _known_from(rows, at)
    if before is None:
        return late
    if not set(rows.column_names) <= set(before.column_names):
        return rows
    before = before.select(rows.column_names)
    keys = [_quoted(key.name) for key in view.keys]
    features = [_quoted(feature.name) for feature in view.features]
    same = " AND ".join(f"late.{name} IS NOT DISTINCT FROM newest.{name}" for name in (*keys, "event_time", *features))
    with one_thread() as connection:
        connection.register("late", late)
        connection.register("before", before)
        changed = connection.sql(f"""
            WITH newest AS (
                SELECT * FROM before
                QUALIFY row_number() OVER (PARTITION BY {", ".join(keys)}, event_time ORDER BY known_at DESC) = 1
            )
            SELECT late.* FROM late ANTI JOIN newest ON {same}
        """).to_arrow_table()
    if not changed.num_rows:
        return before
    whole = pa.concat_tables([before, changed.cast(before.schema)])
    return whole.sort_by([(name, "ascending") for name in (*(key.name for key in view.keys), "known_at")])


def _known_from(rows: pa.Table, at: datetime) -> pa.Table:
    due, came = rows["known_at"], pa.scalar(at, UTC_MICROSECONDS)
    known_at = pc.if_else(pc.greater(due, came), due, came)
    return rows.set_column(rows.column_names.index("known_at"), rows.schema.field("known_at"), known_at)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

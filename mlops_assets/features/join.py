"""The training set as it could have been known: each label joined to the rows its decision would have found.

A row answers a decision at t when `known_at <= t` and `t - ttl <= event_time <= t`; of several, the one with the newest
event time, and of these the one known last. That takes one ASOF join: a row whose event time was already passed when
it became known can never be the answer, so such rows are left out first, and the rest is in order of both times.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.errors import EXAMPLES_SHOWN, FeatureError, examples
from mlops_assets.features.columns import UTC_MICROSECONDS, as_arrays, as_arrow, cast
from mlops_assets.features.defaults import DEFAULT
from mlops_assets.features.module import nearest
from mlops_assets.features.plan import FeaturePlan
from mlops_assets.features.view import one_thread
from mlops_assets.records import FeatureView

DECISION_TIME = "decision_time"
_ROW, _OLDEST = "__row", "__oldest"


def point_in_time(labels: pa.Table, views: Sequence[tuple[FeatureView, pa.Table]]) -> pa.Table:
    """Give the labels, in their order and each exactly once, with the stored features known at their decision times.

    Each view adds its features, `<view>__status` (`ok`, `missing`: nothing was known of the key, `stale`: what was
    known is older than the ttl) and `<view>__event_time`, the event time of the row found. Features are null unless
    the status is `ok`. A label with a null key or decision time finds nothing and stays.

    Args:
        labels: Key columns and `decision_time` (`timestamp[us, tz=UTC]`), beside any others.
        views: Each view with its rows: keys, features, `event_time`, `known_at`.

    Raises:
        FeatureError: A column is missing or there twice, two rows of a key share both their times, or a row claims to
            be known before it was true.
    """
    _expect(labels, [DECISION_TIME], what="the labels")
    if labels.schema.field(DECISION_TIME).type != UTC_MICROSECONDS:
        raise FeatureError(
            f"{DECISION_TIME!r} is {labels.schema.field(DECISION_TIME).type}, and must be {UTC_MICROSECONDS}: "
            "comparing times in two zones or resolutions would shift what was known. Cast it."
        )
    joined = labels
    for view, rows in views:  # one at a time: memory grows with each ASOF join in one query
        found = _look_up(view, labels, rows)
        for name in found.column_names:
            if name in joined.column_names:
                raise FeatureError(
                    f"view {view.name!r} gives {name!r}, and a column of that name is there already. Rename one.",
                    view=view.name,
                    column=name,
                )
            joined = joined.append_column(name, found.column(name))
    return joined


def training_rows(plan: FeaturePlan, labels: pa.Table, rows: Mapping[str, pa.Table]) -> pa.Table:
    """Give the labels with the derived keys and the stored features of a model's plan, ready for `as_arrays`.

    Where a view has no row for a label, its declared defaults stand, and its status is `default`.

    Args:
        plan: The model's names over its views.
        labels: The request columns and `decision_time`, beside others such as the target.
        rows: The rows of each view by its name; views the plan asks nothing of are ignored.

    Raises:
        FeatureError: As `point_in_time`, or a view's rows were not given.
    """
    request = as_arrays(labels, plan.module.request)
    fields = {key.name: key for view in plan.views for key in view.keys}
    for name, column in plan.keys(request).items():
        if name not in labels.column_names:
            labels = labels.append_column(name, as_arrow(column, fields[name]))
    for view in plan.views:
        if view.name not in rows:
            raise FeatureError(
                f"the rows of view {view.name!r} were not given. Materialize it first.{nearest(view.name, rows)}",
                view=view.name,
            )
    joined = point_in_time(labels, [(view, rows[view.name]) for view in plan.views])
    for view in plan.views:
        joined = _with_defaults(joined, view)
    return joined


def _with_defaults(joined: pa.Table, view: FeatureView) -> pa.Table:
    """Put in what a view declares for labels no row of it answered; their status is then `default`."""
    status = f"{view.name}__status"
    absent = pc.not_equal(joined[status], "ok")
    for name, default in ({**view.defaults, status: DEFAULT} if view.defaults else {}).items():
        column = joined[name]
        filled = pc.if_else(absent, pa.scalar(default, column.type), column)
        joined = joined.set_column(joined.column_names.index(name), name, filled)
    return joined


def _look_up(view: FeatureView, labels: pa.Table, rows: pa.Table) -> pa.Table:
    """Give the features, status and event time of each label's row in one view, in the labels' order."""
    keys, features = [key.name for key in view.keys], [feature.name for feature in view.features]
    _expect(labels, keys, what=f"the labels, which view {view.name!r} is looked up by,")
    _expect(rows, [*keys, *features, "event_time", "known_at"], what=f"view {view.name!r}")
    ordinal = pa.array(np.arange(labels.num_rows))
    decided = labels.column(DECISION_TIME)
    oldest = pc.subtract(decided, pa.scalar(timedelta(seconds=view.ttl_s), pa.duration("us")))
    sought = [cast(labels.column(key.name), key.dtype, name=key.name) for key in view.keys]
    asked = pa.table([*sought, decided, oldest, ordinal], [*keys, DECISION_TIME, _OLDEST, _ROW])
    per_key = ", ".join(map(_quoted, keys))
    with one_thread() as connection:
        connection.register("asked", asked)
        connection.register("rows", rows.select([*keys, *features, "event_time", "known_at"]))
        connection.execute(f"""
            CREATE TEMP TABLE known AS
            SELECT *,
                lag((known_at, event_time)) OVER history IS NOT DISTINCT FROM (known_at, event_time) AS tied,
                lead(known_at) OVER history IS NOT DISTINCT FROM known_at AS outdone
            FROM rows
            WINDOW history AS (PARTITION BY {per_key} ORDER BY known_at, event_time ROWS UNBOUNDED PRECEDING)
            QUALIFY tied OR known_at < event_time OR NOT outdone AND event_time >= max(event_time) OVER history
        """).fetchall()
        _refuse_rows(
            view,
            connection.sql(f"SELECT {per_key}, known_at FROM known WHERE tied").to_arrow_table(),
            "share their key and both times with another, so which of them answers would be chance",
        )
        _refuse_rows(
            view,
            connection.sql(f"SELECT {per_key}, known_at FROM known WHERE known_at < event_time").to_arrow_table(),
            "claim to be known before their event time",
        )
        same_key = " AND ".join(f"asked.{_quoted(key)} = known.{_quoted(key)}" for key in keys)
        valid = f"known.event_time >= asked.{_OLDEST}"
        values = ", ".join(f"CASE WHEN {valid} THEN known.{_quoted(name)} END AS {_quoted(name)}" for name in features)
        return connection.sql(f"""
            SELECT {values},
                CASE WHEN known.known_at IS NULL THEN 'missing' WHEN {valid} THEN 'ok' ELSE 'stale' END
                    AS {_quoted(view.name + "__status")},
                known.event_time AS {_quoted(view.name + "__event_time")}
            FROM asked ASOF LEFT JOIN known ON {same_key} AND asked.{DECISION_TIME} >= known.known_at
            ORDER BY asked.{_ROW}
        """).to_arrow_table()


def _refuse_rows(view: FeatureView, rows: pa.Table, fault: str) -> None:
    if rows.num_rows:
        shown = [", ".join(f"{k}={v}" for k, v in row.items()) for row in rows.slice(0, EXAMPLES_SHOWN).to_pylist()]
        raise FeatureError(
            f"view {view.name!r} has {rows.num_rows} rows that {fault}: {'; '.join(shown)}. Compute the view again.",
            view=view.name,
            rows=rows.num_rows,
        )


def _expect(table: pa.Table, names: Sequence[str], *, what: str) -> None:
    """Refuse a table that lacks one of `names`."""
    if missing := [name for name in names if name not in table.column_names]:
        raise FeatureError(
            f"{what} lack {examples(missing)}.{nearest(missing[0], dict.fromkeys(table.column_names))} "
            f"There: {', '.join(table.column_names)}.",
            missing=missing,
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

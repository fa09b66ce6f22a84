"""The training set as it could have been known: each label joined to the rows its decision would have found.

A row answers a decision at t when `known_at <= t` and `t - ttl <= event_time <= t`; of several, the one with the newest
event time, and of these the one known last. Rows and labels are put into one order, by key and then by when each
became known or was decided; going through it once, the best row seen so far of a key is what a label finds. Only
positions are moved about, and the features of the rows found are copied once at the end: less work than an ASOF join of
whole rows, in any order of arrival, and the same bits each time.
"""

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.errors import EXAMPLES_SHOWN, FeatureError, examples
from mlops_assets.features.columns import UTC_MICROSECONDS, as_arrays, as_arrow, cast
from mlops_assets.features.defaults import DEFAULT
from mlops_assets.features.module import nearest
from mlops_assets.features.plan import FeaturePlan
from mlops_assets.records import FeatureView

DECISION_TIME = "decision_time"
STAMPS = ("event_time", "known_at")

_Positions = npt.NDArray[np.int64]


def point_in_time(labels: pa.Table, views: Sequence[tuple[FeatureView, pa.Table]]) -> pa.Table:
    """Give the labels, in their order and each exactly once, with the stored features known at their decision times.

    Each view adds its features, `<view>__status` (`ok`, `missing`: nothing was known of the key, `stale`: what was
    known is older than the ttl) and `<view>__event_time`, the event time of the row found. Features are null unless
    the status is `ok`. A label with a null key or decision time finds nothing and stays.

    Args:
        labels: Key columns and `decision_time` (`timestamp[us, tz=UTC]`), beside any others.
        views: Each view with its rows: keys, features, `event_time`, `known_at`.

    Raises:
        FeatureError: A column is missing or there twice, two rows of a key asked for share both their times, or a row
            claims to be known before it was true.
    """
    _expect(labels, [DECISION_TIME], what="the labels")
    if labels.schema.field(DECISION_TIME).type != UTC_MICROSECONDS:
        raise FeatureError(
            f"{DECISION_TIME!r} is {labels.schema.field(DECISION_TIME).type}, and must be {UTC_MICROSECONDS}: "
            "comparing times in two zones or resolutions would shift what was known. Cast it."
        )
    joined = labels
    for view, rows in views:
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
    _expect(rows, [*keys, *features, *STAMPS], what=f"view {view.name!r}")
    event_time, known_at = (cast(rows.column(name), "timestamp", name=name) for name in STAMPS)
    early = pc.less(known_at, event_time)
    if pc.any(early).as_py():
        _refuse_rows(view, rows.select([*keys, *STAMPS]).filter(early), "claim to be known before their event time")
    decided = labels.column(DECISION_TIME)
    asked, held = _numbered_keys(view, labels, rows)
    found = np.full(labels.num_rows, -1)
    askers, (key_asked, moment) = _whole(asked, decided)
    holders, (key_held, *stamps) = _whole(held, event_time, known_at)
    if askers.size and holders.size:
        known = _Known(key_held, event_time=stamps[0], known_at=stamps[1])
        if known.tied.size:
            _refuse_rows(
                view,
                rows.select([*keys, *STAMPS]).take(holders[known.tied]),
                "share their key and both times with another, so which of them answers would be chance",
            )
        answers = known.answers(key_asked, moment)
        found[askers] = np.where(answers < 0, -1, holders[answers])
    happened = _taken(event_time, found)
    age = pc.subtract(decided.cast(pa.int64()), happened.cast(pa.int64()))
    fresh = pc.fill_null(pc.less_equal(age, round(view.ttl_s * 1_000_000)), False).to_numpy()
    status = np.where(fresh, 0, np.where(found >= 0, 1, 2))
    found[~fresh] = -1
    return pa.table(
        {name: _taken(rows.column(name), found) for name in features}
        | {f"{view.name}__status": pa.array(["ok", "stale", "missing"]).take(pa.array(status))}
        | {f"{view.name}__event_time": happened}
    )


class _Known:
    """What is known of each key as time goes on; the rows stand in the order of their keys, then of `known_at`.

    Attributes:
        tied: Rows that share key, event time and known time with another.
    """

    def __init__(self, key: _Positions, *, event_time: _Positions, known_at: _Positions) -> None:
        self.tied = np.empty(0, np.int64)
        self._row = _ordered(key, known_at)
        self._key, self._known_at, events = (column[self._row] for column in (key, known_at, event_time))
        self._newest = self._row  # of its key as soon as the row in that place is known, unless rows came late
        again = self._key[1:] == self._key[:-1]
        if np.any(again & ((events[1:] < events[:-1]) | (self._known_at[1:] == self._known_at[:-1]))):
            by_truth = _ordered(self._key, events)  # and then by known_at, for so they stand
            place = np.empty_like(by_truth)
            place[by_truth] = np.arange(by_truth.size)
            # The rows of a key take up the same places in both orders, so the furthest is the newest of the key.
            self._newest = self._row[by_truth[np.maximum.accumulate(place)]]
            same = [column[by_truth][1:] == column[by_truth][:-1] for column in (self._key, events, self._known_at)]
            self.tied = self._row[by_truth[1:][np.logical_and.reduce(same)]]

    def answers(self, key: _Positions, decided: _Positions) -> _Positions:
        """Give for each decision the row that answers it, -1 where nothing was known of its key."""
        rows, asked = self._row.size, _ordered(key, decided)
        order = _ordered(np.append(self._key, key[asked]), np.append(self._known_at, decided[asked]))
        places = np.flatnonzero(order >= rows)  # of the decisions, each after the rows known at its moment
        last = places - np.arange(places.size) - 1  # the place of the last row before each; -1, if there is none
        found = (last >= 0) & (self._key[last] == key[asked])
        answers = np.empty(key.size, np.int64)
        answers[asked] = np.where(found, self._newest[last], -1)
        return answers


def _ordered(key: _Positions, moment: _Positions) -> _Positions:
    """Give the order by key, then by moment; equals stay as they came."""
    first = int(moment.min())
    bits = (int(moment.max()) - first).bit_length()
    if int(key.max()).bit_length() + bits < 64:  # both in one number: a third of the time of sorting by two
        packed = key << bits
        packed += moment
        packed -= first
        return np.argsort(packed, kind="stable")
    return np.lexsort((moment, key))


def _numbered_keys(view: FeatureView, labels: pa.Table, rows: pa.Table) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Number the keys that labels ask for, and give each label's and each row's; null is asked for by nobody."""
    numbered: tuple[pa.ChunkedArray, pa.ChunkedArray] | None = None
    for key in view.keys:
        asked, held = (cast(table.column(key.name), key.dtype, name=key.name) for table in (labels, rows))
        asked, held, size = _numbered(asked, held)
        if numbered is not None:  # a pair of numbers is a number again
            asked, held = (
                pc.add(pc.multiply(first.cast(pa.int64()), size), second)
                for first, second in zip(numbered, (asked, held), strict=True)
            )
            asked, held, _ = _numbered(asked, held)
        numbered = asked, held
    if numbered is None:
        raise FeatureError(f"view {view.name!r} has no keys, so nothing can be looked up in it.", view=view.name)
    return numbered


def _numbered(asked: pa.ChunkedArray, held: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray, int]:
    values = asked.unique().drop_null()
    return pc.index_in(asked, value_set=values), pc.index_in(held, value_set=values), len(values)


def _taken(column: pa.ChunkedArray, places: _Positions) -> pa.Array:
    """Give the values at `places`, null where a place is -1."""
    if not len(column):
        return pa.nulls(places.size, column.type)
    taken = column.combine_chunks().take(pa.array(np.maximum(places, 0)))
    return pc.if_else(pa.array(places >= 0), taken, pa.scalar(None, taken.type))


def _whole(*columns: pa.ChunkedArray) -> tuple[_Positions, list[_Positions]]:
    """Give the places at which no column is null, and there their values; moments are microseconds."""
    numbers = [column.cast(pa.int64()) for column in columns]
    if not any(column.null_count for column in columns):
        return np.arange(len(columns[0])), [column.to_numpy() for column in numbers]
    places = np.flatnonzero(reduce(pc.and_, map(pc.is_valid, columns)).to_numpy())
    return places, [pc.fill_null(column, 0).to_numpy()[places] for column in numbers]


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

"""Claim: no feature value of the example was unknown when its decision was taken.

The future is replaced by another one, in the raw tables of the shipped data, and the training vectors must not move in
a single bit. That the past does move them shows that the test could fail.
"""

import sqlite3
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import mlops_assets.defs
from mlops_assets.features import FeatureModule, FeaturePlan, Vectorizer, build_spec
from mlops_assets.features.columns import as_arrays
from mlops_assets.features.join import training_rows
from mlops_assets.features.view import compute, compute_many
from mlops_assets.orchestration import project
from mlops_assets.records import Span

DEFS = Path(mlops_assets.defs.__file__).parent
ARRIVED = {"flights": "reported_at", "weather": "issued_at"}
DAYS = [(datetime(2013, 1, 1, tzinfo=UTC) + timedelta(days=n)).date().isoformat() for n in range(36)]
COMPUTED = DAYS[22:]  # enough for the labels: the views of delays hold for three days
FIRST_LABEL, LAST_LABEL = datetime(2013, 1, 29, tzinfo=UTC), datetime(2013, 2, 4, tzinfo=UTC)
LEAD = timedelta(hours=2)  # a flight is decided on this long before it is to leave

# Before, at and after the moment at which the last partition of January becomes known, and in the middle of a day.
NOWS = [datetime(2013, 2, 1, *time, tzinfo=UTC) for time in ((0, 59, 59), (1, 0), (17, 45))]


@cache
def declared_views():
    found = project.declared_views(project.project_definitions(mlops_assets.defs.__file__))
    return [view for _, view in found.values()]


@cache
def raw_tables():
    data, until = DEFS / "flights" / "data", pa.scalar(datetime.fromisoformat(DAYS[-1]).replace(tzinfo=UTC))
    with sqlite3.connect(data / "reference.sqlite") as register:
        cursor = register.execute("SELECT * FROM planes ORDER BY tailnum")
        names = [column[0] for column in cursor.description]
        planes = pa.table(dict(zip(names, map(list, zip(*cursor, strict=True)), strict=True)))
    return {"planes": planes} | {
        name: (rows := pq.read_table(data / f"{name}.parquet")).filter(pc.less(rows[column], until))
        for name, column in ARRIVED.items()
    }


def scrambled(name, rows, seed=0):
    """Give rows of another world: same keys and arrival, other outcomes, some of the rows gone."""
    chance = np.random.default_rng(seed)
    if name == "flights":
        cancelled = pa.array(chance.random(rows.num_rows) < 0.5)
        delay = pa.array(chance.integers(-60, 900, rows.num_rows), rows.schema.field("arr_delay").type)
        rows = rows.set_column(rows.column_names.index("cancelled"), "cancelled", cancelled)
        rows = rows.set_column(rows.column_names.index("arr_delay"), "arr_delay", delay)
    else:
        for column in ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"):
            other = pa.array(chance.normal(0, 1e3, rows.num_rows))
            rows = rows.set_column(rows.column_names.index(column), column, other)
    return rows.filter(pa.array(chance.random(rows.num_rows) < 0.9))


def other_future(tables, now):
    """Give the tables with everything scrambled whose partition was not available at `now`."""
    changed = dict(tables)
    available = timedelta(hours=1)
    for name, column in ARRIVED.items():
        unknown_from = (now - available).replace(hour=0, minute=0, second=0, microsecond=0)
        future = pc.greater_equal(tables[name][column], pa.scalar(unknown_from))
        kept, lost = tables[name].filter(pc.invert(future)), tables[name].filter(future)
        changed[name] = pa.concat_tables([kept, scrambled(name, lost)])
    return changed


def by_day(tables):
    """Give each partitioned table as its days."""
    parts = dict(tables)
    for name, column in ARRIVED.items():
        day = np.array(pc.strftime(tables[name][column], "%Y-%m-%d"))
        parts[name] = {str(key): tables[name].filter(pa.array(day == key)) for key in np.unique(day)}
    return parts


def views_of(tables, given):
    rows = {}
    for view in declared_views():
        partitioned = ARRIVED.keys() & set(view.tables.values())
        source = {alias: given[table] for alias, table in view.tables.items()}
        if partitioned:
            spans = {day: Span.day(day) for day in COMPUTED}
            rows[view.name] = pa.concat_tables(compute_many(view, source, spans).values())
        else:
            rows[view.name] = compute(view, source)
    return rows


def labels_until(now):
    flights = raw_tables()["flights"]
    departs = flights["scheduled_departure"]
    inside = pc.and_(pc.greater_equal(departs, pa.scalar(FIRST_LABEL)), pc.less(departs, pa.scalar(LAST_LABEL)))
    inside = pc.and_(inside, pc.less_equal(departs, pa.scalar(now + LEAD)))
    flights = flights.filter(inside)
    decided = pc.subtract(flights["scheduled_departure"], pa.scalar(LEAD, pa.duration("us")))
    return flights.append_column("decision_time", decided)


def vectors(model, now, rows):
    """Give the training vectors of all decisions taken until `now`."""
    module = FeatureModule.load((DEFS / model / "features.py").read_text(), name=model)
    plan = FeaturePlan(module, [view.record() for view in declared_views()])
    joined = training_rows(plan, labels_until(now), rows)
    inputs = as_arrays(joined, plan.inputs)
    return Vectorizer(build_spec(module, plan.views, inputs), module).vector(inputs), joined


@cache
def rows_as_shipped():
    return views_of(raw_tables(), by_day(raw_tables()))


@pytest.mark.parametrize("now", NOWS, ids=lambda now: f"{now:%d-%b-%H:%M:%S}")
@pytest.mark.parametrize("form", ["by_day", "whole"])
def test_another_future_leaves_every_training_vector_as_it_was(now, form):
    """Of both models, whether the history of the views is computed from partitions or from whole tables."""
    tables = other_future(raw_tables(), now)
    rows = views_of(tables, by_day(tables) if form == "by_day" else tables)

    for model in ("flight_delay", "air_time"):
        before, _ = vectors(model, now, rows_as_shipped())
        after, _ = vectors(model, now, rows)

        assert len(before) > 1_000
        assert np.array_equal(before.view(np.uint64), after.view(np.uint64))


def test_the_other_future_is_seen_as_soon_as_it_is_known():
    """The same scrambled tables do move the vectors of decisions taken later, so the test above has teeth."""
    now = NOWS[2]
    rows = views_of({}, by_day(other_future(raw_tables(), now)))
    later = now + timedelta(days=2)

    before, joined = vectors("flight_delay", later, rows_as_shipped())
    after, _ = vectors("flight_delay", later, rows)

    moved = (before != after) & ~(np.isnan(before) & np.isnan(after))
    assert moved.any(axis=1).sum() > 100
    assert pc.min(joined["decision_time"].filter(pa.array(moved.any(axis=1)))).as_py() > now


def test_no_feature_is_younger_than_its_decision():
    """And all but a few decisions find every view, so that nothing was proved by finding nothing."""
    _, joined = vectors("flight_delay", LAST_LABEL, rows_as_shipped())

    for view in ("carrier_delays", "origin_delays", "dest_delays", "weather", "aircraft"):
        found = joined[f"{view}__event_time"]
        assert not pc.any(pc.greater(found, joined["decision_time"])).as_py()
        assert pc.mean(pc.equal(joined[f"{view}__status"], "ok")).as_py() > (0.8 if view == "aircraft" else 0.99)

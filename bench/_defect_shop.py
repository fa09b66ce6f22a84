"""A made-up shop, large enough to judge a model by: what was ordered on each day, and which orders came back."""

from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pyarrow as pa

from mlops_assets.validation import QualitySuite

FIRST = date(2024, 1, 1)
ORDERS = 500  # a day
CUSTOMERS = 600
BRANCHES = ("east", "north", "south", "west")
KINDS = ("books", "garden", "kitchen", "shoes", "tools", "toys")
CHANCE_OF_BRANCH = (0.4, 0.3, 0.2, 0.1)
CHANCE_OF_KIND = (0.1, 0.15, 0.2, 0.3, 0.1, 0.15)

TABLES = """\
table: orders
description: Orders, with whether they came back within three hours.
owner: team:shop
source: {kind: files, paths: ["{landing}/orders/{partition}.parquet"]}
partitions: {start: 2024-01-01}
arrival_column: reported_at
arrives_within_hours: 20
volume: {tolerance: 0.4, on_fault: block}
contract:
  max_quarantined_share: 0.05
  columns:
    order_id: {type: string, unique: true}
    customer: {type: string, regex: "c[0-9]{3}"}
    placed_at: {type: timestamp}
    reported_at: {type: timestamp}
    branch: {type: string, isin: [east, north, south, west]}
    kind: {type: string}
    amount: {type: float64, min: 0, max: 2000}
    weight_kg: {type: float64, min: 0, max: 100, nullable: true}
    discount: {type: float64, min: 0, max: 1}
    express: {type: float64, min: 0, max: 1}
    returned: {type: bool}
    refund: {type: float64, min: 0, max: 2000}
  rules:
    reported_after_it_was_placed: {holds: reported_at > placed_at, because: time goes one way}
    reported_within_hours: {holds: "reported_at <= placed_at + INTERVAL '4 hours'", because: the desk reports each day}
    refunded_if_returned: {holds: returned = (refund > 0), because: what comes back is paid back}
"""

VIEWS = """\
name: customer_returns
description: How much of what a customer ordered came back.
keys: {customer: string}
tables: {orders: orders}
lookback_days: 28
available_after: PT1H
ttl: P3D
partitions: {start: 2024-01-01}
aggregates:
  table: orders
  time: reported_at
  windows: [28d]
  values:
    customer_return_rate: {rate: returned}
    customer_orders: {count: "*"}
---
name: branch_returns
description: How much of what was ordered at a branch came back.
keys: {branch: string}
tables: {orders: orders}
lookback_days: 7
available_after: PT1H
ttl: P3D
partitions: {start: 2024-01-01}
aggregates:
  table: orders
  time: reported_at
  windows: [7d]
  values:
    branch_return_rate: {rate: returned}
"""

MODEL = """\
description: Will this order come back?
owner: team:shop
task: binary
decisions: {table: orders, key: order_id, time: placed_at, known_at: reported_at}
views: [customer_returns, branch_returns]
training: {window: {holdout_days: 10, gap_days: 1, minimum_rows: 5000}}
value: {capacity_share: 0.2, value_of_hit: 12, cost_of_false_alarm: 3, unit: EUR}
gate:
  primary_metric: auc
  non_inferiority_margin: 0.015
  worst_allowed: 0.78
  minimum_rows: 3000
  slice_columns: [branch, kind]
  maximum_slice_drop: 0.05
  resamples: 200
  maximum_looks: 10
  behaviour: {direction: {discount: up}, violations: 0.25, latency_ms: 0.2, bundle_mb: 2}
monitor: {windows: {every: week, start: 2024-01-01}}
risk_tier: limited
charter: {purpose: Pack what will come back less dearly., limits: A made-up shop.}
"""

FEATURES_PY = '''\
"""What the shop's model looks at when an order is placed."""

from datetime import datetime

import numpy as np

from mlops_assets.features import Array, day_of_week, hour_of_day

REQUEST = {
    "customer": str,
    "branch": str,
    "kind": str,
    "amount": float,
    "weight_kg": float | None,
    "discount": float,
    "express": float,
    "placed_at": datetime,
}


def hour(placed_at: Array) -> Array:
    """Hour of the day."""
    return hour_of_day(placed_at)


def weekday(placed_at: Array) -> Array:
    """Day of the week, Monday is 0."""
    return day_of_week(placed_at)


def log_amount(amount: Array) -> Array:
    """The amount, on a scale on which twice as much is always as far."""
    return np.log1p(amount)


FEATURES = (
    "branch",
    "kind",
    log_amount,
    "weight_kg",
    "discount",
    "express",
    hour,
    weekday,
    "customer_return_rate_28d",
    "customer_orders_28d",
    "branch_return_rate_7d",
)
'''

MODEL_PY = '''\
"""What the shop's model predicts, and how it learns."""

PARAMS = {"num_iterations": 60, "num_leaves": 15, "learning_rate": 0.08, "min_data_in_leaf": 80, "max_bin": 63}


def label(returned):
    """1 for an order that comes back."""
    return returned.astype(float)
'''


def days(first: int, count: int) -> list[str]:
    """Name `count` days from the `first` on, counted from 0."""
    return [(FIRST + timedelta(days=n)).isoformat() for n in range(first, first + count)]


@lru_cache
def _customers() -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(1)
    return chance.normal(scale=1.4, size=CUSTOMERS), chance.dirichlet(np.full(CUSTOMERS, 2.0))


def orders(day: str, *, seed: int = 0) -> pa.Table:
    """Give the orders of a day; another seed is another world with the same laws."""
    chance = np.random.default_rng([seed, int(day.replace("-", ""))])
    n = int(chance.normal(ORDERS, 15))
    manner, share = _customers()
    customer = chance.choice(CUSTOMERS, n, p=share)
    placed = np.sort(chance.integers(0, 20 * 3600, n))
    branch, kind = chance.choice(4, n, p=CHANCE_OF_BRANCH), chance.choice(6, n, p=CHANCE_OF_KIND)
    amount = np.round(np.exp(chance.normal(3.6, 0.7, n)), 2)
    weight = np.where(chance.random(n) < 0.03, np.nan, np.round(amount * chance.uniform(0.01, 0.08, n), 2))
    discount = np.round(np.where(chance.random(n) < 0.5, 0, chance.uniform(0.05, 0.6, n)), 2)
    express = (chance.random(n) < 0.2).astype(float)
    late_at_night = placed > 18 * 3600
    strength = (
        -1.7
        + manner[customer]
        + np.array([0.0, 0.3, -0.2, 0.5])[branch]
        + np.array([-0.8, -0.2, 0.0, 1.1, -0.5, 0.2])[kind]
        + 1.2 * (np.log(amount) - 3.6) * np.where(kind == 3, 1.5, 0.8)
        + 1.6 * discount
        - 0.4 * express
        + 0.5 * late_at_night
    )
    returned = chance.random(n) < 1 / (1 + np.exp(-strength))
    at = np.datetime64(day, "us") + placed * np.timedelta64(1, "s")
    moment = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "order_id": [f"{day}-{number:04d}" for number in range(n)],
            "customer": [f"c{number:03d}" for number in customer],
            "placed_at": pa.array(at, moment),
            "reported_at": pa.array(at + np.timedelta64(3, "h"), moment),
            "branch": [BRANCHES[code] for code in branch],
            "kind": [KINDS[code] for code in kind],
            "amount": amount,
            "weight_kg": pa.array(weight, from_pandas=True),
            "discount": discount,
            "express": express,
            "returned": returned,
            "refund": np.where(returned, amount, 0.0),
        }
    )


@lru_cache
def suite() -> QualitySuite:
    """Give the quality suite as an owner draws it up from the first six weeks, by one rule for every column.

    Means of a day stay within six standard deviations of those seen, nulls within five points, texts of few values keep
    these, and others about as many.
    """
    seen = [orders(day) for day in days(0, 42)]
    rows = pa.concat_tables(seen)
    asked: list[tuple[str, dict[str, object]]] = []
    for name in rows.column_names:
        column = rows[name]
        if pa.types.is_floating(column.type):
            means = [float(np.nanmean(day[name].to_numpy())) for day in seen]
            mean, room = float(np.mean(means)), 6 * float(np.std(means))
            asked.append(
                (
                    "expect_column_mean_to_be_between",
                    {"column": name, "min_value": mean - room, "max_value": mean + room},
                )
            )
            known = 1 - column.null_count / len(column)
            asked.append(("expect_column_values_to_not_be_null", {"column": name, "mostly": max(0.0, known - 0.05)}))
        elif pa.types.is_string(column.type) and len(found := sorted(set(column.to_pylist()))) <= 20:
            asked.append(("expect_column_distinct_values_to_equal_set", {"column": name, "value_set": found}))
        elif pa.types.is_string(column.type):
            counts = [len(set(day[name].to_pylist())) for day in seen]
            bounds = {"min_value": int(0.75 * min(counts)), "max_value": int(1.25 * max(counts))}
            asked.append(("expect_column_unique_value_count_to_be_between", {"column": name, **bounds}))
    return QualitySuite.model_validate(
        {"name": "a_day_of_orders", "expectations": [{"type": kind, "kwargs": kwargs} for kind, kwargs in asked]}
    )

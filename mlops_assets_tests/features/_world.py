"""A small world for the features room: one view per airline, one per airport and hour, and a module over both."""

from datetime import UTC, datetime, timedelta

import numpy as np

from mlops_assets.records import FeatureView, Field

SOURCE = '''
"""What a delay model looks at."""
from datetime import datetime
import numpy as np
from mlops_assets.features import hour_of_day, local_time

REQUEST = {
    "carrier": str,
    "origin": (str, "Airport of departure."),
    "tailnum": str | None,
    "distance": float,
    "seats_sold": int,
    "scheduled_departure": datetime,
}

def departure_hour(scheduled_departure):
    """The full hour of departure."""
    return scheduled_departure.astype("datetime64[h]")

def local(scheduled_departure):
    return local_time(scheduled_departure, "America/New_York")

def local_hour(local):
    return hour_of_day(local)

def hour_sin(local_hour):
    return np.sin(local_hour * (2 * np.pi / 24))

def log_distance(distance):
    return np.log1p(distance)

def frost(temp):
    return temp < 32.0

def temp_filled(temp):
    return np.where(np.isnan(temp), 50.0, temp)

def load(seats_sold, distance):
    return seats_sold / distance

def late_trend(late_rate_7d, late_rate_28d):
    return late_rate_7d - late_rate_28d

def late_ratio(late_rate_7d, late_rate_28d):
    return late_rate_7d / late_rate_28d

def route(carrier, origin):
    return np.array([None if a is None else f"{a}-{b}" for a, b in zip(carrier, origin)], dtype=object)

FEATURES = ("carrier", "origin", "distance", "late_rate_7d", local_hour, hour_sin, log_distance, frost, temp_filled,
            load, late_trend, late_ratio, route)
'''

CARRIER = FeatureView(
    name="carrier_delays",
    keys=(Field(name="carrier", dtype="string"),),
    features=(
        Field(name="late_rate_7d", dtype="float64", nullable=True),
        Field(name="late_rate_28d", dtype="float64", nullable=True),
    ),
    ttl_s=3 * 86_400.0,
)
WEATHER = FeatureView(
    name="weather",
    keys=(Field(name="origin", dtype="string"), Field(name="departure_hour", dtype="timestamp")),
    features=(Field(name="temp", dtype="float64", nullable=True),),
    ttl_s=3 * 86_400.0,
)
AIRCRAFT = FeatureView(
    name="aircraft",
    keys=(Field(name="tailnum", dtype="string"),),
    features=(Field(name="manufacturer", dtype="string", nullable=True),),
    ttl_s=1e9,
)
VIEWS = (CARRIER, WEATHER, AIRCRAFT)


class Day:
    """The UTC day named by a partition key, as a span of time."""

    def __init__(self, partition):
        self.start = datetime.fromisoformat(partition).replace(tzinfo=UTC)
        self.end = self.start + timedelta(days=1)


def inputs_of(rows, *, seed=0):
    """Give plausible inputs of the module, nulls and unusual values among them."""
    chance = np.random.default_rng(seed)
    temp = chance.normal(50, 20, rows).round(2)
    temp[chance.random(rows) < 0.05] = np.nan
    rate = chance.random(rows)
    rate[chance.random(rows) < 0.05] = 0.0  # divides by zero
    start = np.datetime64("2013-01-01", "us").astype(np.int64)
    return {
        "carrier": chance.choice(np.array(["UA", "B6", "DL", None], dtype=object), rows),
        "origin": chance.choice(np.array(["EWR", "JFK", "LGA"], dtype=object), rows),
        "tailnum": np.full(rows, None, dtype=object),
        "distance": chance.uniform(0, 5_000, rows),
        "seats_sold": chance.integers(0, 300, rows).astype(float),
        "scheduled_departure": (start + chance.integers(0, 31_536_000_000_000, rows)).view("datetime64[us]"),
        "late_rate_7d": chance.random(rows),
        "late_rate_28d": rate,
        "temp": temp,
    }

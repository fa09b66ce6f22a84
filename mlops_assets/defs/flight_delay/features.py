"""What flight_delay looks at, two hours before departure."""

from datetime import datetime

import numpy as np

from mlops_assets.features import Array, day_of_week, hour_of_day, local_time

REQUEST = {
    "carrier": (str, "Airline, two-letter IATA code."),
    "origin": (str, "Airport of departure, IATA code: EWR, JFK or LGA."),
    "dest": (str, "Airport of arrival, IATA code."),
    "tailnum": (str | None, "Registration of the aircraft, if it is known already."),
    "distance": (float, "Distance flown, in miles."),
    "scheduled_departure": (datetime, "Scheduled departure, in UTC."),
}

NEW_YORK = "America/New_York"


def departure_hour(scheduled_departure: Array) -> Array:
    """The full hour the flight is to leave in, in UTC; finds the weather."""
    return scheduled_departure.astype("datetime64[h]")


def departure_local(scheduled_departure: Array) -> Array:
    """The scheduled departure on New York's clocks."""
    return local_time(scheduled_departure, NEW_YORK)


def local_hour(departure_local: Array) -> Array:
    """Hour of departure on New York's clocks, 0-23."""
    return hour_of_day(departure_local)


def weekday(departure_local: Array) -> Array:
    """Day of the week in New York, Monday is 0."""
    return day_of_week(departure_local)


def dew_point_spread(temp: Array, dewp: Array) -> Array:
    """How far the air is from fog or rain, in degrees Fahrenheit."""
    return temp - dewp


def gust(wind_gust: Array, wind_speed: Array) -> Array:
    """Speed of gusts in miles per hour; the wind's own where no gusts were reported."""
    return np.where(np.isnan(wind_gust), wind_speed, wind_gust)


def carrier_trend(carrier_late_rate_7d: Array, carrier_late_rate_28d: Array) -> Array:
    """How much later the carrier has been this week than in the last four, as a difference of shares."""
    return carrier_late_rate_7d - carrier_late_rate_28d


def aircraft_age(built: Array, departure_local: Array) -> Array:
    """Years since the aircraft was built."""
    return departure_local.astype("datetime64[Y]").astype(float) + 1970.0 - built


FEATURES = (
    "carrier",
    "origin",
    "dest",
    "distance",
    local_hour,
    weekday,
    "temp",
    dew_point_spread,
    "humid",
    "wind_speed",
    gust,
    "precip",
    "pressure",
    "visib",
    "precip_6h",
    "visib_least_6h",
    "wind_most_6h",
    "city_precip",
    "city_visib",
    "carrier_late_rate_1d",
    "carrier_late_rate_7d",
    carrier_trend,
    "carrier_arr_delay_7d",
    "origin_late_rate_1d",
    "origin_late_rate_7d",
    "origin_arr_delay_1d",
    "dest_late_rate_1d",
    "dest_late_rate_7d",
    "dest_late_rate_28d",
    aircraft_age,
    "seats",
)

"""What air_time looks at, two hours before departure, to say how many minutes a flight will be in the air."""

from datetime import datetime

from mlops_assets.features import Array, hour_of_day, local_time

REQUEST = {
    "carrier": (str, "Airline, two-letter IATA code."),
    "origin": (str, "Airport of departure, IATA code: EWR, JFK or LGA."),
    "dest": (str, "Airport of arrival, IATA code."),
    "tailnum": (str | None, "Registration of the aircraft, if it is known already."),
    "distance": (float, "Distance flown, in miles."),
    "scheduled_departure": (datetime, "Scheduled departure, in UTC."),
}


def departure_hour(scheduled_departure: Array) -> Array:
    """The full hour the flight is to leave in, in UTC; finds the weather."""
    return scheduled_departure.astype("datetime64[h]")


def departure_local(scheduled_departure: Array) -> Array:
    """The scheduled departure on New York's clocks."""
    return local_time(scheduled_departure, "America/New_York")


def local_hour(departure_local: Array) -> Array:
    """Hour of departure on New York's clocks, 0-23."""
    return hour_of_day(departure_local)


FEATURES = (
    "carrier",
    "origin",
    "dest",
    "distance",
    local_hour,
    "longer_than_usual_1d",
    "wind_speed",
    "manufacturer",
    "seats",
)

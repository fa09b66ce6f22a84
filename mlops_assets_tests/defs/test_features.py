"""The example's own features, worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

import mlops_assets.defs
from mlops_assets.features import FeatureModule

DEFS = Path(mlops_assets.defs.__file__).parent


def functions_of(model):
    module = FeatureModule.load((DEFS / model / "features.py").read_text(), name=model)
    return {name: function.call for name, function in module.functions.items()}


def utc(*moments):
    return np.array(moments, dtype="datetime64[us]")


@pytest.mark.parametrize("model", ["flight_delay", "air_time"])
def test_departures_are_told_in_new_york_time_and_weather_in_utc(model):
    """A quarter past ten in winter is five o'clock, in summer six; the weather is that of the full hour in UTC."""
    features = functions_of(model)
    departs = utc("2013-01-15T10:15", "2013-07-15T10:15")

    assert features["local_hour"](features["departure_local"](departs)).tolist() == [5.0, 6.0]
    assert (features["departure_hour"](departs) == utc("2013-01-15T10:00", "2013-07-15T10:00")).all()


def test_the_weekday_is_that_of_new_york():
    """One o'clock in the night of Monday in UTC is still Sunday evening there."""
    features = functions_of("flight_delay")

    assert features["weekday"](features["departure_local"](utc("2013-01-07T01:00"))).tolist() == [6.0]


def test_gusts_not_reported_are_the_wind_itself():
    """Calm days report no gusts; the column's null means none, not unknown."""
    gust = functions_of("flight_delay")["gust"]

    assert gust(np.array([30.0, np.nan]), np.array([20.0, 10.0])).tolist() == [30.0, 10.0]


def test_an_aircraft_ages_with_the_year_it_flies_in():
    """Twelve years in 2013 for one built in 2001; null where nothing is registered."""
    age = functions_of("flight_delay")["aircraft_age"]

    found = age(np.array([2001.0, np.nan]), utc("2013-06-01", "2013-06-01"))

    assert found[0] == 12.0
    assert np.isnan(found[1])

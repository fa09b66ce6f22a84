"""The endpoint uses the defaults in the bundle it serves, and writes down that it did."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from mlops_assets.stores.predictions import decode_prediction, read_predictions
from mlops_assets_tests._endpoint import CARRIER_DELAYS, INSTANCE, MODEL, NOON, WEATHER


@pytest.fixture
def endpoint(home, serve, trained):
    """One over a model whose views declare defaults; of the weather, for one feature of two."""
    views = (replace(CARRIER_DELAYS, defaults={"mean_delay": 7.25}), replace(WEATHER, defaults={"wind": 12.5}))
    spec = replace(trained.vectorizer.spec, views=views)
    home.release(home.save(trained.parts | {"spec.json": msgspec.json.encode(spec)}))
    return serve()


def logged(home, at):
    (record,) = read_predictions(home.predictions, MODEL, f"{at:%Y-%m-%d}")
    return decode_prediction(record)


CASES = {
    "found": ({}, timedelta(0), "ok", 21.0, False),
    "missing": ({"carrier": "ZZ"}, timedelta(0), "default", 7.25, True),
    "as old as the ttl": ({}, timedelta(days=3, hours=-1), "ok", 21.0, False),
    "older than the ttl": ({}, timedelta(days=3, hours=-1, microseconds=1), "default", 7.25, False),
}


@pytest.mark.parametrize(("changed", "later", "status", "value", "never_seen"), CASES.values(), ids=CASES)
def test_a_default_is_used_and_logged_where_no_row_answers(endpoint, home, changed, later, status, value, never_seen):
    """Whether there is an event time tells a missing row from a stale one."""
    at = NOON + later

    answer = endpoint.predict({**INSTANCE, **changed}, at=at.isoformat())

    assert answer.status_code == 200
    found = logged(home, at).stored["carrier_delays"]
    assert (found.status, found.values, found.event_time is None) == (status, {"mean_delay": value}, never_seen)
    assert logged(home, at).vector[4] == value


def test_what_has_no_default_stays_null_beside_what_has(endpoint, home):
    """The status of the view is `default` if any of its features took one."""
    endpoint.predict({**INSTANCE, "origin": "XXX"})

    found = logged(home, NOON).stored["weather"]

    assert (found.status, found.values) == ("default", {"wind": 12.5, "sky": None})

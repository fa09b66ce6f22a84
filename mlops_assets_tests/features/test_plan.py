"""Every name means exactly one thing, and arguments are there before what is computed from them."""

import numpy as np
import pytest

from mlops_assets.errors import FeatureError
from mlops_assets.features import FeatureModule, FeaturePlan
from mlops_assets.records import FeatureView, Field
from mlops_assets_tests.features._world import AIRCRAFT, CARRIER, SOURCE, VIEWS, WEATHER, inputs_of

HEAD = "import numpy as np\nREQUEST = {'carrier': str, 'distance': float}\n"


def plan_of(source, views=(CARRIER,)):
    return FeaturePlan(FeatureModule.load(source, name="delay"), views)


def test_plan_needs_only_what_the_features_reach(module):
    """Neither the tail number nor the view of aircraft is asked for."""
    plan = FeaturePlan(module, VIEWS)

    assert {field.name for field in plan.inputs} == set(inputs_of(1)) - {"tailnum"}
    assert plan.views == (CARRIER, WEATHER)


def test_a_misspelt_name_is_refused_with_the_nearest_right_one():
    """In FEATURES and among arguments alike, also of a function that nothing asks for."""
    for source in (
        HEAD + "FEATURES = ('late_rate_7', )",
        HEAD + "def f(late_rate_7): return late_rate_7\nFEATURES = (f,)",
        HEAD + "def f(late_rate_7): return late_rate_7\nFEATURES = ('carrier',)",
    ):
        with pytest.raises(FeatureError, match=r"Did you mean 'late_rate_7d'\?"):
            plan_of(source)


def test_a_name_that_two_things_answer_to_is_refused():
    """A stored feature may not hide a request field, a function, or a feature of another view."""
    double = FeatureView(name="double", keys=CARRIER.keys, features=CARRIER.features[:1], ttl_s=1.0)
    hides = FeatureView(name="hides", keys=CARRIER.keys, features=(Field(name="distance", dtype="float64"),), ttl_s=1.0)

    for views, says in (((CARRIER, double), "view 'carrier_delays'"), ((hides,), "a request field")):
        with pytest.raises(FeatureError, match=says):
            plan_of(HEAD + "FEATURES = ('carrier',)", views)
    with pytest.raises(FeatureError, match="a function of the module"):
        plan_of(HEAD + "def late_rate_7d(distance): return distance\nFEATURES = ('carrier',)")


def test_a_circle_is_refused_and_shown():
    """Nobody has to search for it."""
    source = HEAD + "def a(b): return b\ndef b(c): return c\ndef c(a): return a\nFEATURES = (a,)"

    with pytest.raises(FeatureError, match="a -> b -> c -> a"):
        plan_of(source)


def test_functions_may_stand_in_any_order():
    """The order of calls comes from the arguments, not from the text."""
    source = (
        HEAD + "def d(c, b): return c + b\ndef c(b): return b + 1\ndef b(distance): return distance\nFEATURES = (d,)"
    )

    (values,) = plan_of(source).values({"distance": np.array([1.0, 2.0])})

    assert values.tolist() == [3.0, 5.0]


def test_keys_come_from_the_request_by_functions_too(module):
    """The weather is found by the hour of departure, which no request holds."""
    inputs = inputs_of(5)
    request = {field.name: inputs[field.name] for field in module.request}

    keys = FeaturePlan(module, VIEWS).keys(request)

    assert keys["departure_hour"].dtype == "datetime64[us]"
    assert (keys["departure_hour"] == inputs["scheduled_departure"].astype("datetime64[h]")).all()
    assert set(keys) == {*request, "departure_hour"}


def test_whole_number_keys_are_whole_numbers():
    """Numbers reach functions as float64, but 12.0 is not the key 12."""
    view = FeatureView(
        name="v", keys=(Field(name="store", dtype="int64"),), features=(Field(name="x", dtype="float64"),), ttl_s=1.0
    )
    plan = plan_of("REQUEST = {'store': int}\nFEATURES = ('x',)", (view,))

    assert plan.keys({"store": np.array([12.0])})["store"].dtype == np.int64


def test_a_key_that_has_to_be_looked_up_itself_is_refused():
    """Keys are told from the request alone, so every view is one look-up away."""
    source = SOURCE + "\ndef tailnum_of(late_rate_7d): return late_rate_7d\nFEATURES = ('x',)"
    view = FeatureView(
        name="v",
        keys=(Field(name="tailnum_of", dtype="string"),),
        features=(Field(name="x", dtype="float64"),),
        ttl_s=1,
    )

    with pytest.raises(FeatureError, match="looked up in view 'carrier_delays'"):
        plan_of(source, (*VIEWS, view))


def test_a_view_whose_key_nobody_sends_is_refused():
    """Naming what was probably meant."""
    with pytest.raises(FeatureError, match=r"'tailnum', asked for by a view's keys"):
        plan_of(HEAD + "FEATURES = ('manufacturer',)", (AIRCRAFT,))


def test_one_key_of_two_dtypes_is_refused():
    """It could be right for one view only."""
    other = FeatureView(
        name="other",
        keys=(Field(name="carrier", dtype="int64"),),
        features=(Field(name="x", dtype="float64"),),
        ttl_s=1,
    )

    with pytest.raises(FeatureError, match="'carrier' as int64"):
        plan_of(HEAD + "FEATURES = ('x', 'late_rate_7d')", (CARRIER, other))

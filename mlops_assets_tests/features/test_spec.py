"""What training freezes, and what it refuses to freeze because the endpoint could not keep it."""

import msgspec
import numpy as np
import pytest

from mlops_assets.errors import FeatureError
from mlops_assets.features import FeatureModule, build_spec
from mlops_assets.records import FeatureVectorSpec
from mlops_assets_tests.features._world import CARRIER, VIEWS, WEATHER, inputs_of

HEAD = "from datetime import datetime\nimport numpy as np\nREQUEST = {'x': float, 'c': str | None, 'at': datetime}\n"
INPUTS = {
    "x": np.arange(200.0),
    "c": np.array(["b", "a", None, "a"] * 50, dtype=object),
    "at": np.full(200, np.datetime64("2013-01-01", "us")),
}


def spec_of(text):
    return build_spec(FeatureModule.load(HEAD + text, name="delay"), (), INPUTS)


def test_spec_fixes_order_origin_levels_and_views(module):
    """Everything the endpoint must know, and only the views it has to look in."""
    spec = build_spec(module, VIEWS, inputs_of(1_000))

    assert tuple(feature.name for feature in spec.features) == module.features
    assert [feature.origin for feature in spec.features[2:5]] == ["request", "stored", "on_demand"]
    assert spec.features[0].levels == ("B6", "DL", "UA")
    assert spec.features[2].levels is None
    assert spec.features[-1].levels[0] == "B6-EWR"
    assert spec.views == (CARRIER, WEATHER)


def test_spec_survives_the_bundle(module):
    """It is written as JSON and read back equal."""
    spec = build_spec(module, VIEWS, inputs_of(100))

    assert msgspec.json.decode(msgspec.json.encode(spec), type=FeatureVectorSpec) == spec


def test_a_category_never_seen_in_training_has_no_levels():
    """All null is still a category."""
    text = "def f(c): return np.full(c.shape, None, dtype=object)\nFEATURES = (f,)"

    assert spec_of(text).features[0].levels == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(x): return x - x.mean()\nFEATURES = ('x', f)", "f came out differently for one row alone"),
        ("def f(x): return np.cumsum(x)\nFEATURES = ('x', f)", "f came out differently"),
        ("seen = {}\ndef f(x): return x - seen.setdefault('mean', x.mean())\nFEATURES = (f,)", "for one row alone"),
        ("def f(x): return (x == x.max()) * (x.size > 1.0)\nFEATURES = (f,)", "f came out differently"),
        ("def f(x): return (x == np.sort(x)[-2:][0]) * (x.size > 1.0)\nFEATURES = (f,)", "among fewer rows"),
        ("def f(x):\n    x[:] = 0\n    return x\nFEATURES = (f,)", "read-only"),
        ("FEATURES = ('at',)", "'at' holds datetime64[us]"),
        ("def f(x): return x.astype(object)\nFEATURES = (f,)", "'f' holds float"),
    ],
)
def test_what_the_endpoint_could_not_keep_is_refused_at_training(text, said):
    """Looking at other rows, chance, changing an argument, and what no model can see."""
    with pytest.raises(FeatureError) as refused:
        spec_of(text)

    assert said in str(refused.value)


def test_no_rows_no_spec(module):
    """Levels cannot be read off nothing."""
    with pytest.raises(FeatureError, match="no training row"):
        build_spec(module, VIEWS, inputs_of(0))

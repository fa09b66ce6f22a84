"""A features module says what it needs, and is refused with a sentence when it cannot be obeyed."""

import pytest

from mlops_assets.errors import FeatureError
from mlops_assets.features import FeatureModule
from mlops_assets.records import Field

HEAD = "from datetime import datetime\nimport numpy as np\nREQUEST = {'carrier': str, 'distance': float}\n"


def load(source):
    return FeatureModule.load(source, name="delay")


def test_module_gives_its_request_functions_and_features(module):
    """Types become fields, functions features, and FEATURES may hold names and functions alike."""
    assert module.request[1] == Field(name="origin", dtype="string", description="Airport of departure.")
    assert module.request[2] == Field(name="tailnum", dtype="string", nullable=True)
    assert [field.dtype for field in module.request[3:]] == ["float64", "int64", "timestamp"]
    assert module.functions["load"].arguments == ("seats_sold", "distance")
    assert module.functions["departure_hour"].description == "The full hour of departure."
    assert module.features[:5] == ("carrier", "origin", "distance", "late_rate_7d", "local_hour")


def test_the_same_text_has_the_same_digest_and_another_another():
    """The digest is of the text, to the last comma."""
    source = HEAD + "FEATURES = ('carrier',)"

    assert load(source).code_sha256 == load(source).code_sha256
    assert load(source).code_sha256 != load(source + "\n").code_sha256


def test_two_modules_do_not_share_their_names():
    """Champion and challenger may define a function of the same name differently."""
    one = load(HEAD + "def f(distance): return distance * 1\nFEATURES = (f,)")
    two = load(HEAD + "def f(distance): return distance * 2\nFEATURES = (f,)")

    assert (one.functions["f"].call(3), two.functions["f"].call(3)) == (3, 6)


def test_helpers_and_what_was_imported_are_no_features():
    """Only the module's own public functions count."""
    module = load(
        HEAD + "from math import floor\nfrom mlops_assets.features import local_time\n"
        "def _half(x, by=2): return x / by\ndef f(distance): return _half(distance)\nFEATURES = (f,)"
    )

    assert list(module.functions) == ["f"]


@pytest.mark.parametrize(
    "line",
    ["import os", "import pandas as pd", "from polars import col", "import numpy.random", "from . import secrets",
     "import mlops_assets.stores.tables", "def f(distance):\n    import socket"],
)  # fmt: skip
def test_module_may_import_only_what_the_endpoint_has(line):
    """Anything else is refused with its line, wherever it stands."""
    with pytest.raises(FeatureError, match=r"line \d+ imports") as refused:
        load(HEAD + line + "\nFEATURES = ('carrier',)")

    assert refused.value.line >= 4


@pytest.mark.parametrize(
    ("line", "asked"),
    [("datetime.now()", "the clock"), ("datetime.utcnow()", "the clock"), ("np.datetime64('now', 's')", "the clock"),
     ("np.datetime64('today')", "the clock"), ("np.random.normal(size=3)", "chance"),
     ("np.random.default_rng(1).random(3)", "chance"), ("hash('UA')", "for a number that is another in each process"),
     ("datetime.fromtimestamp(0).hour", "the machine for its time zone"), ("open('table.csv')", "for a file"),
     ("np.loadtxt('table.csv')", "for a file")],
)  # fmt: skip
def test_a_feature_may_ask_neither_the_clock_nor_chance(line, asked):
    """A decision looks the same whenever and wherever it is looked at, and in training as when it was made."""
    with pytest.raises(FeatureError, match=f"line 5 asks {asked}"):
        load(HEAD + f"def f(distance):\n    return distance + {line}\nFEATURES = (f,)")


def test_a_name_that_sounds_like_the_clock_is_none():
    """What counts is what is called, not how a field or a level is called."""
    module = load(HEAD + "def f(carrier): return np.where(carrier == 'now', 1.0, 0.0)\nFEATURES = (f,)")

    assert module.features == ("f",)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (HEAD + "def f(:\n", "line 4 is not Python"),
        (HEAD + "FEATURES = (nothing,)", "NameError"),
        ("FEATURES = ('carrier',)", "REQUEST is missing"),
        (HEAD, "FEATURES is missing"),
        (HEAD + "FEATURES = ('carrier', 'carrier')", "'carrier' twice"),
        (HEAD + "FEATURES = (np.sin,)", "neither a name nor a public function"),
        (HEAD + "def f(distance, by=2): return distance\nFEATURES = (f,)", "plain arguments without defaults"),
        (HEAD + "def f(*distance): return distance\nFEATURES = (f,)", "plain arguments without defaults"),
        (HEAD + "def f(): return np.ones(1)\nFEATURES = (f,)", "at least one"),
        (HEAD + "def carrier(distance): return distance\nFEATURES = ('carrier',)", "'carrier' is both"),
        ("REQUEST = {'seats': bytes}\nFEATURES = ('seats',)", "'seats' is declared as"),
        ("REQUEST = {'seats': int | None}\nFEATURES = ('seats',)", "float | None"),
        ("REQUEST = {'seats': int | str}\nFEATURES = ('seats',)", "'seats' is declared as"),
    ],
)
def test_a_module_that_cannot_be_obeyed_says_why(source, said):
    """One sentence each, that names the thing."""
    with pytest.raises(FeatureError) as refused:
        load(source)

    assert said in str(refused.value)

"""What a feature function reads, found by running it."""

import pytest

from mlops_assets.errors import FeatureError
from mlops_assets.features import FeatureModule, FeaturePlan
from mlops_assets.features.tracing import require_traced_inputs, traced_inputs

HEAD = (
    "from datetime import datetime\nimport numpy as np\nfrom mlops_assets.features import hour_of_day, local_time\n"
    "REQUEST = {'carrier': str, 'distance': float, 'seats': int, 'at': datetime, 'tail': str | None}\n"
)


def plan_of(source):
    return FeaturePlan(FeatureModule.load(HEAD + source, name="delay"), [])


@pytest.mark.parametrize(
    "body",
    [
        "distance",
        "distance / 2",
        "2 / distance",
        "-distance",
        "np.log1p(distance)",
        "np.where(distance > 3, 1.0, 0.0)",
        "np.stack([distance, distance]).sum(axis=0)",
        "distance.clip(0)",
        "np.asarray(distance)",
        "np.array([float(each) for each in distance])",
        "distance[::-1]",
        "np.zeros(len(distance))",
    ],
)
def test_whatever_looks_at_a_column_reads_it(body):
    """Operators, functions, methods, loops, and giving it back."""
    read = traced_inputs(plan_of(f"def f(distance): return {body}\nFEATURES = (f,)"))

    assert read == {"f": frozenset({"distance"})}


@pytest.mark.parametrize(
    ("argument", "body"),
    [
        ("carrier", "(carrier == 'A').astype(float)"),
        ("carrier", "np.char.startswith(carrier.astype(str), 'A').astype(float)"),
        ("at", "hour_of_day(local_time(at, 'America/New_York'))"),
        ("seats", "np.sqrt(seats)"),
    ],
)
def test_columns_of_every_dtype_are_traced(argument, body):
    """Text, times and whole numbers."""
    assert traced_inputs(plan_of(f"def f({argument}): return {body}\nFEATURES = (f,)")) == {"f": frozenset({argument})}


def test_functions_of_functions_are_traced_whatever_their_order():
    """Each by its own arguments."""
    read = traced_inputs(
        plan_of("def twice(half): return half * 4\ndef half(distance): return distance / 2\nFEATURES = (twice,)")
    )

    assert read == {"half": frozenset({"distance"}), "twice": frozenset({"half"})}


def test_an_argument_that_is_not_read_is_refused_by_name():
    """Lineage would lead from a column to a feature that is not made of it."""
    plan = plan_of("def f(distance, seats, carrier): return distance * 2\nFEATURES = (f,)")

    with pytest.raises(FeatureError) as refused:
        require_traced_inputs(plan)

    assert "features of delay: f() declares seats, carrier and does not read it" in str(refused.value)
    assert refused.value.idle == ["seats", "carrier"]


def test_both_sides_of_a_branch_by_value_are_read():
    """`np.where` looks at both, and so do functions in the endpoint."""
    require_traced_inputs(plan_of("def f(distance, seats): return np.where(seats > 9, distance, 0.0)\nFEATURES = (f,)"))


def test_a_function_that_made_up_rows_break_is_believed():
    """Real rows may be other; the training set's try it in earnest."""
    plan = plan_of("def f(tail, seats): return np.array([float(each[1:]) for each in tail])\nFEATURES = (f,)")

    require_traced_inputs(plan)

    assert traced_inputs(plan) == {}

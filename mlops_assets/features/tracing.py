"""Which of its inputs a feature function reads: it is run once on made-up rows that remember who looked at them.

A function's arguments are its declared inputs, and lineage follows them. An argument that is never read would make
lineage name a column that plays no part, and the endpoint look it up for nothing, so it is refused.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from mlops_assets.errors import FeatureError, examples
from mlops_assets.features.module import Array, Dtype, FeatureFunction
from mlops_assets.features.plan import FeaturePlan
from mlops_assets.features.program import MEMORY
from mlops_assets.records import Field

# Rows that meet the branches functions take: nulls, zeros, both signs, text and digits. All columns are as long.
_MADE_UP: dict[Dtype, list[Any]] = {
    "float64": [np.nan, 0.0, 1.0, -2.5, 40.0, 2013.0],
    "int64": [0.0, 1.0, 2.0, -3.0, 40.0, 2013.0],
    "string": ["A", "EWR", "N14228", "2013-01-05", "10", ""],
    "timestamp": ["NaT", "2013-01-01T00:00", "2013-03-10T07:30", "2013-06-30T23:59", "2020-02-29T12:00", "1999-12-31"],
}


class Recorded(NDArrayOperatorsMixin):
    """A column that stands in for its array and notes in `read` when anything of it is looked at."""

    __array_priority__ = 1000

    def __init__(self, name: str, values: Array, read: set[str]) -> None:
        self._name, self._values, self._read = name, values, read

    def _seen(self) -> Array:
        self._read.add(self._name)
        return self._values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._seen(), dtype=dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*_plain(inputs), **_plain(options))

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        return function(*_plain(inputs), **_plain(options))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._seen(), name)

    def __getitem__(self, key: Any) -> Any:
        return self._seen()[_plain(key)]

    def __len__(self) -> int:
        return len(self._seen())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._seen())


def traced_inputs(plan: FeaturePlan) -> dict[str, frozenset[str]]:
    """Give, by function, the arguments it read; functions that cannot work on made-up rows are left out."""
    values = _made_up(plan)
    found = {}
    for name in _in_order(plan.module.functions):
        function, read = plan.module.functions[name], set[str]()
        if any(argument not in values for argument in function.arguments):
            continue  # computed by a function that was left out
        given = {argument: Recorded(argument, values[argument], read) for argument in function.arguments}
        try:
            with np.errstate(all="ignore"):
                values[name] = np.asarray(function.call(*given.values()))  # giving an argument back is reading it
        except Exception:  # whatever made-up rows run into, real ones may not: then the declaration is believed
            continue
        found[name] = frozenset(read)
    return found


def require_traced_inputs(plan: FeaturePlan) -> None:
    """Make sure that every function reads all it declares.

    Raises:
        FeatureError: One does not; the message names the argument to take out.
    """
    for name, read in traced_inputs(plan).items():
        declared = plan.module.functions[name].arguments
        if idle := [argument for argument in declared if argument not in read]:
            raise FeatureError(
                f"features of {plan.module.name}: {name}() declares {examples(idle)} and does not read it, so its "
                "lineage would name a column that plays no part. Take it out of the arguments.",
                model=plan.module.name,
                feature=name,
                idle=idle,
            )


def _made_up(plan: FeaturePlan) -> dict[str, Array]:
    fields: list[Field] = [*plan.module.request, *(field for view in plan.views for field in view.features)]
    return {field.name: np.array(_MADE_UP[field.dtype], dtype=MEMORY[field.dtype]) for field in fields}


def _in_order(functions: Mapping[str, FeatureFunction]) -> list[str]:
    """Give the functions so that each stands behind those its arguments name."""
    order: dict[str, None] = {}

    def visit(name: str, path: frozenset[str]) -> None:
        if name in functions and name not in order and name not in path:
            for argument in functions[name].arguments:
                visit(argument, path | {name})
            order[name] = None

    for name in functions:
        visit(name, frozenset())
    return list(order)


def _plain(value: Any) -> Any:
    """Give arguments with every recorded column in them replaced by its array."""
    if isinstance(value, Recorded):
        return value._seen()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_plain(inner) for inner in value)
    return value

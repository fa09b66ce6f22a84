"""A settled order of calls over columns: what runs in training on a million rows and in the endpoint on one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlops_assets.errors import FeatureError
from mlops_assets.features.module import Array, Dtype, nearest
from mlops_assets.records import Field

# How each declared dtype lies in memory. Numbers are float64 whatever was sent, so a function never meets two dtypes.
MEMORY: dict[Dtype, np.dtype[Any]] = {
    "float64": np.dtype(np.float64),
    "int64": np.dtype(np.float64),
    "string": np.dtype(object),
    "timestamp": np.dtype("datetime64[us]"),
}
_CASTABLE: dict[Dtype, str] = {"float64": "iuf", "int64": "iuf", "string": "U", "timestamp": "M"}


@dataclass(frozen=True, slots=True)
class Call:
    """One function applied to the columns at `positions`; its result becomes the next column."""

    name: str
    function: Callable[..., Array]
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """Inputs fetched by name, then calls in order; `outputs` are the positions of the columns asked for."""

    inputs: tuple[Field, ...]
    calls: tuple[Call, ...]
    outputs: tuple[int, ...]
    memory: tuple[np.dtype[Any], ...] = field(init=False)  # settled once: looking it up is a tenth of a request

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", tuple(MEMORY[each.dtype] for each in self.inputs))

    def run(self, columns: Mapping[str, Array]) -> list[Array]:
        """Give the columns asked for.

        Raises:
            FeatureError: An input is missing or of the wrong dtype or length; or a function fails, or gives anything
                but one value per row.
        """
        values = self._inputs(columns)
        if not self.calls:
            return [values[position] for position in self.outputs]
        shape = values[0].shape
        with np.errstate(all="ignore"):  # 0/0 is NaN by definition, and NaN is the null of numbers
            for call in self.calls:
                try:
                    column = call.function(*[values[position] for position in call.positions])
                except Exception as error:
                    raise FeatureError(
                        f"feature {call.name!r} failed on {shape[0]} rows: {type(error).__name__}: {error}. "
                        "It is given NumPy arrays; strings are objects with None for null.",
                        feature=call.name,
                    ) from error
                if type(column) is not np.ndarray or column.shape != shape:
                    given = f"shape {column.shape}" if isinstance(column, np.ndarray) else type(column).__name__
                    raise FeatureError(
                        f"feature {call.name!r} gave {given} for {shape[0]} rows. "
                        "It must give a NumPy array with one value per row.",
                        feature=call.name,
                    )
                values.append(column)
        return [values[position] for position in self.outputs]

    def _inputs(self, columns: Mapping[str, Array]) -> list[Array]:
        values: list[Array] = []
        for declared, memory in zip(self.inputs, self.memory, strict=True):
            column = columns.get(declared.name)
            if column is None:
                raise FeatureError(
                    f"input {declared.name!r} is missing, so nothing can be computed from it."
                    f"{nearest(declared.name, columns)} Given: {', '.join(columns) or 'nothing'}.",
                    feature=declared.name,
                )
            if column.dtype != memory:
                column = as_column(column, declared)
            if values and column.shape != values[0].shape:
                raise FeatureError(
                    f"input {declared.name!r} has shape {column.shape} where {self.inputs[0].name!r} has "
                    f"{values[0].shape}. Every input holds one value per row.",
                    feature=declared.name,
                )
            values.append(column)
        return values


def as_column(values: Array, field: Field) -> Array:
    """Give `values` in the memory form of the field's dtype: float64, object, or datetime64[us].

    Raises:
        FeatureError: They are of another kind, such as numbers where strings are declared.
    """
    if values.dtype == MEMORY[field.dtype]:
        return values
    if values.dtype.kind not in _CASTABLE[field.dtype]:
        raise FeatureError(
            f"{field.name!r} is declared {field.dtype} and holds {values.dtype}. "
            f"Give it as {MEMORY[field.dtype]}; the declaration decides, never the data.",
            feature=field.name,
            dtype=str(values.dtype),
        )
    return values.astype(MEMORY[field.dtype])

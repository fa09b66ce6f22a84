"""Behavioural tests that a model's owners wrote, in plain pytest style beside defs.yaml: `behaviour.py`, `test_*.py`.

Each function `test_…(model)` gets the fitted model and asserts. What it asserts in vain stands in the report, line and
words, and the gate refuses.
"""

import ast
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.carried_code import run
from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.features.columns import ARROW, as_arrays
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.training_sets import some_of
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.records import BehaviourResult

ROWS = 200  # held-out rows that a test may start from


@dataclass(frozen=True)
class ModelUnderTest:
    """A fitted model as its owners' tests see it.

    `rows` are some decisions it was not trained on, each with its request fields and the stored features found for it.
    Change copies of them and compare scores: `model.score([{**row, "discount": 0.5} for row in model.rows])`.
    """

    bundle: LoadedBundle
    rows: Sequence[Mapping[str, Any]]

    @classmethod
    def on(cls, bundle: LoadedBundle, held: pa.Table) -> "ModelUnderTest":
        """Give the model with some of the held-out rows, spread evenly."""
        names = [field.name for field in bundle.vectorizer.plan.inputs]
        return cls(bundle, some_of(held.select(names), ROWS).to_pylist())

    def score(self, rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float64]:
        """Give one score per row, as the endpoint would for these request fields and stored features.

        Raises:
            UnknownNameError: A row has a field that the model does not read.
            DeclarationError: A row lacks one that it does.
        """
        fields = self.bundle.vectorizer.plan.inputs
        known = [field.name for field in fields]
        for number, row in enumerate(rows):
            for name in row:
                if name not in known:
                    raise UnknownNameError("input", name, known=known)
            if lacking := [name for name in known if name not in row]:
                raise DeclarationError(
                    f"Row {number} lacks {', '.join(lacking)}. Start from `model.rows`: {{**model.rows[0], ...}}."
                )
        schema = pa.schema([(field.name, ARROW[field.dtype]) for field in fields])
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
        return self.bundle.score(self.bundle.vectorizer.vector(as_arrays(table, fields)))


def run_own_tests(folder: ModelFolder, model: ModelUnderTest) -> tuple[BehaviourResult, ...]:
    """Run the tests in the model's folder; one that raises anything has failed, in the words of what it raised."""
    return tuple(
        _run(f"{file}::{name}", test, model)
        for file, text in folder.own_tests.items()
        for name, test in _tests(file, text)
    )


def _tests(file: str, text: str) -> Iterator[tuple[str, Callable[[ModelUnderTest], object]]]:
    """Give the test functions of a file in their order; the text is executed as pytest would import it."""
    try:
        namespace = run(ast.parse(text, file), text, filename=file, module=f"behaviour.{file.removesuffix('.py')}")
    except Exception as error:
        raise DeclarationError(
            f"{file} cannot be run, so nobody knows how the model behaves: {type(error).__name__}: {error}. "
            "Run it with pytest to see where.",
            file=file,
        ) from error
    for name, found in namespace.items():
        if not name.startswith("test_") or not isinstance(found, FunctionType):
            continue
        if list(signature(found).parameters) != ["model"]:
            raise DeclarationError(
                f"{name} in {file} must take one argument, `model`, and no fixtures: it also runs where models are "
                "judged, without pytest.",
                file=file,
            )
        yield name, found


def _run(name: str, test: Callable[[ModelUnderTest], object], model: ModelUnderTest) -> BehaviourResult:
    try:
        test(model)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        where = frames[min(1, len(frames) - 1)]
        said = str(error) or where.line or ""
        told = f"{type(error).__name__} in line {where.lineno} of {where.filename}: {' '.join(said.split())}"
        return BehaviourResult(name=name, n=len(model.rows), observed=1, allowed=0, passed=False, words=told)
    return BehaviourResult(name=name, n=len(model.rows), observed=0, allowed=0, passed=True, words="as its test asks.")

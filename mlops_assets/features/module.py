"""A model's `features.py`: what a request holds, the features in order, and the functions that compute them.

The text travels inside the model bundle and runs in the endpoint as well as in training, so it may import only what
both have: NumPy, math, datetime and this package. The check keeps modules portable; it is no sandbox, the bundle's
digest is what says whose code runs.
"""

import ast
import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from types import FunctionType, MappingProxyType, NoneType, UnionType
from typing import Any, Literal, get_args

import numpy.typing as npt

from mlops_assets.carried_code import imports, moods, run
from mlops_assets.errors import FeatureError
from mlops_assets.records import Field

Array = npt.NDArray[Any]
Dtype = Literal["float64", "int64", "string", "timestamp"]

IMPORTABLE = ("datetime", "math", "mlops_assets.features", "numpy")
REQUEST_TYPES: dict[type, Dtype] = {str: "string", float: "float64", int: "int64", datetime: "timestamp"}
NULLABLE_TYPES = (str, float)


@dataclass(frozen=True, slots=True)
class FeatureFunction:
    """A function of a features module: its name is a feature, its arguments are the names it is computed from."""

    name: str
    arguments: tuple[str, ...]
    call: Callable[..., Array]
    description: str


@dataclass(frozen=True, slots=True)
class FeatureModule:
    """A loaded features module; `code_sha256` digests its source text."""

    name: str
    source: str
    code_sha256: str
    request: tuple[Field, ...]
    functions: Mapping[str, FeatureFunction]
    features: tuple[str, ...]

    @classmethod
    def load(cls, source: str, *, name: str) -> "FeatureModule":
        """Execute the text of a features module in a namespace of its own and read what it declares.

        Args:
            source: The text of `features.py`.
            name: The model's name, for messages.

        Raises:
            FeatureError: The text cannot be run, imports what the endpoint does not have, or declares what cannot be
                obeyed; the message names the line or the name.
        """
        code_sha256 = hashlib.sha256(source.encode()).hexdigest()
        filename = f"<features of {name} {code_sha256[:8]}>"
        namespace = _execute(source, filename, name=name)
        functions = {function.name: function for function in _functions(namespace, name=name)}
        request = tuple(_request(namespace, name=name))
        for clash in sorted(functions.keys() & {field.name for field in request}):
            raise FeatureError(
                f"features of {name}: {clash!r} is both a request field and a function, so the name would mean two "
                "things. Rename the function.",
                model=name,
                feature=clash,
            )
        features = tuple(_features(namespace, functions, name=name))
        return cls(name, source, code_sha256, request, MappingProxyType(functions), features)


def nearest(name: str, known: Mapping[str, Any]) -> str:
    """Give ` Did you mean 'x'?` for the nearest of `known`, or nothing when none is near."""
    near = get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _execute(source: str, filename: str, *, name: str) -> dict[str, Any]:
    """Run the text after looking at its imports, and give the namespace it left."""
    try:
        tree = ast.parse(source, filename)
    except SyntaxError as error:
        raise FeatureError(
            f"features of {name}: line {error.lineno} is not Python: {error.msg}.", model=name, line=error.lineno
        ) from error
    for line, imported in imports(tree):
        if imported not in IMPORTABLE:
            raise FeatureError(
                f"features of {name}: line {line} imports {imported!r}, which the endpoint does not have: the module "
                f"travels inside the model. It may import {', '.join(IMPORTABLE)}.",
                model=name,
                line=line,
                imported=imported,
            )
    for line, what in moods(tree):
        raise FeatureError(
            f"features of {name}: line {line} asks {what}, so a decision would be seen otherwise each time it is "
            "looked at, and otherwise in training than when it was made. Compute it from the arguments alone; the time "
            "of a decision is a request field.",
            model=name,
            line=line,
        )
    try:
        return run(tree, source, filename=filename, module=filename.strip("<>"))
    except Exception as error:
        raise FeatureError(
            f"features of {name} could not be run, so the model has no features: {type(error).__name__}: {error}.",
            model=name,
        ) from error


def _functions(namespace: Mapping[str, Any], *, name: str) -> Iterator[FeatureFunction]:
    """Give the module's own public functions; names that begin with an underscore are helpers."""
    for label, function in namespace.items():
        own = isinstance(function, FunctionType) and function.__globals__ is namespace
        if not own or label.startswith("_"):
            continue
        parameters = inspect.signature(function).parameters.values()
        plain = all(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in parameters)
        if not plain or not parameters:
            raise FeatureError(
                f"features of {name}: {label} must take plain arguments without defaults, at least one, for each is "
                "looked up by its name. Make constants names of the module, or begin the name of a helper with an "
                "underscore.",
                model=name,
                feature=label,
            )
        description = inspect.getdoc(function) or ""
        yield FeatureFunction(label, tuple(p.name for p in parameters), function, description.partition("\n")[0])


def _request(namespace: Mapping[str, Any], *, name: str) -> Iterator[Field]:
    declared = namespace.get("REQUEST")
    if not isinstance(declared, Mapping) or not declared:
        raise FeatureError(
            f"features of {name}: REQUEST is missing, so nobody knows what to send. Write "
            'REQUEST = {"carrier": str, "distance": float}.',
            model=name,
        )
    for label, what in declared.items():
        kind, description = what if isinstance(what, tuple) and len(what) == 2 else (what, "")
        members = get_args(kind) if isinstance(kind, UnionType) else (kind,)
        types = [member for member in members if member is not NoneType]
        nullable = len(types) < len(members)
        if len(types) != 1 or types[0] not in REQUEST_TYPES or (nullable and types[0] not in NULLABLE_TYPES):
            raise FeatureError(
                f"features of {name}: request field {label!r} is declared as {kind!r}. It may be str, float, int or "
                "datetime, and str | None or float | None when it may be missing.",
                model=name,
                field=label,
            )
        yield Field(name=str(label), dtype=REQUEST_TYPES[types[0]], nullable=nullable, description=str(description))


def _features(namespace: Mapping[str, Any], functions: Mapping[str, FeatureFunction], *, name: str) -> Iterator[str]:
    declared = namespace.get("FEATURES")
    if not isinstance(declared, tuple | list) or not declared:
        raise FeatureError(
            f"features of {name}: FEATURES is missing, so the model would see nothing. Write "
            'FEATURES = ("carrier", "distance", my_function).',
            model=name,
        )
    seen = set()
    for entry in declared:
        own = [label for label, function in functions.items() if function.call is entry]
        if not isinstance(entry, str) and not own:
            raise FeatureError(
                f"features of {name}: FEATURES holds {entry!r}, which is neither a name nor a public function of the "
                "module. Wrap it in a function whose arguments say what it is computed from.",
                model=name,
            )
        label = entry if isinstance(entry, str) else own[0]
        if label in seen:
            raise FeatureError(f"features of {name}: FEATURES holds {label!r} twice. Remove one.", model=name)
        seen.add(label)
        yield label

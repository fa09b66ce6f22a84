"""A trainer of somebody's own, as one file that travels: read, looked at, and opened to score.

    PARAMS = {"rounds": 20}                                   parameters and their defaults
    def fit(data, *, params, seed): ...                       gives the parts of a model: bytes by name
    def scorer(parts): ...                                    gives a function of vectors (n, d) that gives their scores
    def contributions(parts, vectors): ...                    what each feature adds; may be left out

`fit` may take more, by name: see `OFFERED`. The text runs wherever its models are scored, so what stands outside of
`fit` asks for nothing that an endpoint lacks, and neither clock nor chance.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from inspect import Parameter, signature
from sys import stdlib_module_names
from typing import Any

import msgspec
import numpy as np

from mlops_assets.carried_code import imported_by, moods, run
from mlops_assets.digests import canonical_json, sha256_bytes
from mlops_assets.errors import BundleError, DeclarationError
from mlops_assets.scoring.scorer import Array, require_width

OWN_PART = "trainer.py"
SHAPE_PART = "trainer.json"

OFFERED = ("validation", "patience", "checkpoint", "threads")  # given to a `fit` that asks, beside data, params, seed
TRAINING_ONLY = ("dagster", "mlflow")
OF_OURS = ("mlops_assets.digests", "mlops_assets.errors", "mlops_assets.scoring", "mlops_assets.statistics")

Parts = Mapping[str, bytes]
Score = Callable[[Array], Any]


@dataclass(frozen=True, slots=True)
class OwnCode:
    """What a `trainer.py` holds; `packages` are those it imports, in its functions too, beyond Python's own."""

    source: str
    params: Mapping[str, str | int | float | bool]
    fit: Callable[..., Any]
    asks: tuple[str, ...]
    scorer: Callable[[Parts], Score]
    contributions: Callable[[Parts, Array], Any] | None
    packages: tuple[str, ...]


class Shape(msgspec.Struct, frozen=True):
    """How wide the rows of a model are, and of how many classes it gives probabilities; 0 where it gives one score."""

    features: int
    classes: int

    def encoded(self) -> bytes:
        """Give it as a part of a bundle."""
        return canonical_json(msgspec.to_builtins(self))


@dataclass(frozen=True, slots=True)
class OwnScorer:
    """A model opened by its own code, whose answers are looked at before anybody gets them."""

    shape: Shape
    answer: Score

    @property
    def features(self) -> int:
        """See `Scorer.features`."""
        return self.shape.features

    def score(self, vectors: Array) -> Array:
        """See `Scorer.score`.

        Raises:
            BundleError: Rows have another width, or the code answers with something else than scores.
        """
        require_width(vectors, self.features)
        expected = (len(vectors), self.shape.classes) if self.shape.classes else (len(vectors),)
        if not len(vectors):
            return np.empty(expected)
        try:
            scores = np.array(self.answer(np.array(vectors, order="C")), dtype=np.float64)  # rows of its own to spoil
        except Exception as error:
            raise BundleError(
                f"What `scorer` of {OWN_PART} gives did not score {len(vectors)} rows: {type(error).__name__}: {error}."
            ) from error
        if scores.shape != expected or not np.isfinite(scores).all():
            found = "numbers that are not finite" if scores.shape == expected else f"shape {scores.shape}"
            raise BundleError(
                f"What `scorer` of {OWN_PART} gives answered {found} for {len(vectors)} rows, where finite scores of "
                f"shape {expected} are due. Missing values are NaN and come as requests bring them: fill them there.",
                shape=scores.shape,
            )
        return scores


def row_by_row(score: Score) -> Score:
    """Give `score` as it scores each row alone, so that no sum depends on what other rows come with it.

    Libraries add up a matrix product in another order for one row than for a thousand, and last bits differ.

    >>> row_by_row(lambda vectors: vectors.sum(axis=1))(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [3.0, 7.0]
    """

    def alone(vectors: Array) -> Array:
        return np.concatenate([np.asarray(score(vectors[row : row + 1])) for row in range(len(vectors))])

    return alone


def own_scorer(parts: Parts) -> OwnScorer:
    """Give the scorer of a bundle that holds its own trainer.

    Raises:
        BundleError: The code cannot be run here, or does not open its own parts.
    """
    try:
        shape = msgspec.json.decode(parts[SHAPE_PART], type=Shape)
        answer = read_own(parts[OWN_PART].decode()).scorer(parts)
    except DeclarationError as error:
        raise BundleError(f"{error} Without it nobody can score this model.") from error
    except Exception as error:
        raise BundleError(
            f"`scorer` of {OWN_PART} did not open the model: {type(error).__name__}: {error}. Its parts are "
            f"{', '.join(sorted(parts))}. Mend it, train and deploy the model again."
        ) from error
    if not callable(answer):
        raise BundleError(
            f"`scorer` of {OWN_PART} gave {answer!r}, where a function of feature vectors is due that gives scores."
        )
    return OwnScorer(shape, answer)


@lru_cache(maxsize=64)
def read_own(source: str) -> OwnCode:
    """Run the text of a `trainer.py` and give what it holds.

    Raises:
        DeclarationError: It cannot be run, holds not what it should, or asks for what an endpoint does not have or what
            is different each time; the message names the line.
    """
    filename = f"<{OWN_PART} {sha256_bytes(source.encode())[:8]}>"
    try:
        tree = ast.parse(source, filename)
    except SyntaxError as error:
        raise _refused(error.lineno or 1, f"is not Python: {error.msg}") from error
    _look_at(tree)
    try:
        namespace = run(tree, source, filename=filename, module=filename.strip("<>").replace(".py ", "_"))
    except ImportError as error:
        raise DeclarationError(
            f"{OWN_PART} needs what is not installed here: {error}. Install it wherever its models are fitted or "
            "served; what only `fit` needs may be imported inside of it.",
            missing=error.name,
        ) from error
    except Exception as error:
        raise DeclarationError(f"{OWN_PART} could not be run: {type(error).__name__}: {error}.") from error
    return _told(namespace, tree, source)


def _told(namespace: Mapping[str, Any], tree: ast.Module, source: str) -> OwnCode:
    """Read what the file left in its namespace."""
    lines = {node.name: node.lineno for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name, form in (("fit", "fit(data, *, params, seed)"), ("scorer", "scorer(parts)")):
        if not callable(namespace.get(name)):
            raise _refused(
                len(source.splitlines()), f"ends without a function `{name}`. Add `def {form}`, or import one"
            )
    asked = _asked_by(namespace["fit"], line=lines.get("fit", 1))
    params = namespace.get("PARAMS", {})
    plain = isinstance(params, Mapping) and all(
        isinstance(name, str) and isinstance(value, str | int | float | bool) for name, value in params.items()
    )
    if not plain or "seed" in params:
        raise DeclarationError(
            f"PARAMS of {OWN_PART} should give each parameter's default, a text, number or yes-or-no, by its name, and "
            f"none called `seed`, which comes from `training.seed`. It is {params!r}."
        )
    packages = {name.partition(".")[0] for _, name in _running_imports(tree, inside_functions=True)}
    return OwnCode(
        source=source,
        params=dict(params),
        fit=namespace["fit"],
        asks=asked,
        scorer=namespace["scorer"],
        contributions=namespace.get("contributions"),
        packages=tuple(sorted(packages - stdlib_module_names - {"mlops_assets"})),
    )


def _asked_by(fit: Callable[..., Any], *, line: int) -> tuple[str, ...]:
    """Name what `fit` wants of what is offered."""
    parameters = list(signature(fit).parameters.values())
    named = {each.name for each in parameters[1:] if each.kind is not Parameter.VAR_KEYWORD}
    absent = {"params", "seed"} - named
    unknown = sorted(
        each.name
        for each in parameters[1:]
        if each.name in named - {"params", "seed", *OFFERED} and each.default is Parameter.empty
    )
    if absent or unknown or not parameters or any(each.kind is Parameter.VAR_POSITIONAL for each in parameters):
        what = f"asks for {', '.join(unknown)}" if unknown else f"does not take {', '.join(sorted(absent)) or 'data'}"
        raise _refused(
            line,
            f"holds a `fit` that {what}. It is called as `fit(data, params=…, seed=…)`, and given {', '.join(OFFERED)} "
            "too where it names them",
        )
    return tuple(name for name in OFFERED if name in named)


def _look_at(tree: ast.Module) -> None:
    """Refuse what an endpoint could not run, and what would be different each time."""
    for line, name in _running_imports(tree, inside_functions=True):
        if name.startswith("."):
            raise _refused(line, f"imports {name!r} from beside it, which does not travel. Import an installed package")
    for line, name in _running_imports(tree, inside_functions=False):
        ours = name.partition(".")[0] == "mlops_assets" and not name.startswith(OF_OURS)
        if ours or name.partition(".")[0] in TRAINING_ONLY:
            raise _refused(
                line,
                f"imports {name!r}, which is for training alone, and the file runs in the endpoint too. Import it "
                f"inside of `fit`. Of this package it may import {', '.join(OF_OURS)}",
            )
    for node in tree.body:
        scores = isinstance(node, ast.FunctionDef) and node.name in ("scorer", "contributions")
        for line, what in moods(node):
            if scores or "chance" not in what:
                raise _refused(
                    line,
                    f"asks {what}, so the same rows would not get the same answer each time. Compute it from the "
                    "arguments alone; a fit draws from its `seed`",
                )


def _running_imports(node: ast.AST, *, inside_functions: bool) -> Iterator[tuple[int, str]]:
    """Find the imports that are made when the code runs, not those that only a type checker reads."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not inside_functions:
        return
    yield from imported_by(node)
    for child in ast.iter_child_nodes(node):
        yield from _running_imports(child, inside_functions=inside_functions)


def _refused(line: int, what: str) -> DeclarationError:
    return DeclarationError(f"{OWN_PART}:{line} {what}.", line=line)

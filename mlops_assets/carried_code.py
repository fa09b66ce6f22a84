"""Python that travels inside a bundle: looked at before it runs, in training and in the endpoint alike.

The look keeps it portable and its answers the same each time. It is no sandbox: the bundle's digest is what says whose
code runs.
"""

import ast
import linecache
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

CLOCK = ("now", "utcnow", "today")  # of datetime, and what NumPy takes for the time it is


def run(tree: ast.Module, source: str, *, filename: str, module: str) -> dict[str, Any]:
    """Run a parsed text as the module called `module`, and give its namespace.

    It stands among Python's modules, where dataclasses and PyTorch look for what they are told of, and tracebacks show
    its lines under `filename`. What it raises is raised.
    """
    made = ModuleType(module)
    made.__file__ = filename
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    sys.modules[module] = made
    try:
        exec(compile(tree, filename, "exec"), vars(made))
    except BaseException:
        del sys.modules[module]
        raise
    return vars(made)


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Find what is imported anywhere in the code: its line, and the name of the module."""
    for node in ast.walk(tree):
        yield from imported_by(node)


def imported_by(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Give line and module of each import that a node itself makes; none of any other node."""
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.lineno, "." * node.level + (node.module or "")


def moods(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Find where the code asks the clock, or chance: its line, and which of them.

    >>> list(moods(ast.parse("import numpy as np\\nnp.random.rand(3)")))
    [(2, 'chance (`random`)')]
    """
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if name in CLOCK:
                yield node.lineno, f"the clock (`{name}`)"
            case ast.Call(func=ast.Attribute(attr="datetime64"), args=[ast.Constant(value=name), *_]) if name in CLOCK:
                yield node.lineno, f"the clock (`{name}`)"
            case ast.Attribute(attr="random") | ast.ImportFrom(names=[ast.alias(name="random")]):
                yield node.lineno, "chance (`random`)"
            case ast.Call(func=ast.Name(id="hash" | "id" as name)):
                yield node.lineno, f"for a number that is another in each process (`{name}`)"
            case (
                ast.Call(func=ast.Attribute(attr="fromtimestamp"), args=[_], keywords=[])
                | ast.Call(func=ast.Attribute(attr="astimezone"), args=[], keywords=[])
            ):
                yield node.lineno, "the machine for its time zone"
            case ast.Call(
                func=ast.Name(id="open") | ast.Attribute(attr="loadtxt" | "genfromtxt" | "fromfile" | "memmap")
            ):
                yield node.lineno, "for a file, which does not travel with the model"

"""Views in Python: a function of Polars or pandas frames, shown only the columns and partitions it may see."""

import ast
import linecache
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, Field

from mlops_assets.errors import FeatureError, UnknownNameError
from mlops_assets.features.columns import UTC_MICROSECONDS
from mlops_assets.features.sql import PARAMETERS

# What asks for the clock or for chance; a view computed again must come out the same.
UNREPEATABLE = frozenset({"now", "utcnow", "today", "time_ns", "random", "uuid1", "uuid4", "urandom"})


class PythonCode(BaseModel, frozen=True, extra="forbid"):
    """A function that computes a view: it takes frames by the names in `reads` and gives one frame.

    It may also take `partition_start` and `partition_end`, aware moments.
    """

    file: str = Field(pattern=r"^[\w./-]+\.py$", description="The file the function is in, beside defs.yaml.")
    function: str = Field(description="The function's name.")
    frames: Literal["polars", "pandas"] = Field(default="polars", description="The kind of frames it takes and gives.")
    reads: dict[str, tuple[str, ...]] = Field(
        min_length=1, description="The columns of each table, by alias, that the function is shown; it sees no others."
    )
    times: dict[str, str] = Field(
        default={},
        description="By which column a table, by alias, is cut to the look-back until the partition's end; "
        "for tables without partitions, of which all rows would be shown.",
    )
    source: str = Field(default="", description="The file's text; read when the project is loaded.")
    modules: dict[str, str] = Field(
        default={}, description="The texts of the project's modules it imports; read when the project is loaded."
    )

    @property
    def parameters(self) -> frozenset[str]:
        """Which of the partition's moments the function asks for."""
        return frozenset(_arguments(_definition(self))) & frozenset(PARAMETERS)


def check(code: PythonCode, *, tables: Iterable[str]) -> None:
    """Refuse code that cannot be read, lacks its function, or asks for what it will not get.

    Raises:
        ValueError: The function is not there, takes other arguments than the tables, or asks for the clock or chance.
    """
    tables = list(tables)
    definition = _definition(code)
    for alias in (*code.reads, *code.times):
        if alias not in tables:
            raise UnknownNameError("table alias", alias, known=tables)
    arguments = _arguments(definition)
    for name in arguments:
        if name not in {*code.reads, *PARAMETERS}:
            raise UnknownNameError(f"argument of {code.function}()", name, known={*code.reads, *PARAMETERS})
    if unread := [alias for alias in tables if alias not in arguments or alias not in code.reads]:
        raise ValueError(
            f"table {unread[0]!r} is declared, and not both in `reads` and an argument of {code.function}()"
        )
    for node in ast.walk(ast.parse(code.source)):
        called = node.func if isinstance(node, ast.Call) else None
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        if name in UNREPEATABLE:
            raise ValueError(
                f"line {node.lineno} of {code.file} calls {name}(), so computing the view again would give something "  # type: ignore[attr-defined]
                "else. Take partition_start or partition_end as an argument"
            )


def run(
    code: PythonCode,
    tables: Mapping[str, pa.Table],
    moments: Mapping[str, Any],
    *,
    until: tuple[datetime, datetime] | None,
    view: str,
) -> pa.Table:
    """Give what the function makes of the tables, each cut to the columns it reads and the times it may see.

    Args:
        code: The function.
        tables: What is shown, by alias.
        moments: Those of the partition's moments that it asks for.
        until: The look-back's start, and the partition's end, which no row of a table in `times` reaches.
        view: The view's name, for messages.

    Raises:
        FeatureError: A column is not there; or the function fails, or gives anything but a frame.
    """
    for alias, columns in code.reads.items():
        known = tables[alias].column_names
        for name in (*columns, *([code.times[alias]] if alias in code.times else [])):
            if name not in known:
                problem = UnknownNameError(f"column of {alias}", name, known=known)
                raise FeatureError(f"view {view!r} reads what is not there: {problem}", view=view, column=name)
    seen = {
        alias: _cut(rows, code.times[alias], until) if alias in code.times else rows for alias, rows in tables.items()
    }
    shown = {alias: seen[alias].select(columns) for alias, columns in code.reads.items()}
    to_frame, to_arrow = _POLARS if code.frames == "polars" else _PANDAS
    function = _function(code, view=view)
    try:
        frame = function(**{alias: to_frame(rows) for alias, rows in shown.items()}, **moments)
    except Exception as error:
        raise FeatureError(
            f"{code.function}() of view {view!r} failed on its tables: {type(error).__name__}: {error}", view=view
        ) from error
    found = to_arrow(frame)
    if found is None:
        raise FeatureError(
            f"{code.function}() of view {view!r} gave {type(frame).__name__}, not a {code.frames} frame.", view=view
        )
    return found


def _cut(rows: pa.Table, column: str, until: tuple[datetime, datetime] | None) -> pa.Table:
    if until is None:
        return rows
    start, end = (pa.scalar(moment, UTC_MICROSECONDS) for moment in until)
    return rows.filter(pc.and_(pc.greater_equal(rows[column], start), pc.less(rows[column], end)))


def _definition(code: PythonCode) -> ast.FunctionDef:
    try:
        tree = ast.parse(code.source)
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno} of {code.file} is not Python: {error.msg}") from error
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if code.function not in functions:
        raise UnknownNameError(f"function of {code.file}", code.function, known=functions)
    return functions[code.function]


def _arguments(definition: ast.FunctionDef) -> list[str]:
    taken = definition.args
    return [argument.arg for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]


def _function(code: PythonCode, *, view: str) -> Callable[..., Any]:
    filename = f"<{code.file} of {view} {sha256(code.source.encode()).hexdigest()[:8]}>"
    lines = code.source.splitlines(keepends=True)
    linecache.cache[filename] = (len(code.source), None, lines, filename)  # lines in tracebacks
    namespace: dict[str, Any] = {"__name__": f"view_{view}", "__file__": filename}
    try:
        exec(compile(code.source, filename, "exec"), namespace)
    except Exception as error:
        raise FeatureError(
            f"{code.file} of view {view!r} could not be run: {type(error).__name__}: {error}", view=view
        ) from error
    function: Callable[..., Any] = namespace[code.function]
    return function


def _from_polars(frame: Any) -> pa.Table | None:
    import polars as pl

    frame = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()) if isinstance(frame, pl.DataFrame) else None


def _to_polars(rows: pa.Table) -> Any:
    import polars as pl

    return pl.from_arrow(rows)


def _from_pandas(frame: Any) -> pa.Table | None:
    import pandas as pd

    return pa.Table.from_pandas(frame, preserve_index=False) if isinstance(frame, pd.DataFrame) else None


def _to_pandas(rows: pa.Table) -> Any:
    """Give a frame whose dtypes the declaration decides: whole numbers stay whole beside nulls."""
    import pandas as pd

    nullable = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype(), pa.bool_(): pd.BooleanDtype()}
    return rows.to_pandas(types_mapper=nullable.get)


_POLARS, _PANDAS = (_to_polars, _from_polars), (_to_pandas, _from_pandas)

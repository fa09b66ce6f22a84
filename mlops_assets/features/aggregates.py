"""Windowed aggregates without code: what is measured of a table per key and window, and the SQL that does it."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self, get_args

import sqlglot
from pydantic import AfterValidator, BaseModel, Field, field_validator, model_validator
from sqlglot import exp
from sqlglot.errors import SqlglotError

from mlops_assets.errors import examples

Measure = Literal["count", "mean", "rate", "sum", "min", "max", "last", "distinct"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

_SPOKEN: dict[Measure, str] = {
    "count": "Number of",
    "mean": "Mean of",
    "rate": "Share of rows with",
    "sum": "Sum of",
    "min": "Least",
    "max": "Greatest",
    "last": "Last known",
    "distinct": "Number of different values of",
}


def _one_expression(text: str) -> str:
    """Give `text` if it is one expression over the columns of a row; aggregating is what the measure is for."""
    try:
        tree = sqlglot.parse_one(f"SELECT {text}", read="duckdb")
    except SqlglotError as error:
        raise ValueError(f"{text!r} cannot be read as an expression of SQL") from error
    plain = isinstance(tree, exp.Select) and len(tree.expressions) == 1 and set(_parts(tree)) == {"expressions"}
    if not plain or tree.find(exp.AggFunc, exp.Window, exp.Subquery, exp.Alias) or "--" in text:
        raise ValueError(
            f"{text!r} is more than one expression over the columns of a row. Leave out aggregates, windows, "
            "sub-queries and names; for those, write the view in SQL"
        )
    return text


def _parts(tree: exp.Expression) -> Iterator[str]:
    return (name for name, value in tree.args.items() if value)


Expression = Annotated[str, AfterValidator(_one_expression)]
WindowText = Annotated[str, Field(pattern=r"^[1-9]\d*[hd]$", description="Hours or days: 6h, 1d, 28d.")]


class Value(BaseModel, frozen=True, extra="forbid"):
    """One measure of the rows of a key; it becomes a feature for each window."""

    count: Literal["*"] | Expression | None = Field(default=None, description="Rows (`*`), or those not null.")
    mean: Expression | None = None
    rate: Expression | None = Field(
        default=None, description="Share of the rows for which this is true, of those known."
    )
    sum: Expression | None = None
    min: Expression | None = None
    max: Expression | None = None
    last: Expression | None = Field(default=None, description="The value of the newest row that has one.")
    distinct: Expression | None = Field(default=None, description="How many different values there are.")
    where: Expression | None = Field(default=None, description="Only rows for which this is true.")
    windows: tuple[WindowText, ...] | None = Field(default=None, min_length=1, description="Instead of the view's.")
    type: Literal["float64", "string"] = "float64"
    describe: str = Field(default="", description="One sentence; the window is added.")

    @model_validator(mode="after")
    def _measures_one_thing(self) -> Self:
        if len(chosen := [name for name in MEASURES if getattr(self, name) is not None]) != 1:
            raise ValueError(f"measure exactly one of {', '.join(MEASURES)}; this has {examples(chosen) or 'none'}")
        if self.type == "string" and chosen[0] not in ("min", "max", "last"):
            raise ValueError(f"{chosen[0]} gives a number; only min, max and last may give a string")
        return self

    @property
    def measure(self) -> Measure:
        """What is measured."""
        return next(name for name in MEASURES if getattr(self, name) is not None)

    @property
    def expression(self) -> str:
        """Of what."""
        return str(getattr(self, self.measure))


class Aggregates(BaseModel, frozen=True, extra="forbid"):
    """Measures of the rows of one table, per key, over windows that end with the partition.

    The feature of value `late_rate` over `7d` is `late_rate_7d`. A key without rows in the longest window has no row;
    with none in a shorter one its count there is 0 and the rest null.
    """

    table: str = Field(description="The table whose rows are measured.")
    time: str = Field(description="The column that says when a row counts; usually when it was reported.")
    windows: tuple[WindowText, ...] = Field(min_length=1, description="How far back to look from the partition's end.")
    where: Expression | None = Field(default=None, description="Only rows for which this is true.")
    values: dict[str, Value] = Field(min_length=1, description="What to measure, by the name features begin with.")

    @field_validator("values")
    @classmethod
    def _are_named_plainly(cls, values: dict[str, Value]) -> dict[str, Value]:
        if wrong := [name for name in values if not re.fullmatch(r"[a-z][a-z0-9_]*", name)]:
            raise ValueError(f"{examples(wrong)} cannot begin the name of a feature; use a-z, 0-9 and _")
        return values

    @property
    def features(self) -> dict[str, Literal["float64", "string"]]:
        """Give the derived features with their dtypes."""
        return {name: value.type for name, value, _ in self._each()}

    @property
    def describe(self) -> dict[str, str]:
        """Give one sentence for each derived feature."""
        return {name: _sentence(value, window) for name, value, window in self._each()}

    @property
    def lookback_days(self) -> int:
        """Give how many days of partitions the longest window reaches back."""
        return -(-self._longest // timedelta(days=1))

    def sql(self, keys: Mapping[str, str]) -> str:
        """Give the SELECT that computes the features of each key."""
        lines = [_quoted(key) for key in keys]
        for name, value, window in self._each():
            rows = [] if _length(window) == self._longest else [_within(self.time, window)]
            rows += [f"({value.where})"] if value.where else []
            only = f" FILTER (WHERE {' AND '.join(rows)})" if rows else ""
            lines.append(f"{_call(value, self.time)}{only} AS {_quoted(name)}")
        longest = max((window for _, _, window in self._each()), key=_length)
        conditions = [_within(self.time, longest), f"{_quoted(self.time)} < $partition_end"]
        conditions += [f"({self.where})"] if self.where else []
        selected = ",\n  ".join(lines)
        return (
            f"SELECT\n  {selected}\nFROM {_quoted(self.table)}\nWHERE {' AND '.join(conditions)}\n"
            f"GROUP BY {', '.join(map(_quoted, keys))}"
        )

    @property
    def _longest(self) -> timedelta:
        return max(_length(window) for _, _, window in self._each())

    def _each(self) -> Iterator[tuple[str, Value, str]]:
        for name, value in self.values.items():
            for window in value.windows or self.windows:
                yield f"{name}_{window}", value, window


def _call(value: Value, time: str) -> str:
    of = value.expression
    match value.measure:
        case "count":
            return f"count({of})"
        case "mean":
            return f"avg({of})"
        case "rate":
            return f"avg(CAST(({of}) AS DOUBLE))"  # a truth value not known is null, and counts on neither side
        case "last":
            return f"arg_max({of}, ({_quoted(time)}, {of}))"  # of rows of one moment the greatest value, not any
        case "distinct":
            return f"count(DISTINCT {of})"
        case measure:
            return f"{measure}({of})"


def _sentence(value: Value, window: str) -> str:
    number, unit = int(window[:-1]), {"h": "hour", "d": "day"}[window[-1]]
    over = f"over the last {unit}" if number == 1 else f"over the last {number} {unit}s"
    of = "rows" if value.count == "*" else value.expression
    what = value.describe.rstrip(".") or f"{_SPOKEN[value.measure]} {of}"
    return f"{what}, {over}."


def _within(time: str, window: str) -> str:
    unit = {"h": "HOUR", "d": "DAY"}[window[-1]]
    return f"{_quoted(time)} >= $partition_end - INTERVAL {window[:-1]} {unit}"


def _length(window: str) -> timedelta:
    return int(window[:-1]) * {"h": timedelta(hours=1), "d": timedelta(days=1)}[window[-1]]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

"""The rules of a contract as a pandera schema over Polars, and the rows that break each of them.

Imported only where rows are checked: pandera takes seconds to load.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Literal

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaError, SchemaErrors

from mlops_assets.errors import ContractError
from mlops_assets.validation.contract import ColumnRule, Contract

About = Literal["rows", "keys"]
BOTH: tuple[About, ...] = ("rows", "keys")


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule, what it asks for in words, the columns it reads, and the numbers of the rows that break it, in order."""

    name: str
    demand: str
    columns: tuple[str, ...]
    rows: pl.Series


def broken_rules(frame: pl.DataFrame, contract: Contract, *, about: tuple[About, ...] = BOTH) -> list[BrokenRule]:
    """Give every rule of `contract` that some row of `frame` breaks, all of them at once.

    Rules `about` rows look at one row at a time, those about keys at all of them. `frame` must have the columns and
    types of the contract. It must be materialized: on a LazyFrame pandera looks at the schema only and would pass any
    row.
    """
    if not isinstance(frame, pl.DataFrame):
        raise ContractError(
            f"Rules can be checked on a materialized frame only, not on {type(frame).__name__}: of a lazy one only the "
            f"column types would be looked at, and every bad row would pass. Call .collect() first.",
            found=type(frame).__name__,
        )
    compiled = CompiledContract(contract)
    found = []
    if "rows" in about:
        # One check of all rules together is many times cheaper than a check each.
        bad = next(iter(compiled.found_in(frame, compiled.schema_of_all_at_once())), None)
        found = compiled.broken_by(frame, bad.rows) if bad else []
    if "keys" in about:
        found += compiled.found_in(frame, compiled.schema(("keys",)))
    return found


def demands(contract: Contract) -> dict[str, str]:
    """Give each rule of `contract` with what it asks for, in words."""
    return {name: demand for name, (demand, _) in CompiledContract(contract).demands.items()}


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule about one row: `holds` says of each whether it keeps it, and is never null."""

    name: str
    demand: str
    columns: tuple[str, ...]
    holds: pl.Expr


class CompiledContract:
    """A contract compiled to pandera checks, each known by the name of its rule."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._rules = [
            *(each for name, rule in contract.columns.items() for each in _of_column(name, rule)),
            *(_Rule(name, rule.demand, rule.columns, rule.expression) for name, rule in contract.rules.items()),
        ]
        self._keys = contract.key_rules
        self.demands = {rule.name: (rule.demand, rule.columns) for rule in self._rules} | {
            name: (f"{' and '.join(key)} must tell the row from every other", key) for name, key in self._keys.items()
        }

    def schema(self, about: tuple[About, ...] = BOTH) -> pa.DataFrameSchema:
        """Give the contract as pandera's own object, or what of it is about rows or keys alone."""
        # Checks of the frame, none of a column: pandera spends more on a column than the check of one costs.
        rules = self._rules if "rows" in about else []
        keys = self._keys if "keys" in about else {}
        return pa.DataFrameSchema(
            checks=[
                *(_check(rule.name, rule.holds) for rule in rules),
                *(pa.Check(_tells_apart(key), name=name, n_failure_cases=1) for name, key in keys.items()),
            ],
        )

    def schema_of_all_at_once(self) -> pa.DataFrameSchema:
        """Give one check that holds for a row if all rules about rows do."""
        holds = [rule.holds for rule in self._rules]
        return pa.DataFrameSchema(checks=[_check(_ALL, pl.all_horizontal(holds))] if holds else None)

    def found_in(self, frame: pl.DataFrame, schema: pa.DataFrameSchema) -> list[BrokenRule]:
        """Give what pandera finds in `frame`.

        Raises:
            ContractError: A rule could not be evaluated.
        """
        # said here, or PANDERA_VALIDATION_DEPTH in somebody's environment would switch the rules off
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            try:
                schema.validate(frame, lazy=True)
            except SchemaErrors as errors:
                return [self._broken(error) for error in errors.schema_errors]
        return []

    def broken_by(self, frame: pl.DataFrame, rows: pl.Series) -> list[BrokenRule]:
        """Give the rules about rows that some of these rows of `frame` break."""
        kept = frame[rows].select(rule.holds.alias(rule.name) for rule in self._rules)
        broken = [
            BrokenRule(rule.name, rule.demand, rule.columns, rows.filter(~kept[rule.name])) for rule in self._rules
        ]
        return [rule for rule in broken if rule.rows.len()]

    def _broken(self, error: SchemaError) -> BrokenRule:
        name = getattr(error.check, "name", "")
        if name not in {*self.demands, _ALL} or not isinstance(error.check_output, pl.DataFrame):
            raise ContractError(
                f"A rule could not be evaluated, so no row was judged: {error}. "
                f"Correct the rule in the contract, or report this if the rule is right.",
            ) from error
        demand, columns = self.demands.get(name, ("", ()))
        return BrokenRule(name, demand, columns, (~error.check_output.to_series()).arg_true())


_ALL = "all rules"


def _of_column(column: str, rule: ColumnRule) -> Iterator[_Rule]:
    value = pl.col(column)

    def named(kind: str, demand: str, holds: pl.Expr) -> _Rule:
        return _Rule(f"{column}.{kind}", f"{column} {demand}", (column,), holds.fill_null(True))

    if not rule.nullable:
        yield named("nullable", "must not be missing", value.is_not_null())
    if rule.type == "float64":
        yield named("finite", "must be finite", value.is_finite())
    if rule.min is not None:
        yield named("min", f"must be at least {rule.min}", value >= rule.min)
    if rule.max is not None:
        yield named("max", f"must be at most {rule.max}", value <= rule.max)
    if rule.isin is not None:
        # A few comparisons are four times as fast as looking each value up in a set.
        known = reduce(or_, (value == each for each in rule.isin)) if len(rule.isin) <= 8 else value.is_in(rule.isin)
        yield named("isin", f"must be one of {', '.join(map(str, rule.isin))}", known)
    if rule.regex is not None:
        yield named("regex", f"must match {rule.regex}", value.str.contains(rf"^(?:{rule.regex})$"))


def _check(name: str, holds: pl.Expr) -> pa.Check:
    def check(data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(holds.alias("holds"))

    return pa.Check(check, name=name, n_failure_cases=1)  # we keep bad rows ourselves; pandera would copy each


def _tells_apart(key: tuple[str, ...]) -> Callable[[PolarsData], pl.LazyFrame]:
    """Give a check that holds for every row whose `key` no other row shares, and for the first of equal rows.

    Of rows that are copies of each other in every column one is kept, as nothing is lost with the others. Of rows that
    share the key and differ, none is: nothing says which of them is true. A key with a missing part is no key.
    """

    def check(data: PolarsData) -> pl.LazyFrame:
        frame = data.lazyframe.collect()
        keys = frame.select(key).drop_nulls()
        distinct = keys.n_unique() if len(key) > 1 else keys.to_series().n_unique()
        if distinct == keys.height:  # the usual case, five times cheaper than finding who shares with whom
            return pl.LazyFrame({"holds": pl.repeat(True, frame.height, eager=True)})
        whole_key = pl.all_horizontal(pl.col(name).is_not_null() for name in key)
        shared = frame.select(whole_key & pl.struct(key).is_duplicated()).to_series()
        first = frame.filter(shared).with_columns(_first=pl.struct(pl.all()).is_first_distinct())
        kept = first.select(pl.col("_first") & (pl.col("_first").sum().over(key) == 1)).to_series()
        return pl.LazyFrame({"holds": (~shared).scatter(shared.arg_true(), kept)})

    return check

"""The rules of a contract as a pandera schema over Polars, and the rows that break each of them.

Imported only where rows are checked: pandera takes seconds to load.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaError, SchemaErrors

from mlops_assets.errors import ContractError
from mlops_assets.validation.contract import POLARS_TYPES, ColumnRule, Contract
from mlops_assets.validation.row_rule import RowRule


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule, what it asks for in words, the columns it reads, and for each row whether it holds."""

    name: str
    demand: str
    columns: tuple[str, ...]
    holds: pl.Series


def broken_rules(frame: pl.DataFrame, contract: Contract) -> list[BrokenRule]:
    """Give every rule of `contract` that some row of `frame` breaks, all of them at once.

    `frame` must have the columns and types of the contract. It must be materialized: on a LazyFrame pandera looks at
    the schema only and would pass any row.
    """
    if not isinstance(frame, pl.DataFrame):
        raise ContractError(
            f"Rules can be checked on a materialized frame only, not on {type(frame).__name__}: of a lazy one only the "
            f"column types would be looked at, and every bad row would pass. Call .collect() first.",
            found=type(frame).__name__,
        )
    compiled = CompiledContract(contract)
    # said here, or PANDERA_VALIDATION_DEPTH in somebody's environment would switch the rules off
    with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
        try:
            compiled.schema().validate(frame, lazy=True)
        except SchemaErrors as errors:
            return [compiled.broken(error) for error in errors.schema_errors]
    return []


class CompiledContract:
    """A contract compiled to pandera checks, each known by the name of its rule."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.demands: dict[str, tuple[str, tuple[str, ...]]] = {}

    def schema(self) -> pa.DataFrameSchema:
        """Give the contract as pandera's own object."""
        return pa.DataFrameSchema(
            {
                name: pa.Column(POLARS_TYPES[rule.type], self._of_column(name, rule), nullable=rule.nullable)
                for name, rule in self.contract.columns.items()
            },
            checks=[
                *(self._of_row(name, rule) for name, rule in self.contract.rules.items()),
                *(self._of_key(key) for key in self.contract.keys),
            ],
        )

    def broken(self, error: SchemaError) -> BrokenRule:
        """Give the rule that one of pandera's findings is about.

        Raises:
            ContractError: The finding is about no row, but about a rule that could not be evaluated.
        """
        name = f"{error.column_name}.nullable" if error.check == "not_nullable" else getattr(error.check, "name", "")
        if name not in self.demands or not isinstance(error.check_output, pl.DataFrame):
            raise ContractError(
                f"A rule could not be evaluated, so no row was judged: {error}. "
                f"Correct the rule in the contract, or report this if the rule is right.",
            ) from error
        demand, columns = self.demands[name]
        return BrokenRule(name, demand, columns, error.check_output.to_series())

    def _named(self, name: str, demand: str, columns: tuple[str, ...]) -> str:
        self.demands[name] = (demand, columns)
        return name

    def _of_column(self, column: str, rule: ColumnRule) -> list[pa.Check]:
        def named(kind: str, demand: str) -> str:
            return self._named(f"{column}.{kind}", f"{column} {demand}", (column,))

        named("nullable", "must not be missing")
        checks = []
        if rule.type == "float64":
            checks.append(pa.Check(_is_finite, name=named("finite", "must be finite")))
        if rule.min is not None:
            checks.append(pa.Check.ge(rule.min, name=named("min", f"must be at least {rule.min}")))
        if rule.max is not None:
            checks.append(pa.Check.le(rule.max, name=named("max", f"must be at most {rule.max}")))
        if rule.isin is not None:
            choices = ", ".join(map(str, rule.isin))
            checks.append(pa.Check.isin(rule.isin, name=named("isin", f"must be one of {choices}")))
        if rule.regex is not None:
            whole = rf"^(?:{rule.regex})$"
            checks.append(pa.Check.str_contains(whole, name=named("regex", f"must match {rule.regex}")))
        return checks

    def _of_row(self, name: str, rule: RowRule) -> pa.Check:
        def check(data: PolarsData) -> pl.LazyFrame:
            return data.lazyframe.select(rule.expression)

        return pa.Check(check, name=self._named(name, rule.demand, rule.columns))

    def _of_key(self, key: tuple[str, ...]) -> pa.Check:
        name = f"{key[0]}.unique" if len(key) == 1 else f"unique({', '.join(key)})"
        demand = f"{' and '.join(key)} must tell the row from every other"
        return pa.Check(_tells_apart(key), name=self._named(name, demand, key))


def _is_finite(data: PolarsData) -> pl.LazyFrame:
    return data.lazyframe.select(pl.col(data.key).is_finite())


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

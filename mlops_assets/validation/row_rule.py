"""A rule on several columns of a row at once: a condition in SQL, and why it must hold."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field

from mlops_assets.errors import DeclarationError, UnknownNameError, first_line

# Calls whose answer depends on other rows or on the clock; a row judged again, or in another batch, must fare the same.
# Polars does not tell them from others, so a function it learns that does either is to be added here.
_BEYOND_THE_ROW = re.compile(
    r"\b(?:(ARRAY_AGG|AVG|CORR|COUNT|COVAR\w*|FIRST\w*|LAST\w*|LISTAGG|MAX|MEDIAN|MIN|QUANTILE\w*|STD\w*|STRING_AGG|SUM"
    r"|VAR|VAR_\w+|VARIANCE|OVER|NOW|TODAY)\s*\(|(CURRENT_\w+|LOCALTIME\w*)\b)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


class RowRule(BaseModel, frozen=True, extra="forbid"):
    """A condition that every row must meet. Missing values make it neither true nor false; `missing` settles that."""

    holds: str = Field(min_length=1, description="A condition over the columns, in the SQL of Polars.")
    because: str = Field(min_length=1, description="Why it must hold, for whoever reads a refused row's reasons.")
    missing: Literal["passes", "breaks"] = Field(
        "passes", description="What becomes of a row on which the condition is neither true nor false."
    )

    @cached_property
    def expression(self) -> pl.Expr:
        """Give whether each row keeps the rule, as a Polars expression that is never null."""
        return pl.sql_expr(self.holds).fill_null(self.missing == "passes")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Name the columns it reads, each once, in the order it names them."""
        return tuple(dict.fromkeys(pl.sql_expr(self.holds).meta.root_names()))

    @property
    def demand(self) -> str:
        """Say what it asks for.

        >>> RowRule(holds="arr >= dep", because="A plane lands after it left.").demand
        '`arr >= dep` must hold (A plane lands after it left)'
        """
        return f"`{self.holds}` must hold ({self.because.rstrip('.')})"


def require_obeyable(name: str, rule: RowRule, schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> None:
    """Make sure that `rule` says yes or no of every row with these columns, and looks at nothing else.

    Raises:
        UnknownNameError: It names a column that is not there.
        DeclarationError: It cannot be evaluated, is no condition, or depends on more than its row.
    """
    said = f"Rule {name!r}, `{rule.holds}`,"
    try:
        columns = rule.columns
    except pl.exceptions.PolarsError as error:
        raise DeclarationError(f"{said} cannot be read: {first_line(error)}. Write one condition in SQL.") from error
    for column in columns:
        if column not in schema:
            raise UnknownNameError(f"Column of rule {name!r}", column, known=schema)
    if not columns:
        raise DeclarationError(f"{said} names no column, so it says the same of every row. Name those it is about.")
    if beyond := _BEYOND_THE_ROW.search(_QUOTED.sub("", rule.holds)):
        raise DeclarationError(
            f"{said} asks for {(beyond[1] or beyond[2]).upper()}, which depends on more than the row, so the same row "
            f"could pass today and not tomorrow. Say what a row must be by itself; what a whole batch must be is for a "
            f"quality suite."
        )
    try:
        verdict = pl.DataFrame(schema=dict(schema)).select(pl.sql_expr(rule.holds))
    except pl.exceptions.PolarsError as error:
        raise DeclarationError(
            f"{said} cannot be evaluated on these columns: {first_line(error)}. Compare like with like, or CAST."
        ) from error
    if verdict.dtypes != [pl.Boolean()]:
        raise DeclarationError(
            f"{said} gives {verdict.dtypes[0]}, and only a condition can hold or not. Compare it with something."
        )
